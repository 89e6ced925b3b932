"""Attacks with reference models: phi, and the scores made of it."""

"""Attacks that see a class and nothing else: what is asked, and what is made of the answers."""

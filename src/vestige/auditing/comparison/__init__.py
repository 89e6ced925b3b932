"""Comparison of defences: models trained in every way, each in turn the target of an attacker who adapts."""

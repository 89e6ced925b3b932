"""Hypothesis without a deadline: how long an example takes says something of the machine, not of the code."""

from hypothesis import settings

settings.register_profile("vestige", deadline=None)
settings.load_profile("vestige")

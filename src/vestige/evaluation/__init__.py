"""Scores + membership -> numbers with intervals. Pure functions on arrays; no files, no models, no printing."""

"""Models that are objects of this process: torch modules, estimators and functions."""

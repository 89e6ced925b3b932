"""What crosses the rooms: predictions in, scores between, results out; errors, seeds and progress.

Imports no other room. A type enters here only when two rooms exchange it.
"""

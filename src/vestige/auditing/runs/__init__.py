"""Finished runs: read from their folders, looked up record by record, and compared with each other."""

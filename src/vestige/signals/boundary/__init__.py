"""Label-only boundary distances: how far a record is from where the model decides otherwise, from labels alone."""

"""From answers about records to scores of attacks."""

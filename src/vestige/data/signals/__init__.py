"""What many models answered about many records, kept in a run: what a store is made for (`layout`), and its files."""

"""Published data sets by name, and designs: who is in which training set."""

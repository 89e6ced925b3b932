"""Models trained like the target: planned, trained as jobs, observed, taken as references."""

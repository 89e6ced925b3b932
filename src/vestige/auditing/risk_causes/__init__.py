"""Why some records are at risk: what retraining without one changes, which classes generalise, what the model sees."""

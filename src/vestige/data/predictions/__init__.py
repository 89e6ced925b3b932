"""Files of what models answered -> `Predictions` and `References`."""

"""Files of what models are trained on and asked about -> `Records`."""

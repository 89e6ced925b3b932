"""Shadow and source models: settings, plan, cost, training jobs, and their answers as references or thresholds."""

"""Models in files, as model sources: `model_file` picks by suffix, and each format is one module."""

"""Models in files, as doors: `model_file` picks by suffix, and each format is one module."""

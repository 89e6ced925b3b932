"""From scores to rows, findings and words."""

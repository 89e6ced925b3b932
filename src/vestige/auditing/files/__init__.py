"""An AUDIT.toml, read into the values that the other rooms take."""

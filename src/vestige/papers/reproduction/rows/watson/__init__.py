"""Watson et al. 2022: rows of their tables and figures."""

from vestige.papers.reproduction.rows.watson import distances, figures, tables

ROWS = (*tables.ROWS, *distances.ROWS, *figures.ROWS)
"""Tables 1 to 4, and Figures 1 to 6."""

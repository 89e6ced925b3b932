"""Carlini et al. 2022: rows of their figures, of the released demonstration and of what their conclusion asks."""

from vestige.papers.reproduction.rows.carlini import architectures, insertion, low_rates, questions

ROWS = (*low_rates.ROWS, *architectures.ROWS, *insertion.ROWS, *questions.ROWS)

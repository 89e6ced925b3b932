"""Choquette-Choo et al. 2021: rows of their tables and figures."""

from vestige.papers.reproduction.rows.choquette_choo import attacks, augmented, defended, tabular

ROWS = (*tabular.ROWS, *attacks.ROWS, *augmented.ROWS, *defended.ROWS)

"""All rows of the four papers: a file per paper, each with its trials and published numbers."""

from vestige.papers.reproduction.row import Row
from vestige.papers.reproduction.rows import carlini, choquette_choo, song_mittal, watson

ROWS: tuple[Row, ...] = (*song_mittal.ROWS, *carlini.ROWS, *choquette_choo.ROWS, *watson.ROWS)

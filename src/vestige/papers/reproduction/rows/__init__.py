"""All rows, a file per paper."""

from vestige.papers.reproduction.row import Row
from vestige.papers.reproduction.rows import carlini, choquette_choo, song_mittal, watson

ROWS: tuple[Row, ...] = (*song_mittal.ROWS, *carlini.ROWS, *choquette_choo.ROWS, *watson.ROWS)

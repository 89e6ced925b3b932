"""Song & Mittal 2021: a row for each table, figure and appendix, and for the defences that they name beside theirs.

`settings` has records and recipes, `attacked` what is measured of a model, `known_half`, `shadowed`, `networks`,
`causes` and `protections` the trials, `tables` and `figures` the rows with published numbers and claims.
"""

from vestige.papers.reproduction.rows.song_mittal import figures, protections, tables

ROWS = (*tables.ROWS, *figures.ROWS, *protections.ROWS)

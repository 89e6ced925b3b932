"""The papers' tables and figures as rows that are measured, stored and judged: `vestige reproduce`.

`row` says what a row is, `rows/` has those of each paper in a file, `running` measures one and goes on where it was
stopped, `verdicts` is what may be concluded of which trials, `pages` sets published beside measured.
"""

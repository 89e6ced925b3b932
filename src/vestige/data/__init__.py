"""Files -> values of `core`. Nothing is unpickled, and every complaint names the file, the row and the cure.

`reading` is the door for one file of any format, `npz`, `npy` and `tables` read one kind each; `formats` tells
them apart, `streams` reads large arrays in blocks, `columns` and `classes` say what a table's columns mean.
"""

from vestige.data.columns import Columns
from vestige.data.npy import read_npy
from vestige.data.npz import read_npz
from vestige.data.reading import read_predictions, read_shadow, refuse_columns
from vestige.data.tables import read_table, read_two_tables

__all__ = [
    "Columns",
    "read_npy",
    "read_npz",
    "read_predictions",
    "read_shadow",
    "read_table",
    "read_two_tables",
    "refuse_columns",
]

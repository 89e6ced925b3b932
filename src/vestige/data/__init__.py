"""Files and named data sets -> values of `core`, and who is in which training set.

Nothing is unpickled, and every complaint names the file, the row and the cure.

Predictions: `reading` is the door for one file of any format, `npz`, `npy` and `tables` read one kind each; `formats`
tells them apart, `streams` reads large arrays in blocks, `columns` and `classes` say what a table's columns mean;
`reference_files` reads what many models answered.
Records: `record_reading` is the door for tables and npz files; images and the papers' data sets have a reader each,
which `named` knows by name and `fetch` gets. `designs` draws membership, `paper_designs` as the papers do.
"""

from vestige.data.columns import Columns
from vestige.data.designs import (
    balanced_groups,
    complementary_pairs,
    disjoint_pools,
    fixed_size_subsets,
    partner,
    rank_design,
)
from vestige.data.image_folder import read_image_folder
from vestige.data.image_parquet import read_image_parquet
from vestige.data.named import load
from vestige.data.npy import read_npy
from vestige.data.npz import read_npz
from vestige.data.reading import read_predictions, read_shadow, refuse_columns
from vestige.data.record_columns import RecordColumns
from vestige.data.record_reading import read_records, read_two_records
from vestige.data.reference_files import holds_references, read_references
from vestige.data.tables import read_table, read_two_tables

__all__ = [
    "Columns",
    "RecordColumns",
    "balanced_groups",
    "complementary_pairs",
    "disjoint_pools",
    "fixed_size_subsets",
    "holds_references",
    "load",
    "partner",
    "rank_design",
    "read_image_folder",
    "read_image_parquet",
    "read_npy",
    "read_npz",
    "read_predictions",
    "read_records",
    "read_references",
    "read_shadow",
    "read_table",
    "read_two_records",
    "read_two_tables",
    "refuse_columns",
]

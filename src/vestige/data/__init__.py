"""Files and named data sets -> values of `core`, and who is in which training set.

Nothing is unpickled, and every complaint names the file, the row and the cure.

`formats` reads files: it tells what they are, and gives typed tables, arrays and members of archives. `predictions`
makes `Predictions` and `References` of them, `records` makes `Records`; each has a `reading` that takes any format.
`sets` knows published data sets by name, fetches them, and draws who is trained on what, also as the papers do.
`signals` keeps in a run what many models answered about many records.
"""

from vestige.data.predictions.arrays import read_npy, read_npz
from vestige.data.predictions.columns import Columns
from vestige.data.predictions.model_folders import holds_models, read_model_folder
from vestige.data.predictions.reading import read_predictions, read_shadow, read_table, read_two_tables, refuse_columns
from vestige.data.predictions.references import read_references, references_beside
from vestige.data.records.images import read_image_folder, read_image_parquet
from vestige.data.records.reading import RecordColumns, read_records, read_two_records
from vestige.data.sets.designs import (
    balanced_groups,
    complementary_pairs,
    disjoint_pools,
    fixed_size_subsets,
    partner,
    rank_design,
)
from vestige.data.sets.named import load

__all__ = [
    "Columns",
    "RecordColumns",
    "balanced_groups",
    "complementary_pairs",
    "disjoint_pools",
    "fixed_size_subsets",
    "holds_models",
    "load",
    "partner",
    "rank_design",
    "read_image_folder",
    "read_image_parquet",
    "read_model_folder",
    "read_npy",
    "read_npz",
    "read_predictions",
    "read_records",
    "read_references",
    "read_shadow",
    "read_table",
    "read_two_records",
    "read_two_tables",
    "references_beside",
    "refuse_columns",
]

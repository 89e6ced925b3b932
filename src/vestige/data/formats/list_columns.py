"""Columns of lists, a number per class in each, as a column per entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from vestige.core.errors import InputError, refusing
from vestige.core.messages import brief
from vestige.data.formats.csv_file import NO_ROWS, CsvFile
from vestige.data.formats.files import named
from vestige.data.formats.frame import Frame
from vestige.data.formats.parquet_file import ParquetFile


@dataclass(frozen=True, eq=False)
class SpreadLists:
    """A table in which each entry of some columns of lists is a column of its own."""

    file: CsvFile | ParquetFile | Frame
    names: tuple[str, ...]
    entries: Any
    said: str

    @property
    def name(self) -> str:
        """What the table is called in messages."""
        return self.file.name

    @property
    def decimal(self) -> str | None:
        """The decimal mark of the columns that are text."""
        return self.file.decimal

    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any:
        """Read columns into a pyarrow Table, as the file does; entries of lists as numbers."""
        own = [name for name in numeric if name in self.entries]
        others = [name for name in numeric if name not in self.entries]
        columns = self.file.load(others, text) if others or text else None
        table = {} if columns is None else dict(zip(columns.column_names, columns.columns, strict=True))
        return pa.table(table | {name: self.entries[name] for name in own})


def spread_lists(file: CsvFile | ParquetFile | Frame, prefixes: Mapping[str, str]) -> Any:
    """Return a table with a column per entry of its lists; the table itself if it has none.

    Args:
        file: The table.
        prefixes: What the names of the new columns begin with, by the name of a column of lists.

    Raises:
        InputError: The lists of a column are not of one length, or hold no numbers.
    """
    lists = [name for name in file.lists if name in prefixes]
    if not lists:
        return file
    names = [name for name in file.names if name not in lists]
    entries: dict[str, np.ndarray] = {}
    for name in lists:
        with named(file.name):
            values = _numbers(file.load([], [name])[name], name)
        own = [f"{prefixes[name]}{i}" for i in range(values.shape[1])]
        names += own
        entries |= dict(zip(own, values.T, strict=True))
    kinds = " and ".join(f"{name} as {'logits' if prefixes[name] == 'logit_' else 'probabilities'}" for name in lists)
    said = f"Read: lists in column {kinds}; their entries are the classes 0, 1, 2 ... in this order."
    return SpreadLists(file, tuple(names), entries, said)


def _numbers(column: Any, name: str) -> np.ndarray:
    """Lists as records x entries."""
    column = pa.chunked_array(column).combine_chunks() if len(column) else column
    if not len(column):
        raise InputError(NO_ROWS)
    if not pa.types.is_nested(column.type):
        column = _split(column.cast(pa.string()))
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((lengths != lengths[0]) | (lengths < 2))
    if wrong.size:
        raise InputError(
            f"Expected lists of one length, a number per class, in column {name}, found {lengths[wrong[0]]} entries in "
            f"data row {wrong[0] + 1:,} and {lengths[0]} in row 1; give one number per class."
        )
    with refusing(
        pa.ArrowInvalid, lambda error: f"Expected lists of numbers in column {name}, found {brief(str(error), 100)}."
    ):
        values = column.flatten()
        values = values if pa.types.is_floating(values.type) else values.cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), -1)


def _split(text: Any) -> Any:
    """Lists that are written as text, as Python, NumPy and JSON write them."""
    bare = compute.replace_substring_regex(text, r"[A-Za-z_][\w.]*\(|[\[\]()]|,\s*dtype=\S*", "")  # array(, np.float64(
    return compute.split_pattern(
        compute.replace_substring_regex(compute.utf8_trim_whitespace(bare), r"[,;\s]+", ","), ","
    )

"""Tables in memory: frames of pandas, polars and Arrow, and JSON lines, which are read whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from vestige.core.errors import refusing
from vestige.core.messages import brief
from vestige.data.formats.files import PathLike, file_name, opened
from vestige.data.formats.parquet_file import lists_in, whole_columns


@dataclass(frozen=True, eq=False)
class Frame:
    """A table of Arrow; of a frame its memory is shared where its columns lie in one piece each."""

    name: str
    table: Any
    decimal: ClassVar[str | None] = None  # its columns have types of their own

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self.table.column_names)

    @property
    def lists(self) -> tuple[str, ...]:
        """Columns of lists."""
        return lists_in(self.table.schema)

    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any:
        """Return columns as a pyarrow Table, with the types they have.

        Raises:
            InputError: Text is not UTF-8.
        """
        return whole_columns(self.table.select(list(dict.fromkeys([*text, *numeric]))), self.name)


def open_frame(frame: Any) -> Frame:
    """Return a frame of pandas, polars, Arrow or any other that gives an Arrow stream.

    Raises:
        InputError: A column has entries of several types, or two have one name.
    """
    with refusing(
        (ValueError, TypeError, NotImplementedError),
        lambda error: (
            f"the frame: Expected a type per column and columns with names that differ, found otherwise: "
            f"{brief(str(error), 200)}; convert the column, or rename it."
        ),
    ):
        return Frame(file_name(frame), pa.table(frame))


def open_json(path: PathLike) -> Frame:
    """Read JSON lines: an object per record, with the same keys.

    Raises:
        InputError: It is other JSON, or damaged.
    """
    from pyarrow import json

    name = file_name(path)
    with (
        opened(path) as stream,
        refusing(
            pa.ArrowInvalid,
            lambda error: (
                f"{name}: Expected JSON lines, one object of the same keys per record, found other JSON: "
                f"{brief(str(error), 100)}; save it as npz, CSV or Parquet (in pandas as JSON with lines=True)."
            ),
        ),
    ):
        return Frame(name, json.read_json(stream))

"""Parquet files as tables of which only the needed columns are read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vestige.core.errors import InputError, refusing
from vestige.core.messages import brief
from vestige.data.formats.files import PathLike, file_name, readable


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file whose schema has been read."""

    path: Path
    name: str
    names: tuple[str, ...]
    lists: tuple[str, ...] = ()
    decimal: ClassVar[str | None] = None  # its columns have types of their own

    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any:
        """Read columns into a pyarrow Table, with the types they have.

        Raises:
            InputError: The file is damaged, or holds text that is not UTF-8.
        """
        with opened_parquet(self.path) as file:
            return whole_columns(file.read(columns=list(dict.fromkeys([*text, *numeric]))), self.name)


@contextmanager
def opened_parquet(path: PathLike, **options: Any) -> Iterator[Any]:
    """Open a Parquet file with pyarrow; pages that have a checksum are compared with it.

    Raises:
        InputError: The file is truncated or damaged, whenever that comes out.
    """
    from pyarrow import ArrowException, parquet

    with readable(path), Path(path).open("rb"):  # a file that cannot be opened is not a damaged one
        pass
    damaged = (
        f"{file_name(path)}: Expected a whole Parquet file, found a truncated or damaged one; copy or save it again."
    )
    with (
        refusing((ArrowException, OSError, UnicodeDecodeError), damaged),
        parquet.ParquetFile(path, page_checksum_verification=True, **options) as file,
    ):
        yield file


def whole_columns(table: Any, name: str) -> Any:
    """Return a table whose values are as pyarrow wants them, which it does not look at when it reads.

    Raises:
        InputError: Text is not UTF-8, or a column is damaged otherwise.
    """
    for column in table.column_names:
        try:
            table.column(column).validate(full=True)
        except ValueError as error:  # pyarrow's ArrowInvalid
            whole = ("whole values", f"{brief(str(error), 100)}; save it again")
            expected, found = ("UTF-8 text", "other bytes; save it as UTF-8") if "UTF8" in str(error) else whole
            raise InputError(f"{name}: Expected {expected} in column {brief(column)}, found {found}.") from None
    return table


def lists_in(schema: Any) -> tuple[str, ...]:
    """Names of the columns whose entries are lists."""
    from pyarrow import types

    are_lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return tuple(one.name for one in schema if any(is_list(one.type) for is_list in are_lists))


def open_parquet(path: PathLike) -> ParquetFile:
    """Read the schema of a Parquet file.

    Raises:
        InputError: The file is truncated or damaged.
    """
    with opened_parquet(path) as file:
        schema = file.schema_arrow
        return ParquetFile(Path(path), file_name(path), tuple(schema.names), lists_in(schema))

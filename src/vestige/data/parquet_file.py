"""Parquet files as tables of which only the needed columns are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.data.formats import PathLike, file_name, readable


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file whose schema has been read."""

    path: Path
    name: str
    names: tuple[str, ...]

    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any:
        """Read columns into a pyarrow Table, with the types they have.

        Raises:
            InputError: The file is damaged.
        """
        import pyarrow as pa
        from pyarrow import parquet

        columns = list(dict.fromkeys([*text, *numeric]))
        try:
            with parquet.ParquetFile(self.path, page_checksum_verification=True) as file:
                return file.read(columns=columns)
        except (pa.ArrowException, OSError):
            raise _damaged(self.name) from None


def open_parquet(path: PathLike) -> ParquetFile:
    """Read the schema of a Parquet file.

    Raises:
        InputError: The file is truncated or damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    name = file_name(path)
    with readable(path), Path(path).open("rb"):  # a file that cannot be opened is not a damaged one
        pass
    try:
        with parquet.ParquetFile(path) as file:
            return ParquetFile(Path(path), name, tuple(file.schema_arrow.names))
    except (pa.ArrowException, OSError):
        raise _damaged(name) from None


def _damaged(name: str) -> InputError:
    return InputError(
        f"{name}: Expected a whole Parquet file, found a truncated or damaged one; copy or save it again."
    )

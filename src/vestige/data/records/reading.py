"""One door for records of every generic format: the content of a file decides how it is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.data.formats.files import TABLES, Format, PathLike, expect_format, file_name
from vestige.data.records.arrays import read_npzs
from vestige.data.records.columns import RecordColumns
from vestige.data.records.tables import read_tables


def read_records(
    path: PathLike, columns: RecordColumns | None = None, *, classes: Sequence[Any] | None = None
) -> Records:
    """Read records from a table or an npz file.

    Of a table, every column but those of label, id, subject and order is an input, group columns included, unless
    `columns` lists inputs. Inputs are a DataFrame: numbers as they are, text as categories, what is missing as
    missing. Classes are the labels that occur, whole numbers in their order (so 1 and 2 are two classes), else text
    sorted. Of an npz, inputs are an array; see `read_npzs` for its keys.

    Args:
        path: CSV (comma, semicolon or tab; plain or gzipped; UTF-8), Parquet or npz; its content decides, not its
            extension.
        columns: How the columns of a table are named; of an npz, only `order` is used.
        classes: All class names in the order of the model's outputs, if some may not occur in the file.

    Returns:
        The records.

    Raises:
        InputError: The file is damaged or of another format, lacks a column or an entry, or has labels that are no
            classes.
    """
    return _read([path], columns, classes)[0]


def read_two_records(
    members: PathLike,
    nonmembers: PathLike,
    columns: RecordColumns | None = None,
    *,
    classes: Sequence[Any] | None = None,
) -> tuple[Records, Records]:
    """Read the records a model was trained on and those it was not from a file each, as records of one kind.

    Columns have one type in both, categories and classes are those of both together, and codes mean the same.

    Args:
        members: Records the model was trained on, as for `read_records`.
        nonmembers: Records it was not trained on, with the same columns.
        columns: How the columns are named.
        classes: All class names, as for `read_records`.

    Returns:
        Members and nonmembers.

    Raises:
        InputError: As `read_records`; or the files are the same, differ in their columns or share an id.
    """
    if Path(members).exists() and Path(nonmembers).exists() and Path(members).samefile(nonmembers):
        raise InputError(
            f"{file_name(members)}: Expected two files, found the same as members and as nonmembers; give a file each."
        )
    first, second = _read([members, nonmembers], columns, classes)
    return first, second


def _read(paths: Sequence[PathLike], columns: RecordColumns | None, classes: Sequence[Any] | None) -> list[Records]:
    columns = RecordColumns() if columns is None else columns
    found = [expect_format(path, *TABLES, Format.NPZ) for path in paths]
    are_npz = [format_ is Format.NPZ for format_ in found]
    if all(are_npz):
        return read_npzs(paths, columns, classes=classes)
    if any(are_npz):
        raise InputError(
            f"{' and '.join(file_name(path) for path in paths)}: Expected two tables or two npz files, found one of "
            "each; save both in one format."
        )
    return read_tables(paths, columns, classes=classes)

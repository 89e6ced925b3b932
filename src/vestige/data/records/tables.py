"""Tables of records, CSV or Parquet, one or two of the same columns: types, classes and categories common to both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.ids import without_fractions
from vestige.core.labels import as_numbers, class_order, number_of_text
from vestige.core.messages import few
from vestige.core.records import Records, as_given
from vestige.data.formats import cells
from vestige.data.formats.classes import codes_of_names, integers_if_all, refuse_regression, spellings
from vestige.data.formats.csv_file import NO_ROWS, CsvFile, open_csv
from vestige.data.formats.files import Format, PathLike, expect_format, named
from vestige.data.formats.parquet_file import ParquetFile, open_parquet
from vestige.data.formats.unused import distinct_values, notes_on_unused
from vestige.data.records.columns import RecordColumns, RecordRoles, record_roles, refuse_shared_ids
from vestige.data.records.inputs import input_frame

TABLES = (Format.CSV, Format.CSV_GZIP, Format.PARQUET)

_File = CsvFile | ParquetFile


@dataclass(frozen=True)
class _Part:
    """The needed columns of one file."""

    file: _File
    labels: np.ndarray
    named: Mapping[str, np.ndarray]  # id, subject and groups, as text
    order: Mapping[str, np.ndarray]
    table: Any
    distinct: Mapping[str, np.ndarray]  # values of the unused columns

    @property
    def decimal(self) -> str | None:
        return self.file.decimal if isinstance(self.file, CsvFile) else None


def read_tables(
    paths: Sequence[PathLike], columns: RecordColumns, *, classes: Sequence[Any] | None = None
) -> list[Records]:
    """Read tables with the same columns as records of the same inputs and classes.

    Args:
        paths: CSV (comma, semicolon or tab; plain or gzipped; UTF-8) or Parquet.
        columns: How their columns are named.
        classes: Class names in the order of the codes; if omitted, the labels that occur in any of the tables:
            whole numbers in their order, else text sorted.

    Returns:
        The records of each table.

    Raises:
        InputError: A file is damaged or of another format, lacks a column or an entry, has labels that are no
            classes, differs from the others in its columns, or shares an id with them.
    """
    files = [_open(path, columns) for path in paths]
    roles = []
    for file in files:
        with named(file.name):
            roles.append(record_roles(file.names, columns))
    for file, own in zip(files, roles, strict=True):
        _require_same(file, own, files[0].name, roles[0])
    parts = [_load(file, roles[0]) for file in files]
    with named(" and ".join(file.name for file in files)):
        records = _records(parts, roles[0], classes)
    if len(parts) == 1:
        return [records]
    ends = np.cumsum([part.labels.size for part in parts])
    return [records.take(range(end - part.labels.size, end)) for part, end in zip(parts, ends.tolist(), strict=True)]


def _open(path: PathLike, columns: RecordColumns) -> _File:
    found = expect_format(path, *TABLES)
    return open_parquet(path) if found is Format.PARQUET else open_csv(path, found, columns.label)


def _require_same(file: _File, roles: RecordRoles, first_name: str, first: RecordRoles) -> None:
    missing = [name for name in first.needed if name not in roles.needed]
    added = [name for name in roles.needed if name not in first.needed]
    if missing or added:
        found = f"{few(missing)} missing" if missing else f"{few(added)} added"
        raise InputError(
            f"{file.name}: Expected the columns of {first_name}, found {found}; write both files with the same "
            "columns, or name the inputs."
        )


def _load(file: _File, roles: RecordRoles) -> _Part:
    table = file.load([], roles.needed)
    by_name = [n for n in (roles.id, roles.subject, *roles.groups) if n is not None]
    with named(file.name):
        if table.num_rows == 0:
            raise InputError(NO_ROWS)
        decimal = file.decimal if isinstance(file, CsvFile) else "."
        return _Part(
            file=file,
            labels=cells.texts(table[roles.label], roles.label),
            named={name: cells.texts(table[name], name) for name in by_name},
            order={name: cells.ordered(table[name], name, decimal) for name in roles.order},
            table=table.select(list(roles.inputs)),
            distinct=distinct_values(file, [name for name in roles.unused if name in file.names]),
        )


def _records(parts: Sequence[_Part], roles: RecordRoles, classes: Sequence[Any] | None) -> Records:
    def joined(column: str | None, *, are_ids: bool = True) -> np.ndarray | None:
        if column is None:
            return None
        texts = np.concatenate([part.named[column] for part in parts])
        return integers_if_all(without_fractions(texts) if are_ids else texts)

    codes, names, notes = _classes(np.concatenate([part.labels for part in parts]), roles.label, classes)
    if roles.id is not None:
        refuse_shared_ids([part.named[roles.id] for part in parts])
    inputs = input_frame([part.table for part in parts], roles.inputs, [part.decimal for part in parts])
    return Records(
        inputs,
        codes,
        ids=joined(roles.id),
        subjects=joined(roles.subject),
        groups={group: joined(group, are_ids=False) for group in roles.groups},
        order={name: _joined_order([part.order[name] for part in parts]) for name in roles.order},
        classes=as_given(names),
        notes=(*notes, *_notes(parts, roles.unused)),
    )


def _classes(
    labels: np.ndarray, column: str, classes: Sequence[Any] | None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Labels as codes, the names of the classes, and what there is to say about them."""
    refuse_regression(labels, "labels")
    found = [str(name) for name in np.unique(labels)]
    if classes is not None:
        known = tuple(str(name) for name in classes)
        if not any(set(known).issuperset(spelled) for spelled in spellings(found, 0)):
            unknown = [name for name in found if name not in known]
            raise InputError(
                f"Expected labels among the classes {few(known)}, found {few(unknown)} in column {column}; name all "
                "classes as the labels spell them."
            )
        return codes_of_names(labels, known, 0, "labels"), known, ()
    words = {name.lower() for name in found} <= {"true", "false"}
    names = class_order(set(found if words else list(spellings(found, 0))[-1]))  # 1.0 is the class 1
    if len(names) < 2:
        raise InputError(
            f"Expected labels of two classes or more, found only {names[0]} in column {column}; name the column of "
            "the class as label, or name all classes."
        )
    return codes_of_names(labels, names, 0, "labels"), names, _note_on_gaps(names)


def _note_on_gaps(names: Sequence[str]) -> tuple[str, ...]:
    """A model may have outputs for classes that do not occur here."""
    whole = as_numbers([number_of_text(name) for name in names])
    numbers = set(whole or ())
    if len(numbers) < 3 or not 0 < max(numbers) - min(numbers) + 1 - len(numbers) < len(numbers):
        return ()
    left_out = [str(i) for i in range(min(numbers), max(numbers)) if i not in numbers]
    return (
        f"Labels run from {min(numbers)} to {max(numbers)} without {few(left_out)}: only classes that occur are "
        "counted; name all classes if a model has more.",
    )


def _joined_order(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One column from all files; where they disagree on its type, as text."""
    kinds = {array.dtype.kind for array in arrays}
    same = len(kinds) == 1 or kinds <= set("iuf")
    return np.concatenate(arrays if same else [array.astype(np.str_) for array in arrays])


def _notes(parts: Sequence[_Part], unused: Sequence[str]) -> tuple[str, ...]:
    common = [name for name in unused if all(name in part.distinct for part in parts)]
    distinct = {name: np.unique(np.concatenate([part.distinct[name] for part in parts])) for name in common}
    return notes_on_unused(unused, distinct, sum(part.labels.size for part in parts))

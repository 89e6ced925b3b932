"""Tables of records, CSV or Parquet, one or two of the same columns: types, classes and categories common to both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.labels import as_numbers, class_order, number_of_text
from vestige.core.messages import few
from vestige.core.records import Records, as_given
from vestige.data.formats.classes import codes_of_names, refuse_regression, spellings
from vestige.data.formats.files import PathLike, named
from vestige.data.records.columns import ROW_NAMES, RecordColumns, refuse_shared_ids, resolved

if TYPE_CHECKING:
    from vestige.data.formats.table import Table


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
    from vestige.data.formats.table import Table, open_tables, require_columns

    files = open_tables(paths, columns.label)
    needed = []
    for file in files:
        with named(file.name):
            require_columns(file.names, columns.wanted)
            roles = resolved(file.names, columns)
        single = [name for name in (roles.label, roles.id, roles.subject) if name is not None]
        needed.append(list(dict.fromkeys([*single, *roles.groups, *roles.order, *roles.inputs])))
        missing = [name for name in needed[0] if name not in needed[-1]]
        added = [name for name in needed[-1] if name not in needed[0]]
        if missing or added:
            found = f"{few(missing)} missing" if missing else f"{few(added)} added"
            raise InputError(
                f"{file.name}: Expected the columns of {files[0].name}, found {found}; write both files with the same "
                "columns, or name the inputs."
            )
    table = Table(files, [], needed[0])
    records = _records(table, resolved(files[0].names, columns), {*needed[0]}, classes)
    if len(files) == 1:
        return [records]
    ends = np.cumsum(table.sizes)
    return [records.take(range(end - n, end)) for n, end in zip(table.sizes, ends.tolist(), strict=True)]


def _records(table: "Table", roles: RecordColumns, needed: set[str], classes: Sequence[Any] | None) -> Records:
    from vestige.data.records.inputs import input_frame

    labels, ids = table.texts(roles.label), table.ids(roles.id)
    about = {
        "ids": ids,
        "subjects": table.ids(roles.subject),
        "groups": {group: table.names(group) for group in roles.groups},
        "order": {name: table.ordered(name) for name in roles.order},
    }
    row_names = {name for file in table.files for name in file.names if ROW_NAMES.fullmatch(name)}
    notes = table.notes(needed | row_names)
    with named(table.name):
        codes, names, said = _classes(labels, roles.label, classes)
        if ids is not None:
            refuse_shared_ids(np.split(ids, np.cumsum(table.sizes)[:-1]))
        inputs = input_frame({name: table.columns(name) for name in roles.inputs})
        return Records(inputs, codes, **about, classes=as_given(names), notes=(*said, *notes))


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

"""Records in tables and npz files, one or two of the same kind: types, classes and categories common to both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vestige.core.errors import InputError, refuse_if
from vestige.core.ids import id_texts
from vestige.core.labels import as_numbers, class_order, names_of_numbers, number_of_text
from vestige.core.messages import few
from vestige.core.records import Codes, Records, as_given
from vestige.data.formats.arrays import NpyFiles, NpzFile, StoredArrays
from vestige.data.formats.classes import codes_of_names, refuse_regression, spellings
from vestige.data.formats.files import (
    TABLES,
    Format,
    PathLike,
    TableSource,
    expect_format,
    file_name,
    named,
    same_table,
)

if TYPE_CHECKING:
    from vestige.data.formats.table import Table

_GROUP = "group_"
_ROW_NAMES = re.compile(r"|__index_level_\d+__")  # R's unnamed column, and what pandas adds to Parquet


@dataclass(frozen=True, kw_only=True)
class RecordColumns:
    """How a table of records is organised.

    Attributes:
        label: True class.
        id: One unique id per record; None: the column `id` if there is one, else records go by their row numbers.
        subject: Whose record it is; None: the column `subject` if there is one.
        groups: Subpopulations to report on. They are inputs too, unless `inputs` says otherwise.
        order: Columns of time or order.
        inputs: What a model is given; empty: every column but those of label, id, subject and order.
    """

    label: str = "label"
    id: str | None = None
    subject: str | None = None
    groups: Sequence[str] = ()
    order: Sequence[str] = ()
    inputs: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("groups", "order", "inputs"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    @property
    def wanted(self) -> dict[str, Sequence[str] | None]:
        """Columns that must be there, by how others are named."""
        single = {"as label": self.label, "as id": self.id, "as subject": self.subject}
        return {**single, "as a group": self.groups, "as order": self.order, "as an input": self.inputs}


def read_records(
    path: TableSource, columns: RecordColumns | None = None, *, classes: Sequence[Any] | None = None
) -> Records:
    """Read records from a table or an npz file.

    Of a table, every column but those of label, id, subject and order is an input, group columns included, unless
    `columns` lists inputs. Inputs are a DataFrame: numbers as they are, text as categories, what is missing as
    missing. Classes are the labels that occur, whole numbers in their order (so 1 and 2 are two classes), else text
    sorted.

    Keys of an npz: `inputs` (an array, records first), `labels`; optional `ids`, `subjects`, `classes` (names in the
    order of the codes), `group_<name>`, and the order columns that `columns` names. Other keys are ignored. Labels that
    are numbers are codes, counted from 0, unless classes have numbers as names.

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
    return read_alike([path], columns, classes)[0]


def read_two_records(
    members: TableSource,
    nonmembers: TableSource,
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
    first, second = read_alike([members, nonmembers], columns, classes)
    return first, second


def read_alike(
    paths: Sequence[TableSource],
    columns: RecordColumns | None = None,
    classes: Sequence[Any] | None = None,
    labels: Sequence[PathLike] = (),
) -> list[Records]:
    """Read a file as `read_records` does, or two, of members and nonmembers, as `read_two_records` does.

    Args:
        paths: One file or two.
        columns: How the columns are named.
        classes: All class names.
        labels: Of inputs in npy files, npy files of their labels, one each.

    Raises:
        InputError: As of these.
    """
    columns = RecordColumns() if columns is None else columns
    if labels:
        if len(labels) != len(paths):
            raise InputError(
                f"Expected labels for each of {' and '.join(map(file_name, paths))}, found {len(labels)} file; give "
                "--labels LABELS.npy for each."
            )
        both = zip(paths, labels, strict=True)
        return _of_arrays([NpyFiles({"inputs": cast(PathLike, x), "labels": y}) for x, y in both], columns, classes)
    formats = [expect_format(path, *TABLES, Format.NPZ) for path in paths]
    are_npz = {one is Format.NPZ for one in formats}
    refuse_if(
        (
            len(paths) > 1 and same_table(paths[0], paths[-1]),
            f"{file_name(paths[0])}: Expected two files, found the same as members and as nonmembers; give a file "
            "each.",
        ),
        (
            len(are_npz) > 1,
            f"{' and '.join(map(file_name, paths))}: Expected two tables or two npz files, found one of each; save "
            "both in one format.",
        ),
    )
    return (
        _of_arrays([NpzFile(cast(PathLike, path)) for path in paths], columns, classes)
        if are_npz == {True}
        else _of_tables(paths, columns, classes)
    )


# ---------------------------------------------------------------------------------------------------- tables


def _of_tables(paths: Sequence[TableSource], columns: RecordColumns, classes: Sequence[Any] | None) -> list[Records]:
    """Tables with the same columns as records of the same inputs and classes."""
    from vestige.data.formats.table import Table, open_tables, require_columns

    files = open_tables(paths, columns.label)
    needed = []
    for file in files:
        require_columns(file, columns.wanted)
        with named(file.name):
            roles = _resolved(file.names, columns)
        parts = dict.fromkeys([roles.label, roles.id, roles.subject, *roles.groups, *roles.order, *roles.inputs])
        needed.append([name for name in parts if name is not None])
        missing = [name for name in needed[0] if name not in needed[-1]]
        added = [name for name in needed[-1] if name not in needed[0]]
        if missing or added:
            found = f"{few(missing)} missing" if missing else f"{few(added)} added"
            raise InputError(
                f"{file.name}: Expected the columns of {files[0].name}, found {found}; write both files with the same "
                "columns, or name the inputs."
            )
    table = Table(files, [], needed[0])
    records = _of_table(table, _resolved(files[0].names, columns), {*needed[0]}, classes)
    if len(files) == 1:
        return [records]
    ends = np.cumsum(table.sizes)
    return [records.take(range(end - n, end)) for n, end in zip(table.sizes, ends.tolist(), strict=True)]


def _of_table(table: "Table", roles: RecordColumns, needed: set[str], classes: Sequence[Any] | None) -> Records:
    labels, about = table.texts(roles.label), table.about(roles)
    row_names = {name for file in table.files for name in file.names if _ROW_NAMES.fullmatch(name)}
    notes = table.notes(needed | row_names)
    with named(table.name):
        codes, names, said = _of_labels(labels, roles.label, classes)
        if roles.id is not None:
            _refuse_shared_ids(np.split(about["ids"], np.cumsum(table.sizes)[:-1]))
        inputs = table.frame(roles.inputs)
        return Records(inputs, codes, **about, classes=as_given(names), notes=(*said, *notes))


def _of_labels(
    labels: np.ndarray, column: str, classes: Sequence[Any] | None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Labels as codes, the names of the classes, and what there is to say about them."""
    refuse_regression(labels, "labels")
    distinct = [str(name) for name in np.unique(labels)]
    if classes is not None:
        known = tuple(str(name) for name in classes)
        if not any(set(known).issuperset(spelled) for spelled in spellings(distinct, 0)):
            unknown = [name for name in distinct if name not in known]
            raise InputError(
                f"Expected labels among the classes {few(known)}, found {few(unknown)} in column {column}; name all "
                "classes as the labels spell them."
            )
        return codes_of_names(labels, known, 0, "labels"), known, ()
    words = {name.lower() for name in distinct} <= {"true", "false"}
    names = class_order(set(distinct if words else list(spellings(distinct, 0))[-1]))  # 1.0 is the class 1
    if len(names) < 2:
        raise InputError(
            f"Expected labels of two classes or more, found only {names[0]} in column {column}; name the column of "
            "the class as label, or name all classes."
        )
    return codes_of_names(labels, names, 0, "labels"), names, _note_on_gaps(names)


def _note_on_gaps(names: Sequence[str]) -> tuple[str, ...]:
    """A model may have outputs for classes that do not occur here."""
    numbers = set(as_numbers([number_of_text(name) for name in names]) or ())
    if len(numbers) < 3 or not 0 < max(numbers) - min(numbers) + 1 - len(numbers) < len(numbers):
        return ()
    left_out = [str(i) for i in range(min(numbers), max(numbers)) if i not in numbers]
    return (
        f"Labels run from {min(numbers)} to {max(numbers)} without {few(left_out)}: only classes that occur are "
        "counted; name all classes if a model has more.",
    )


# ---------------------------------------------------------------------------------------------------- arrays


def _of_arrays(files: Sequence[StoredArrays], columns: RecordColumns, classes: Sequence[Any] | None) -> list[Records]:
    """Npz files as records of the same inputs and classes."""
    if columns.wanted != RecordColumns(order=columns.order).wanted:
        raise InputError(
            "Expected names of columns beside a table only, found some beside an npz file; name its arrays inputs, "
            "labels, ids, subjects and group_<name>."
        )
    for file in files:
        file.require(("inputs", "labels", *columns.order), "add it with numpy.savez")
    known = _classes(files, classes)
    records = [_of_file(file, columns, known) for file in files]
    if len(records) == 1:
        return records
    with named(" and ".join(file.name for file in files)):
        for what, first in _described(records[0]).items():
            other = _described(records[1])[what]
            if other != first:
                raise InputError(f"Expected the same {what} in both files, found {first} and {other}; save both alike.")
        if records[0].ids is not None:
            _refuse_shared_ids([own.ids for own in records])
    if known is not None:
        return records
    # Labels that are numbers without names: as many classes in each as the largest label of any says.
    names = Codes(str(code) for code in range(max(own.n_classes for own in records)))
    return [replace(own, classes=names) for own in records]


def _classes(files: Sequence[StoredArrays], classes: Sequence[Any] | None) -> tuple[str, ...] | None:
    """Class names that hold for all files; None if labels are numbers without names."""
    named_by = {file.name: file.class_names("classes") for file in files if "classes" in file.keys}
    if named_by:
        if len(set(named_by.values())) > 1 or len(named_by) < len(files):
            raise InputError(
                f"{' and '.join(file.name for file in files)}: Expected the same array classes in both files, found "
                f"{few(next(iter(named_by.values())), 5)} in {next(iter(named_by))} only; save "
                "both with all classes in one order."
            )
        return next(iter(named_by.values()))
    if classes is not None:
        return tuple(str(name) for name in classes)
    labels = [file.load("labels") for file in files]
    if any(own.ndim != 1 or own.dtype.kind not in "US" for own in labels):
        alike = all(own.ndim == 1 and own.dtype.kind in "iuf" for own in labels)
        return names_of_numbers(np.concatenate(labels)) if alike else None
    return class_order({str(name) for own in labels for name in np.unique(own.astype(np.str_))})


def _of_file(file: StoredArrays, columns: RecordColumns, classes: tuple[str, ...] | None) -> Records:
    with named(file.name):
        return Records(
            file.load("inputs"),
            file.load("labels"),
            ids=file.optional("ids"),
            subjects=file.optional("subjects"),
            groups={key.removeprefix(_GROUP): file.load(key) for key in file.keys if key.startswith(_GROUP)},
            order={key: file.load(key) for key in columns.order},
            classes=classes,
        )


def _described(records: Records) -> dict[str, str]:
    kinds = {"u": "whole numbers", "i": "whole numbers", "f": "floats", "b": "booleans"}
    kind = records.inputs.dtype.kind
    return {
        "shape of inputs": str(records.inputs.shape[1:]),
        "kind of inputs": kinds.get(kind, str(records.inputs.dtype)),
        "ids": "none" if records.ids is None else "some",
        "subjects": "none" if records.subjects is None else "some",
        "groups": few(list(records.groups)) or "none",
    }


# ------------------------------------------------------------------------------------------ columns and ids


def _resolved(names: Sequence[str], columns: RecordColumns) -> RecordColumns:
    """Return columns with those of ids, subjects and inputs that are there without being named.

    Raises:
        InputError: The label is among the inputs, or no input is left.

    Example:
        >>> _resolved(["age", "ward", "label", "id"], RecordColumns(groups=["ward"])).inputs
        ('age', 'ward')
    """
    id_ = columns.id or ("id" if "id" in names else None)
    subject = columns.subject or ("subject" if "subject" in names else None)
    others = {columns.label, id_, subject, *columns.order}
    inputs = columns.inputs or [n for n in dict.fromkeys(names) if n not in others and not _ROW_NAMES.fullmatch(n)]
    label = columns.label
    refuse_if(
        (label in inputs, f"Expected inputs without the label, found {label} among them; leave it out of the inputs."),
        (not inputs, f"Expected columns that a model is given, found none beside {label}; add the features."),
    )
    return replace(columns, id=id_, subject=subject, inputs=inputs)


def _refuse_shared_ids(ids: Sequence[np.ndarray]) -> None:
    """Refuse ids that are in more than one file.

    Raises:
        InputError: There are some.
    """
    distinct, counts = np.unique(np.concatenate([np.unique(id_texts(own)) for own in ids]), return_counts=True)
    shared = distinct[counts > 1]
    if shared.size:
        raise InputError(
            f"Expected every id in one of the files, found {shared.size:,} in both, such as {shared[0]!s}; a record "
            "was trained on or it was not: leave it out of one."
        )

"""Records in npz files: arrays under fixed names, one file or two of the same inputs and classes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.labels import class_order, names_of_numbers
from vestige.core.messages import few
from vestige.core.records import Codes, Records
from vestige.data.formats.arrays import NpzFile
from vestige.data.formats.files import PathLike, named
from vestige.data.records.columns import RecordColumns, refuse_shared_ids

_GROUP = "group_"


def read_npzs(
    paths: Sequence[PathLike], columns: RecordColumns, *, classes: Sequence[Any] | None = None
) -> list[Records]:
    """Read npz files as records of the same inputs and classes.

    Keys: `inputs` (records first), `labels`; optional `ids`, `subjects`, `classes` (names in the order of the
    codes), `group_<name>`, and the order columns that `columns` names. Other keys are ignored. Labels that are
    numbers are codes, counted from 0, unless classes have numbers as names.

    Args:
        paths: The files, stored or compressed. Nothing in them is unpickled.
        columns: Names of order columns alone: the other arrays have names of their own.
        classes: Class names, if the files have none; else those in the files, or the text labels that occur.

    Returns:
        The records of each file.

    Raises:
        InputError: A file is damaged or of another format, lacks a key, holds objects, or differs from the others in
            the shape or kind of its inputs, in its classes, or in what it says of the records.
    """
    if columns != RecordColumns(order=columns.order):
        raise InputError(
            "Expected names of columns beside a table only, found some beside an npz file; name its arrays inputs, "
            "labels, ids, subjects and group_<name>."
        )
    files = [NpzFile(path) for path in paths]
    for file in files:
        file.require(("inputs", "labels", *columns.order), "add it with numpy.savez")
    known = _classes(files, classes)
    records = [_records(file, columns, known) for file in files]
    if len(records) == 1:
        return records
    with named(" and ".join(file.name for file in files)):
        for what, first in _described(records[0]).items():
            other = _described(records[1])[what]
            if other != first:
                raise InputError(f"Expected the same {what} in both files, found {first} and {other}; save both alike.")
        if records[0].ids is not None:
            refuse_shared_ids([own.ids for own in records])
    if known is not None:
        return records
    # Labels that are numbers without names: as many classes in each as the largest label of any says.
    names = Codes(str(code) for code in range(max(own.n_classes for own in records)))
    return [replace(own, classes=names) for own in records]


def _classes(files: Sequence[NpzFile], classes: Sequence[Any] | None) -> tuple[str, ...] | None:
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


def _records(file: NpzFile, columns: RecordColumns, classes: tuple[str, ...] | None) -> Records:
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

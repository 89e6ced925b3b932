"""Predictions in one npz file, the target's and, with the prefix `shadow_`, a shadow model's."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from vestige.core.blocks import ArrayTable, BlockTable
from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Loss, Output, Phi, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.data.formats.arrays import (
    DAMAGES,
    ByteStream,
    NpyStream,
    check_size,
    load_array,
    read_header,
    readable_array,
)
from vestige.data.formats.classes import codes_of_array, names_in_order
from vestige.data.formats.files import Format, PathLike, expect_format, file_name, named, readable

SHADOW = "shadow_"
REFERENCE = "reference_"

_OUTPUTS: dict[str, type[Output]] = {
    "logits": Logits,
    "probs": Probabilities,
    "loss": Loss,
    "phi": Phi,
    "gradient_norm": GradientNorms,
    "predicted": PredictedLabels,
}
_MAIN_KEYS = (*_OUTPUTS, "labels", "member")
_GROUP = "group_"


class NpzFile:
    """The arrays of an npz file by key; large ones stay in the file."""

    def __init__(self, path: PathLike) -> None:
        expect_format(path, Format.NPZ)
        self.path = Path(path)
        self.name = file_name(path)
        try:
            with readable(path), zipfile.ZipFile(self.path) as archive:
                entries = archive.namelist()
                self._sizes = {entry: archive.getinfo(entry).file_size for entry in entries}
        except DAMAGES:
            raise InputError(
                f"{self.name}: Expected a whole npz file, found a truncated or damaged one; copy or save it again."
            ) from None
        self.keys = tuple(entry.removesuffix(".npy") for entry in entries if entry.endswith(".npy"))
        if not self.keys:
            raise InputError(f"{self.name}: Expected an npz file, found {_what_zip(entries)}.")

    def load(self, key: str) -> np.ndarray:
        """Return a whole array."""
        name = self._array_name(key)
        with self._opened(key) as stream:
            check_size(read_header(stream, name), self._sizes[f"{key}.npy"], name)
        with self._opened(key) as stream:
            return load_array(stream, name)

    def table(self, key: str) -> BlockTable:
        """Return an array to be read in blocks."""
        name = self._array_name(key)
        with self._opened(key) as stream:
            header = read_header(stream, name)
        check_size(header, self._sizes[f"{key}.npy"], name)
        if header.fortran_order or not header.shape:  # rows are scattered over the entry, or there are none
            return ArrayTable(self.load(key), name)
        return NpyStream(name, partial(self._opened, key), header)

    def _array_name(self, key: str) -> str:
        return f"{self.name}[{key}]"

    @contextmanager
    def _opened(self, key: str) -> Iterator[ByteStream]:
        with (
            readable_array(self._array_name(key)),
            readable(self.path),
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{key}.npy") as stream,
        ):
            yield cast(ByteStream, stream)  # typed as IO, which has no readinto


def read_npz(
    path: PathLike, *, label_base: int = 0, order: Sequence[str] = (), classes: Sequence[str] | None = None
) -> tuple[Predictions, Predictions | None]:
    """Read predictions from an npz file; the tables of logits or probabilities stay in it and are streamed.

    Keys: `logits` or `probs` (records x classes), and or `loss`, `phi`, `predicted`; `labels`, `member`; optional
    `ids`, `subjects`, `groups` (or several `group_<name>`), `inputs`, `classes` (names in the order of the
    columns). The same with the prefix `shadow_` is a shadow model on records of its own. Beside reference models'
    answers (`read_references`) outputs may have an axis of queries after that of records, the record as it is first.
    Other keys are ignored.

    Args:
        path: The file, stored or compressed. Nothing in it is unpickled.
        label_base: What integer labels count from, 0 or 1.
        order: Keys of time or order columns, one entry per record.
        classes: Class names, if the file has none.

    Returns:
        The target's predictions, and the shadow's if there are any.

    Raises:
        InputError: The file is damaged or of another format, lacks a key, holds objects, or what is in it cannot
            be predictions.
    """
    file = NpzFile(path)
    with named(file.name):
        target = _read_part(file, "", label_base, order, classes)
        return target, _read_shadow_part(file, label_base, target.classes)


def read_npz_shadow(path: PathLike, *, label_base: int = 0, classes: Sequence[str] | None = None) -> Predictions:
    """Read a shadow model's predictions: what has the prefix `shadow_`, or all of a file without that prefix.

    Args:
        path: The file.
        label_base: What integer labels count from, 0 or 1.
        classes: The target's class names, if it has any.

    Returns:
        The shadow's predictions.

    Raises:
        InputError: As `read_npz`, or the shadow's classes are not the target's.
    """
    file = NpzFile(path)
    with named(file.name):
        shadow = _read_shadow_part(file, label_base, classes)
        if shadow is not None:
            return shadow
        whole = _read_part(file, "", label_base, (), classes)
        refuse_other_classes(whole.classes, classes, "the shadow model")
        return whole


def _read_shadow_part(file: NpzFile, label_base: int, classes: Sequence[str] | None) -> Predictions | None:
    if not any(SHADOW + key in file.keys for key in _MAIN_KEYS):
        return None
    shadow = _read_part(file, SHADOW, label_base, (), classes)
    refuse_other_classes(shadow.classes, classes, "the shadow model")
    return shadow


def _read_part(
    file: NpzFile, prefix: str, label_base: int, order: Sequence[str], classes: Sequence[str] | None
) -> Predictions:
    _check_keys(file, prefix, order)

    def optional(key: str) -> np.ndarray | None:
        return file.load(prefix + key) if prefix + key in file.keys else None

    own_classes = optional("classes")
    if own_classes is not None:
        classes = class_names(own_classes, f"{file.name}[{prefix}classes]")
    labels, predicted = file.load(prefix + "labels"), optional("predicted")
    if classes is None and not any(prefix + key in file.keys for key in ("logits", "probs")):
        classes = names_in_order(labels, predicted)  # no column has to be matched with a class
    return Predictions(
        tuple(_outputs(file, prefix, predicted, classes, label_base)),
        labels=codes_of_array(labels, classes, label_base, "labels"),
        member=file.load(prefix + "member"),
        ids=optional("ids"),
        subjects=optional("subjects"),
        groups=_groups(file, prefix),
        inputs=optional("inputs"),
        order={key: file.load(key) for key in order},
        classes=classes,
    )


def _outputs(
    file: NpzFile, prefix: str, predicted: np.ndarray | None, classes: Sequence[str] | None, label_base: int
) -> Iterator[Output]:
    with_queries = not prefix and any(key.startswith(REFERENCE) for key in file.keys)
    for key, kind in _OUTPUTS.items():
        if prefix + key not in file.keys:
            continue
        if key in ("logits", "probs"):
            yield kind(_of_first_query(file.table(prefix + key)) if with_queries else file.table(prefix + key))
            continue
        name = f"{file.name}[{prefix}{key}]"
        values: Any = file.load(prefix + key) if predicted is None or key != "predicted" else predicted
        if key == "predicted":
            values = codes_of_array(values, classes, label_base, "predicted labels")
        if key == "phi" and with_queries and values.ndim == 2:
            values = values[:, 0]
        yield kind(ArrayTable(values, name))


class _FirstQuery:
    """Answers to the first query about each record: the record as it is."""

    def __init__(self, table: BlockTable) -> None:
        self.name, self.dtype = table.name, table.dtype
        self.shape: tuple[int, ...] = (table.shape[0], table.shape[2])
        self._table = table

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""
        for block in self._table.blocks(n_rows):
            yield block[:, 0]


def _of_first_query(table: BlockTable) -> BlockTable:
    return _FirstQuery(table) if len(table.shape) == 3 else table


def _groups(file: NpzFile, prefix: str) -> dict[str, np.ndarray]:
    groups = {"group": file.load(prefix + "groups")} if prefix + "groups" in file.keys else {}
    start = prefix + _GROUP
    return groups | {key.removeprefix(start): file.load(key) for key in file.keys if key.startswith(start)}


def class_names(classes: np.ndarray, name: str) -> tuple[str, ...]:
    """Return the names in an array of them.

    Raises:
        InputError: It holds something else.
    """
    if classes.ndim != 1 or classes.dtype.kind not in "Uiub":
        raise InputError(
            f"{name}: Expected one class name per column, found {classes.dtype} of shape {classes.shape}; "
            "save a one-dimensional array of text or integers."
        )
    return tuple(str(c) for c in classes)


def _check_keys(file: NpzFile, prefix: str, order: Sequence[str]) -> None:
    found = few(file.keys, 12)
    if not any(prefix + key in file.keys for key in _OUTPUTS):
        expected = ", ".join(prefix + key for key in _OUTPUTS)
        raise InputError(
            f"Expected one of the arrays {expected} beside {prefix}labels and {prefix}member, found {found}; "
            "save the outputs under one of these names."
        )
    for key in (prefix + "labels", prefix + "member"):
        if key not in file.keys:
            raise InputError(f"Expected the array {key}, found {found}; add it with numpy.savez.")
    for key in order:
        if key not in file.keys:
            raise InputError(f"Expected the array {key}, found {found}; name another with --order.")


def refuse_other_classes(found: Sequence[str] | None, target: Sequence[str] | None, model: str) -> None:
    """Refuse columns of a model that are named otherwise than the target's, or in another order.

    Raises:
        InputError: They are.
    """
    if found is not None and target is not None and tuple(found) != tuple(target):
        raise InputError(
            f"Expected the target's classes {few(target)} in this order, found {few(found)} for {model}; save both "
            "with the same columns."
        )


def _what_zip(entries: Sequence[str]) -> str:
    if any(entry.startswith("xl/") for entry in entries):
        return "an Excel workbook; save the sheet as CSV UTF-8"
    if any(entry.endswith(".pkl") for entry in entries):
        return "a model with pickles in it, such as PyTorch's; pickles are never loaded: save its predictions"
    return "a zip without arrays; save the predictions with numpy.savez"

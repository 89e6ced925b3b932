"""Predictions in arrays: an npz file, with a shadow model's under the prefix `shadow_`, or an npy file per array."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vestige.core.blocks import ArrayTable, BlockTable
from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, Loss, Output, Phi, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.data.formats.arrays import NpyFiles, NpzFile, StoredArrays, TwoSides
from vestige.data.formats.classes import codes_of_array, names_in_order
from vestige.data.formats.files import PathLike, named

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
_GROUP = "group_"
_SIDES = (("train", "test"), ("members", "nonmembers"), ("member", "nonmember"), ("in", "out"))


def read_npy(
    path: PathLike,
    labels: PathLike,
    member: PathLike,
    *,
    probabilities: bool = False,
    label_base: int = 0,
    ids: PathLike | None = None,
    subjects: PathLike | None = None,
) -> Predictions:
    """Read predictions from npy files: one of the outputs, one of the labels, one of the membership.

    The outputs stay in their file and are read in blocks when needed.

    Args:
        path: Outputs, records x classes: logits, unless `probabilities` is set.
        labels: True class of each record.
        member: 1 where the model was trained on the record, 0 where it was not.
        probabilities: The outputs are probabilities.
        label_base: What the labels count from, 0 or 1.
        ids: One unique id per record.
        subjects: Whose record it is.

    Returns:
        The predictions.

    Raises:
        InputError: A file is missing, truncated, of another format or holds objects, or what is in it cannot be
            predictions.
    """
    kind = "probs" if probabilities else "logits"
    file = NpyFiles({kind: path, "labels": labels, "member": member, "ids": ids, "subjects": subjects})
    with named(file.name):
        return _read_part(file, "", label_base, (), None)


def read_two_npy(
    paths: Sequence[PathLike], labels: Sequence[PathLike], *, probabilities: bool = False, label_base: int = 0
) -> Predictions:
    """Read predictions from npy files of members and of nonmembers.

    Args:
        paths: Outputs of members and of nonmembers, records x classes: logits, unless `probabilities` is set.
        labels: True classes of members and of nonmembers.
        probabilities: The outputs are probabilities.
        label_base: What the labels count from, 0 or 1.

    Returns:
        The predictions, members first.

    Raises:
        InputError: As `read_npy`, or there are not two files of each.
    """
    if len(paths) != len(labels):
        raise InputError(
            f"Expected labels of members and of nonmembers, found {len(labels)} file; give --labels LABELS.npy twice."
        )
    kind = "probs" if probabilities else "logits"
    sides = [NpyFiles({kind: path, "labels": own}) for path, own in zip(paths, labels, strict=True)]
    return read_two_sides(sides, label_base=label_base)


def read_two_sides(
    files: Sequence[StoredArrays],
    *,
    label_base: int = 0,
    order: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> Predictions:
    """Return the predictions in arrays of members and arrays of nonmembers, with the keys of `read_npz`.

    Args:
        files: Arrays of members and of nonmembers, without `member`.
        label_base: What integer labels count from, 0 or 1.
        order: Keys of time or order columns.
        classes: Class names, if the files have none.

    Raises:
        InputError: As `read_npz`, or the files differ in their arrays.
    """
    sides = TwoSides(files)
    with named(sides.name):
        return _read_part(sides, "", label_base, order, classes)


def read_npz(
    path: PathLike, *, label_base: int = 0, order: Sequence[str] = (), classes: Sequence[str] | None = None
) -> tuple[Predictions, Predictions | None]:
    """Read predictions from an npz file; the tables of logits or probabilities stay in it and are streamed.

    Keys: `logits` or `probs` (records x classes), and or `loss`, `phi`, `predicted`; `labels`, `member`; optional
    `ids`, `subjects`, `groups` (or several `group_<name>`), `inputs`, `classes` (names in the order of the
    columns). The same with the prefix `shadow_` is a shadow model on records of its own. Beside reference models'
    answers (`read_references`) outputs may have an axis of queries after that of records, the record as it is first.
    Other keys are ignored. Instead of `member`, keys may end in `_train` and `_test` (or `_members` and `_nonmembers`).

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
        spelled = _sides_in(file)
        if spelled is not None:
            target = _read_part(TwoSides([file, file], spelled), "", label_base, order, classes)
            names = [one.format("...") for one in spelled]
            said = f"Read: arrays {names[0]} as those of members, {names[1]} as those of nonmembers."
            return replace(target, notes=(said,)), None
        target = _read_part(file, "", label_base, order, classes)
        return target, _read_shadow(file, SHADOW, label_base, target.classes) if _holds_shadow(file) else None


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
        return _read_shadow(file, SHADOW if _holds_shadow(file) else "", label_base, classes)


def _sides_in(file: NpzFile) -> tuple[str, str] | None:
    """How the keys of members and of nonmembers are spelled, where one file has both, as TensorFlow Privacy does."""
    pairs = ((one.format(member), one.format(other)) for member, other in _SIDES for one in ("{{}}_{}", "{}_{{}}"))
    keys: set[str] = set() if "member" in file.keys else set(file.keys)
    return next((pair for pair in pairs if {name.format("labels") for name in pair} <= keys), None)


def _holds_shadow(file: NpzFile) -> bool:
    return any(SHADOW + key in file.keys for key in (*_OUTPUTS, "labels", "member"))


def _read_shadow(file: NpzFile, prefix: str, label_base: int, classes: Sequence[str] | None) -> Predictions:
    shadow = _read_part(file, prefix, label_base, (), classes)
    refuse_other_classes(shadow.classes, classes, "the shadow model")
    return shadow


def _read_part(
    file: StoredArrays, prefix: str, label_base: int, order: Sequence[str], classes: Sequence[str] | None
) -> Predictions:
    if not any(prefix + key in file.keys for key in _OUTPUTS):
        expected = ", ".join(prefix + key for key in _OUTPUTS)
        raise InputError(
            f"Expected one of the arrays {expected} beside {prefix}labels and {prefix}member, found "
            f"{few(file.keys, 12)}; save the outputs under one of these names."
        )
    file.require((prefix + "labels", prefix + "member"), "add it with numpy.savez")
    file.require(order, "name another with --order")
    if prefix + "classes" in file.keys:
        classes = file.class_names(prefix + "classes")
    labels = file.load(prefix + "labels")
    if classes is None and not any(prefix + key in file.keys for key in ("logits", "probs")):
        classes = names_in_order(labels, file.optional(prefix + "predicted"))  # no column is matched with a class
    named_groups = {prefix + "groups": "group"} if prefix + "groups" in file.keys else {}
    named_groups |= {key: key.removeprefix(prefix + _GROUP) for key in file.keys if key.startswith(prefix + _GROUP)}
    return Predictions(
        tuple(_outputs(file, prefix, classes, label_base)),
        labels=codes_of_array(labels, classes, label_base, "labels"),
        member=file.load(prefix + "member"),
        ids=file.optional(prefix + "ids"),
        subjects=file.optional(prefix + "subjects"),
        groups={name: file.load(key) for key, name in named_groups.items()},
        inputs=file.optional(prefix + "inputs"),
        order={key: file.load(key) for key in order},
        classes=classes,
    )


def _outputs(file: StoredArrays, prefix: str, classes: Sequence[str] | None, label_base: int) -> Iterator[Output]:
    with_queries = not prefix and any(key.startswith(REFERENCE) for key in file.keys)
    for key, kind in _OUTPUTS.items():
        if prefix + key not in file.keys:
            continue
        if kind.n_axes == 2:
            table = file.table(prefix + key)
            yield kind(_FirstQuery(table) if with_queries and len(table.shape) == 3 else table)
            continue
        values = file.load(prefix + key)
        if key == "predicted":
            values = codes_of_array(values, classes, label_base, "predicted labels")
        if key == "phi" and with_queries and values.ndim == 2:
            values = values[:, 0]
        yield kind(ArrayTable(values, f"{file.name}[{prefix}{key}]"))


class _FirstQuery:
    """Answers to the first query about each record: the record as it is."""

    def __init__(self, table: BlockTable) -> None:
        self.name, self.dtype, self._table = table.name, table.dtype, table
        self.shape: tuple[int, ...] = (table.shape[0], table.shape[2])

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""
        for block in self._table.blocks(n_rows):
            yield block[:, 0]


def refuse_other_classes(classes: Sequence[str] | None, target: Sequence[str] | None, model: str) -> None:
    """Refuse columns of a model that are named otherwise than the target's, or in another order.

    Raises:
        InputError: They are.
    """
    if classes is not None and target is not None and tuple(classes) != tuple(target):
        raise InputError(
            f"Expected the target's classes {few(target)} in this order, found {few(classes)} for {model}; save both "
            "with the same columns."
        )

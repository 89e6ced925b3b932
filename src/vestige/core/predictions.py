"""`Predictions`: what one model answered for its members and nonmembers, and whose records they are."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, cast

import numpy as np

from vestige.core.errors import InputError
from vestige.core.outputs import Output, PredictedLabels, Probabilities, _Output


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's answers for records it was trained on (members) and records it was not (nonmembers).

    Attributes:
        outputs: `Probabilities`, `Logits`, `Loss`, `Phi` or `PredictedLabels`, or several of them. A bare
            array is taken as probabilities and refused if its rows are not.
        labels: True class of each record, 0..K-1, or class names when `classes` is given.
        member: 1 where the model was trained on the record, 0 where it was not.
        ids: One unique id per record; None if records have none and go by their row number.
        subjects: Whose record it is. With subjects every number is about people, not records.
        groups: Subpopulations to report on: a name and one value per record each.
        inputs: What the model was given, records x features (array or DataFrame), for the blind baseline
            and the search for duplicates. Never written anywhere.
        order: Columns of time or order to test as the cause of a difference: a name and one value each.
        classes: Class names in the order of the columns of the outputs.

    Raises:
        InputError: Lengths differ, labels or membership are not what they should be, an id is repeated, or
            one side is empty.

    Example:
        >>> p = Predictions([[0.9, 0.1], [0.6, 0.4]], labels=[0, 1], member=[1, 0])
        >>> p.n_records, p.n_classes
        (2, 2)
    """

    outputs: Any
    labels: Any
    member: Any
    _: KW_ONLY
    ids: Any = None
    subjects: Any = None
    groups: Mapping[str, Any] = field(default_factory=dict)
    inputs: Any = None
    order: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[str] | None = None

    def __post_init__(self) -> None:
        outputs = _as_outputs(self.outputs)
        n = outputs[0].n_records
        for output in outputs[1:]:
            _same_length(output.kind, output.n_records, n, outputs[0].kind)
        widths = {o.table.shape[1] for o in outputs if o.n_axes == 2}
        if len(widths) > 1:
            raise InputError(f"Expected one number of classes, found {sorted(widths)} among the outputs.")
        classes = None if self.classes is None else tuple(str(c) for c in self.classes)
        if classes is not None:
            if len(set(classes)) != len(classes):
                raise InputError(f"Expected class names that differ, found {', '.join(classes)}.")
            if widths and widths != {len(classes)}:
                raise InputError(
                    f"Expected a class name per column, found {len(classes)} names for {widths.pop()} columns."
                )
        n_classes = widths.pop() if widths else (len(classes) if classes is not None else None)
        labels = _as_codes(self.labels, "labels", n, outputs[0].kind, classes, n_classes)
        outputs = tuple(
            PredictedLabels(_as_codes(_whole(o), o.kind, n, "labels", classes, n_classes))
            if isinstance(o, PredictedLabels)
            else o
            for o in outputs
        )
        member = _as_member(self.member, n, outputs[0].kind)
        set_ = object.__setattr__
        set_(self, "outputs", outputs)
        set_(self, "labels", labels)
        set_(self, "member", member)
        set_(self, "classes", classes)
        set_(self, "ids", None if self.ids is None else _as_ids(self.ids, n, member))
        set_(self, "subjects", None if self.subjects is None else _column(self.subjects, "subjects", n))
        set_(self, "groups", {str(k): _column(v, f"group {k}", n) for k, v in self.groups.items()})
        set_(self, "order", {str(k): _column(v, f"order {k}", n) for k, v in self.order.items()})
        if self.inputs is not None:
            inputs = self.inputs if hasattr(self.inputs, "columns") else np.asarray(self.inputs)
            _same_length("inputs", len(inputs), n, outputs[0].kind)
            set_(self, "inputs", inputs)

    @property
    def n_records(self) -> int:
        """Number of records."""
        return int(self.member.size)

    @property
    def n_classes(self) -> int:
        """Number of classes: columns of the outputs, class names, or the largest label + 1."""
        for output in cast(tuple[Output, ...], self.outputs):
            if output.n_axes == 2:
                return output.table.shape[1]
        return len(self.classes) if self.classes is not None else int(self.labels.max()) + 1

    def output(self, kind: type[_Output]) -> Any:
        """Return the output of this kind, or None."""
        return next((o for o in self.outputs if isinstance(o, kind)), None)

    def class_name(self, code: int) -> str:
        """Name of a class: the given one, or its number."""
        return str(code) if self.classes is None else str(self.classes[code])


def _as_outputs(outputs: Any) -> tuple[Output, ...]:
    if isinstance(outputs, _Output):
        outputs = (outputs,)
    elif not (isinstance(outputs, tuple | list) and outputs and all(isinstance(o, _Output) for o in outputs)):
        outputs = (Probabilities(outputs),)
    kinds = [o.kind for o in outputs]
    if len(set(kinds)) != len(kinds):
        raise InputError(f"Expected each kind of output once, found {', '.join(kinds)}.")
    return tuple(outputs)


def _same_length(what: str, found: int, expected: int, other: str) -> None:
    if found != expected:
        raise InputError(
            f"Expected one entry of {what} per record, found {found:,} for {expected:,} rows of {other}; "
            "give all of them for the same records in the same order."
        )


def _column(values: Any, what: str, n: int, other: str = "the outputs") -> np.ndarray:
    """A one-dimensional array of numbers, text or dates; never of objects."""
    if np.ma.isMaskedArray(values):
        raise InputError(f"Expected an entry of {what} for every record, found a masked array; leave records out.")
    column = np.asarray(values)
    if column.dtype == object:
        if not all(isinstance(v, str) for v in column.ravel()):
            raise InputError(f"Expected numbers, text or dates as {what}, found mixed objects or missing values.")
        column = column.astype(np.str_)
    if column.ndim != 1:
        raise InputError(f"Expected one entry of {what} per record, found shape {column.shape}.")
    _same_length(what, column.size, n, other)
    if column.dtype.kind in "fM" and bool(np.any(np.isnat(column) if column.dtype.kind == "M" else np.isnan(column))):
        raise InputError(f"Expected an entry of {what} for every record, found missing values.")
    return column


def _whole(output: Output) -> np.ndarray:
    return np.concatenate(list(output.table.blocks(1 << 20)))


def _as_codes(
    values: Any, what: str, n: int, other: str, classes: tuple[str, ...] | None, n_classes: int | None
) -> np.ndarray:
    """Class codes 0..K-1 from numbers or, matched by name, from text."""
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:  # as Keras keeps labels
        values = values[:, 0]
    if values.ndim == 2:
        raise InputError(
            f"Expected one class per record as {what}, found shape {values.shape}; "
            "multi-label targets are not supported, and one-hot labels need argmax first."
        )
    column = _column(values, what, n, other)
    if column.dtype.kind in "US":
        return _codes_of_names(column.astype(np.str_), what, classes)
    whole = column.dtype.kind in "iub" or (column.dtype.kind == "f" and np.isfinite(column).all())
    if not whole or bool(np.any(column != np.floor(column))):
        raise InputError(
            f"Expected classes as {what}, found {column.dtype} values such as {column.flat[0]!r}; "
            "regression targets are not supported."
        )
    codes = column.astype(np.int64)
    if codes.size == 0:
        return codes
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or (n_classes is not None and high >= n_classes):
        bad = low if low < 0 else high
        row = int(np.flatnonzero(codes == bad)[0]) + 1
        cure = "pass --label-base 1 if the labels count from 1" if low >= 1 else "check the labels and the columns"
        top = "" if n_classes is None else f"..{n_classes - 1}"
        raise InputError(f"Expected {what} in 0{top}, found {bad} in row {row:,}; {cure}.")
    return codes


def _codes_of_names(names: np.ndarray, what: str, classes: tuple[str, ...] | None) -> np.ndarray:
    if classes is None:
        raise InputError(
            f"Expected numbers 0..K-1 as {what}, found text such as {str(names[0])!r}; "
            "name the class of every column (classes), so that columns are matched by name."
        )
    found, inverse = np.unique(names, return_inverse=True)
    code = {name: i for i, name in enumerate(classes)}
    unknown = [str(name) for name in found if str(name) not in code]
    if unknown:
        raise InputError(
            f"Expected {what} among the classes {_few(classes)}, found {_few(unknown)}; "
            "name the columns after the classes."
        )
    return np.array([code[str(name)] for name in found], dtype=np.int64)[inverse]


def _as_member(values: Any, n: int, other: str) -> np.ndarray:
    column = _column(values, "member", n, other)
    text = {"0": 0, "1": 1, "false": 0, "true": 1}
    if column.dtype.kind == "U" and set(np.char.lower(np.unique(column))) <= set(text):
        column = np.array([text[v] for v in np.char.lower(column)])
    if column.dtype.kind not in "biuf" or not bool(np.all((column == 0) | (column == 1))):
        bad = column[~np.isin(column, [0, 1])][0] if column.dtype.kind in "iuf" else column[0]
        raise InputError(f"Expected 0 or 1 as member, found {bad!s}; code nonmembers 0 and members 1.")
    member = column.astype(bool)
    for side, present in (("member", member.any()), ("nonmember", not member.all())):
        if not present:
            raise InputError(
                f"Expected at least one {side}, found none among {n:,} records; an audit compares records the "
                "model was trained on with records it was not."
            )
    return member


def _as_ids(values: Any, n: int, member: np.ndarray) -> np.ndarray:
    ids = _column(values, "ids", n)
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if unique.size == n:
        return ids
    repeated = unique[counts > 1]
    on_members = np.isin(repeated, ids[member])
    on_both = repeated[on_members & np.isin(repeated, ids[~member])]
    if on_both.size:
        raise InputError(
            f"Expected every id on one side, found {on_both.size:,} as member and as nonmember, such as "
            f"{on_both[0]!s}; a record is either trained on or not. If the ids name people, pass them as subjects "
            "(--subject)."
        )
    raise InputError(
        f"Expected unique ids, found {repeated.size:,} repeated, such as {repeated[0]!s} (first in row "
        f"{int(first[counts > 1][0]) + 1:,}); if several records belong to one person, pass that column as subjects "
        "(--subject)."
    )


def _few(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

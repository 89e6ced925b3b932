"""`Predictions`: what one model answered for its members and nonmembers, and whose records they are."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, cast

import numpy as np

from vestige.core.batches import bring_to_memory, inputs_of, says_logits
from vestige.core.blocks import SecondOfTwo
from vestige.core.columns import as_array, column, in_memory, index_of, same_length
from vestige.core.errors import InputError
from vestige.core.ids import refuse_repeated, set_columns
from vestige.core.labels import Classes, as_codes, as_numbers, names_of_numbers, number_of_text
from vestige.core.messages import few
from vestige.core.outputs import Logits, Output, PredictedLabels, Probabilities, _Output, single_column

_SIGNS = ["-1", "1"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's answers for records it was trained on (members) and records it was not (nonmembers).

    Attributes:
        outputs: `Probabilities`, `Logits`, `Loss`, `Phi`, `GradientNorms` or `PredictedLabels`, or several. A bare
            array is taken as probabilities and refused if its rows are not; what a trainer's output calls `logits` as
            logits. The columns of a DataFrame name the classes. A list of batches is joined.
        labels: True class of each record, 0..K-1, or class names when the classes are named; or -1 and 1.
        member: 1 where the model was trained on the record, 0 where it was not.
        ids: One unique id per record; None if records have none and go by their row number.
        subjects: Whose record it is. With subjects every number is about people, not records.
        groups: Subpopulations to report on, a mapping: a name and one value per record each.
        inputs: What the model was given, records x features (array or DataFrame), for the blind baseline
            and the search for duplicates. Never written anywhere.
        order: Columns of time or order to test as the cause of a difference, a mapping as `groups`.
        classes: Class names in the order of the columns of the outputs, kept as text. If they are numbers, as
            scikit-learn's `classes_` may be, so are the labels names: label 2 is the column of class 2.
        notes: What a reader of the file noticed and a user should know; shown with the checks.

    Pandas objects must have one index: what it says is never overruled by position.

    Raises:
        InputError: Lengths or indexes differ, labels or membership are not what they should be, entries are
            missing, an id is repeated, or one side is empty.

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
    groups: Any = field(default_factory=dict)
    inputs: Any = None
    order: Any = field(default_factory=dict)
    classes: Any = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bring_to_memory(self, "labels", "member", "ids", "subjects")
        object.__setattr__(self, "inputs", in_memory(self.inputs))
        outputs = _as_outputs(self.outputs)
        n, first = outputs[0].n_records, outputs[0].kind
        for output in outputs[1:]:
            same_length(output.kind, output.n_records, n, first)
        beside = {"labels": self.labels, "member": self.member, "inputs": self.inputs}
        indexes = [*((o.kind, o.index) for o in outputs), *((what, index_of(v)) for what, v in beside.items())]
        set_columns(self, indexes, n, "the outputs")
        given = as_array(self.labels)
        single = next((output for output in outputs if isinstance(output.table, SecondOfTwo)), None)
        if single is not None and given.dtype.kind in "iuf" and given.max(initial=0) > 1 and self.classes is None:
            raise single_column(single.kind, single.table)
        classes, note = _as_classes(self.classes, outputs, given)
        labels = as_codes(self.labels, "labels", n, first, classes)
        outputs = tuple(
            PredictedLabels(as_codes(o.whole(), o.kind, n, "labels", classes)) if isinstance(o, PredictedLabels) else o
            for o in outputs
        )
        member = _as_member(self.member, n, first)
        set_ = object.__setattr__
        set_(self, "outputs", outputs)
        set_(self, "labels", labels)
        set_(self, "member", member)
        set_(self, "classes", classes.names)
        notes = (*self.notes, *(note for output in outputs for note in output.notes), note)
        set_(self, "notes", tuple(dict.fromkeys(filter(None, notes))))
        if self.ids is not None:
            _refuse_other_ids(self.ids, member)
        if self.inputs is not None:
            inputs = inputs_of(self.inputs, n)
            same_length("inputs", len(inputs), n, first)
            set_(self, "inputs", inputs)

    @property
    def n_records(self) -> int:
        """Number of records."""
        return int(self.member.size)

    @property
    def n_classes(self) -> int:
        """Number of classes: columns of the outputs, class names, or the largest label, true or predicted, + 1."""
        for output in cast(tuple[Output, ...], self.outputs):
            if output.n_axes == 2:
                return output.table.shape[1]
        if self.classes is not None:
            return len(self.classes)
        predicted = self.output(PredictedLabels)
        return int(max(self.labels.max(), -1 if predicted is None else predicted.whole().max())) + 1

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
        outputs = ((Logits if says_logits(outputs) else Probabilities)(outputs),)
    kinds = [o.kind for o in outputs]
    if len(set(kinds)) != len(kinds):
        raise InputError(f"Expected each kind of output once, found {', '.join(kinds)}.")
    return tuple(outputs)


def _as_classes(given: Any, outputs: Sequence[Output], labels: np.ndarray) -> tuple[Classes, str]:
    """Names of the classes, from `classes` or the columns of a DataFrame, and what was assumed of labels -1 and 1."""
    widths = {o.table.shape[1] for o in outputs if o.n_axes == 2}
    if len(widths) > 1:
        raise InputError(f"Expected one number of classes, found {sorted(widths)} among the outputs.")
    width = widths.pop() if widths else None
    named = [] if given is None else [("classes", tuple(given))]
    by_columns = [(f"the columns of {o.kind}", o.columns) for o in outputs if o.n_axes == 2 and o.columns is not None]
    if not named + by_columns:
        if width not in (None, 2) or labels.dtype.kind not in "if" or list(names_of_numbers(labels) or ()) != _SIGNS:
            return Classes(None, None, width), ""
        columns = "Warning: labels -1 and 1 were taken for the first and the second column, in this order."
        return Classes(tuple(_SIGNS), (-1, 1), 2), columns if width else ""
    what, entries = (named + by_columns)[0]
    names = tuple(str(c) for c in entries)
    if len(set(names)) != len(names):
        raise InputError(f"Expected class names that differ, found {', '.join(names)}.")
    if width is not None and width != len(names):
        raise InputError(f"Expected a class name per column, found {len(names)} names for {width} columns.")
    for other, columns in by_columns:
        if tuple(str(c) for c in columns) != names:
            raise InputError(
                f"Expected the same classes in the same order, found {few(names, 5)} as {what} and "
                f"{few([str(c) for c in columns], 5)} as {other}; put both in one order, or leave out classes."
            )
    # Numbers in a header are often text; those of `classes` are text if they are to be positions.
    in_columns = [as_numbers([number_of_text(c) for c in columns]) for _, columns in by_columns]
    numbers = next((found for found in [as_numbers(entries), *in_columns] if found is not None), None)
    return Classes(names, numbers, len(names)), ""


def _as_member(values: Any, n: int, other: str) -> np.ndarray:
    sides = column(values, "member", n, other)
    text = {"0": 0, "1": 1, "false": 0, "true": 1}
    if sides.dtype.kind == "U" and set(np.char.lower(np.unique(sides))) <= set(text):
        sides = np.array([text[v] for v in np.char.lower(sides)])
    if sides.dtype.kind not in "biuf" or not bool(np.all((sides == 0) | (sides == 1))):
        bad = np.unique(sides[~np.isin(sides, [0, 1])] if sides.dtype.kind in "iuf" else sides)
        words = f", such as member == {str(bad[-1])!r} in Python" if sides.dtype.kind == "U" else ""
        found = few([str(value) for value in bad], 3)
        raise InputError(f"Expected 0 or 1 as member, found {found}; code nonmembers 0 and members 1{words}.")
    member = sides.astype(bool)
    for side, present in (("member", member.any()), ("nonmember", not member.all())):
        if not present:
            raise InputError(
                f"Expected at least one {side}, found none among {n:,} records; an audit compares records the "
                "model was trained on with records it was not. Where it was trained on everything, audit its recipe "
                "(vestige.audit_recipe)."
            )
    return member


def _refuse_other_ids(ids: np.ndarray, member: np.ndarray) -> None:
    """Refuse ids of records on both sides, and ids that occur twice."""
    on_both = np.intersect1d(ids[member], ids[~member])
    if on_both.size:
        raise InputError(
            f"Expected every id on one side, found {on_both.size:,} as member and as nonmember, such as "
            f"{on_both[0]!s}; a record is either trained on or not. If the ids name people, pass them as subjects "
            "(--subject)."
        )
    cure = "if several records belong to one person, pass that column as subjects (--subject)"
    refuse_repeated(ids, cure, name_row=True)

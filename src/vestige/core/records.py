"""`Records`: what models are trained on and asked about, and whose records they are."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from vestige.core.batches import bring_to_memory, inputs_of, is_stream, read_stream
from vestige.core.columns import as_array, column, in_memory, index_of, is_sparse
from vestige.core.digests import columns_of_inputs, digest_of_columns
from vestige.core.errors import InputError
from vestige.core.ids import joined_ids, refuse_repeated, set_columns
from vestige.core.labels import (
    LARGEST_CODE,
    Classes,
    SortedNames,
    as_codes,
    as_numbers,
    class_order,
    names_of_numbers,
    number_of_text,
)
from vestige.core.messages import few


@dataclass(frozen=True, eq=False)
class Records:
    """Labelled records, of one data set.

    Attributes:
        inputs: What a model is given: an array, records first (images as uint8 record x height x width x channel),
            a sparse matrix, a text per record, or a DataFrame, whose categories and missing values stay as they are. Or
            a loader, data set or generator of `(inputs, labels)`, which is read once, so that labels stay beside their
            inputs though it may shuffle.
        labels: Class of each record: 0..K-1, or names, or -1 and 1. Kept as codes 0..K-1. Omitted where inputs are a
            loader that gives them.
        ids: One unique id per record; None if records have none and go by their row number.
        subjects: Whose record it is. With subjects, no training set takes one person's records apart.
        groups: Subpopulations to report on, a mapping: a name and one value per record each.
        order: Columns of time or order, a mapping as `groups`.
        classes: Class names in the order of the codes, kept as text, or only how many classes there are. If omitted: of
            labels that are text, those that occur, sorted (numbers by their value); of labels that are numbers, none,
            and there are as many as the largest label says; or, above 65,535, those that occur, as names.
        notes: What a reader of the file noticed and a user should know.
        answers: What a model that is to be imitated answered: logits, record x class. Only recipes with an imitation
            read them.
        n_classes: Number of classes.

    Pandas objects must have one index: what it says is never overruled by position. Arrays are not copied: whoever
    changes one afterwards changes the records, and a digest that was taken before stays what it was.

    Raises:
        InputError: Lengths or indexes differ, labels are no classes, an id is repeated, entries are missing, or
            there is no record.

    Example:
        >>> r = Records(np.eye(3), ["sick", "well", "sick"], ids=[7, 8, 9])
        >>> r.n_records, r.n_classes, r.classes, r.labels.tolist()
        (3, 2, ('sick', 'well'), [0, 1, 0])
    """

    inputs: Any
    labels: Any = None
    _: KW_ONLY
    ids: Any = None
    subjects: Any = None
    groups: Any = field(default_factory=dict)
    order: Any = field(default_factory=dict)
    classes: Any = None
    notes: tuple[str, ...] = ()
    answers: Any = None
    n_classes: int = field(init=False)

    def __post_init__(self) -> None:
        _settle_stream(self)
        bring_to_memory(self, "labels", "ids", "subjects")
        object.__setattr__(self, "inputs", in_memory(self.inputs))
        inputs = _as_inputs(inputs_of(self.inputs, np.size(self.labels)))
        n = len(inputs)
        if n == 0:
            raise InputError("Expected at least one record, found none.")
        set_columns(self, [("inputs", index_of(self.inputs)), ("labels", index_of(self.labels))], n, "inputs")
        if self.ids is not None:
            refuse_repeated(self.ids, "if several records belong to one person, pass that column as subjects")
        classes = _classes_of(self.classes, self.labels)
        set_ = object.__setattr__
        set_(self, "inputs", inputs)
        set_(self, "labels", as_codes(self.labels, "labels", n, "inputs", classes))
        set_(self, "classes", classes.names)
        set_(self, "n_classes", int(self.labels.max()) + 1 if classes.size is None else classes.size)
        set_(self, "answers", None if self.answers is None else _as_answers(self.answers, (n, self.n_classes)))

    @property
    def n_records(self) -> int:
        """Number of records."""
        return int(self.labels.size)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything a model could learn from: inputs, labels, number and names of the classes, answers."""
        names = None if self.classes is None else np.array(self.classes, dtype=object)
        classes = {"labels": self.labels, "n_classes": np.array([self.n_classes]), "classes": names}
        answers = {} if self.answers is None else {"answers": self.answers}  # so that older banks are read
        return digest_of_columns({**columns_of_inputs(self.inputs), **classes, **answers})

    def take(self, rows: Any) -> "Records":
        """Return the records of these rows, a mask or positions, with all classes, as a copy.

        Raises:
            InputError: A mask of another length, a position beyond the records, or no row at all.

        Example:
            >>> Records(np.eye(3), ["b", "a", "b"]).take([0, 2]).classes
            ('a', 'b')
        """
        rows = _positions(np.asarray(rows), self.n_records)
        return Records(
            self.inputs.iloc[rows] if hasattr(self.inputs, "iloc") else self.inputs[rows],
            self.labels[rows],
            ids=None if self.ids is None else self.ids[rows],
            subjects=None if self.subjects is None else self.subjects[rows],
            groups={name: values[rows] for name, values in self.groups.items()},
            order={name: values[rows] for name, values in self.order.items()},
            classes=self._given_classes,
            notes=self.notes,
            answers=None if self.answers is None else self.answers[rows],
        )

    def answered(self, logits: Any) -> "Records":
        """Return the records with what a model answered about them.

        Raises:
            InputError: The logits are not finite, or not one per record and class.

        Example:
            >>> Records(np.eye(2), ["b", "a"]).answered(np.zeros((2, 2))).answers.shape
            (2, 2)
        """
        return replace(self, classes=self._given_classes, answers=logits)

    @property
    def _given_classes(self) -> Any:
        """Classes to make such records with: the labels are codes already."""
        return self.n_classes if self.classes is None else as_given(self.classes)


def _as_answers(given: Any, shape: tuple[int, int]) -> np.ndarray:
    answers = np.asarray(given)
    if answers.shape != shape or answers.dtype.kind != "f" or not np.isfinite(answers).all():
        raise InputError(
            f"Expected the answers of a model as finite logits of shape {shape}, record x class, found "
            f"{answers.dtype} of shape {answers.shape}; of probabilities take vestige.training.imitation.logits_of."
        )
    return answers


def _settle_stream(records: Records) -> None:
    """Replace a loader or a data set by its inputs and labels, while records are made."""
    inputs, labels = records.inputs, records.labels
    if labels is None and isinstance(inputs, list) and inputs and isinstance(inputs[0], tuple):
        inputs = iter(inputs)  # a list of pairs
    if is_stream(inputs):
        what, given = type(inputs).__name__, None if labels is None else as_array(in_memory(labels))
        inputs, labels = read_stream(inputs, None if given is None else len(given))
        labels = given if labels is None else labels
        if given is not None and not np.array_equal(as_array(in_memory(labels)).ravel(), given.ravel()):
            raise InputError(
                f"Expected the labels that the {what} gives with its inputs, found others beside it: it may shuffle; "
                "leave the labels out: Records(inputs)."
            )
        object.__setattr__(records, "inputs", inputs)
        object.__setattr__(records, "labels", labels)
    if labels is None:
        raise InputError("Expected a label for every record, found none; give Records(inputs, labels).")


def as_records(value: Any, what: str) -> Records:
    """Return records that may be given as `(inputs, labels)`, a loader or a data set.

    Raises:
        InputError: They are something else.
    """
    if isinstance(value, Records):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        return Records(*value)
    if is_stream(value):
        return Records(value)
    raise InputError(
        f"Expected Records or (inputs, labels) as {what}, found {type(value).__name__}; give "
        "vestige.Records(inputs, labels), or read files with vestige.data.read_two_records."
    )


class Codes(tuple[Any, ...]):
    """Class names for labels that are codes already: 0 is the first class, even if another class is called "0"."""


class _SortedCodes(Codes):
    """Such names in sorted order, which no user gave."""


def as_given(names: Sequence[str]) -> Codes:
    """Return class names for labels that are codes already; sorted names stay marked as sorted."""
    return _SortedCodes(names) if isinstance(names, SortedNames) else Codes(names)


def _as_inputs(given: Any) -> Any:
    """A table and a sparse matrix as they are, texts as an array of them, and anything else as an array."""
    if hasattr(given, "columns") or is_sparse(given):
        return given
    inputs = np.asarray(given)
    if inputs.ndim == 1 and inputs.dtype.kind in "UO" and all(isinstance(text, str) for text in inputs):
        return inputs.astype(object)  # of one length each, the longest would decide the memory of all
    if inputs.ndim < 2 or inputs.dtype == object:
        raise InputError(
            f"Expected inputs as an array, records first, or a DataFrame, found {inputs.ndim} axes of "
            f"{inputs.dtype}; give numbers, a text per record, or a DataFrame if columns are of several types."
        )
    return inputs


def _positions(rows: np.ndarray, n_records: int) -> np.ndarray:
    if rows.dtype == bool:
        if rows.shape != (n_records,):
            raise InputError(f"Expected a mask of {n_records:,} records, found one of shape {rows.shape}.")
        return np.flatnonzero(rows)
    if rows.size and (rows.dtype.kind not in "iu" or not (-n_records <= rows.min() and rows.max() < n_records)):
        raise InputError(
            f"Expected rows as positions among {n_records:,} records, found {rows.dtype} from {rows.min()} to "
            f"{rows.max()}; give a mask, or whole numbers from 0."
        )
    return rows.astype(np.intp)


def _classes_of(given: Any, labels: Any) -> Classes:
    if isinstance(given, int | np.integer):
        return Classes(None, None, int(given))
    if isinstance(given, Codes):
        names = tuple(str(c) for c in given)
        return Classes(SortedNames(names) if isinstance(given, _SortedCodes) else names, None, len(names))
    if given is None:
        array = as_array(labels)
        if array.dtype.kind not in "OUS":
            return _of_numbers(array)
        text = column(labels, "labels", array.size, "labels")
        if text.dtype.kind not in "US":
            return _of_numbers(text)
        names = class_order([str(v) for v in np.unique(text.astype(np.str_))])
        return Classes(names, None, len(names))
    entries = tuple(given)
    names = tuple(str(c) for c in entries) if not isinstance(given, SortedNames) else given
    if len(set(names)) != len(names):
        raise InputError(f"Expected class names that differ, found {few(names)}.")
    return Classes(names, as_numbers([number_of_text(c) for c in entries]), len(names))


def _of_numbers(labels: np.ndarray) -> Classes:
    names = names_of_numbers(labels)
    if names is None:
        return Classes(None, None, None)
    return Classes(names, tuple(int(name) for name in names), len(names))


def joined(first: Records, second: Records) -> Records:
    """Return the records of both, the first ones first.

    Raises:
        InputError: Their classes or columns differ, or an id is on both sides.

    Example:
        >>> both = joined(Records(np.eye(2), [0, 1]), Records(np.ones((1, 2)), [1]))
        >>> both.inputs.shape, both.labels.tolist()
        ((3, 2), [0, 1, 1])
    """
    for what, a, b in (("ids", first.ids, second.ids), ("subjects", first.subjects, second.subjects)):
        if (a is None) != (b is None):
            raise InputError(f"Expected {what} for both sets of records or for neither, found them for one.")
    first, second = _of_all_classes(first, second)
    if first.classes != second.classes:
        raise InputError(
            f"Expected the same classes, found {few(first.classes or ('none',), 5)} and "
            f"{few(second.classes or ('none',), 5)}; name the classes of both."
        )
    for what, one, other in (("groups", first.groups, second.groups), ("order columns", first.order, second.order)):
        if list(one) != list(other):
            raise InputError(f"Expected the same {what}, found {few(list(one))} and {few(list(other))}.")
    n_classes = max(first.n_classes, second.n_classes)
    given = first.classes if isinstance(second.classes, SortedNames) else second.classes
    return Records(
        _stacked(first.inputs, second.inputs),
        np.concatenate([first.labels, second.labels]),
        ids=_joined(first.ids, second.ids),
        subjects=_joined(first.subjects, second.subjects),
        groups=_both(first.groups, second.groups),
        order=_both(first.order, second.order),
        classes=n_classes if given is None else as_given(given),
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )


def _of_all_classes(first: Records, second: Records) -> tuple[Records, Records]:
    """Both sets with the classes of both, where no class names were given and those that occur differ."""
    if not (isinstance(first.classes, SortedNames) and isinstance(second.classes, SortedNames)):
        return first, second
    if first.classes == second.classes:
        return first, second
    names = class_order({*first.classes, *second.classes})
    code = {name: number for number, name in enumerate(names)}
    sides = []
    for own in (first, second):
        codes = np.array([code[name] for name in own.classes])
        sides.append(replace(own, labels=codes[own.labels], classes=as_given(names)))
    return sides[0], sides[1]


def with_classes(records: Records, known: Sequence[Any]) -> Records:
    """Return records with classes that a model knows beside their own; those of names that a user gave as they are.

    Example:
        >>> with_classes(Records(np.eye(2), ["b", "d"]), ["a", "b", "d"]).classes
        ('a', 'b', 'd')
    """
    numbers = as_numbers(known)
    names = class_order({str(name) for name in (known if numbers is None else numbers)})
    if isinstance(records.classes, SortedNames) and set(records.classes) < set(names):
        codes = np.array([names.index(name) for name in records.classes])
        labels, classes, added = codes[records.labels], as_given(names), sorted(set(names) - set(records.classes))
    elif records.classes is None and numbers is not None and min(numbers) >= 0 and max(numbers) <= LARGEST_CODE:
        labels, classes = records.labels, max(records.n_classes, max(numbers) + 1)  # type: ignore[assignment]
        added = [str(number) for number in numbers if number >= records.n_classes]
    else:
        return records
    said = f"Warning: no record is of the class {few(added, 5)}, which the model knows; it was taken from the model."
    return replace(records, labels=labels, classes=classes, notes=(*records.notes, said))


def _joined(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else joined_ids(first, second)


def _both(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([values, second[name]]) for name, values in first.items()}


def _stacked(first: Any, second: Any) -> Any:
    if hasattr(first, "columns") != hasattr(second, "columns"):
        raise InputError("Expected both inputs as arrays or both as DataFrames, found one of each.")
    if hasattr(first, "columns"):
        if list(first.columns) != list(second.columns):
            raise InputError(
                f"Expected the same input columns, found {few([str(c) for c in first.columns], 5)} and "
                f"{few([str(c) for c in second.columns], 5)}."
            )
        import pandas as pd

        return _with_categories(pd.concat([first, second], ignore_index=True), first, second)
    if is_sparse(first) != is_sparse(second):
        raise InputError("Expected both inputs as arrays or both as sparse matrices, found one of each.")
    if first.shape[1:] != second.shape[1:]:
        raise InputError(f"Expected inputs of one shape, found {first.shape[1:]} and {second.shape[1:]}.")
    if (first.dtype == np.uint8) != (second.dtype == np.uint8):
        raise InputError(
            f"Expected inputs of one type, found {first.dtype} and {second.dtype}; images as bytes are scaled before "
            "a network sees them and other numbers are not: convert one of them."
        )
    if is_sparse(first):
        from vestige.core.sparse import stacked

        return stacked(first, second)
    return np.concatenate([first, second])


def _with_categories(table: Any, first: Any, second: Any) -> Any:
    """Categories that differ become text when concatenated; both together stay categories."""
    from pandas.api.types import union_categoricals

    for name in table.columns:
        if str(first[name].dtype) == str(second[name].dtype) == "category" and str(table[name].dtype) != "category":
            try:
                table[name] = union_categoricals([first[name], second[name]])
            except TypeError as error:  # ordered ones, or of several types
                raise InputError(
                    f"Expected categories of {name} that can be united, found others ({error}); give both columns the "
                    "same categories."
                ) from None
    return table

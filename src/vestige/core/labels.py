"""Classes and labels: class names, and labels as codes 0..K-1 matched with them by name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.columns import as_array, column
from vestige.core.errors import InputError, UnknownClassesError
from vestige.core.messages import few

LARGEST_CODE = 65_535
"""Largest label that stands for the number of a class among 0..K-1; larger ones are names, such as product numbers."""

_MOST = 2.0**53  # from here on a float is no exact whole number
_FROM_1 = (
    "if the labels count from 1, pass --set data.label_base=1 (command line) or {} - 1 (Python), or name the classes "
    "(classes=[1, 2, ...])"
)


@dataclass(frozen=True)
class Classes:
    """What the classes are called; `numbers`, if labels that are numbers are names too; `size`, if known."""

    names: tuple[str, ...] | None
    numbers: tuple[int, ...] | None
    size: int | None


class SortedNames(tuple[str, ...]):
    """Class names in sorted order, which no user gave: the columns of a model may be in another order."""


def class_order(names: Collection[str]) -> SortedNames:
    """Return class names in one order for all files: by number if all are integers, else sorted as text.

    Example:
        >>> list(class_order(["10", "9"])), list(class_order(["b", "a", "10"]))
        (['9', '10'], ['10', 'a', 'b'])
    """
    if all(isinstance(number_of_text(name), int) for name in names):
        return SortedNames(sorted(names, key=int))
    return SortedNames(sorted(names))


def as_codes(values: Any, what: str, n: int, other: str, classes: Classes) -> np.ndarray:
    """Return class codes 0..K-1 from numbers or, matched by name, from text.

    Args:
        values: One class per record.
        what: What the labels are called in messages.
        n: Number of records.
        other: What has `n` rows, for messages.
        classes: What the classes are called.

    Raises:
        InputError: A label is none of the classes, or no class at all.
    """
    if not np.ma.isMaskedArray(values):
        values = as_array(values)
    if values.ndim == 2 and values.shape[1] != 1:
        raise InputError(
            f"Expected one class per record as {what}, found shape {values.shape}; "
            f"multi-label targets are not supported, and one-hot labels need argmax first: {what}.argmax(axis=1)."
        )
    labels = column(values, what, n, other)
    if labels.dtype.kind in "US":
        if classes.names is None:
            raise InputError(
                f"Expected numbers 0..K-1 as {what}, found text such as {str(labels[0])!r}; "
                "name the class of every column (classes), so that columns are matched by name."
            )
        code = {name: i for i, name in enumerate(classes.names)}
        return _codes_among(labels.astype(np.str_), what, classes.names, code)
    whole = labels.dtype.kind in "iub" or (labels.dtype.kind == "f" and np.isfinite(labels).all())
    if not whole or bool(np.any(labels != np.floor(labels))):
        raise InputError(
            f"Expected classes as {what}, found {labels.dtype} values such as {labels.flat[0]!r}; "
            "regression targets are not supported."
        )
    if labels.size and (float(labels.max()) >= _MOST or float(labels.min()) <= -_MOST):
        raise InputError(
            f"Expected whole numbers below 2^53 as {what}, found {labels.dtype} values up to {labels.max()}, which are "
            "no codes of classes; give the classes as text, and name them."
        )
    codes = labels.astype(np.int64)
    if classes.names is not None and classes.numbers is not None:
        return _codes_among(codes, what, classes.names, {number: i for i, number in enumerate(classes.numbers)})
    if codes.size:
        _check_range(codes, what, classes.size)
    return codes


def _check_range(codes: np.ndarray, what: str, n_classes: int | None) -> None:
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or (n_classes is not None and high >= n_classes):
        bad = low if low < 0 else high
        row = int(np.flatnonzero(codes == bad)[0]) + 1
        cure = _FROM_1.format(what) if low >= 1 and high == n_classes else "check the labels and the columns"
        cure += (
            f", leave such records out, or name all classes if {low} is one (classes=[{low}, ...] in Python)"
            if low < 0
            else ""
        )
        top = "" if n_classes is None else n_classes - 1
        raise InputError(f"Expected {what} in 0..{top}, found {bad} in row {row:,}; {cure}.")


def _codes_among(values: np.ndarray, what: str, classes: tuple[str, ...], code: Mapping[Any, int]) -> np.ndarray:
    """Codes of labels that are names of classes, as text or as numbers; `code` has those of all classes."""
    distinct, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    labels = distinct.tolist()
    unknown = [i for i, label in enumerate(labels) if label not in code]
    if unknown:
        from_1 = all(isinstance(label, int) and label - 1 in code for label in labels)
        cure = _FROM_1.format(what) if from_1 else "name the columns after the values of the labels"
        in_row = f"{labels[unknown[0]]} in row {int(first[unknown[0]]) + 1:,}"
        wrong = in_row if distinct.dtype.kind == "i" else few(distinct[unknown].tolist(), 5)
        raise InputError(f"Expected {what} among the classes {few(classes, 5)}, found {wrong}; {cure}.")
    return np.array([code[label] for label in labels], dtype=np.int64)[inverse]


def as_numbers(entries: Sequence[Any]) -> tuple[int, ...] | None:
    """Return whole numbers; None if some entry is text or something else."""
    if not all(isinstance(c, int | float | np.bool_ | np.integer | np.floating) and c % 1 == 0 for c in entries):
        return None
    return tuple(int(c) for c in entries)


def number_of_text(name: Any) -> Any:
    """Return the number that a text spells, or what was given."""
    digits = name.removeprefix("-") if isinstance(name, str) else ""
    return int(name) if digits.isascii() and digits.isdigit() and str(int(name)) == name else name


def names_of_numbers(values: np.ndarray) -> SortedNames | None:
    """Return the classes that occur in labels which are too large to be codes, or -1 and 1; None if they can be codes.

    Example:
        >>> names_of_numbers(np.array([10**9, 7])), names_of_numbers(np.array([2, 0]))
        (('7', '1000000000'), None)
    """
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    is_whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool(np.all(np.floor(values) == values)))
    if values.ndim != 1 or not is_whole or not values.size:
        return None
    low, high = float(values.min()), float(values.max())
    are_signs = (low, high) == (-1, 1) and bool(np.all(values))
    if not are_signs and not LARGEST_CODE < high < _MOST:
        return None
    return class_order([str(int(value)) for value in np.unique(values)])


def codes_of_classes(
    values: Sequence[Any], what: str, n_classes: int, names: Sequence[str] | None = None
) -> tuple[int, ...]:
    """Return the codes of a model's classes: all of them matched by name, else all of them taken as codes.

    As codes only where the records' classes have no names, or names in an order that a user gave: where names are
    merely sorted, class 0 of a model need not be the first of them.

    Args:
        values: The classes, such as the `classes_` of a fitted estimator.
        what: What they are called in messages.
        n_classes: Number of classes of the records.
        names: The records' class names, if they have some.

    Raises:
        UnknownClassesError: Some are neither.
        InputError: They are codes beside names that are merely sorted.

    Example:
        >>> codes_of_classes(["sick", "well"], "classes", 2, ("well", "sick")), codes_of_classes([1, 2], "classes", 3)
        ((1, 0), (1, 2))
        >>> codes_of_classes([1, 2], "classes", 2, ("1", "2")), codes_of_classes([0, 1], "classes", 2, ("1", "2"))
        ((0, 1), (0, 1))
    """
    code = {name: i for i, name in enumerate(names or ())}
    by_name = [code.get(str(v), code.get(str(_whole(v)))) for v in values]
    unknown = [v for v, found in zip(values, by_name, strict=True) if found is None]
    no_code = [v for v in values if not (isinstance(_whole(v), int) and 0 <= v < n_classes)]
    if unknown and no_code:
        known = few(names, 5) if names else f"0..{n_classes - 1}"
        found = next((v for v in no_code if v in unknown), unknown[0])
        raise UnknownClassesError(
            f"Expected {what} among the classes of the records, {known}, found {found!r}; name the records' classes "
            "so, or all of them (classes in [data], or of Records) if some have no records.",
            tuple(values),
        )
    if unknown and isinstance(names, SortedNames):
        raise InputError(
            f"Expected {what} among the classes of the records, {few(names, 5)}, found numbers such as {unknown[0]!r}, "
            "of which nobody said which class each is; name the records' classes in the order of these numbers "
            "(classes in [data], or of Records), or label the records by them."
        )
    return tuple(map(_whole, values)) if unknown else tuple(code for code in by_name if code is not None)


def _whole(value: Any) -> Any:
    """A number without a fraction as int; anything else as it is."""
    return int(value) if as_numbers([value]) is not None else value

"""Labels are matched with classes by name, as text; never by position or alphabetical order."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from vestige.core.errors import InputError
from vestige.core.labels import class_order, number_of_text
from vestige.core.messages import few

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)(\.0+)?|-?[1-9](\.[0-9]+)?e\+[0-9]{2,}")


def codes_of_array(values: np.ndarray, classes: Sequence[str] | None, label_base: int, what: str) -> np.ndarray:
    """Return class codes of labels that may be numbers or text; what is neither is left for `Predictions`.

    Integers are codes, counted from `label_base`; unless the classes themselves are named by integers, such as
    scikit-learn's `classes_`: then they are names.

    Raises:
        InputError: A label has no class, or stands below `label_base`.
    """
    is_code = values.dtype.kind in "iufb"
    if values.ndim != 1 or not (is_code or values.dtype.kind == "U"):
        return values
    if classes is not None and (not is_code or all(isinstance(number_of_text(name), int) for name in classes)):
        return codes_of_names(values.astype(np.str_), classes, label_base, what)
    if not is_code or label_base == 0:
        return values
    codes: np.ndarray = values.astype(np.result_type(values.dtype, np.int64)) - label_base
    if np.any(codes < 0):
        raise InputError(_below_base(str(values.min()), label_base, what))
    return codes


def codes_of_names(values: np.ndarray, classes: Sequence[str], label_base: int, what: str) -> np.ndarray:
    """Return the class of every label, matched by name.

    Args:
        values: Labels as text.
        classes: Names of the classes, in the order of the columns.
        label_base: 1 if the labels count from 1; it matters where the classes are named 0..K-1.
        what: What the labels are called in messages.

    Returns:
        Codes 0..K-1.

    Raises:
        InputError: Some label has no class. The message shows both sides.

    Example:
        >>> codes_of_names(np.array(["b", "a"]), ("a", "b"), 0, "labels")
        array([1, 0])
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    code = {name: i for i, name in enumerate(classes)}
    names = [str(name) for name in distinct]
    counts_from_0 = set(classes) == {str(i) for i in range(len(classes))}
    for spelled in spellings(names, label_base if counts_from_0 else 0):
        if all(name in code for name in spelled):
            return np.array([code[name] for name in spelled], dtype=np.int64)[inverse]
    raise InputError(_unmatched(names, classes, label_base, what))


def spellings(names: Sequence[str], label_base: int) -> Iterator[list[str]]:
    """Yield the ways in which labels may be written as class names: `1.0` is the class `1`, `True` is it too."""
    integers = _integers(names)
    if label_base:
        if integers is not None:
            yield [str(i - label_base) for i in integers]
        return
    yield list(names)
    if integers is not None:
        yield [str(i) for i in integers]


def refuse_regression(values: np.ndarray, what: str) -> None:
    """Refuse numbers that are no classes.

    Raises:
        InputError: All values are numbers and some are not whole.
    """
    names = [str(value) for value in np.unique(values)]
    # Numbers as files spell them; Python would also read `1_0`, `nan`, spaces and digits of other scripts.
    if all(_NUMBER.fullmatch(name) for name in names):
        fractions = [float(name) for name in names if float(name) % 1]
        if fractions:
            raise InputError(
                f"Expected classes as {what}, found numbers such as {fractions[0]:g}; regression targets are not "
                "supported."
            )


def codes_without_columns(
    values: np.ndarray, predicted: np.ndarray | None, label_base: int
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Return labels, predicted labels and classes where no column stands for a class.

    Integers are codes as they are; text becomes the classes that occur, in `class_order`.
    """
    refuse_regression(values, "labels")
    both = values if predicted is None else np.concatenate([values, predicted])
    distinct, inverse = np.unique(both, return_inverse=True)
    names, classes = [str(v) for v in distinct], None
    integers = _integers(names)
    if integers is None:
        classes = class_order(names)
        codes = codes_of_names(both, classes, 0, "labels")
    else:
        codes = np.array(integers, dtype=np.int64)[inverse] - label_base
        if codes.min(initial=0) < 0 and label_base:
            raise InputError(_below_base(str(min(integers)), label_base, "labels"))
    return codes[: values.size], None if predicted is None else codes[values.size :], classes


def names_in_order(labels: np.ndarray, predicted: np.ndarray | None) -> tuple[str, ...] | None:
    """Return the classes that occur in text labels; None if the labels are numbers."""
    given = [a for a in (labels, predicted) if a is not None]
    if any(a.dtype.kind != "U" for a in given):
        return None
    return class_order({str(v) for a in given for v in np.unique(a)})


def integers_if_all(values: np.ndarray) -> np.ndarray:
    """Return text as integers if every entry is one as Python writes it; else, as for `007`, the text.

    Example:
        >>> integers_if_all(np.array(["7", "12"])), integers_if_all(np.array(["007", "12"]))
        (array([ 7, 12]), array(['007', '12'], dtype='<U3'))
    """
    try:
        integers = values.astype(np.int64)
    except (ValueError, OverflowError):
        return values
    return integers if bool(np.all(integers.astype(np.str_) == values)) else values


def _integers(names: Sequence[str]) -> list[int] | None:
    """Whole numbers from `1`, `1.0`, R's `1e+05` or `True`; None if a name is something else or, as `007`, a code."""
    if set(names) and {name.lower() for name in names} <= {"true", "false"}:
        return [int(name.lower() == "true") for name in names]
    if not all(_WHOLE.fullmatch(name) for name in names):
        return None
    numbers = [float(name) for name in names]
    return [int(x) for x in numbers] if all(abs(x) < 2**53 and x == int(x) for x in numbers) else None


def _below_base(found: str, label_base: int, what: str) -> str:
    return (
        f"Expected {what} that count from {label_base}, found {found}; leave out data.label_base if the labels count "
        "from 0."
    )


def _unmatched(names: Sequence[str], classes: Sequence[str], label_base: int, what: str) -> str:
    unknown = [name for name in names if name not in classes]
    integers = _integers(names)
    cure = "name the columns after the values of the labels (in R with check.names = FALSE)"
    if label_base and integers is not None and min(integers) < label_base:
        return _below_base(str(min(integers)), label_base, what)
    if not label_base and integers is not None and {str(i - 1) for i in integers} <= set(classes):
        cure = "pass --set data.label_base=1 if the labels count from 1"
    return f"Expected {what} among the classes {few(classes)}, found {few(unknown)}; {cure}."

"""What is done with the values of inputs: compared with a range, moved into it, counted as categories, cast."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief, few

_TOLERANCE = 1e-6  # of the width of a range: what rounding may have added
_BLOCK_VALUES = 1 << 20


def blocks(inputs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks of records with the position of their first; a memory map is never read as a whole."""
    step = max(1, _BLOCK_VALUES // max(1, math.prod(inputs.shape[1:])))
    for start in range(0, len(inputs), step):
        yield start, inputs[start : start + step]


def holds_numbers(column: Any) -> bool:
    """Whether a column of a DataFrame holds numbers."""
    return getattr(column.dtype, "kind", "O") in "biuf"


def numbers_of(column: Any) -> np.ndarray:
    """Return the values of a column, NaN where they are missing."""
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def as_numbers(inputs: Any, categories: Mapping[str, Any]) -> np.ndarray:
    """Return inputs as an array, columns that are no numbers as NaN."""
    if not hasattr(inputs, "columns"):
        return np.asarray(inputs)
    numbers = np.full(inputs.shape, np.nan)
    for position, name in enumerate(inputs.columns):
        column = inputs.iloc[:, position]
        if name not in categories and holds_numbers(column):
            numbers[:, position] = numbers_of(column)
    return numbers


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value of every feature; NaN where there is none."""
    low = high = np.full(values.shape[1:], np.nan)
    for _, block in blocks(values):
        numbers = np.asarray(block, dtype=np.float64)
        low, high = np.fmin(low, np.fmin.reduce(numbers)), np.fmax(high, np.fmax.reduce(numbers))
    return low, high


def of_column(declared: Any, name: Any, absent: float) -> float:
    """Return what is declared of a column, by a mapping or by one number for all."""
    value = declared.get(name) if isinstance(declared, Mapping) else declared
    return absent if value is None else value


def is_bounded(low: float, high: float) -> bool:
    """Whether a range says anything."""
    return math.isfinite(low) or math.isfinite(high)


def fitted_to(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return what is declared as an array of one record's shape.

    Raises:
        InputError: It does not fit.
    """
    try:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
    except ValueError:
        raise InputError(
            f"Expected {name} that fits one record's shape {shape}, found shape {np.shape(value)}; give one number, or "
            "such as (3, 1, 1) for a number per channel where channels come first."
        ) from None


def _in_dtype(bound: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """A bound as the inputs' own type rounds it."""
    if dtype.kind != "f":
        return np.asarray(bound, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(bound, dtype=np.float64).astype(dtype).astype(np.float64)


def check_values(values: np.ndarray, low: Any, high: Any, first: int, where: str = "") -> None:
    """Refuse values out of a range, and missing ones where there is a bound.

    Args:
        values: Records x features.
        low: Least values of the features.
        high: Largest ones.
        first: Number of the first record, for messages.
        where: What the feature is called in messages; its position if empty.

    Raises:
        InputError: There is one.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    wrong = (values < _least(low, high, values.dtype)) | (values > -_least(-high, -low, values.dtype))
    if values.dtype.kind == "f":
        wrong |= np.isnan(values) & (np.isfinite(low) | np.isfinite(high))
    if not wrong.any():
        return
    position = tuple(map(int, np.argwhere(wrong)[0]))
    row, feature, found = position[0], position[1:], float(values[position])
    lo, hi = (float(np.broadcast_to(side, values.shape[1:])[feature]) for side in (low, high))
    where = where or f"inputs[{', '.join([':', *map(str, feature)])}]"
    cure = "fill it in" if math.isnan(found) else "give the records in the units of the range"
    raise InputError(
        f"Expected a value in {lo:g}..{hi:g} in {where}, found {found:.8g} for record {first + row + 1:,}; {cure}, or "
        "declare another range."
    )


def _least(low: Any, high: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """The least value that rounding may have made of one within a range."""
    near, far = np.where(np.isfinite(low), low, 0) * _TOLERANCE, np.where(np.isfinite(high), high, 0) * _TOLERANCE
    return np.asarray(np.minimum(low - abs(np.where(np.isfinite(low), far - near, 0)), _in_dtype(low, dtype)))


def projected(values: np.ndarray, low: Any, high: Any, *, is_whole: bool = False) -> np.ndarray:
    """Return values moved into a range, of their own type.

    Args:
        values: Records x features.
        low: Least values.
        high: Largest ones.
        is_whole: Whether fractions stand for whole numbers, of which some are missing.

    Raises:
        InputError: No value of this type is in the range.
    """
    low, high, dtype = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64), values.dtype
    if dtype.kind == "f" and not is_whole:
        with np.errstate(over="ignore"):
            return _within(values, low.astype(dtype), high.astype(dtype))
    low, high = np.asarray(np.ceil(low)), np.asarray(np.floor(high))
    if dtype.kind == "f":
        return _within(values, low, high)
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if (low > high).any() or (low > most).any() or (high < least).any():
        raise InputError(f"Expected a range with a value of {dtype} in it, found none; give the records as float32.")
    lo, hi = np.full(low.shape, least, dtype=dtype), np.full(high.shape, most, dtype=dtype)
    lo[low > least], hi[high < most] = low[low > least].astype(dtype), high[high < most].astype(dtype)
    return _within(values, lo, hi)


def _within(values: np.ndarray, low: Any, high: Any) -> np.ndarray:
    return np.asarray(np.minimum(np.maximum(values, low), high))


def codes_of(column: Any, name: Any, allowed: tuple[Any, ...], first: int) -> np.ndarray:
    """Return the number of every value among the allowed ones.

    Args:
        column: Of a DataFrame.
        name: Its name.
        allowed: Its categories.
        first: Number of the first record, for messages.

    Raises:
        InputError: A value is none of them.
    """
    known: dict[Any, int] = {value: code for code, value in enumerate(allowed)}
    values, missing = column.to_numpy(dtype=object), column.isna().to_numpy()
    of_none = known.get(None, -1)
    try:
        found_codes = [of_none if m else known.get(v, -1) for v, m in zip(values, missing, strict=True)]
    except TypeError:
        raise InputError(f"Expected names or numbers in column {brief(str(name))}, found lists or the like.") from None
    codes = np.array(found_codes, dtype=np.int64)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        found = "a missing value" if missing[row] else brief(repr(values[row]))
        raise InputError(
            f"Expected one of {few([str(value) for value in allowed], 5)} in column {brief(str(name))}, found {found} "
            f"for record {first + row + 1:,}; add it to the declared categories, or leave the record out."
        )
    return codes


def cast_to(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Return a new array of a type; of whole numbers the nearest, and never others because they did not fit.

    Raises:
        InputError: A value does not fit.
    """
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            fractions = values.astype(dtype)
        if dtype.itemsize < values.dtype.itemsize and (np.isinf(fractions) & ~np.isinf(values)).any():
            raise InputError(
                f"Expected inputs that fit the declared dtype {dtype}, found larger ones; declare float64."
            )
        return fractions
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    nearest = np.rint(values) if values.dtype.kind == "f" else values
    if not ((nearest >= least) & (nearest <= most)).all():
        raise InputError(f"Expected inputs that fit the declared dtype {dtype}, found others; declare float32.")
    return nearest.astype(dtype)

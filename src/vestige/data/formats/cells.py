"""Columns of a pyarrow table as arrays: numbers, names, dates, inputs. Rows are counted from 1, as a reader does."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import brief
from vestige.data.formats.classes import integers_if_all


def numbers(column: Any, name: str) -> np.ndarray:
    """Return a column of numbers as floats; missing ones are NaN.

    Raises:
        InputError: Some entry is no number.
    """
    import pyarrow as pa

    column = _plain(column)
    if not pa.types.is_floating(column.type):
        try:
            column = column.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(_no_number(column, name)) from None
    array: np.ndarray = column.to_numpy()
    return array


def texts(column: Any, name: str) -> np.ndarray:
    """Return a column as text, every entry there.

    Raises:
        InputError: An entry is missing, or holds a line break (a quote that was never closed) or a null character,
            without which NumPy would read it.
    """
    import pyarrow as pa
    from pyarrow import compute

    column = _plain(column)
    _refuse(column.is_null(nan_is_null=True), name, "is missing", "fill it in or leave the row out")
    if pa.types.is_boolean(column.type):  # as Python spells them, and names columns after them
        column = compute.if_else(column, "True", "False")
    try:
        column = _spelled(column) if pa.types.is_floating(column.type) else column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"Expected text or numbers in column {name}, found {column.type}; convert it.") from None
    _refuse(compute.equal(column, ""), name, "is missing", "fill it in or leave the row out")
    _refuse(
        compute.match_substring_regex(column, "[\n\r]"), name, "runs over several lines", "close the quotes before it"
    )
    _refuse(compute.match_substring(column, "\0"), name, "holds a null character", "save the table again as text")
    return np.array(column.to_pylist(), dtype=np.str_)


def _spelled(column: Any) -> Any:
    """Floats as text; whole numbers without a fraction or exponent, as a column of whole numbers has them."""
    import pyarrow as pa
    from pyarrow import compute

    wide = column.cast(pa.float64())
    is_whole = compute.and_(compute.equal(compute.floor(wide), wide), compute.less(compute.abs(wide), 2.0**53))
    whole = compute.if_else(is_whole, wide, 0.0).cast(pa.int64()).cast(pa.string())
    return compute.if_else(is_whole, whole, column.cast(pa.string()))


def names(column: Any, name: str) -> np.ndarray:
    """Return ids or names: integers if every one is, else text, so that `007` stays `007`."""
    return integers_if_all(texts(column, name))


def ordered(column: Any, name: str, decimal: str) -> np.ndarray:
    """Return a column of time or order: numbers or dates if all entries are, else text.

    Raises:
        InputError: An entry is missing.
    """
    import pyarrow as pa

    column = _plain(column)
    if pa.types.is_temporal(column.type) or pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        _refuse(column.is_null(nan_is_null=True), name, "is missing", "fill it in or leave the row out")
        array: np.ndarray = column.to_numpy()
        if array.dtype != object:  # times of day come as objects
            return array
    written = texts(column, name)
    for kind in (pa.int64(), pa.float64(), pa.timestamp("us")):
        try:
            cast: np.ndarray = _with_point(pa.chunked_array([written]), decimal).cast(kind).to_numpy()
        except pa.ArrowInvalid:
            continue
        return cast
    return written


def inputs(table: Any, columns: Sequence[str], decimal: str) -> Any:
    """Return the inputs: an array if all columns are numbers, else a DataFrame with its categories and text."""
    import pyarrow as pa

    arrays = []
    for name in columns:
        column = _plain(table[name])
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            arrays.append(column)
            continue
        try:
            arrays.append(_with_point(column, decimal).cast(pa.float64()))
        except pa.ArrowInvalid:
            arrays.append(column)
    if all(pa.types.is_floating(a.type) or pa.types.is_integer(a.type) or pa.types.is_boolean(a.type) for a in arrays):
        return np.column_stack([a.cast(pa.float64()).to_numpy() for a in arrays])
    return pa.table(arrays, names=list(columns)).to_pandas()


def _plain(column: Any) -> Any:
    """Undo dictionary encoding: a category is its text."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _with_point(column: Any, decimal: str) -> Any:
    from pyarrow import compute

    return compute.replace_substring(column, decimal, ".") if decimal != "." else column


def _refuse(bad: Any, name: str, what: str, cure: str) -> None:
    rows = np.flatnonzero(bad.to_numpy())
    if rows.size:
        more = f" and {rows.size - 1:,} more" if rows.size > 1 else ""
        raise InputError(
            f"Expected an entry in column {name} for every record, found that it {what} in data row "
            f"{int(rows[0]) + 1:,}{more}; {cure}."
        )


def _no_number(column: Any, name: str) -> str:
    for row, entry in enumerate(column.to_pylist(), start=1):
        try:
            float("nan" if entry is None else entry)
        except (TypeError, ValueError):
            return (
                f"Expected a number in column {name}, found {brief(repr(entry))} in data row {row:,}; "
                "the outputs of a model are numbers."
            )
    return f"Expected numbers in column {name}, found {column.type}; convert them to float64."

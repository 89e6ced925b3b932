"""One entry per record, from whatever holds it: arrays, lists, pandas objects (known by their methods alone)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from vestige.core.errors import InputError, refusing
from vestige.core.messages import brief

_UNREADABLE = (AttributeError, RuntimeError, TypeError, ValueError)  # what foreign arrays raise that are elsewhere
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


def column(values: Any, what: str, n: int, other: str = "the outputs") -> np.ndarray:
    """Return a one-dimensional array of numbers, text or dates; never of objects.

    Args:
        values: An array, a list or a pandas object. Datetimes with a timezone become UTC.
        what: What the column is called in messages.
        n: Number of records.
        other: What has `n` rows, for messages.

    Returns:
        The column, with an entry for every record.

    Raises:
        InputError: Entries are missing, of several types or of one that cannot be sorted, or too few or many.

    Example:
        >>> column([3, 1], "ids", 2)
        array([3, 1])
    """
    if np.ma.isMaskedArray(values):
        raise InputError(f"Expected an entry of {what} for every record, found a masked array; leave records out.")
    array = as_array(values)
    if array.ndim == 2 and array.shape[1] == 1:  # as Keras keeps labels
        array = array[:, 0]
    if array.ndim != 1:
        cure = f"; give one column, such as {what}[:, 1]" if array.ndim == 2 else ""
        raise InputError(f"Expected one entry of {what} per record, found shape {array.shape}{cure}.")
    if array.dtype == object:
        array = _of_objects(array, what)
    same_length(what, array.size, n, other)
    if array.dtype.kind in "fmM":
        refuse_missing(np.isnan(array) if array.dtype.kind == "f" else np.isnat(array), what)
    return _as_stored(array, what)


def _as_stored(found: np.ndarray, what: str) -> np.ndarray:
    """A column as a table can be written of it: in this machine's byte order, bytes as text.

    What could not be written is refused here, before anything is computed with it.
    """
    if found.dtype.kind == "S":
        try:
            return np.char.decode(found, "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"Expected UTF-8 text as {what}, found other bytes; decode them to text.") from None
    if found.dtype.kind not in "biufUmM":
        raise InputError(
            f"Expected numbers, text or dates as {what}, found {found.dtype} values; convert them to text or to floats."
        )
    if found.dtype.kind == "f" and found.dtype.itemsize not in (4, 8):
        narrow = found.astype(np.float64)
        if bool(np.any(narrow != found)):
            raise InputError(
                f"Expected numbers of float64 as {what}, found {found.dtype} values that it cannot hold; convert them."
            )
        return narrow
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def as_array(values: Any) -> np.ndarray:
    """Return values as an array that hides nothing: no timezone is dropped, no number or NaN turned into text."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "kind", "") == "M" and getattr(dtype, "tz", None) is not None:
        in_utc: np.ndarray = values.to_numpy(dtype=f"datetime64[{getattr(dtype, 'unit', 'ns')}]")
        return in_utc
    with refusing(_UNREADABLE, lambda error: _no_array(values, error)):
        array = np.asarray(values)
    if array.dtype.kind == "V" and array.dtype.type is not np.void:  # such as bfloat16 of ml_dtypes
        array = array.astype(np.float32)
    is_text = array.ndim == 1 and array.dtype.kind in "US"
    if is_text and isinstance(values, list | tuple) and not all(isinstance(v, str | bytes) for v in values):
        array = np.empty(len(values), dtype=object)
        array[:] = values
    return array


def _no_array(values: Any, error: Exception) -> str:
    cure = "bring it to this machine's memory as one array, such as with .detach().cpu().numpy()"
    return f"Expected an array, found {type(values).__name__} that gives none ({brief(str(error), 100)}); {cure}."


def same_length(what: str, found: int, expected: int, other: str) -> None:
    """Refuse a column that has more or fewer entries than there are records.

    Raises:
        InputError: The lengths differ.
    """
    if found != expected:
        raise InputError(
            f"Expected one entry of {what} per record, found {found:,} for {expected:,} rows of {other}; "
            "give all of them for the same records in the same order."
        )


def refuse_missing(missing: np.ndarray, what: str) -> None:
    """Refuse missing entries.

    Args:
        missing: True where an entry is missing, per record or records x classes.
        what: What the column is called in messages.

    Raises:
        InputError: There are some.
    """
    if missing.any():
        row = int(np.argwhere(missing)[0, 0]) + 1
        raise InputError(
            f"Expected an entry of {what} for every record, found missing values, first in row {row:,}; "
            "fill them in or leave these records out everywhere."
        )


def index_of(values: Any) -> Any:
    """Return the index of a pandas Series or DataFrame; None for anything else."""
    index = getattr(values, "index", None)
    return index if hasattr(values, "to_numpy") and hasattr(index, "equals") else None


def same_index(indexes: Iterable[tuple[str, Any]], n: int) -> None:
    """Refuse pandas objects that would be joined by position although their indexes say otherwise.

    Args:
        indexes: What each is called in messages, and its index, or None if it has none.
        n: Number of records. What has another length is left for `same_length`.

    Raises:
        InputError: Two indexes differ.
    """
    known = [(what, index) for what, index in indexes if index is not None and len(index) == n]
    for what, index in known[1:]:
        first, expected = known[0]
        if not index.equals(expected):
            pairs = list(zip(expected.tolist(), index.tolist(), strict=True))
            row = next((i for i, (a, b) in enumerate(pairs) if repr(a) != repr(b)), 0)
            raise InputError(
                f"Expected {what} with the index of {first}, found {pairs[row][1]!r} beside {pairs[row][0]!r} in row "
                f"{row + 1:,}; give them the same index, or reset_index(drop=True) on both if the rows correspond."
            )


def by_name(columns: Any, what: str) -> dict[str, Any]:
    """Return columns by name, from a mapping or a DataFrame.

    Raises:
        InputError: The values have no name.
    """
    if columns is None:
        return {}
    columns = in_memory(columns)
    if not (isinstance(columns, Mapping) or (index_of(columns) is not None and hasattr(columns, "columns"))):
        raise InputError(
            f'Expected a name and values, such as {{"ward": ward}}, found {type(columns).__name__} as {what}; '
            "give every column a name."
        )
    return {str(name): in_memory(values) for name, values in columns.items()}


def _of_objects(objects: np.ndarray, what: str) -> np.ndarray:
    """An array of the type that all objects have."""
    import pandas as pd  # here, because numbers and text do not need it

    refuse_missing(pd.isna(objects), what)
    types = {type(v) for v in objects}
    if all(issubclass(t, str) for t in types):
        return objects.astype(np.str_)
    if all(issubclass(t, _NUMBERS) for t in types):
        numbers = np.array(objects.tolist())
        if numbers.dtype != object:
            return numbers
    names = sorted({_type_name(v) for v in objects})
    if len(names) > 1:
        raise InputError(
            f"Expected numbers, text or dates as {what}, found mixed types such as {names[0]} and {names[1]}; "
            "convert all to one type, such as text."
        )
    if all(issubclass(t, datetime) for t in types):
        naive = [v if v.tzinfo is None else v.astimezone(UTC).replace(tzinfo=None) for v in objects]
        return np.array(naive, dtype="datetime64[us]")
    if types == {date}:
        return objects.astype("datetime64[D]")
    raise InputError(f"Expected numbers, text or dates as {what}, found {names[0]} objects; convert to text.")


def _type_name(value: Any) -> str:
    zone = " with a timezone" if isinstance(value, datetime) and value.tzinfo is not None else ""
    return type(value).__name__ + zone


def in_memory(value: Any) -> Any:
    """Return a tensor as an array, a frame or column of polars or Arrow as that of pandas, anything else as it is.

    Tensors may be on any device and need gradients; types that NumPy lacks, such as bfloat16, become float32.

    Example:
        >>> import pyarrow
        >>> in_memory(pyarrow.table({"age": [31, 47]})).columns.tolist()
        ['age']
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        with refusing(_UNREADABLE, lambda error: _no_array(value, error)):
            tensor = value.detach().cpu()
            try:
                return tensor.numpy()
            except TypeError:  # of a type that NumPy lacks
                return tensor.float().numpy()
    if hasattr(value, "__cuda_array_interface__") and hasattr(value, "get"):  # of CuPy
        return value.get()
    package = type(value).__module__.split(".")[0]
    return value.to_pandas() if package in ("polars", "pyarrow") and hasattr(value, "to_pandas") else value


def is_sparse(inputs: Any) -> bool:
    """Whether inputs are a sparse matrix or array of SciPy with two axes; SciPy is not imported for that."""
    return hasattr(inputs, "tocsr") and len(inputs.shape) == 2

"""Ids of records and people, by which everything is joined: `1001`, `1001.0` and "1001" are one, "007" is another.

Also the other columns that stand beside records: subjects, groups and columns of order.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from vestige.core.columns import by_name, column, index_of, same_index
from vestige.core.errors import InputError

_WITH_FRACTION = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_MOST = 2.0**53  # from here on floats are rounded to whole numbers


def as_ids(values: Any, what: str, n: int, other: str = "the outputs") -> np.ndarray:
    """Return ids so that those of one record are equal, whatever held them.

    A column of whole numbers beside a missing entry becomes one of floats, and text after that `1001.0`: it is the
    whole number again. Text stays text, and `007` stays `007`.

    Args:
        values: One id per record: numbers, text or dates.
        what: What they are called in messages.
        n: Number of records.
        other: What has `n` rows, for messages.

    Raises:
        InputError: As `column`; or they are floats of 2^53 or more, which may be those of several records.

    Example:
        >>> as_ids([7.0, 12.0], "ids", 2), as_ids(["7.0", "007"], "ids", 2)
        (array([ 7, 12]), array(['7', '007'], dtype='<U3'))
    """
    ids = column(values, what, n, other)
    if ids.dtype.kind == "U":
        return without_fractions(ids)
    if ids.dtype.kind == "f":
        if ids.size and np.abs(ids).max() >= _MOST:
            raise InputError(
                f"Expected whole numbers or text as {what}, found floats such as {ids[np.abs(ids).argmax()]!s}, "
                "which are rounded; save them as whole numbers or as text."
            )
        return ids.astype(np.int64) if bool(np.all(np.floor(ids) == ids)) else ids
    if ids.dtype.kind == "u" and ids.size:  # beside signed ones NumPy would make floats of them
        return ids.astype(np.int64) if ids.max() <= np.iinfo(np.int64).max else ids.astype(np.str_)
    return ids


def without_fractions(texts: np.ndarray) -> np.ndarray:
    """Return text in which whole numbers have no `.0`.

    Example:
        >>> without_fractions(np.array(["1001.0", "1001.5", "007.0", "A1.0"])).tolist()
        ['1001', '1001.5', '007.0', 'A1.0']
    """
    if not np.any(np.char.endswith(texts, ".0")) and not np.any(np.char.endswith(texts, "00")):
        return texts
    return np.array([match[1] if (match := _WITH_FRACTION.fullmatch(text)) else text for text in texts.tolist()])


def id_texts(ids: Any) -> np.ndarray:
    """Return ids as text in which equal ones are equal, numbers and text alike.

    Example:
        >>> id_texts(np.array([7.0, 7.5])).tolist(), id_texts(np.array(["7.0", "x"])).tolist()
        (['7', '7.5'], ['7', 'x'])
    """
    return without_fractions(np.asarray(ids).astype(np.str_))


def joined_ids(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return ids of two sets, the first ones first; as text unless both are whole numbers.

    Example:
        >>> joined_ids(np.array([7, 8]), np.array(["9"])), joined_ids(np.array([7]), np.array([9]))
        (array(['7', '8', '9'], dtype='<U21'), array([7, 9]))
    """
    if first.dtype.kind == second.dtype.kind:
        return np.concatenate([first, second])
    return np.concatenate([id_texts(first), id_texts(second)])


def refuse_repeated(ids: np.ndarray, cure: str, what: str = "ids", *, name_row: bool = False) -> None:
    """Refuse ids of which some occur twice.

    Args:
        ids: As `as_ids` returns them.
        cure: What to do about it.
        what: What they are called in messages.
        name_row: Whether the message names a row, because the records are those of a file.

    Raises:
        InputError: Some do.
    """
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    repeated = np.flatnonzero(counts > 1)
    if repeated.size:
        row = f" (first in row {int(first[repeated[0]]) + 1:,})" if name_row else ""
        raise InputError(
            f"Expected unique {what}, found {repeated.size:,} repeated, such as {unique[repeated[0]]!s}{row}; {cure}."
        )


def set_columns(holder: Any, indexes: Sequence[tuple[str, Any]], n: int, other: str) -> None:
    """Check `ids`, `subjects`, `groups` and `order` of a frozen value while it is made, and replace them by arrays.

    Args:
        holder: The value.
        indexes: What else has an index, as for `same_index`.
        n: Number of records.
        other: What has `n` rows, for messages.

    Raises:
        InputError: Lengths or indexes differ, or entries are missing.
    """
    tables = {"group": by_name(holder.groups, "groups"), "order": by_name(holder.order, "order")}
    columns = {f"{kind} {name}": values for kind, table in tables.items() for name, values in table.items()}
    named = {"ids": holder.ids, "subjects": holder.subjects}
    same_index([*indexes, *((what, index_of(values)) for what, values in {**named, **columns}.items())], n)
    for what, values in named.items():
        object.__setattr__(holder, what, None if values is None else as_ids(values, what, n, other))
    for attribute, kind in (("groups", "group"), ("order", "order")):
        arrays = {name: column(values, f"{kind} {name}", n, other) for name, values in tables[kind].items()}
        object.__setattr__(holder, attribute, arrays)

"""Columns of a table that the audit does not use, and those among them that may name people."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import few

_MOST_LOOKED_AT = 20  # a table of a thousand unused features is not searched for people
_FEWEST_PEOPLE = 20


@runtime_checkable
class _Loads(Protocol):
    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any: ...


def distinct_values(file: _Loads, unused: Sequence[str]) -> dict[str, np.ndarray]:
    """The distinct values of the first unused columns, as text; a column that cannot be read is passed over."""
    looked_at = [name for name in unused if list(unused).count(name) == 1][:_MOST_LOOKED_AT]
    try:
        tables = [file.load([], looked_at)] if looked_at else []  # one pass over the file
    except InputError:
        tables = list(_readable(file, looked_at))
    found = {name: table[name] for table in tables for name in table.column_names}
    return {name: _distinct(values) for name, values in found.items() if not _is_nested(values)}


def _readable(file: _Loads, names: Sequence[str]) -> Iterator[Any]:
    for name in names:
        with suppress(InputError):
            yield file.load([], [name])


def _is_nested(column: Any) -> bool:
    """Whether its values are lists or the like, which name nobody."""
    import pyarrow as pa

    return bool(pa.types.is_nested(column.type))


def _distinct(column: Any) -> np.ndarray:
    return np.array([str(v) for v in column.unique().to_pylist() if v is not None], dtype=np.str_)


def notes_on_unused(unused: Sequence[str], distinct: Mapping[str, np.ndarray], n_records: int) -> tuple[str, ...]:
    """Say which columns were not used, and warn of those whose values repeat as people's do.

    Args:
        unused: Names of the unused columns.
        distinct: Distinct values of those that were looked at.
        n_records: Rows of the table.

    Returns:
        No note, one, or two. The warning is a hint: whether a column names people only the user knows.
    """
    if not unused:
        return ()
    notes = [f"Columns not used: {few(unused)}."]
    fewest = max(_FEWEST_PEOPLE, n_records / 50)
    people = [name for name, values in distinct.items() if fewest <= values.size <= 0.95 * n_records]
    if people:
        notes.append(
            f"Warning: values of {few(people)} repeat; if a column names the person behind a record, name it with "
            "--subject: otherwise intervals count records, and are too narrow."
        )
    return tuple(notes)

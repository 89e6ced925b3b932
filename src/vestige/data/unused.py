"""Columns of a table that the audit does not use, and those among them that may name people."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vestige.core.errors import InputError
from vestige.data.classes import few
from vestige.data.columns import Columns, Roles

_MOST_LOOKED_AT = 20  # a table of a thousand unused features is not searched for people
_FEWEST_PEOPLE = 20


@runtime_checkable
class _Loads(Protocol):
    def load(self, numeric: Sequence[str], text: Sequence[str]) -> Any: ...


def unused_columns(names: Sequence[str], roles: Roles, columns: Columns) -> list[str]:
    """Columns of a file that play no role; R's unnamed column of row names is nobody's."""
    used = {*roles.text, *roles.numeric, columns.member, ""}
    return [name for name in names if name not in used]


def distinct_values(file: _Loads, unused: Sequence[str]) -> dict[str, np.ndarray]:
    """The distinct values of the first unused columns, as text; a column that cannot be read is passed over."""
    looked_at = [name for name in unused if list(unused).count(name) == 1][:_MOST_LOOKED_AT]
    found = {}
    for name in looked_at:
        try:
            column = file.load([], [name])[name]
        except InputError:
            continue
        found[name] = np.array([str(v) for v in column.unique().to_pylist() if v is not None], dtype=np.str_)
    return found


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

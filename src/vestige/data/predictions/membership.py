"""Which records a table says the model was trained on."""

from typing import TYPE_CHECKING

import numpy as np

from vestige.core.errors import InputError

if TYPE_CHECKING:
    from vestige.data.formats.table import Table

_SIDES = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}
_WORDS = {
    **dict.fromkeys(("train", "training", "member", "yes", "in"), True),
    **dict.fromkeys(("test", "testing", "holdout", "nonmember", "non-member", "no", "out"), False),
}
"""What else says on which side a record is; a result says that it was read so."""


def members_of(table: "Table", column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which records are members, and what is to be said of how the column was read.

    Raises:
        InputError: An entry says neither.
    """
    written, inverse = np.unique(table.texts(column), return_inverse=True)
    sides = [(_SIDES | _WORDS).get(text.lower()) for text in written.tolist()]
    said = [f"{text} as {'member' if side else 'nonmember'}" for text, side in zip(written, sides, strict=True)]
    if None in sides:
        raise InputError(
            f"{table.name}: Expected 0 or 1 as member, found {written[sides.index(None)]} in column {column}; code "
            "nonmembers 0 and members 1 (train and test, yes and no are read too), and leave other records out."
        )
    note = f"Read: in column {column}, {' and '.join(said)}."
    return np.array(sides, dtype=bool)[inverse], () if {t.lower() for t in written.tolist()} <= set(_SIDES) else (note,)


def check_side(table: "Table", column: str, is_member: bool) -> None:
    """Refuse a table of one side in which the column says the other.

    Raises:
        InputError: It does.
    """
    wrong = np.flatnonzero(members_of(table, column)[0] != is_member)
    if wrong.size:
        side, said = "members" if is_member else "nonmembers", table.texts(column)[wrong[0]]
        raise InputError(
            f"{table.name}: Expected {side} only, found {column} = {said} in data row {int(wrong[0]) + 1:,}; give the "
            f"file of {side} with --{side}, or leave out the column {column}."
        )

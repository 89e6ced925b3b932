"""Are there nonmembers whose inputs the model was trained on, and inputs that stand in the file many times?"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt64

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.row_hashes import row_hashes

TOLERATED_NONMEMBERS = 0.01
TOLERATED_REPEATS = 0.05
COARSE = "in a table with few distinct values such matches come about by themselves"


def duplicates(
    inputs: Any, member: Bool[np.ndarray, " record"], units: Int[np.ndarray, " record"] | None
) -> list[Check]:
    """Find inputs that are exactly equal, by value.

    Args:
        inputs: Records x anything: an array of any rank, or a DataFrame.
        member: Whether each record is a member.
        units: Subject of each record; None if every record is its own.

    Returns:
        A check of nonmembers that equal a member, LIMITED above 1 % of the nonmembers; and without subjects one of
        repeated inputs, always VALID, with a warning above 5 % of the records.

    Example:
        >>> inputs, member = np.array([[1.0], [2.0], [1.0]]), np.array([True, True, False])
        >>> duplicates(inputs, member, None)[0].message
        '1 of 1 nonmembers (100.0%) have exactly the inputs of a member: they are members in all but name (in a
        table with few distinct values such matches come about by themselves).'
    """
    hashes = row_hashes(inputs)
    checks = [_across_sides(hashes, member)]
    if units is None:
        checks.append(_repeated(hashes))
    return checks


def _across_sides(hashes: UInt64[np.ndarray, " record"], member: Bool[np.ndarray, " record"]) -> Check:
    n_nonmembers = int(np.count_nonzero(~member))
    n_equal = int(np.count_nonzero(np.isin(hashes[~member], hashes[member])))
    share = n_equal / max(n_nonmembers, 1)
    message = f"{n_equal:,} of {n_nonmembers:,} nonmembers ({share:.1%}) have exactly the inputs of a member"
    if share <= TOLERATED_NONMEMBERS:
        return Check("duplicates", Validity.VALID, f"{message}.")
    return Check(
        "duplicates",
        Validity.LIMITED,
        f"{message}: they are members in all but name ({COARSE}).",
        "Leave these nonmembers out, or keep one record of each set of equal ones.",
    )


def _repeated(hashes: UInt64[np.ndarray, " record"]) -> Check:
    counts = np.unique(hashes, return_counts=True)[1]
    n_shared = int(counts[counts > 1].sum())
    share = n_shared / max(hashes.size, 1)
    message = f"{n_shared:,} of {hashes.size:,} records ({share:.1%}) share their inputs with another record"
    if share <= TOLERATED_REPEATS:
        return Check("repeated_inputs", Validity.VALID, f"{message}.")
    return Check(
        "repeated_inputs",
        Validity.VALID,
        f"Warning: {message} ({COARSE}); if one person has several records, name the column with --subject: "
        "intervals that count records are then too narrow.",
        "Name the column that says whose record it is with --subject.",
    )

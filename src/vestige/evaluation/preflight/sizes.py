"""Are there enough units, and which false-positive rate do they resolve?"""

from typing import Literal

from vestige.core.result import Check, Validity
from vestige.evaluation.roc import allowed_false_positives

SMALLEST_SIDE = 20
"""Fewer units than this on a side leave nearly every answer open."""

EXPECTED_FALSE_POSITIVES = 10
"""A false-positive rate is resolved where at least so many false positives are expected."""

FPRS = (0.0001, 0.001, 0.01, 0.1)


def sizes(n_members: int, n_nonmembers: int, unit: Literal["record", "subject"]) -> Check:
    """Say what the number of units allows.

    Args:
        n_members: Members [count of units].
        n_nonmembers: Nonmembers [count of units].
        unit: What is counted.

    Returns:
        LIMITED with fewer than 20 units on a side.

    Example:
        >>> sizes(500, 1000, "record").message
        '500 members and 1,000 nonmembers (records) resolve false-positive rates down to 1%.'
        >>> str(sizes(500, 19, "subject").validity)
        'LIMITED'
    """
    have = f"{n_members:,} members and {n_nonmembers:,} nonmembers ({unit}s)"
    resolved = [f for f in FPRS if allowed_false_positives(f, n_nonmembers) >= EXPECTED_FALSE_POSITIVES]
    what = (
        f"resolve false-positive rates down to {100 * resolved[0]:g}%"
        if resolved
        else "resolve no false-positive rate up to 10%"
    )
    if min(n_members, n_nonmembers) >= SMALLEST_SIDE:
        return Check("sizes", Validity.VALID, f"{have} {what}.")
    return Check(
        "sizes",
        Validity.LIMITED,
        f"{have} are fewer than {SMALLEST_SIDE} on a side and {what}.",
        f"Bring at least {SMALLEST_SIDE} {unit}s on each side; 1,000 nonmembers resolve a false-positive rate of 1%.",
    )

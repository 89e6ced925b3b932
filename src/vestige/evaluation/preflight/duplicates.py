"""Are there nonmembers whose inputs the model was trained on, and inputs that stand in one file many times?"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt64

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.judgement import judge, judged
from vestige.evaluation.preflight.matches import Matches, matches
from vestige.evaluation.preflight.row_hashes import row_hashes

LEVEL = 0.002
"""Honest random splits flagged at most for more matches across the sides than by chance."""

LEVEL_WITHIN = 0.001
"""The same for fewer: repeats that keep to one side."""

CONFOUNDED_SHARE = 0.4
"""Share of the nonmembers that are copies of members, beyond chance, from which on the sides are no two sides: of two
equal ones, dealing again leaves half of the copies across."""

TOLERATED_REPEATS = 0.05
"""Below this share of the records repeats move no interval that could be seen."""


def duplicates(
    inputs: Any, member: Bool[np.ndarray, " record"], units: Int[np.ndarray, " record"] | None
) -> list[Check]:
    """Find inputs that are exactly equal, by value, and ask whether membership has to do with them.

    Equal inputs on both sides are a fault only where there are more of them than sides that are dealt at random give:
    categories and natural repeats match by themselves. Repeats that are dealt like any other record leave tests and
    intervals right, because a repeat on the other side takes away what one on the same side adds. Where they keep to
    one side they count as many records and are one.

    Args:
        inputs: Records x anything: an array of any rank, or a DataFrame.
        member: Whether each record is a member.
        units: Subject of each record; None if every record is its own.

    Returns:
        A check of nonmembers that equal a member: LIMITED if there are more than by chance at `LEVEL`, CONFOUNDED if
        besides these are above 40 % of the nonmembers. Without subjects, one of repeated inputs: LIMITED if above
        5 % of the records are repeated and fewer are across the sides than by chance at `LEVEL_WITHIN`.

    Raises:
        InputError: A subject is on both sides.

    Example:
        >>> inputs, member = np.array([[1.0], [2.0], [1.0]]), np.array([True, True, False])
        >>> duplicates(inputs, member, None)[0].message
        '1 of 1 nonmembers (100.0%) have exactly the inputs of a member, which relabelled sides
        would give too (p = 0.67).'
    """
    hashes = row_hashes(inputs)
    matched = matches(hashes, member, units)
    checks = [_across_sides(matched)]
    if units is None:
        checks.append(_repeated(hashes, member, matched))
    return checks


def _across_sides(matched: Matches) -> Check:
    message = (
        f"{matched.n_across:,} of {matched.n_nonmembers:,} nonmembers ({matched.share:.1%}) have exactly the inputs of "
        "a member"
    )
    validity = judge(matched.p_more, LEVEL, matched.beyond_chance, CONFOUNDED_SHARE)
    if validity is Validity.VALID and matched.n_across:
        message += f", which relabelled sides would give too (p = {matched.p_more:.2g})"
    return judged(
        "duplicates",
        validity,
        message,
        f", more than relabelled sides would give (p = {matched.p_more:.2g}): they are members in all but name",
        "Is one file a copy of the other, in part or as a whole? Leave these nonmembers out, or keep one record of "
        "each set of equal ones.",
    )


def _repeated(hashes: UInt64[np.ndarray, " record"], member: Bool[np.ndarray, " record"], matched: Matches) -> Check:
    counts = np.unique(hashes, return_counts=True)[1]
    n_shared = int(counts[counts > 1].sum())
    share = n_shared / max(hashes.size, 1)
    inside, outside = (np.unique(hashes[side]).size for side in (member, ~member))
    message = (
        f"{n_shared:,} of {hashes.size:,} records ({share:.1%}) share their inputs with another record; "
        f"{inside:,} members and {outside:,} nonmembers have inputs of their own on their side"
    )
    return judged(
        "repeated_inputs",
        Validity.VALID if share <= TOLERATED_REPEATS or matched.p_fewer >= LEVEL_WITHIN else Validity.LIMITED,
        message,
        f". Repeats keep to one side more than by chance (p = {matched.p_fewer:.2g}), so they are no independent "
        "records: intervals and p-values that count records are too narrow",
        "Name the column that says whose record it is with --subject, or keep one record of each set of equal ones.",
    )

"""Did members and nonmembers get the same answers to the last bit? Then they may be the same records."""

import numpy as np
from jaxtyping import Bool, Int, UInt64

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.judgement import judge, judged
from vestige.evaluation.preflight.matches import matches

LEVEL = 0.002
"""Honest audits flagged at most."""

CONFOUNDED_SHARE = 0.05
"""Share of the nonmembers with a member's answer, beyond chance, from which on the sides are no two sides."""

_CONTINUOUS = 0.5  # share of a side's answers that are distinct; those of trees, or rounded ones, repeat anyhow
_NEVER = 1e-6  # chance of two sides alike to the last count, below which they are one


def equal_predictions(
    row_hashes: UInt64[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None = None,
) -> Check:
    """Ask whether nonmembers' answers are members' answers.

    Continuous answers to different records are never equal to the last bit. Where most answers of each side are
    distinct, those that occur on both sides are compared with what relabelled sides give. Answers that repeat anyhow
    (labels, trees, few digits) are equal without meaning it, and a leak alone changes how often: there the sides are
    only one if each answer occurs on both equally often.

    Args:
        row_hashes: A number per record, equal where the answers are equal.
        member: Whether each record is a member.
        units: Subject of each record, none on both sides; None if every record is its own.

    Returns:
        CONFOUNDED if both sides have the same answers, or if more than 5 % of the nonmembers have a member's beyond
        chance, at `LEVEL`; LIMITED if fewer have.

    Raises:
        InputError: A subject is on both sides.

    Example:
        >>> equal_predictions(np.array([1, 1, 2], dtype=np.uint64), np.array([True, False, True])).message
        '2 of 3 records share their prediction row with another one; 1 of 1 nonmembers share theirs with a member.'
        >>> same = np.tile(np.arange(50, dtype=np.uint64), 2)
        >>> str(equal_predictions(same, np.arange(100) < 50).validity)
        'CONFOUNDED'
    """
    name = "equal_predictions"
    values, value, counts = np.unique(row_hashes, return_inverse=True, return_counts=True)
    inside = np.bincount(value, weights=member, minlength=values.size).astype(np.int64)
    outside = counts - inside
    n_members, n_nonmembers = int(inside.sum()), int(outside.sum())
    n_shared, n_across = int(counts[counts > 1].sum()), int(outside[inside > 0].sum())
    message = (
        f"{n_shared:,} of {row_hashes.size:,} records share their prediction row with another one; "
        f"{n_across:,} of {n_nonmembers:,} nonmembers share theirs with a member"
    )
    cure = "Is one file a copy of the other, in part or as a whole, or were the nonmembers' answers made of members?"
    if np.array_equal(inside, outside) and _chance_of_equal_sides(counts) < _NEVER:
        one = ": each answer occurs equally often on both sides, which are one and the same"
        return judged(name, Validity.CONFOUNDED, message, one, cure)
    distinct = min(np.count_nonzero(inside) / n_members, np.count_nonzero(outside) / n_nonmembers)
    if distinct < _CONTINUOUS or not n_across:
        why = ": the model gives few different answers" if n_across else ""
        return Check(name, Validity.VALID, f"{message}{why}.")
    matched = matches(row_hashes, member, units)
    validity = judge(matched.p_more, LEVEL, matched.beyond_chance, CONFOUNDED_SHARE)
    more = f" to the last bit, more than relabelled sides would give (p = {matched.p_more:.2g}): these are the same "
    return judged(name, validity, message, f"{more}records on both sides", cure)


def _chance_of_equal_sides(counts: Int[np.ndarray, " value"]) -> float:
    """That each value falls on both sides equally often, if sides of one size are dealt at random."""
    from scipy.special import gammaln

    n = np.append(counts, counts.sum())
    log_choose_half = gammaln(n + 1.0) - 2 * gammaln(n / 2.0 + 1.0)
    return float(np.exp(log_choose_half[:-1].sum() - log_choose_half[-1]))

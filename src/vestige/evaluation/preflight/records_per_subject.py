"""Do members have more or fewer records each than nonmembers?"""

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.result import Check, Validity
from vestige.core.seeds import stream
from vestige.evaluation.preflight.mann_whitney import any_difference
from vestige.evaluation.record_numbers import alike_numbers, matched, matched_records
from vestige.evaluation.roc import roc
from vestige.evaluation.units import Units

LEVEL = 0.002
"""Honest random splits flagged at most; shared by two tests."""

N_DRAWS = 4_999
"""Draws of the null, where the approximate p-value is small."""


def records_per_subject(n_records: Int[np.ndarray, " unit"], member: Bool[np.ndarray, " unit"]) -> Check:
    """Compare the numbers of records per person on both sides.

    A two-sided rank test (more or fewer) and Kolmogorov and Smirnov's (any difference), by their approximations; where
    these reject, by relabelling, so that few people with many records are no false alarm.

    Args:
        n_records: Records of each person.
        member: Side of each person.

    Returns:
        LIMITED if a test rejects at its share of `LEVEL`: people are then to be compared at equal numbers of records.
        CONFOUNDED if besides no number occurs on both sides, so that no two people can be compared.

    Example:
        >>> member = np.arange(100) < 50
        >>> str(records_per_subject(np.where(member, 2, 15), member).validity)
        'CONFOUNDED'
        >>> str(records_per_subject(np.arange(100) % 7 + 1, member).validity)
        'VALID'
    """
    name = "records_per_subject"
    curve = roc(n_records[member].astype(np.float64), n_records[~member].astype(np.float64))
    p_value, _, _ = any_difference(curve)
    if p_value < LEVEL:
        p_value = _p_value_by_relabelling(n_records, member)
    message = (
        f"Members have {n_records[member].mean():.1f} records each and nonmembers {n_records[~member].mean():.1f} on "
        f"average; the number of records guesses membership with an AUC of {curve.auc:.3f} (above 0.5: members have "
        f"more; p = {p_value:.2g})"
    )
    if p_value >= LEVEL:
        return Check(name, Validity.VALID, f"{message}.")
    cure = (
        "Bring people with equal numbers of records on both sides, or the same number of records of everybody, drawn "
        "at random."
    )
    chosen = matched(alike_numbers(n_records), member, stream(0, "preflight matched people"))
    n_in, n_out = int(np.count_nonzero(chosen & member)), int(np.count_nonzero(chosen & ~member))
    if not n_in:
        return Check(
            name,
            Validity.CONFOUNDED,
            f"{message}, and no number occurs on both sides: a person's score depends on it, so no difference between "
            "the sides tells anything of the model.",
            cure,
        )
    return Check(
        name,
        Validity.LIMITED,
        f"{message}. Only people with equal numbers were compared, {n_in:,} members and {n_out:,} nonmembers; the "
        f"other {member.size - n_in - n_out:,} were left out.",
        cure,
    )


def _p_value_by_relabelling(n_records: np.ndarray, member: np.ndarray) -> float:
    """The same two statistics against their distributions over relabellings."""
    numbers, code = np.unique(n_records, return_inverse=True)
    everybody, inside = np.bincount(code), np.bincount(code[member], minlength=numbers.size)
    m = int(inside.sum())
    rng = stream(0, "preflight record numbers")
    drawn = rng.multivariate_hypergeometric(everybody, m, size=N_DRAWS, method="marginals")
    seen = _statistics(inside[None], everybody)
    null = _statistics(drawn, everybody)
    # Equal tables must count as equal whatever the order of the sums.
    share = [(1 + np.count_nonzero(n >= s * (1 - 1e-9))) / (1 + N_DRAWS) for s, n in zip(seen, null, strict=True)]
    return float(min(1.0, 2 * min(share)))


def _statistics(
    inside: Int[np.ndarray, "draw number"], everybody: Int[np.ndarray, " number"]
) -> Float[np.ndarray, "statistic draw"]:
    """Distance of the members' mean rank from the middle, and of the distributions from each other."""
    n, m = int(everybody.sum()), int(inside[0].sum())
    ranks = np.cumsum(everybody) - everybody / 2 - n / 2
    below = np.cumsum(inside, axis=1)
    gap = below / m - (np.cumsum(everybody) - below) / (n - m)
    return np.stack([np.abs(inside @ ranks), np.abs(gap).max(axis=1)])


def comparable_people(
    keep: Bool[np.ndarray, " record"], units: Units, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " record"], Units, Check | None]:
    """Leave out people without a counterpart on the other side, if the sides have different numbers of records.

    Args:
        keep: Records that are evaluated so far.
        units: Their units.
        rng: Random stream of the draw.

    Returns:
        Records and units that are evaluated, and what the numbers of records showed; all of them where the numbers
        are alike on both sides, or where no two people could be compared, and no check without subjects.
    """
    if units.of_record is None:
        return keep, units, None
    check = records_per_subject(units.n_records, units.member)
    if check.validity is not Validity.LIMITED:
        return keep, units, check
    chosen = matched_records(units, rng)
    left = keep.copy()
    left[keep] = chosen
    return left, units.restricted(chosen), check


def comparable_rows(rows: np.ndarray, units: Units, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of one group's people who can be compared, by their records of that group; none if nobody can."""
    member = units.member[rows]
    if units.of_record is None or member.all() or not member.any():
        return rows
    n_records = units.n_records[rows]
    if records_per_subject(n_records, member).validity is Validity.VALID:
        return rows
    return np.asarray(rows[matched(n_records, member, rng)])

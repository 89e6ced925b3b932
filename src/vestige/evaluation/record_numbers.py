"""People with different numbers of records: which people may be compared.

The mean of twenty records strays less than that of two, and the largest of twenty is larger: a person's score tells
how many records it was made of, whatever the model knows. Two people are alike where their scores are made of equally
many. Where nearly everybody's number is their own, as with heartbeats, a few records are left out at random so that
enough people have equally many.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.evaluation.units import Units, rank_within

_FEWEST = 20
"""People who share a number, from which on no records are left out to make more."""
_MOST_LEFT_OUT = 0.2
"""Share of a person's records that may be left out."""


def alike_numbers(n_records: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    """How many of each person's records count, so that enough people have equally many.

    Numbers that fewer than 20 people share are lowered to the next smaller one that stays, by a fifth at most. Which
    side a person is on plays no part.

    Example:
        >>> alike_numbers(np.array([1, 2, 10, 11, 12, 13])).tolist()
        [1, 2, 10, 10, 10, 13]
    """
    numbers, code, n_people = np.unique(n_records, return_inverse=True, return_counts=True)
    lowered = numbers.copy()
    together = 0
    for place, (number, people) in enumerate(zip(numbers.tolist(), n_people.tolist(), strict=True)):
        if place and together < _FEWEST and lowered[place - 1] >= (1 - _MOST_LEFT_OUT) * number:
            lowered[place] = lowered[place - 1]
            together += people
        else:
            together = people
    return np.asarray(lowered[code])


def comparable_scores(
    units: Units, scores: Sequence[Float[np.ndarray, " record"]], rng: np.random.Generator
) -> tuple[list[Float[np.ndarray, " unit"]], Int[np.ndarray, " unit"] | None]:
    """Every attack's scores of the units, and the number of records that each unit's are made of.

    Args:
        units: Records or subjects.
        scores: Score of every record, per attack.
        rng: Random stream of what is left out.

    Returns:
        Scores of the units, and the strata within which these are alike but for membership; None if all are.

    Example:
        >>> people = Units(np.array([0, 0, 1]), np.array([True, False]))
        >>> comparable_scores(people, [np.array([1.0, 3.0, 5.0])], np.random.default_rng(0))
        ([array([2., 5.])], array([2, 1]))
    """
    if units.of_record is None:
        return list(scores), None
    wanted = alike_numbers(units.n_records)
    counted = _drawn(units, wanted, rng)
    people = units.restricted(counted)
    return [people.score(values[counted]) for values in scores], None if np.ptp(wanted) == 0 else wanted


def _drawn(units: Units, wanted: Int[np.ndarray, " unit"], rng: np.random.Generator) -> Bool[np.ndarray, " record"]:
    """As many records of each unit as wanted, drawn at random."""
    assert units.of_record is not None
    mixed = rng.permutation(units.of_record.size)
    of_unit = units.of_record[mixed]
    drawn = np.zeros(mixed.size, dtype=bool)
    drawn[mixed] = rank_within(of_unit) < wanted[of_unit]
    return drawn


def matched(
    strata: Int[np.ndarray, " unit"], member: Bool[np.ndarray, " unit"], rng: np.random.Generator
) -> Bool[np.ndarray, " unit"]:
    """Units drawn so that in every stratum there are equally many of both sides, or so many times as many.

    On average over strata, members and nonmembers are then made of equal numbers of records: without a leak no rule
    whatever recognises more of one side than of the other.

    Args:
        strata: Units with the same number are alike but for membership.
        member: Side of each unit.
        rng: Random stream of the draw.

    Returns:
        The units drawn, of all ratios of the sides those that say most; none if no stratum has both sides.

    Example:
        >>> strata, member = np.array([1, 1, 1, 2, 2]), np.array([True, True, False, True, True])
        >>> int(matched(strata, member, np.random.default_rng(0)).sum())
        3
    """
    _, code = np.unique(strata, return_inverse=True)
    n_in = np.bincount(code, weights=member).astype(np.int64)
    n_out = np.bincount(code) - n_in
    # With a and b units on the sides the variance of a comparison goes with 1/a + 1/b.
    ratios = [(a, b) for most in range(1, _most_times(n_in, n_out) + 1) for a, b in ((1, most), (most, 1))]
    blocks = [np.minimum(n_in // a, n_out // b) for a, b in ratios]
    says = [a * b / (a + b) * int(n.sum()) for (a, b), n in zip(ratios, blocks, strict=True)]
    best = int(np.argmax(says))
    drawn = np.zeros(member.size, dtype=bool)
    for side, times in zip((member, ~member), ratios[best], strict=True):
        mixed = rng.permutation(np.flatnonzero(side))
        drawn[mixed[rank_within(code[mixed]) < times * blocks[best][code[mixed]]]] = True
    return drawn


def _most_times(n_in: Int[np.ndarray, " stratum"], n_out: Int[np.ndarray, " stratum"]) -> int:
    """How many times as many of one side there are in a stratum with both, at most; more than ten say no more."""
    both = (n_in > 0) & (n_out > 0)
    if not both.any():
        return 1
    return int(min(10, (np.maximum(n_in, n_out)[both] // np.minimum(n_in, n_out)[both]).max()))


def matched_records(units: Units, rng: np.random.Generator) -> Bool[np.ndarray, " record"]:
    """Records of matched people, of each as many as of those on the other side; none if no people can be matched.

    Example:
        >>> people = Units(np.array([0, 0, 1, 2, 2]), np.array([True, False, False]))
        >>> matched_records(people, np.random.default_rng(0)).tolist()
        [True, True, False, True, True]
    """
    wanted = alike_numbers(units.n_records)
    people = matched(wanted, units.member, rng)
    return np.asarray(_drawn(units, wanted, rng) & units.of(people))

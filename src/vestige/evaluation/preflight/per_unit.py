"""Records and the people behind them: what a check may count, and how many of them it looks at."""

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.evaluation.units import Units


def unit_numbers(units: Int[np.ndarray, " record"] | None, n_records: int) -> Int[np.ndarray, " record"]:
    """Number the units 0..n_units-1 without gaps; every record is its own where `units` is None.

    Example:
        >>> unit_numbers(np.array([7, 3, 7]), 3).tolist(), unit_numbers(None, 3).tolist()
        ([1, 0, 1], [0, 1, 2])
    """
    if units is None:
        return np.arange(n_records)
    return np.unique(units, return_inverse=True)[1]


def unit_means(values: Float[np.ndarray, " record"], number: Int[np.ndarray, " record"]) -> Float[np.ndarray, " unit"]:
    """Mean of each unit's records, by its number; exact where they are all equal, so that ties stay ties.

    Example:
        >>> unit_means(np.array([1.0, 5.0, 3.0]), np.array([0, 1, 0])).tolist()
        [2.0, 5.0]
    """
    return Units(number, np.zeros(int(number.max()) + 1, dtype=bool)).mean(values)


def unit_members(member: Bool[np.ndarray, " record"], number: Int[np.ndarray, " record"]) -> Bool[np.ndarray, " unit"]:
    """Side of each unit.

    Raises:
        InputError: A unit has records on both sides.

    Example:
        >>> unit_members(np.array([True, False, True]), np.array([0, 1, 0])).tolist()
        [True, False]
    """
    inside, size = np.bincount(number, weights=member), np.bincount(number)
    if mixed := int(np.count_nonzero((inside > 0) & (inside < size))):
        raise InputError(
            f"Expected every subject to be a member or a nonmember, found {mixed:,} on both sides; leave them out."
        )
    return inside > 0


def sample_units(
    member: Bool[np.ndarray, " unit"], most: int, rng: np.random.Generator
) -> Int[np.ndarray, " sampled_unit"]:
    """Draw at most `most` units at random, the smaller side as whole as it can be; in rising order.

    Each side is drawn by itself: among the drawn units membership is then as random as it was among all.

    Example:
        >>> member = np.arange(100) < 5
        >>> drawn = sample_units(member, 20, np.random.default_rng(0))
        >>> drawn.size, int(member[drawn].sum())
        (20, 5)
    """
    if member.size <= most:
        return np.arange(member.size)
    sides = [np.flatnonzero(member), np.flatnonzero(~member)]
    quota = [max(most // 2, most - other.size) for other in reversed(sides)]
    drawn = [rng.choice(side, min(side.size, take), replace=False) for side, take in zip(sides, quota, strict=True)]
    return np.sort(np.concatenate(drawn))

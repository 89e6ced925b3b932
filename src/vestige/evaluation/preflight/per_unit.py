"""Records and the people behind them: what a check may count, and how many of them it looks at."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from vestige.core.errors import InputError
from vestige.evaluation.preflight.row_hashes import mix
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


def in_order_of_content(
    content: UInt64[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None,
) -> tuple[Int[np.ndarray, " record"], Int[np.ndarray, " record"]]:
    """Order the records by what they hold, so that nothing that is drawn or fitted depends on the rows of a file.

    Files often have members first. What counts records in their order (a code by first appearance, a draw of the
    n-th record) would read membership off it.

    Args:
        content: A number per record, equal where the records are equal in all that is looked at.
        member: Whether each record is a member.
        units: Subject of each record; None if every record is its own.

    Returns:
        The records' places in that order, and the number of each one's unit, 0..n_units-1, by the same order. Records
        (and units) that are equal in everything stand next to each other, and which is first makes no difference.

    Example:
        >>> order, number = in_order_of_content(np.array([7, 3, 7], np.uint64), np.array([True, True, False]), None)
        >>> order.tolist(), number.tolist()
        ([1, 2, 0], [0, 1, 2])
    """
    if units is None:
        return np.lexsort((member, content)), np.arange(member.size)
    number = unit_numbers(units, member.size)
    whole = np.zeros(int(number.max()) + 1, dtype=np.uint64)
    np.add.at(whole, number, mix(content))
    ranks = np.empty(whole.size, dtype=np.int64)
    ranks[np.lexsort((unit_members(member, number), whole))] = np.arange(whole.size)
    order = np.lexsort((content, ranks[number]))
    return order, ranks[number][order]


def unit_means(values: Float[np.ndarray, " record"], number: Int[np.ndarray, " record"]) -> Float[np.ndarray, " unit"]:
    """Mean of each unit's records, by its number; exact where they are all equal, so that ties stay ties.

    Example:
        >>> unit_means(np.array([1.0, 5.0, 3.0]), np.array([0, 1, 0])).tolist()
        [2.0, 5.0]
    """
    order = np.lexsort((values, number))  # a sum's last digit depends on the order of its terms
    return Units(number[order], np.zeros(int(number.max()) + 1, dtype=bool)).mean(values[order])


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

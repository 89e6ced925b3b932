"""Records or people: what a number counts.

With subjects (a patient with ten rows) the unit of every interval, split and n is the subject, and a subject's score
is made from its records' scores; without, each record is its own unit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.options import SubjectScore


@dataclass(frozen=True, eq=False)
class Units:
    """Which unit each record belongs to, and on which side each unit is.

    Attributes:
        of_record: Number of each record's unit, or None where every record is its own unit.
        member: Side of each unit.
        combine: How a unit's score is made from its records'.
    """

    of_record: Int[np.ndarray, " record"] | None
    member: Bool[np.ndarray, " unit"]
    combine: SubjectScore = SubjectScore.MEAN

    @property
    def name(self) -> Literal["record", "subject"]:
        """What is counted: `record` or `subject`."""
        return "record" if self.of_record is None else "subject"

    @property
    def n_members(self) -> int:
        """Units on the members' side."""
        return int(np.count_nonzero(self.member))

    @property
    def n_nonmembers(self) -> int:
        """Units on the nonmembers' side."""
        return self.member.size - self.n_members

    @property
    def n_records(self) -> Int[np.ndarray, " unit"]:
        """Records of each unit."""
        if self.of_record is None:
            return np.ones(self.member.size, dtype=np.int64)
        return np.bincount(self.of_record, minlength=self.member.size)

    def score(self, scores: Float[np.ndarray, " record"]) -> Float[np.ndarray, " unit"]:
        """One score per unit: the mean (or maximum) over its records."""
        if self.of_record is None:
            return scores
        if self.combine is SubjectScore.MAXIMUM:
            highest = np.full(self.member.size, -np.inf)
            with np.errstate(invalid="ignore"):  # a unit that an attack does not score has no highest score either
                np.maximum.at(highest, self.of_record, scores)
            return highest
        return self.mean(scores)

    def mean(self, values: Float[np.ndarray, " record"]) -> Float[np.ndarray, " unit"]:
        """The mean over each unit's records, exact where they are all equal."""
        if self.of_record is None:
            return values
        first = np.empty(self.member.size)
        first[self.of_record[::-1]] = values[::-1]
        # Adding up equal numbers and dividing can miss them by a rounding; differences from the first cannot.
        of_first = first[self.of_record]
        difference = np.subtract(values, of_first, out=np.zeros(values.size), where=values != of_first)
        counts = np.bincount(self.of_record, minlength=self.member.size)
        with np.errstate(invalid="ignore"):  # an infinite first value and a finite second one
            total = np.bincount(self.of_record, weights=difference, minlength=self.member.size)
            mean = first + total / counts
        if np.isnan(mean).any():
            plain = np.bincount(self.of_record, weights=values, minlength=self.member.size) / counts
            mean = np.where(np.isnan(mean), plain, mean)
        return np.asarray(mean)

    def of(self, unit_values: np.ndarray) -> np.ndarray:
        """Spread one value per unit over its records."""
        return unit_values if self.of_record is None else unit_values[self.of_record]

    def restricted(self, records: Bool[np.ndarray, " record"]) -> "Units":
        """The units of some of the records: a subject then stands with these records alone."""
        if self.of_record is None:
            return Units(None, self.member[records], self.combine)
        kept, of_record = np.unique(self.of_record[records], return_inverse=True)
        return Units(of_record, self.member[kept], self.combine)

    def within(self, codes: Int[np.ndarray, " record"]) -> "tuple[Units, Int[np.ndarray, ' unit']]":
        """Split the units by a grouping of the records: a subject with records in two groups becomes two units.

        Returns:
            The units, each with records of one group only, and each unit's group.
        """
        if self.of_record is None:
            return self, codes
        n_codes = int(codes.max(initial=0)) + 1
        pairs, of_record = np.unique(self.of_record * n_codes + codes, return_inverse=True)
        return Units(of_record, self.member[pairs // n_codes], self.combine), pairs % n_codes


def make_units(
    subjects: np.ndarray | None,
    member: Bool[np.ndarray, " record"],
    combine: SubjectScore = SubjectScore.MEAN,
) -> Units:
    """Number the subjects and find their side; every subject must be on one side only.

    Example:
        >>> units = make_units(np.array(["ann", "ben", "ann"]), np.array([True, False, True]))
        >>> units.score(np.array([1.0, 5.0, 2.0])), units.member
        (array([1.5, 5. ]), array([ True, False]))
    """
    if subjects is None:
        return Units(None, member, combine)
    names, first, of_record = np.unique(subjects, return_index=True, return_inverse=True)
    # Numbered in the order of the records, so that random draws do not depend on the ids of people.
    rank = np.empty(names.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(names.size)
    of_record = rank[of_record]
    unit_member = np.zeros(names.size, dtype=bool)
    unit_member[of_record] = member
    return Units(of_record, unit_member, combine)


def on_both_sides(subjects: np.ndarray, member: Bool[np.ndarray, " record"]) -> Bool[np.ndarray, " record"]:
    """Records of subjects that are members with one record and nonmembers with another.

    Example:
        >>> on_both_sides(np.array([7, 7, 8]), np.array([True, False, True]))
        array([ True,  True, False])
    """
    _, of_record = np.unique(subjects, return_inverse=True)
    n_in = np.bincount(of_record, weights=member)
    n_all = np.bincount(of_record)
    return np.asarray(((n_in > 0) & (n_in < n_all))[of_record])


def halves(units: Units, rng: np.random.Generator) -> Bool[np.ndarray, " unit"]:
    """Split the units at random into two halves, members and nonmembers apart.

    Returns:
        True for the units of the first half.
    """
    first = np.zeros(units.member.size, dtype=bool)
    for side in (True, False):
        members_of_side = np.flatnonzero(units.member == side)
        first[rng.permutation(members_of_side)[: (members_of_side.size + 1) // 2]] = True
    return first


def rows_of_levels(codes: Int[np.ndarray, " unit"], n_levels: int) -> list[np.ndarray]:
    """Row numbers of each level of a grouping, each in rising order; sorts once instead of scanning per level.

    Example:
        >>> [rows.tolist() for rows in rows_of_levels(np.array([1, 0, 1]), 3)]
        [[1], [0, 2], []]
    """
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, n_levels)))


def rank_within(codes: Int[np.ndarray, " entry"]) -> Int[np.ndarray, " entry"]:
    """How many entries with the same number, 0 or more, stand before each entry.

    Example:
        >>> rank_within(np.array([1, 0, 1, 1])).tolist()
        [0, 0, 1, 2]
    """
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    rank = np.empty(codes.size, dtype=np.int64)
    rank[order] = np.arange(codes.size) - starts[codes[order]]
    return rank

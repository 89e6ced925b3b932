"""The papers' splits of their data, for reproduction: training records, attacked records, and the adversary's data.

They are literal: fixed sizes and blocks on data without subjects. Where a paper draws, the functions take `subjects`
as `designs` does. `p1_...` are those of Song & Mittal 2021, `p3_...` of Choquette-Choo et al. 2021, `p4_...` of Watson
et al. 2022; those of Carlini et al. 2022 are in `designs` (`rank_design`, `fixed_size_subsets`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.columns import column
from vestige.core.errors import InputError, refuse_if
from vestige.data.sets.designs import disjoint_pools, units_of

Mask = Bool[np.ndarray, " record"]
Rows = Int[np.ndarray, " _"]  # row numbers, each array with a length of its own


@dataclass(frozen=True, eq=False)
class KnownHalf:
    """Members and nonmembers of one target, the half of each that the adversary knows and the half it attacks."""

    known_members: Rows
    known_nonmembers: Rows
    attacked_members: Rows
    attacked_nonmembers: Rows


@dataclass(frozen=True, eq=False)
class AdvRegSplit:
    """Song & Mittal's split for adversarial regularisation, and for the undefended model it is compared with.

    Attributes:
        members: Rows the target is trained on.
        reference: Nonmembers that the defender trains against.
        evaluation: Nonmembers nobody has trained on; as many of the first as there are members are attacked.
    """

    members: Rows
    reference: Rows
    evaluation: Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class MemGuardSplit:
    """Song & Mittal's split for MemGuard, with a shadow model that is really trained.

    Attributes:
        members: Rows the target is trained on, all attacked.
        defender: Nonmembers that the defender trains its own classifier on; test accuracy is reported on them.
        nonmembers: Nonmembers that are attacked.
        shadow_members: Rows the shadow model is trained on.
        shadow_nonmembers: Rows it is not trained on.
    """

    members: Rows
    defender: Rows
    nonmembers: Rows
    shadow_members: Rows
    shadow_nonmembers: Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceTarget:
    """Sets of Choquette-Choo et al.: the target's two sides, the source model's, and those of a defensive attacker."""

    target_members: Mask
    target_nonmembers: Mask
    source_members: Mask
    source_nonmembers: Mask
    defender: tuple[Mask, ...] = ()


@dataclass(frozen=True, eq=False)
class QuarterSplit:
    """Quarters of the pool (Watson et al.): the public ones are the adversary's, the private ones the target's."""

    public_members: Mask
    public_nonmembers: Mask
    members: Mask
    nonmembers: Mask


@dataclass(frozen=True, eq=False)
class PublicGame:
    """Watson et al.'s game on public records alone, in which a threshold is set: the target has no part in it.

    Attributes:
        members: What the model that plays the target is trained on: the public members.
        nonmembers: Half of the public nonmembers, which nobody is trained on.
        reference: The other half, on which the model is trained that calibrates the played one.
    """

    members: Mask
    nonmembers: Mask
    reference: Mask


class SongMittalData(Enum):
    """Data of Song & Mittal with fixed blocks, and their number of records."""

    LOCATION30 = 5_010
    PURCHASE100 = 197_324
    TEXAS100 = 67_330


# First row and the one after the last, of each attribute of the split, after the permutation.
_ADV_REG = {
    SongMittalData.PURCHASE100: ((0, 19_732), (19_732, 49_331), (78_929, 197_324)),
    SongMittalData.TEXAS100: ((0, 10_000), (10_000, 30_199), (30_199, 67_330)),
}
_MEMGUARD = {
    SongMittalData.LOCATION30: ((0, 1_000), (1_000, 2_000), (2_000, 3_000), (3_000, 3_500), (4_000, 4_500)),
    SongMittalData.TEXAS100: ((0, 10_000), (10_000, 20_000), (20_000, 30_000), (30_000, 35_000), (35_000, 40_000)),
}


def known_half(members: Sequence[int] | Rows, nonmembers: Sequence[int] | Rows, *, seed: int = 100) -> KnownHalf:
    """Split a target's members and nonmembers into those an adversary knows and those it attacks.

    Song & Mittal calls this shadow training; no shadow model is trained, both halves are asked of the target.

    Args:
        members: Row numbers of the members, in the order of the data.
        nonmembers: Row numbers of the nonmembers; only the first are used, as many as there are members.
        seed: Seed of NumPy's old generator; 100 in the published code.

    Returns:
        Row numbers, in the order in which they were drawn.

    Raises:
        InputError: There are fewer nonmembers than members, or fewer than two members.

    Example:
        >>> half = known_half(range(4), range(10, 20))
        >>> sorted([*half.known_nonmembers.tolist(), *half.attacked_nonmembers.tolist()])
        [10, 11, 12, 13]

    Source:
        Song & Mittal 2021, published code for adversarial regularisation.
    """
    inside, outside = np.asarray(members), np.asarray(nonmembers)
    if not 2 <= inside.size <= outside.size:
        raise InputError(
            f"Expected two members or more and at least as many nonmembers, found {inside.size:,} and "
            f"{outside.size:,}; take more nonmembers."
        )
    rng, half = np.random.RandomState(seed), inside.size // 2
    drawn_in, drawn_out = inside[rng.permutation(inside.size)], outside[rng.permutation(inside.size)]
    return KnownHalf(drawn_in[:half], drawn_out[:half], drawn_in[half:], drawn_out[half:])


def song_mittal_adversarial_regularisation(data: SongMittalData, permutation: Rows) -> AdvRegSplit:
    """Return Song & Mittal's split of Purchase100 or Texas100 for adversarial regularisation.

    Args:
        data: Purchase100 or Texas100.
        permutation: All row numbers in random order: the one the authors published, for their numbers; else such as
            `numpy.random.default_rng(seed).permutation(n)`.

    Returns:
        Row numbers of the data as published.

    Raises:
        InputError: The data were not split so, or the permutation is not one of their rows.

    Example:
        >>> split = song_mittal_adversarial_regularisation(SongMittalData.PURCHASE100, np.arange(197_324))
        >>> split.members.size, split.reference.size, int(split.evaluation[0])
        (19732, 29599, 78929)

    Source:
        Song & Mittal 2021, published code: members are the first 10 % (Purchase) or 10,000 (Texas), the reference
        the next 15 % or 30 %, and nonmembers for evaluation come after the members and 30 %. Then `known_half`.
    """
    return AdvRegSplit(*_blocks(data, _ADV_REG, permutation))


def song_mittal_memguard(data: SongMittalData, permutation: Rows) -> MemGuardSplit:
    """Return Song & Mittal's split of Location30 or Texas100 for MemGuard.

    Args:
        data: Location30 or Texas100.
        permutation: As for `song_mittal_adversarial_regularisation`.

    Returns:
        Row numbers of the data as published.

    Raises:
        InputError: As `song_mittal_adversarial_regularisation`.

    Example:
        >>> split = song_mittal_memguard(SongMittalData.LOCATION30, np.arange(5_010))
        >>> [rows.size for rows in (split.members, split.nonmembers, split.shadow_members, split.shadow_nonmembers)]
        [1000, 1000, 500, 500]

    Source:
        Song & Mittal 2021, published code. The paper's test accuracy of Location30 is that on the defender's
        nonmembers, not on the attacked ones.
    """
    names = (entry.name for entry in fields(MemGuardSplit))
    return MemGuardSplit(**dict(zip(names, _blocks(data, _MEMGUARD, permutation), strict=True)))


def choquette_choo_blocks(n_records: int, n: int, *, defender: bool = False) -> SourceTarget:
    """Return Choquette-Choo et al.'s four consecutive blocks of the training images and the test images after them.

    Args:
        n_records: Number of images, in the order in which they are published: shuffled, not by class.
        n: Size of each set.
        defender: Add two blocks of nonmembers, for a defender that trains against an attacker of its own.

    Returns:
        The sets, in the order target, source (, defender).

    Raises:
        InputError: There are not enough records.

    Example:
        >>> choquette_choo_blocks(8, 2).source_members.astype(int)
        array([0, 0, 0, 0, 1, 1, 0, 0])

    Source:
        Choquette-Choo et al. 2021, published code (MNIST, CIFAR-10).
    """
    n_sets = 6 if defender else 4
    if n_sets * n > n_records:
        raise InputError(
            f"Expected {n_sets} disjoint sets of {n:,} of {n_records:,} records, found too few records; take sets of "
            f"{n_records // n_sets:,} at most, or choquette_choo_swapped_blocks."
        )
    target_in, target_out, source_in, source_out, *rest = disjoint_pools([n] * n_sets, n_records, seed=None)
    return SourceTarget(
        target_members=target_in,
        target_nonmembers=target_out,
        source_members=source_in,
        source_nonmembers=source_out,
        defender=tuple(rest),
    )


def choquette_choo_swapped_blocks(n_records: int, n: int) -> SourceTarget:
    """Return two consecutive blocks: the source model trains on the target's nonmembers, the target on the source's.

    Args:
        n_records: Number of images.
        n: Size of each set.

    Returns:
        The sets.

    Raises:
        InputError: There are not enough records.

    Example:
        >>> sets = choquette_choo_swapped_blocks(4, 2)
        >>> bool((sets.source_members == sets.target_nonmembers).all())
        True

    Source:
        Choquette-Choo et al. 2021 (CIFAR-100, n = 30,000 of 60,000 images, which do not allow four sets).
    """
    first, second = disjoint_pools([n, n], n_records, seed=None)
    return SourceTarget(target_members=first, target_nonmembers=second, source_members=second, source_nonmembers=first)


def choquette_choo_tabular(n_records: int, n: int, *, seed: int, subjects: Any = None) -> SourceTarget:
    """Draw Choquette-Choo et al.'s four sets of a table.

    Args:
        n_records: Number of records.
        n: Size of the target's training set (with `subjects`, in subjects). The other sets are as large, or a third
            of what remains if that is less.
        seed: Seed of the draw.
        subjects: Whose record each is.

    Returns:
        The sets.

    Raises:
        InputError: Nothing remains for the other sets.

    Example:
        >>> sets = choquette_choo_tabular(5_010, 1_600, seed=0)
        >>> int(sets.target_members.sum()), int(sets.source_members.sum())
        (1600, 1136)

    Source:
        Choquette-Choo et al. 2021. With Location30 and n = 1,600 the published code runs out of records and leaves
        the source's sets short or empty; here the remaining 3,410 are shared evenly.
    """
    rest = max((units_of(n_records, subjects).n - n) // 3, 1)
    pools = disjoint_pools([n, *[min(n, rest)] * 3], n_records, seed=seed, subjects=subjects)
    return SourceTarget(**dict(zip((entry.name for entry in fields(SourceTarget)), pools, strict=False)))


def watson_quarters(n_pool: int, *, seed: int, subjects: Any = None) -> QuarterSplit:
    """Draw Watson et al.'s four equal parts of the training pool.

    Args:
        n_pool: Records of the pool, the first ones of the data: CIFAR 50,000, MNIST 60,000, Adult 32,561, German
            credit 800, hepatitis 124. What comes after them is for test accuracy alone.
        seed: One for each trial; the paper has five, each with new splits and new training.
        subjects: Whose record each is; quarters are then quarters of the subjects.

    Returns:
        The quarters; up to three records that are left over are in none.

    Raises:
        InputError: The pool has fewer than four records or subjects.

    Example:
        >>> split = watson_quarters(124, seed=0)
        >>> int(split.members.sum()), int(split.public_members.sum())
        (31, 31)

    Source:
        Watson et al. 2022, section 4.1 and published code.
    """
    quarter = units_of(n_pool, subjects).n // 4
    return QuarterSplit(*disjoint_pools([quarter] * 4, n_pool, seed=seed, subjects=subjects))


def watson_public_game(split: QuarterSplit, *, seed: int, subjects: Any = None) -> PublicGame:
    """Divide Watson et al.'s public quarters for the game in which the threshold is set.

    A reference that was trained on the public nonmembers would have seen the simulated ones, and calibrate them as it
    never calibrates a private record; so they are halved, and the reference has one half.

    Args:
        split: The quarters.
        seed: Of the draw.
        subjects: Whose record each of the pool is; halves are then halves of the subjects.

    Raises:
        InputError: There are fewer than two public nonmembers, or subjects of them.

    Example:
        >>> game = watson_public_game(watson_quarters(800, seed=0), seed=0)
        >>> int(game.members.sum()), int(game.nonmembers.sum()), int(game.reference.sum())
        (200, 100, 100)

    Source:
        Watson et al. 2022, section 4.1: the public set is halved, one half plays the members. Ours: which model
        calibrates that game, of which the paper says nothing.
    """
    rows = np.flatnonzero(split.public_nonmembers)
    mine = None if subjects is None else column(subjects, "subjects", split.members.size, "the design")[rows]
    half = units_of(rows.size, mine).n // 2
    reference = np.zeros(split.members.size, dtype=bool)
    reference[rows[disjoint_pools([half], rows.size, seed=seed, subjects=mine)[0]]] = True
    return PublicGame(split.public_members, split.public_nonmembers & ~reference, reference)


def _blocks(
    data: SongMittalData, blocks: Mapping[SongMittalData, Sequence[tuple[int, int]]], permutation: Rows
) -> Iterator[np.ndarray]:
    rows = np.asarray(permutation)
    refuse_if(
        (
            data not in blocks,
            f"Expected {' or '.join(known.name for known in blocks)} for this split, found {data.name}; Song & Mittal "
            "2021 have no such split of it.",
        ),
        (
            not np.array_equal(np.sort(rows), np.arange(data.value)),
            f"Expected a permutation of the {data.value:,} rows of {data.name}, found {rows.size:,} entries that are "
            "none; give every row number once, counted from 0.",
        ),
    )
    return (rows[first:stop] for first, stop in blocks[data])

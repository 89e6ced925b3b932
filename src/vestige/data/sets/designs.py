"""Membership designs: which record is in the training set of which model, so that only a leak can tell members apart.

Every function is pure and seeded. With `subjects` the unit that is drawn is the subject, whole: all records of a
person are on the same side in every model, and counts of members are counts of subjects.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.columns import column
from vestige.core.errors import InputError, refuse_if
from vestige.core.seeds import stream

Design = Bool[np.ndarray, "model record"]


def complementary_pairs(n_models: int, n_records: int, *, seed: int, subjects: Any = None) -> Design:
    """Draw pairs of training sets that share no record and hold all of them together: the default design.

    Row 2i holds a random half of the records (of n, n // 2) and row 2i + 1 the others, so every record is in exactly
    half of the models. Leave out a target together with its `partner`, and every record is in exactly half of the
    models that remain, whether the target was trained on it or not: nothing but the models' behaviour can tell.

    Args:
        n_models: Number of models, even.
        n_records: Number of records.
        seed: Row 2i depends on the seed and on i alone: more models leave the earlier rows as they are.
        subjects: Whose record each is; halves are then halves of the subjects.

    Returns:
        True where a model is trained on a record.

    Raises:
        InputError: `n_models` is odd, or there are fewer than two records or subjects.

    Example:
        >>> pairs = complementary_pairs(4, 6, seed=0)
        >>> pairs.sum(axis=0).tolist(), pairs.sum(axis=1).tolist()
        ([2, 2, 2, 2, 2, 2], [3, 3, 3, 3])
        >>> bool((complementary_pairs(8, 6, seed=0)[:4] == pairs).all())
        True
    """
    _at_least(n_models, 2, "models")
    if n_models % 2:
        raise InputError(
            f"Expected an even number of models for complementary pairs, found {n_models}; "
            f"take {n_models - 1} or {n_models + 1}."
        )
    units = units_of(n_records, subjects)
    _at_least(units.n, 2, units.name)
    streams = stream(_checked(seed), "complementary pairs").spawn(n_models // 2)
    design = np.empty((n_models, n_records), dtype=bool)
    design[0::2] = [_subset(rng, units.n, units.n // 2)[units.of_record] for rng in streams]
    design[1::2] = ~design[0::2]
    return design


def balanced_groups(n_models: int, n_records: int, *, share: Fraction, seed: int, subjects: Any = None) -> Design:
    """Draw groups of training sets in which every record is equally often: `complementary_pairs` for any share.

    For a share of p/q a group is q models. The records are dealt into q parts at random, and each model of the group
    is trained on p parts in a row, so every record is in exactly p of q models. Leave out a target's whole group, and
    every record is in exactly that share of the models that remain, whether the target was trained on it or not.

    Args:
        n_models: Number of models, a multiple of q. Models `q i` to `q i + q - 1` are a group.
        n_records: Number of records.
        share: Of the records that a model is trained on, in lowest terms p/q.
        seed: A group depends on the seed and on its number alone: more models leave the earlier rows as they are.
        subjects: Whose record each is; parts are then parts of the subjects.

    Returns:
        True where a model is trained on a record.

    Raises:
        InputError: `n_models` is no multiple of q, the share is not between 0 and 1, or there are fewer than q records
            or subjects.

    Example:
        >>> groups = balanced_groups(6, 12, share=Fraction(5, 6), seed=0)
        >>> groups.sum(axis=0).tolist() == [5] * 12, groups.sum(axis=1).tolist()
        (True, [10, 10, 10, 10, 10, 10])

    Source:
        Carlini et al. 2022, figure 12, for 5/6; they draw each training set on its own (`fixed_size_subsets`).
    """
    if not 0 < share < 1:
        raise InputError(f"Expected a share between 0 and 1, found {share}; take 1/2.")
    if share == Fraction(1, 2):
        return complementary_pairs(n_models, n_records, seed=seed, subjects=subjects)
    p, q = share.numerator, share.denominator
    _at_least(n_models, q, "models")
    if n_models % q:
        raise InputError(
            f"Expected a multiple of {q} models for a share of {share}, found {n_models}; take {n_models // q * q} or "
            f"{(n_models // q + 1) * q}."
        )
    units = units_of(n_records, subjects)
    _at_least(units.n, q, units.name)
    design = np.empty((n_models, n_records), dtype=bool)
    for group, rng in enumerate(stream(_checked(seed), "balanced groups").spawn(n_models // q)):
        part = np.empty(units.n, dtype=np.int64)
        part[rng.permutation(units.n)] = np.arange(units.n) * q // units.n  # parts that differ by a unit at most
        for i in range(q):
            design[q * group + i] = (((part - i) % q) < p)[units.of_record]
    return design


def partner(model: int) -> int:
    """Return the model whose training set holds what this one's does not, in `complementary_pairs`.

    Example:
        >>> partner(4), partner(5)
        (5, 4)
    """
    return model ^ 1


def fixed_size_subsets(
    n_models: int,
    n_records: int,
    *,
    seed: int,
    n_members: int | None = None,
    fraction: float | None = None,
    subjects: Any = None,
) -> Design:
    """Draw training sets of one size, each independently of the others.

    Args:
        n_models: Number of models.
        n_records: Number of records.
        seed: Row i depends on the seed and on i alone: more models leave the earlier rows as they are.
        n_members: Records (with `subjects`: subjects) in every training set.
        fraction: The same as a fraction, rounded to whole units. Give one of the two.
        subjects: Whose record each is.

    Returns:
        True where a model is trained on a record.

    Raises:
        InputError: Both sizes are given or none, or a training set would be empty or hold everybody.

    Example:
        >>> fixed_size_subsets(3, 60, fraction=5 / 6, seed=0).sum(axis=1).tolist()
        [50, 50, 50]

    Source:
        Carlini et al. 2022, attack on pretrained models (figure 12): 256 models on 50,000 of 60,000 records each.
    """
    _at_least(n_models, 1, "models")
    units = units_of(n_records, subjects)
    size = n_members if n_members is not None else round((fraction or 0) * units.n)
    refuse_if(
        (
            (n_members is None) == (fraction is None),
            "Expected one of n_members and fraction, found both or none; give the size in one way.",
        ),
        (
            fraction is not None and not 0 < fraction < 1,
            f"Expected a fraction between 0 and 1, found {fraction}; take 0.5 for half of the records.",
        ),
        (
            not 0 < size < units.n,
            f"Expected training sets of 1 to {units.n - 1:,} of {units.n:,} {units.name}, found {size:,}; someone must "
            "be in and someone out.",
        ),
    )
    streams = stream(_checked(seed), "fixed-size subsets").spawn(n_models)
    return np.array([_subset(rng, units.n, size)[units.of_record] for rng in streams])


def rank_design(n_models: int, n_records: int, *, fraction: float = 0.5, seed: int = 0, subjects: Any = None) -> Design:
    """Draw Carlini et al.'s design, for reproduction only; `complementary_pairs` for everything else.

    Every record is in exactly `floor(fraction n_models)` models. **Leaving one model out tilts the null**: a member
    of the target is then in one model fewer than a nonmember. Under no leak, the AUC of LiRA was .43 at 8 models and
    .49 at 16, and a score that counts models reaches 1. More models also redraw every row.

    Args:
        n_models: Number of models.
        n_records: Number of records.
        fraction: Share of the models that a record is in.
        seed: Seed of NumPy's old generator, as in the authors' code, so that the design is theirs bit for bit.
        subjects: Whose record each is.

    Returns:
        True where a model is trained on a record.

    Raises:
        InputError: A record would be in no model or in all.

    Example:
        >>> rank_design(4, 6).sum(axis=0).tolist()
        [2, 2, 2, 2, 2, 2]

    Source:
        Carlini et al. 2022, their published code. It sorts uniform draws per record and compares the sorting order
        itself, not the ranks, with `fraction n_models`; either way exactly that many models hold a record. For 16
        models of 50,000 records and seed 0 the training sets have 24,820 to 25,233 records.
    """
    _at_least(n_models, 2, "models")
    units = units_of(n_records, subjects)
    n_holding = math.floor(fraction * n_models) if 0 < fraction < 1 else 0
    if n_holding == 0:
        raise InputError(
            f"Expected a fraction that puts every record in 1 to {n_models - 1} of {n_models} models, "
            f"found {fraction:g}; take 0.5."
        )
    order = np.random.RandomState(_checked(seed)).uniform(size=(n_models, units.n)).argsort(axis=0)
    return (order < n_holding)[:, units.of_record]


def disjoint_pools(sizes: Sequence[int], n_records: int, *, seed: int | None, subjects: Any = None) -> Design:
    """Cut pools of the given sizes that share no record, such as one per shadow model.

    Args:
        sizes: Records (with `subjects`: subjects) in each pool. What is left over is in none.
        n_records: Number of records.
        seed: Seed of the order in which records are dealt out; None: the order they stand in, for data that are
            shuffled already. Of data sorted by class, consecutive pools hold different classes.
        subjects: Whose record each is; in order, a subject stands where its first record does.

    Returns:
        True where a pool holds a record.

    Raises:
        InputError: A pool is empty, or together they need more than there is.

    Example:
        >>> disjoint_pools([2, 1], 4, seed=None).astype(int)
        array([[1, 1, 0, 0],
               [0, 0, 1, 0]])
    """
    units = units_of(n_records, subjects)
    _at_least(len(sizes), 1, "pools")
    for size in sizes:
        _at_least(size, 1, f"{units.name} in every pool")
    if sum(sizes) > units.n:
        raise InputError(
            f"Expected disjoint pools of at most {units.n:,} {units.name} in all, found sizes that sum up to "
            f"{sum(sizes):,}; take smaller pools."
        )
    order = units.in_order if seed is None else stream(_checked(seed), "disjoint pools").permutation(units.n)
    pool_of_unit = np.full(units.n, -1)
    pool_of_unit[order[: sum(sizes)]] = np.repeat(np.arange(len(sizes)), sizes)
    pools: Design = pool_of_unit[units.of_record] == np.arange(len(sizes))[:, None]
    return pools


@dataclass(frozen=True)
class Units:
    """What is drawn, records or subjects: how many, which of them each record is, and all by their first records."""

    name: str
    n: int
    of_record: Int[np.ndarray, " record"]
    in_order: Int[np.ndarray, " unit"]


def units_of(n_records: int, subjects: Any) -> Units:
    """Return the records, or the subjects if there are any, as what is drawn.

    Raises:
        InputError: There are no records, or not as many subjects' entries.
    """
    _at_least(n_records, 1, "records")
    if subjects is None:
        rows = np.arange(n_records)
        return Units("records", n_records, rows, rows)
    whose = column(subjects, "subjects", n_records, "the design")
    distinct, first, of_record = np.unique(whose, return_index=True, return_inverse=True)
    return Units("subjects", distinct.size, of_record, np.argsort(first))


def _subset(rng: np.random.Generator, n_units: int, size: int) -> Bool[np.ndarray, " unit"]:
    chosen = np.zeros(n_units, dtype=bool)
    chosen[rng.permutation(n_units)[:size]] = True
    return chosen


def _at_least(found: int, least: int, what: str) -> None:
    if found < least:
        raise InputError(f"Expected {least} or more {what}, found {found}; a design needs that many.")


def _checked(seed: int) -> int:
    if seed < 0:
        raise InputError(f"Expected 0 or more as seed, found {seed}; take any such number.")
    return seed

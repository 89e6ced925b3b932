"""Designs: exact halves, rows that stay when models are added, nobody split, and a null that stays one."""

import hashlib
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.refusals import refused

from vestige.core.errors import InputError
from vestige.data.sets.designs import (
    balanced_groups,
    complementary_pairs,
    disjoint_pools,
    fixed_size_subsets,
    partner,
    rank_design,
)


def drawn(n_models, n_records, seed=0, subjects=None):
    """One design of every kind that draws."""
    return {
        "pairs": complementary_pairs(n_models, n_records, seed=seed, subjects=subjects),
        "subsets": fixed_size_subsets(n_models, n_records, fraction=0.5, seed=seed, subjects=subjects),
        "ranks": rank_design(n_models, n_records, seed=seed, subjects=subjects),
        "pools": disjoint_pools([1, 2], n_records, seed=seed, subjects=subjects),
    }


@given(pairs=st.integers(1, 8), n=st.integers(2, 60), seed=st.integers(0, 2**40))
def test_every_record_is_in_half_of_the_pairs_and_every_pair_holds_all(pairs, n, seed):
    design = complementary_pairs(2 * pairs, n, seed=seed)
    assert design.shape == (2 * pairs, n)
    assert design.dtype == bool
    assert (design.sum(axis=0) == pairs).all()
    assert (design[0::2].sum(axis=1) == n // 2).all()
    np.testing.assert_array_equal(design[1::2], ~design[0::2])


@given(few=st.integers(1, 5), more=st.integers(0, 20), n=st.integers(2, 40), seed=st.integers(0, 2**40))
def test_more_models_leave_the_rows_there_are_bit_for_bit(few, more, n, seed):
    small, large = (complementary_pairs(2 * k, n, seed=seed) for k in (few, few + more))
    np.testing.assert_array_equal(large[: 2 * few], small)
    small, large = (fixed_size_subsets(k, n, n_members=1, seed=seed) for k in (few, few + more))
    np.testing.assert_array_equal(large[:few], small)


@given(
    whose=st.lists(st.sampled_from("abcdefg"), min_size=6, max_size=60).filter(lambda names: len(set(names)) > 3),
    n_models=st.sampled_from([2, 4, 10]),
    seed=st.integers(0, 1000),
)
def test_no_design_ever_splits_a_subject(whose, n_models, seed):
    subjects = np.array(whose)
    n_subjects = len(set(whose))
    for kind, design in drawn(n_models, subjects.size, seed, subjects).items():
        by_subject = np.array([design[:, subjects == name].mean(axis=1) for name in sorted(set(whose))])
        assert np.isin(by_subject, (0, 1)).all(), kind
        if kind == "pairs":
            assert (by_subject[:, 0::2].sum(axis=0) == n_subjects // 2).all()
            assert (design.sum(axis=0) == n_models // 2).all()
        if kind == "subsets":
            assert (by_subject.sum(axis=0) == round(n_subjects / 2)).all()
        if kind == "pools":
            assert by_subject.sum(axis=0).tolist() == [1, 2]


def test_a_subject_is_drawn_as_one_whatever_holds_the_names_and_in_whatever_order():
    names = np.array(["x", "y", "x", "z", "w", "y"])
    design = complementary_pairs(4, 6, seed=3, subjects=names)
    np.testing.assert_array_equal(complementary_pairs(4, 6, seed=3, subjects=pd.Series(names)), design)
    order = np.array([5, 2, 0, 1, 4, 3])
    np.testing.assert_array_equal(complementary_pairs(4, 6, seed=3, subjects=names[order]), design[:, order])
    every_record_its_own = complementary_pairs(4, 6, seed=3, subjects=np.arange(6))
    np.testing.assert_array_equal(every_record_its_own, complementary_pairs(4, 6, seed=3))


def test_the_seed_alone_decides():
    for kind, design in drawn(6, 50, seed=1).items():
        np.testing.assert_array_equal(drawn(6, 50, seed=1)[kind], design)
        assert (drawn(6, 50, seed=2)[kind] != design).any(), kind
    streams = [complementary_pairs(2, 64, seed=0)[0], fixed_size_subsets(1, 64, n_members=32, seed=0)[0]]
    assert (streams[0] != streams[1]).any()


def test_a_bank_of_trained_models_outlives_releases_only_while_the_draws_stay():
    """A changed digest means that every bank out there is retrained: a change of its own, to be announced."""
    digests = {
        kind: hashlib.sha256(np.packbits(design).tobytes()).hexdigest()[:16]
        for kind, design in drawn(8, 1_000, seed=7).items()
    }
    assert digests == GOLDEN


GOLDEN = {
    "pairs": "c077c2296d36991b",
    "subsets": "1390c81e1d1245e0",
    "ranks": "ea209263c8f2ac83",
    "pools": "5331ed4fd432d8e4",
}


def test_halves_are_uniform():
    """Every record is in a half as often as any other, and any two are together as often as chance says."""
    first = complementary_pairs(8_000, 6, seed=5)[0::2].astype(float)
    assert np.abs(first.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(4_000)
    together = (first.T @ first / 4_000)[np.triu_indices(6, 1)]
    assert np.abs(together - 0.2).max() < 4 * np.sqrt(0.2 * 0.8 / 4_000)  # 3 of 6: (1/2)(2/5)


def auc_of_counts(design, left_out):
    """AUC, membership of the target against the number of remaining models a record is in, over all targets."""
    aucs = []
    for target in range(len(design)):
        kept = np.delete(design, left_out(target), axis=0).sum(axis=0)
        inside, outside = kept[design[target]], kept[~design[target]]
        wins = (inside[:, None] < outside[None, :]) + 0.5 * (inside[:, None] == outside[None, :])
        aucs.append(wins.mean())
    return np.array(aucs)


def test_with_the_partner_left_out_a_count_of_models_says_nothing():
    design = complementary_pairs(8, 300, seed=1)
    for target in range(8):
        kept = np.delete(design, [target, partner(target)], axis=0)
        assert (kept.sum(axis=0) == 3).all()
    assert (auc_of_counts(design, lambda t: [t, partner(t)]) == 0.5).all()


def test_with_one_model_left_out_of_ranks_or_pairs_a_count_says_all():
    assert (auc_of_counts(rank_design(8, 300, seed=1), lambda t: [t]) == 1).all()
    assert (auc_of_counts(complementary_pairs(8, 300, seed=1), lambda t: [t]) == 1).all()


def test_the_rank_design_is_the_published_one():
    """Specification 2.7.2, measured on the authors' code: 16 models of 50,000 records, seed 0."""
    design = rank_design(16, 50_000)
    assert (design.sum(axis=0) == 8).all()
    assert (design.sum(axis=1).min(), design.sum(axis=1).max()) == (24_820, 25_233)
    assert (rank_design(9, 50, fraction=0.4).sum(axis=0) == 3).all()  # floor(3.6)


def test_five_sixths_of_the_pool():
    design = fixed_size_subsets(6, 60_000, fraction=5 / 6, seed=0)
    assert (design.sum(axis=1) == 50_000).all()
    assert abs(design.sum(axis=0).mean() - 5) < 1e-9
    np.testing.assert_array_equal(design, fixed_size_subsets(6, 60_000, n_members=50_000, seed=0))


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), spare=st.integers(0, 5), seed=st.integers(0, 99))
def test_pools_are_disjoint_and_of_their_size(sizes, spare, seed):
    n = sum(sizes) + spare
    for how in (seed, None):
        pools = disjoint_pools(sizes, n, seed=how)
        assert pools.sum(axis=1).tolist() == sizes
        assert pools.sum(axis=0).max() <= 1
    np.testing.assert_array_equal(np.argmax(pools[:, : sum(sizes)], axis=0), np.repeat(range(len(sizes)), sizes))


def test_consecutive_pools_of_subjects_go_by_their_first_record():
    pools = disjoint_pools([1, 2], 6, seed=None, subjects=["z", "a", "z", "m", "a", "b"])
    assert pools.astype(int).tolist() == [[1, 0, 1, 0, 0, 0], [0, 1, 0, 1, 1, 0]]


@pytest.mark.parametrize(
    ("call", "essentials"),
    [
        (lambda: complementary_pairs(5, 10, seed=0), ("even number", "found 5", "take 4 or 6")),
        (lambda: complementary_pairs(0, 10, seed=0), ("2 or more models", "found 0")),
        (lambda: complementary_pairs(2, 1, seed=0), ("2 or more records", "found 1")),
        (lambda: complementary_pairs(2, 3, seed=0, subjects=["a"] * 3), ("2 or more subjects", "found 1")),
        (lambda: complementary_pairs(2, 3, seed=0, subjects=["a", "b"]), ("subjects", "found 2 for 3 rows")),
        (lambda: complementary_pairs(2, 3, seed=0, subjects=["a", None, "b"]), ("subjects", "row 2")),
        (lambda: complementary_pairs(2, 3, seed=-1), ("0 or more as seed", "found -1")),
        (lambda: fixed_size_subsets(2, 10, seed=0), ("one of n_members and fraction",)),
        (lambda: fixed_size_subsets(2, 10, seed=0, n_members=3, fraction=0.3), ("one of n_members and fraction",)),
        (lambda: fixed_size_subsets(2, 10, seed=0, n_members=10), ("1 to 9 of 10 records", "found 10")),
        (lambda: fixed_size_subsets(2, 10, seed=0, fraction=1.5), ("fraction between 0 and 1", "found 1.5")),
        (lambda: fixed_size_subsets(2, 10, seed=0, fraction=0.01), ("1 to 9 of 10 records", "found 0")),
        (lambda: rank_design(4, 10, fraction=0.2), ("1 to 3 of 4 models", "found 0.2")),
        (lambda: rank_design(4, 10, fraction=1.0), ("1 to 3 of 4 models", "found 1")),
        (lambda: rank_design(4, 10, seed=-3), ("seed", "found -3")),
        (lambda: disjoint_pools([3, 8], 10, seed=0), ("at most 10 records", "found sizes that sum up to 11")),
        (lambda: disjoint_pools([3, 0], 10, seed=0), ("1 or more records in every pool", "found 0")),
        (lambda: disjoint_pools([], 10, seed=0), ("1 or more pools",)),
    ],
)
def test_what_no_design_can_be(call, essentials):
    refused(call, *essentials)


@pytest.mark.parametrize("share", [Fraction(5, 6), Fraction(1, 2), Fraction(2, 5), Fraction(1, 3)], ids=str)
@pytest.mark.parametrize("n", [20, 61])
def test_in_every_group_every_record_is_equally_often(share, n):
    p, q = share.numerator, share.denominator
    subjects = np.arange(n) % (n - 7)  # some have two records
    found = balanced_groups(3 * q, n, share=share, seed=4, subjects=subjects)
    assert (found.reshape(3, q, n).sum(axis=1) == p).all()
    sizes = [np.unique(subjects[row]).size for row in found]
    assert max(sizes) - min(sizes) <= max(p, 1)
    assert all(set(subjects[row]).isdisjoint(subjects[~row]) for row in found)
    np.testing.assert_array_equal(balanced_groups(q, n, share=share, seed=4, subjects=subjects), found[:q])
    assert not np.array_equal(found[:q], found[q : 2 * q])


def test_half_of_the_records_are_complementary_pairs():
    pairs = complementary_pairs(6, 21, seed=3)
    np.testing.assert_array_equal(balanced_groups(6, 21, share=Fraction(1, 2), seed=3), pairs)


@pytest.mark.parametrize(
    ("n_models", "n", "share", "said"),
    [
        (8, 20, Fraction(5, 6), "multiple of 6 models for a share of 5/6, found 8; take 6 or 12"),
        (0, 20, Fraction(5, 6), "6 or more models, found 0"),
        (6, 5, Fraction(5, 6), "6 or more records, found 5"),
        (6, 20, Fraction(3, 2), "share between 0 and 1, found 3/2"),
    ],
)
def test_groups_that_cannot_be_balanced_are_refused(n_models, n, share, said):
    with pytest.raises(InputError, match=said):
        balanced_groups(n_models, n, share=share, seed=0)

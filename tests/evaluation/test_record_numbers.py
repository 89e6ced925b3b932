"""Whom a person may be compared with: equal numbers of records, whatever the sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vestige.core.options import SubjectScore
from vestige.evaluation.record_numbers import alike_numbers, comparable_scores, matched, matched_records
from vestige.evaluation.units import make_units

COUNTS = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(COUNTS)
def test_at_most_a_fifth_of_a_persons_records_is_left_out(counts):
    counts = np.array(counts)
    alike = alike_numbers(counts)
    assert (alike >= 0.8 * counts).all()
    assert (alike <= counts).all()
    assert np.isin(alike, counts).all()
    order = np.argsort(counts, kind="stable")
    assert (np.diff(alike[order]) >= 0).all()
    assert (np.array([alike_numbers(counts[order])]) == alike[order]).all()  # the order of people plays no part


def test_numbers_that_many_people_share_stay():
    counts = np.repeat(np.arange(1, 30), 20)
    assert (alike_numbers(counts) == counts).all()
    rare = np.arange(100, 300)
    assert np.unique(alike_numbers(rare)).size < 12


@given(COUNTS, st.integers(0, 2**32))
def test_on_matched_people_the_number_of_records_says_nothing(counts, seed):
    rng = np.random.default_rng(seed)
    counts = np.array(counts) % 7
    member = rng.random(counts.size) < 0.7
    chosen = matched(counts, member, rng)
    n_in, n_out = (np.bincount(counts[chosen & side], minlength=7) for side in (member, ~member))
    assert (n_in * n_out.sum() == n_out * n_in.sum()).all()  # one ratio in all strata
    possible = np.minimum(*(np.bincount(counts[side], minlength=7) for side in (member, ~member))).sum()
    assert min(n_in.sum(), n_out.sum()) > 0 or possible == 0
    if possible:  # no worse than pairs
        assert 1 / n_in.sum() + 1 / n_out.sum() <= 2 / possible + 1e-12


def test_where_one_side_is_larger_all_of_it_can_be_used():
    counts, member = np.tile([1, 2, 3], 40), np.repeat([True, False, False, False], 30)
    assert matched(counts, member, np.random.default_rng(0)).all()


def test_every_matched_person_stands_with_equally_many_records():
    rng = np.random.default_rng(1)
    counts = rng.integers(40, 90, size=60)
    subjects = rng.permutation(np.repeat(np.arange(60), counts))
    units = make_units(subjects, subjects % 2 == 0)
    chosen = matched_records(units, rng)
    left = units.restricted(chosen)
    n_in, n_out = (np.sort(left.n_records[left.member == side]) for side in (True, False))
    np.testing.assert_array_equal(n_in, n_out)
    assert n_in.size > 20


@pytest.mark.parametrize("combine", list(SubjectScore))
def test_comparable_scores_are_made_of_the_number_that_is_said(combine):
    rng = np.random.default_rng(2)
    counts = rng.integers(30, 60, size=50)
    subjects = rng.permutation(np.repeat(np.arange(50), counts))
    units = make_units(subjects, subjects < 25, combine)
    ones, scores = np.ones(subjects.size), rng.normal(size=subjects.size)
    (alike, same), strata = comparable_scores(units, [scores, ones], rng)
    assert strata is not None
    assert alike.shape == same.shape == strata.shape == units.member.shape
    whole = np.max if combine is SubjectScore.MAXIMUM else np.mean
    names = list(dict.fromkeys(subjects.tolist()))
    untouched = strata == units.n_records
    expected = np.array([whole(scores[subjects == s]) for s in names])
    np.testing.assert_allclose(alike[untouched], expected[untouched], rtol=1e-12)
    assert (alike[~untouched] != expected[~untouched]).any()


def test_equal_numbers_and_records_have_no_strata():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=60)
    for units in (make_units(None, scores > 0), make_units(np.arange(60) // 3, np.arange(60) < 30)):
        (found,), strata = comparable_scores(units, [scores], rng)
        assert strata is None
        np.testing.assert_array_equal(found, units.score(scores))

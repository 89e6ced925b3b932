"""Records and people: a subject of one record is a record, and no subject is ever taken apart."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.core.options import SubjectScore
from vestige.evaluation.units import Units, halves, make_units, on_both_sides, rows_of_levels

COMBINE = pytest.mark.parametrize("combine", list(SubjectScore))


def people(rng, n_subjects=20, n_records=80):
    """Subjects (shuffled names), their sides and a class per record."""
    of = np.concatenate([np.arange(n_subjects), rng.integers(n_subjects, size=n_records - n_subjects)])
    side = rng.permutation(n_subjects) < n_subjects // 2
    names = np.array([f"p{i}" for i in rng.permutation(n_subjects)])
    order = rng.permutation(n_records)
    return names[of][order], side[of][order], rng.integers(4, size=n_records)


@COMBINE
def test_subjects_of_one_record_are_records(combine):
    rng = np.random.default_rng(0)
    scores, member, codes = rng.normal(size=30), rng.random(30) < 0.5, rng.integers(3, size=30)
    subjects = np.arange(30)
    plain, named = make_units(None, member, combine), make_units(subjects, member, combine)
    assert (plain.name, named.name) == ("record", "subject")
    assert (
        (plain.n_members, plain.n_nonmembers)
        == (named.n_members, named.n_nonmembers)
        == (member.sum(), (~member).sum())
    )
    for values in (scores, scores.astype(np.float64) * 1e300):
        np.testing.assert_array_equal(named.score(values), plain.score(values))
        np.testing.assert_array_equal(named.mean(values), plain.mean(values))
    np.testing.assert_array_equal(named.of(scores), plain.of(scores))
    np.testing.assert_array_equal(named.member, plain.member)
    kept = scores > 0
    np.testing.assert_array_equal(named.restricted(kept).member, plain.restricted(kept).member)
    np.testing.assert_array_equal(
        named.restricted(kept).score(scores[kept]), plain.restricted(kept).score(scores[kept])
    )
    apart, level = named.within(codes)
    same, same_level = plain.within(codes)
    np.testing.assert_array_equal(apart.score(scores), same.score(scores))
    np.testing.assert_array_equal(level, same_level)
    np.testing.assert_array_equal(halves(named, np.random.default_rng(5)), halves(plain, np.random.default_rng(5)))


@COMBINE
def test_a_subjects_score_by_brute_force(combine):
    rng = np.random.default_rng(1)
    subjects, member, _ = people(rng)
    scores = rng.normal(size=subjects.size)
    units = make_units(subjects, member, combine)
    whole: Callable[[np.ndarray], float] = np.mean if combine is SubjectScore.MEAN else np.max
    names = list(dict.fromkeys(subjects.tolist()))  # in the order of the records
    np.testing.assert_allclose(units.score(scores), [whole(scores[subjects == s]) for s in names], rtol=1e-13)
    np.testing.assert_allclose(units.mean(scores), [np.mean(scores[subjects == s]) for s in names], rtol=1e-13)
    np.testing.assert_array_equal(units.member, [member[subjects == s][0] for s in names])
    np.testing.assert_array_equal(units.of(units.member), member)


@settings(deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False), n=st.integers(1, 40))
def test_the_mean_of_equal_numbers_is_that_number(value, n):
    units = make_units(np.zeros(n, dtype=int), np.ones(n, dtype=bool))
    assert units.mean(np.full(n, value)).tolist() == [value]


def test_a_sum_divided_would_miss_it():
    assert sum([0.1] * 6) / 6 != 0.1
    assert make_units(np.zeros(6, dtype=int), np.ones(6, dtype=bool)).score(np.full(6, 0.1)).tolist() == [0.1]


@pytest.mark.parametrize("values", [[np.inf, 1.0], [-np.inf, 1.0], [np.inf, np.inf]])
def test_the_mean_with_an_infinity_is_infinite_whatever_the_order(values):
    units = make_units(np.zeros(2, dtype=int), np.ones(2, dtype=bool))
    assert units.mean(np.array(values[::-1])).tolist() == [values[0]]
    assert units.mean(np.array(values)).tolist() == [values[0]]


@COMBINE
def test_restricted_units_stand_with_their_kept_records_alone(combine):
    rng = np.random.default_rng(2)
    subjects, member, _ = people(rng)
    scores, kept = rng.normal(size=subjects.size), rng.random(subjects.size) < 0.4
    units, anew = make_units(subjects, member, combine), make_units(subjects[kept], member[kept], combine)
    part = units.restricted(kept)
    assert part.combine is combine
    assert (part.n_members, part.n_nonmembers) == (anew.n_members, anew.n_nonmembers)
    np.testing.assert_array_equal(part.of(part.score(scores[kept])), anew.of(anew.score(scores[kept])))
    np.testing.assert_array_equal(part.of(part.member), member[kept])


def test_what_people_are_called_changes_nothing():
    subjects, member, _ = people(np.random.default_rng(6))
    units = make_units(subjects, member)
    for called in (np.array([s[::-1] for s in subjects]), np.unique(subjects, return_inverse=True)[1]):
        other = make_units(called, member)
        np.testing.assert_array_equal(other.of(np.arange(20)), units.of(np.arange(20)))
        np.testing.assert_array_equal(other.member, units.member)


@COMBINE
def test_within_a_grouping_a_subject_stands_once_per_group(combine):
    rng = np.random.default_rng(3)
    subjects, member, codes = people(rng)
    scores = rng.normal(size=subjects.size)
    units, levels = make_units(subjects, member, combine).within(codes)
    assert units.combine is combine
    found = units.score(scores)
    for code in range(4):
        rows = codes == code
        anew = make_units(subjects[rows], member[rows], combine)
        np.testing.assert_allclose(np.sort(found[levels == code]), np.sort(anew.score(scores[rows])), rtol=1e-13)
        assert units.member[levels == code].sum() == anew.n_members
    np.testing.assert_array_equal(units.of(levels), codes)
    np.testing.assert_array_equal(units.of(units.member), member)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_on_both_sides_by_brute_force(rows):
    subjects, member = np.array([s for s, _ in rows]), np.array([m for _, m in rows])
    sides = {s: {m for t, m in rows if t == s} for s, _ in rows}
    assert on_both_sides(subjects, member).tolist() == [len(sides[s]) == 2 for s, _ in rows]


@given(member=st.lists(st.booleans(), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_halves_are_disjoint_and_keep_the_sides_apart(member, seed):
    units = Units(None, np.array(member))
    first = halves(units, np.random.default_rng(seed))
    for side in (True, False):
        of_side = units.member == side
        assert (first & of_side).sum() - (~first & of_side).sum() in (0, 1)


def test_halves_are_drawn_at_random_and_never_split_a_subject():
    rng = np.random.default_rng(4)
    subjects, member, _ = people(rng, n_subjects=40, n_records=200)
    units = make_units(subjects, member)
    draws = np.array([halves(units, np.random.default_rng(seed)) for seed in range(400)])
    share = draws.mean(axis=0)  # every unit is in the first half half of the time
    assert np.abs(share - 0.5).max() < 4.5 * 0.5 / np.sqrt(400)
    in_first = np.asarray(units.of(draws[0]))
    assert not set(subjects[in_first]) & set(subjects[~in_first])


@given(st.lists(st.integers(0, 6), max_size=40))
def test_rows_of_levels_by_brute_force(codes):
    expected = [[i for i, c in enumerate(codes) if c == level] for level in range(7)]
    assert [rows.tolist() for rows in rows_of_levels(np.array(codes, dtype=np.int64), 7)] == expected

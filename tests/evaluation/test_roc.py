"""The one ROC routine, against brute force and by hand."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vestige.core.errors import InputError
from vestige.evaluation.roc import Roc, allowed_false_positives, best_point, expected_fpr, point_at_fpr, roc

FEW_VALUES = st.sampled_from([-np.inf, -1.0, 0.0, 0.25, 1.0, 2.0, np.inf])
ANY_VALUES = st.floats(allow_nan=False) | FEW_VALUES
SCORES = st.lists(FEW_VALUES | ANY_VALUES, min_size=1, max_size=25).map(np.array)


def points(curve: Roc) -> list[tuple[float, int, int]]:
    return list(
        zip(curve.thresholds.tolist(), curve.true_positives.tolist(), curve.false_positives.tolist(), strict=True)
    )


@settings(deadline=None, max_examples=300)
@given(members=SCORES, nonmembers=SCORES)
def test_every_point_and_the_area_by_brute_force(members, nonmembers):
    curve = roc(members, nonmembers)
    expected = [(np.inf, 0, 0)]
    for t in sorted({*members, *nonmembers}, reverse=True):
        expected.append((t, sum(m >= t for m in members), sum(n >= t for n in nonmembers)))
    assert points(curve) == expected
    wins = sum((m > n) + (m == n) / 2 for m, n in product(members, nonmembers))
    assert curve.auc == wins / (members.size * nonmembers.size)
    assert (curve.n_members, curve.n_nonmembers) == (members.size, nonmembers.size)


def test_the_area_is_scikit_learns():
    rng = np.random.default_rng(0)
    for decimals in (0, 1, 15):
        members, nonmembers = rng.normal(0.5, size=300).round(decimals), rng.normal(size=200).round(decimals)
        truth = np.repeat([1, 0], [300, 200])
        expected = roc_auc_score(truth, np.concatenate([members, nonmembers]))
        assert roc(members, nonmembers).auc == pytest.approx(expected, rel=1e-12)


@settings(deadline=None)
@given(
    members=st.lists(st.integers(-9, 9), min_size=1, max_size=25),
    nonmembers=st.lists(st.integers(-9, 9), min_size=1, max_size=25),
    seed=st.integers(0, 99),
)
def test_neither_order_nor_an_increasing_transform_changes_a_count(members, nonmembers, seed):
    rng = np.random.default_rng(seed)
    m, n = np.array(members, dtype=float), np.array(nonmembers, dtype=float)
    curve, other = roc(m, n), roc(np.exp(rng.permutation(m)) - 5, np.exp(rng.permutation(n)) - 5)
    assert other.true_positives.tolist() == curve.true_positives.tolist()
    assert other.false_positives.tolist() == curve.false_positives.tolist()
    assert (other.auc, best_point(other)) == (curve.auc, best_point(curve))
    np.testing.assert_array_equal(other.auc_variance, curve.auc_variance)
    for fpr in (0.0, 0.01, 0.1, 0.3, 1.0):
        assert point_at_fpr(other, fpr) == point_at_fpr(curve, fpr)


def test_all_scores_equal_is_the_diagonal():
    curve = roc(np.full(3, 0.5), np.full(2, 0.5))
    assert points(curve) == [(np.inf, 0, 0), (0.5, 3, 2)]
    assert curve.auc == 0.5
    assert curve.tpr[point_at_fpr(curve, 0.9)] == 0.0


def test_infinite_scores_are_called_by_no_threshold_above_them():
    curve = roc(np.array([np.inf, -np.inf]), np.array([np.inf, 0.0]))
    assert points(curve) == [(np.inf, 0, 0), (np.inf, 1, 1), (0.0, 1, 2), (-np.inf, 2, 2)]
    assert curve.tpr[point_at_fpr(curve, 0.49)] == 0.0


# By hand: 10 nonmembers 0..9, members on the half steps and one tied with nonmember 8.
HAND = roc(np.array([9.5, 8.5, 8.0, 7.5, 0.5]), np.arange(10.0))


@pytest.mark.parametrize(
    ("fpr", "tpr", "false_positives"),
    [
        (0.0, 0.2, 0),  # 9.5 stands above every nonmember
        (0.05, 0.2, 0),
        (0.1, 0.4, 1),  # nonmember 9 may be accused: 9.5 and 8.5; a tenth of ten is one, not less
        (0.15, 0.4, 1),  # no interpolation
        (0.2, 0.8, 2),  # nonmember 8 too: the member tied to it comes along, and 7.5 stands above nonmember 7
        (0.3, 0.8, 3),
        (0.8, 0.8, 8),
        (0.9, 1.0, 9),  # 0.5 stands between nonmembers 1 and 0
        (1.0, 1.0, 10),
    ],
)
def test_tpr_at_fpr_by_hand(fpr, tpr, false_positives):
    point = point_at_fpr(HAND, fpr)
    assert HAND.tpr[point] == tpr
    assert HAND.false_positives[point] == false_positives


@settings(deadline=None)
@given(members=SCORES, nonmembers=SCORES, fpr=st.integers(0, 1000))
def test_the_point_at_an_fpr_is_the_last_that_keeps_it(members, nonmembers, fpr):
    curve = roc(members, nonmembers)
    rates = [Fraction(int(f), nonmembers.size) for f in curve.false_positives]
    expected = max(i for i, rate in enumerate(rates) if rate <= Fraction(fpr, 1000))
    assert point_at_fpr(curve, fpr / 1000) == expected


@pytest.mark.parametrize("one_in", [10, 100, 1000, 10_000])
def test_allowed_false_positives_are_whole_number_division(one_in):
    rng = np.random.default_rng(one_in)
    wholes = one_in * rng.integers(1, 1_000_000 // one_in + 1, size=2000)
    for n in {*range(1, 1500), *wholes, *(wholes - 1), *(wholes + 1), 1_000_000}:
        assert allowed_false_positives(1 / one_in, int(n)) == n // one_in


def test_the_products_rounding_does_not_matter():
    assert allowed_false_positives(0.1, 30) == 3
    assert 0.07 * 100 > 7
    assert allowed_false_positives(0.07, 100) == 7
    assert 0.29 * 100 < 29
    assert allowed_false_positives(0.29, 100) == 29


@settings(deadline=None)
@given(members=SCORES, nonmembers=SCORES)
def test_the_best_point_is_the_best(members, nonmembers):
    curve = roc(members, nonmembers)
    gaps = [Fraction(t, members.size) - Fraction(f, nonmembers.size) for _, t, f in points(curve)]
    assert gaps[best_point(curve)] == max(gaps)


@pytest.mark.parametrize("members", [np.array([]), np.array([1.0, np.nan])])
def test_an_empty_side_and_nan_are_refused(members):
    with pytest.raises(InputError, match=r"at least one member score, found none|numbers as scores, found NaN"):
        roc(members, np.array([0.0]))
    with pytest.raises(InputError, match=r"at least one nonmember score, found none|found NaN"):
        roc(np.array([0.0]), members)


def placements(members: np.ndarray, nonmembers: np.ndarray) -> float:
    """DeLong's variance, pair by pair."""
    psi = [[(m > n) + (m == n) / 2 for n in nonmembers] for m in members]
    of_members, of_nonmembers = np.mean(psi, axis=1), np.mean(psi, axis=0)
    return float(np.var(of_members, ddof=1) / members.size + np.var(of_nonmembers, ddof=1) / nonmembers.size)


@settings(deadline=None)
@given(
    members=st.lists(FEW_VALUES, min_size=2, max_size=25).map(np.array),
    nonmembers=st.lists(FEW_VALUES, min_size=2, max_size=25).map(np.array),
)
def test_delong_variance_pair_by_pair(members, nonmembers):
    assert roc(members, nonmembers).auc_variance == pytest.approx(placements(members, nonmembers), abs=1e-14)


def test_delong_variance_without_ties():
    rng = np.random.default_rng(1)
    members, nonmembers = rng.normal(1, size=40), rng.normal(size=60)
    assert roc(members, nonmembers).auc_variance == pytest.approx(placements(members, nonmembers), rel=1e-12)


def test_a_single_unit_has_no_variance():
    assert np.isnan(roc(np.array([1.0]), np.array([0.0, 2.0])).auc_variance)


@pytest.mark.parametrize(("n", "fpr"), [(150, 0.1), (100, 0.1), (1000, 0.01)])
def test_the_true_rate_of_the_point_averages_what_is_said(n, fpr):
    rng, true = np.random.default_rng(0), []
    for _ in range(2000):
        nonmembers = rng.random(n)  # the true rate above t is 1 - t
        curve = roc(np.array([2.0, *rng.random(2000)]), nonmembers)
        true.append(1 - curve.thresholds[point_at_fpr(curve, fpr)])
    assert np.mean(true) == pytest.approx(expected_fpr(fpr, n), abs=4 * np.std(true) / np.sqrt(2000) + 1e-3)
    assert expected_fpr(fpr, n) > fpr

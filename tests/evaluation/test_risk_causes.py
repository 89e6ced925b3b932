"""Correlations agree with SciPy's, class tables with a loop, and a plane is the same in whatever order records come."""

import math

import numpy as np
import pytest
from scipy import stats

from vestige.evaluation.risk_causes import (
    ClassRisks,
    class_risks,
    drawn_of_each,
    extreme_classes,
    pearson,
    plane_of,
    rank_correlation,
    sensitivity,
)


def related(n, seed=0):
    x = np.random.default_rng(seed).normal(size=n)
    return x, x + np.random.default_rng(seed + 1).normal(size=n)


def test_pearson_and_its_interval_are_scipys():
    x, y = related(40)
    found, expected = pearson(x, y), stats.pearsonr(x, y)
    assert found.value == pytest.approx(expected.statistic)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.n == 40


def test_ranks_are_scipys_with_ties_and_gaps():
    x, y = related(50)
    x, y = np.round(x, 1), np.round(y, 1)
    x[3] = y[7] = np.nan
    known = ~(np.isnan(x) | np.isnan(y))
    found = rank_correlation(x, y)
    assert found.value == pytest.approx(stats.spearmanr(x[known], y[known]).statistic)
    assert found.n == 48
    assert found.interval.lower < found.value < found.interval.upper
    assert rank_correlation(np.exp(x), y**3) == pytest.approx(found)  # ranks alone
    assert rank_correlation(x[::-1], y[::-1]) == pytest.approx(found)


def test_intervals_cover_in_ninety_five_of_a_hundred():
    """r = 0.6 of the normal pairs; its ranks have (6 / pi) asin(0.3)."""
    rng, inside = np.random.default_rng(0), np.zeros(2)
    truths = 0.6, 6 / math.pi * math.asin(0.3)
    for _ in range(1000):
        x = rng.normal(size=30)
        y = 0.6 * x + 0.8 * rng.normal(size=30)
        for i, found in enumerate((pearson(x, y), rank_correlation(x, y))):
            inside[i] += found.interval.lower <= truths[i] <= found.interval.upper
    assert (inside > 930).all()
    assert (inside < 975).all()


def test_what_cannot_be_correlated_is_nan_and_what_is_exact_is_exact():
    assert math.isnan(pearson(np.ones(9), np.arange(9.0)).value)
    assert math.isnan(pearson(np.arange(3.0), np.arange(3.0)).value)
    found = pearson(np.arange(9.0), -2 * np.arange(9.0))
    assert (found.value, found.interval) == (-1, (-1, -1))


def test_sensitivity_is_clamped_on_both_sides():
    m = np.array([0.0, 1e-12, 1e-10, 1e-3, 2.0])
    found = np.stack([sensitivity(np.full(5, one), m) for one in m])
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, -found.T)
    assert not found[:3, :3].any()
    assert found[4, 3] == pytest.approx(math.log(2000))


def test_classes_are_a_loop_over_classes_in_any_order():
    rng = np.random.default_rng(0)
    labels, member, right, risk = rng.integers(0, 4, 200), rng.random(200) < 0.5, rng.random(200) < 0.7, rng.random(200)
    member[labels == 3] = True
    found = class_risks(labels, member, right, risk, 5)
    for c in range(4):
        own = labels == c
        assert found.n_members[c] == (own & member).sum()
        assert found.training_accuracy[c] == pytest.approx(right[own & member].mean())
        assert found.mean_risk[c] == pytest.approx(risk[own & member].mean())
        if c < 3:
            assert found.generalisation_error[c] == pytest.approx(
                right[own & member].mean() - right[own & ~member].mean()
            )
    assert np.isnan(found.generalisation_error[3:]).all()
    assert found.correlation.n == 3
    order = rng.permutation(200)
    again = class_risks(labels[order], member[order], right[order], risk[order], 5)
    np.testing.assert_allclose(again.mean_risk, found.mean_risk)


def classes(n_members, risk):
    n = np.asarray(n_members)
    zero = np.zeros(n.size)
    risk = np.asarray(risk, dtype=float)
    return ClassRisks(n_members=n, n_nonmembers=n, training_accuracy=zero, test_accuracy=zero, mean_risk=risk)


def test_small_classes_are_in_the_picture_only_where_large_ones_are_too_few():
    low, high = extreme_classes(classes([150] * 10 + [50] * 4, np.arange(14)))
    assert (low.tolist(), high.tolist()) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    low, high = extreme_classes(classes([150] * 9 + [50, 19], np.arange(11)))
    assert (low.tolist(), high.tolist()) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    low, high = extreme_classes(classes([50, 50, 50], [2, 1, 3]))
    assert (low.tolist(), high.tolist()) == ([1], [2])
    assert not extreme_classes(classes([50, 10], [1, 2]))[0].size


def test_a_plane_keeps_groups_apart_and_knows_no_order():
    rng = np.random.default_rng(0)
    group = np.arange(60) % 3
    features = (20 * np.eye(3)[group] + rng.normal(size=(60, 3))).astype(np.float32)
    placed = plane_of(features, 0)
    centres = np.stack([placed[group == g].mean(axis=0) for g in range(3)])
    nearest = ((placed[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, group)
    order = rng.permutation(60)
    np.testing.assert_array_equal(plane_of(features[order], 0), placed[order])


def test_few_of_each_kind_are_drawn_the_same_in_any_order():
    rng = np.random.default_rng(0)
    features, kind = rng.normal(size=(700, 2)), np.repeat([0, 1, 2], [500, 150, 50])
    drawn = drawn_of_each(features, kind, np.random.default_rng(1))
    assert np.bincount(kind[drawn]).tolist() == [200, 150, 50]
    order = rng.permutation(700)
    again = drawn_of_each(features[order], kind[order], np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(order[again]), drawn)

"""RMIA against the comparison of every record with every point, ties included, and its laws."""

from decimal import Decimal, localcontext
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import spearmanr
from tests.attacks.observed import referred

from vestige.attacks.base_score import base_score_online
from vestige.attacks.rmia import _log_mean_guessed, rmia_offline, rmia_online
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


def naive(phi, shadow_phi, population_phi, population_shadow_phi, gamma, a=None, is_in=None, population_is_in=None):
    """Every record with every point, in probabilities."""

    def ratios(own, shadows, trained):
        found = []
        for j in range(len(own)):
            others = [expit(shadows[k, j]) for k in range(len(shadows)) if trained is None or not trained[k, j]]
            mean = sum(others) / len(others)
            found.append(expit(own[j]) / (mean if a is None else ((1 + a) * mean + (1 - a)) / 2))
        return found

    of_points = ratios(population_phi, population_shadow_phi, population_is_in)
    scores = []
    for ratio in ratios(phi, shadow_phi, is_in):
        scores.append(sum(ratio / of_point > gamma for of_point in of_points) / len(of_points))
    return np.array(scores)


def drawn(n, n_points, seed, *, leak=1.0, scale=1.0):
    """Records and points with their shadow models' answers; the points' models are as random as the records'."""
    rng = np.random.default_rng(seed)
    phi, shadow_phi, is_in, member = referred(n, leak, rng, scale=scale)
    points, of_points, points_in, was_in = referred(2 * n_points, leak, rng, scale=scale)
    return (phi, shadow_phi, is_in), (points[~was_in], of_points[:, ~was_in], points_in[:, ~was_in]), member


def online(records, points, **options):
    return rmia_online(*records[:2], *points[:2], **options)


def offline(records, points, **options):
    return rmia_offline(*records, *points, **options)


BOTH = pytest.mark.parametrize("attack", [online, offline])


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.7])
def test_scores_equal_every_pair_compared(gamma):
    records, points, _ = drawn(60, 40, 0)
    answers = (records[0], records[1], points[0], points[1])
    np.testing.assert_array_equal(online(records, points, gamma=gamma), naive(*answers, gamma))
    for a in (0.0, 0.3, 1.0):
        twin = naive(*answers, gamma, a, records[2], points[2])
        np.testing.assert_array_equal(offline(records, points, a=a, gamma=gamma), twin)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), n_points=st.integers(1, 12))
def test_ties_count_for_nothing_as_in_the_comparison_of_every_pair(seed, n, n_points):
    """Few values and one model: equal pairs of answers are equal ratios to the last digit."""
    rng = np.random.default_rng(seed)
    levels = np.array([-1.5, 0.0, 2.0])
    phi, shadow_phi = rng.choice(levels, n), rng.choice(levels, (1, n))
    points, of_points = rng.choice(levels, n_points), rng.choice(levels, (1, n_points))
    np.testing.assert_array_equal(
        rmia_online(phi, shadow_phi, points, of_points), naive(phi, shadow_phi, points, of_points, 1.0)
    )
    nobody, nobody_else = np.zeros((1, n), dtype=bool), np.zeros((1, n_points), dtype=bool)
    found = rmia_offline(phi, shadow_phi, nobody, points, of_points, nobody_else, a=0.3)
    np.testing.assert_array_equal(found, naive(phi, shadow_phi, points, of_points, 1.0, 0.3, nobody, nobody_else))


def test_a_tie_with_a_point_is_no_victory():
    answers = np.array([[1.0, 1.0, 1.0]])
    assert rmia_online(np.array([0.0]), answers[:, :1], np.array([-1.0, 0.0, 1.0]), answers).tolist() == [1 / 3]


def test_online_scores_never_fall_where_base_rises():
    """RMIA is BASE, counted off against the population."""
    records, points, _ = drawn(300, 500, 1)
    base = base_score_online(*records[:2])
    assert (np.diff(online(records, points)[np.argsort(base)]) >= 0).all()
    assert spearmanr(base, online(records, points)).statistic > 0.999


@BOTH
def test_a_larger_gamma_never_raises_a_score(attack):
    records, points, _ = drawn(80, 50, 2)
    scores = [attack(records, points, gamma=gamma) for gamma in (0.1, 0.5, 1.0, 1.1, 2.0, 10.0, np.inf)]
    assert (np.diff(scores, axis=0) <= 0).all()
    assert np.ptp(scores[2]) > 0.5
    assert not scores[-1].any()


def test_models_that_all_equal_the_target_tell_nothing():
    rng = np.random.default_rng(3)
    phi, points = rng.normal(scale=5, size=40), rng.normal(scale=5, size=30)
    for gamma, expected in ((0.9, 1.0), (1.0, 0.0), (1.1, 0.0)):
        scores = rmia_online(phi, np.tile(phi, (7, 1)), points, np.tile(points, (7, 1)), gamma=gamma)
        assert (scores == expected).all()
    assert roc(scores[:20], scores[20:]).auc == 0.5


def test_with_a_of_1_the_mean_is_that_of_the_out_models_alone():
    records, points, _ = drawn(50, 30, 4)
    out = (~records[2]).astype(float)
    mean = (out * expit(records[1])).sum(axis=0) / out.sum(axis=0)
    of_points = (~points[2] * expit(points[1])).sum(axis=0) / (~points[2]).sum(axis=0)
    pairs = (expit(records[0]) / mean)[:, None] / (expit(points[0]) / of_points) > 1
    np.testing.assert_array_equal(offline(records, points, a=1.0), pairs.mean(axis=1))


@pytest.mark.parametrize("a", [0.0, 0.3, 0.999999, 1.0])
@pytest.mark.parametrize("value", [-2000.0, -800.0, -1.01, -1.0, -0.99, -0.2, -1e-9, -1e-30, 0.0])
def test_the_offline_mean_is_exact_from_certainly_wrong_to_certainly_right(a, value):
    with localcontext() as context:
        context.prec = 1000
        mean = ((1 + Decimal(a)) * Decimal(value).exp() + 1 - Decimal(a)) / 2
        expected = float(mean.ln())
    assert _log_mean_guessed(np.array([value]), a)[0] == pytest.approx(expected, rel=1e-13, abs=0)


def test_near_certainty_surer_answers_still_score_higher():
    phi, shadow_phi = np.arange(40.0, 70.0), np.full((3, 30), 38.0)
    assert (np.diff(rmia_online(phi, shadow_phi, phi - 0.5, shadow_phi)) > 0).all()
    nobody = np.zeros((3, 30), dtype=bool)
    assert (np.diff(rmia_offline(phi, shadow_phi, nobody, phi - 0.5, shadow_phi, nobody)) > 0).all()


@BOTH
def test_a_planted_leak_points_at_the_members(attack):
    records, points, member = drawn(4000, 1000, 5)
    scores = attack(records, points)
    assert roc(scores[member], scores[~member]).auc > 0.55


@BOTH
def test_without_a_leak_it_is_at_chance(attack):
    aucs = []
    for seed in range(40):
        records, points, member = drawn(1000, 200, seed, leak=0.0)
        scores = attack(records, points)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * sqrt(1001 / (12 * 500 * 500) / len(aucs))


@BOTH
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 1.0]), n=st.integers(1, 25))
def test_the_order_of_records_models_and_points_does_not_matter(attack, seed, scale, n):
    records, points, _ = drawn(n, 20, seed, scale=scale)
    rng = np.random.default_rng(seed)
    order, models, others = rng.permutation(n), rng.permutation(16), rng.permutation(len(points[0]))
    scores = attack(records, points)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()
    moved = attack((records[0][order], records[1][:, order], records[2][:, order]), points)
    np.testing.assert_array_equal(moved, scores[order])
    moved = attack(records, (points[0][others], points[1][:, others], points[2][:, others]))
    np.testing.assert_array_equal(moved, scores)
    moved = attack(
        (records[0], records[1][models], records[2][models]), (points[0], points[1][models], points[2][models])
    )
    np.testing.assert_array_equal(moved, scores)


@BOTH
@pytest.mark.parametrize("gamma", [0.0, -1.0, np.nan])
def test_gamma_is_above_0(attack, gamma):
    records, points, _ = drawn(5, 5, 0)
    with pytest.raises(InputError, match=r"Expected gamma above 0, found (0|-1|nan); 1 is a usual value\."):
        attack(records, points, gamma=gamma)


@pytest.mark.parametrize("a", [-0.1, 1.1, np.nan])
def test_a_lies_between_0_and_1(a):
    records, points, _ = drawn(5, 5, 0)
    with pytest.raises(InputError, match="Expected a from 0 to 1, found"):
        offline(records, points, a=a)


@BOTH
def test_without_a_population_there_is_nothing_to_compare_with(attack):
    records, points, _ = drawn(5, 5, 0)
    with pytest.raises(InputError, match="Expected at least 1 point of the population, found none"):
        attack(records, tuple(part[..., :0] for part in points))


def test_points_and_records_need_an_out_model():
    records, points, _ = drawn(5, 5, 0)
    points[2][:, 1] = True
    with pytest.raises(InputError, match="found none for record 2; train more models"):
        offline(records, points)


@BOTH
@pytest.mark.parametrize("part", [0, 1])
def test_phi_is_finite(attack, part):
    records, points, _ = drawn(5, 5, 0)
    points[part][..., 1] = np.inf
    with pytest.raises(InputError, match="Expected finite phi"):
        attack(records, points)

"""Attack-P against its double loop, the loss attack's ranking, and the meaning of its threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.attacks.attack_p import attack_p
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 20), n_points=st.integers(1, 20), discrete=st.booleans())
def test_scores_equal_the_double_loop_with_and_without_ties(seed, n, n_points, discrete):
    rng = np.random.default_rng(seed)
    losses, points = rng.exponential(size=n), rng.exponential(size=n_points)
    if discrete:
        losses, points = np.floor(losses), np.floor(points)
    scores = attack_p(losses, points)
    assert scores.tolist() == [sum(point >= loss for point in points) / n_points for loss in losses]
    assert scores.dtype == np.float64
    records, others = rng.permutation(n), rng.permutation(n_points)
    np.testing.assert_array_equal(attack_p(losses[records], points[others]), scores[records])


def test_a_tie_counts():
    points = np.array([1.0, 2.0, 2.0, np.inf])
    assert attack_p(np.array([0.5, 1.0, 1.5, 2.0, 3.0, np.inf]), points).tolist() == [1, 1, 0.75, 0.75, 0.25, 0.25]


def test_with_a_large_population_it_ranks_as_the_loss_does():
    rng = np.random.default_rng(0)
    losses = np.sort(rng.exponential(size=200))
    assert (np.diff(attack_p(losses, rng.exponential(size=10_000))) <= 0).all()


def test_a_score_is_1_less_the_false_positive_rate_at_its_threshold():
    """Of nonmembers, a share of 5% scores above 0.95, whatever their losses look like."""
    rng = np.random.default_rng(1)
    scores = attack_p(rng.exponential(size=20_000) ** 3, rng.exponential(size=20_000) ** 3)
    assert abs((scores > 0.95).mean() - 0.05) < 4 * np.sqrt(2 * 0.05 * 0.95 / 20_000)


def test_a_planted_leak_points_at_the_members_and_none_at_nobody():
    rng = np.random.default_rng(2)
    member, losses, points = np.arange(4000) < 2000, rng.exponential(size=4000), rng.exponential(size=500)
    scores = attack_p(losses, points)
    assert abs(roc(scores[member], scores[~member]).auc - 0.5) < 3 * np.sqrt(4001 / (12 * 2000 * 2000))
    scores = attack_p(np.where(member, losses / 2, losses), points)
    assert roc(scores[member], scores[~member]).auc > 0.6


def test_float32_losses_meet_a_float64_population():
    losses = np.array([0.1, 0.2], dtype=np.float32)
    assert attack_p(losses, losses.astype(np.float64)).tolist() == [1, 0.5]


def test_nan_or_no_population_is_refused():
    with pytest.raises(InputError, match="Expected at least 1 point of the population, found none"):
        attack_p(np.zeros(2), np.zeros(0))
    for losses, points in (([np.nan], [1.0]), ([1.0], [np.nan])):
        with pytest.raises(InputError, match="Expected losses of the records and of the population, found NaN"):
            attack_p(np.array(losses), np.array(points))

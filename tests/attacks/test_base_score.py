"""BASE against its double loop, the loss attack at one end of its scale, and the null."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.observed import referred

from vestige.attacks._log_means import log_confidence
from vestige.attacks.base_score import base_score_offline, base_score_online
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


def sigmoid(value):
    return 1 / (1 + exp(-value))


def naive(phi, shadow_phi, is_in, scale):
    """Record by record, model by model, with probabilities."""
    scores = []
    for j in range(len(phi)):
        used = [sigmoid(shadow_phi[k, j]) for k in range(len(shadow_phi)) if is_in is None or not is_in[k, j]]
        scores.append(log(sigmoid(phi[j])) - scale * log(sum(used) / len(used)))
    return np.array(scores)


def both(phi, shadow_phi, is_in):
    return base_score_online(phi, shadow_phi), base_score_offline(phi, shadow_phi, is_in)


@pytest.mark.parametrize("scale", [0.0, 0.33, 1.0])
def test_scores_equal_the_double_loop(scale):
    phi, shadow_phi, is_in, _ = referred(60, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(base_score_online(phi, shadow_phi), naive(phi, shadow_phi, None, 1.0), atol=1e-10)
    found = base_score_offline(phi, shadow_phi, is_in, scale=scale)
    np.testing.assert_allclose(found, naive(phi, shadow_phi, is_in, scale), atol=1e-10)


def test_the_default_scale_is_the_published_one():
    phi, shadow_phi, is_in, _ = referred(10, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(
        base_score_offline(phi, shadow_phi, is_in), base_score_offline(phi, shadow_phi, is_in, scale=0.33)
    )


def test_without_a_share_of_the_models_it_is_the_loss_attack():
    phi, shadow_phi, is_in, _ = referred(50, 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(base_score_offline(phi, shadow_phi, is_in, scale=0.0), log_confidence(phi))


def test_models_that_all_equal_the_target_tell_nothing():
    phi = np.random.default_rng(2).normal(scale=30, size=40)
    shadow_phi, is_in = np.tile(phi, (7, 1)), np.zeros((7, 40), dtype=bool)
    assert not base_score_online(phi, shadow_phi).any()
    assert not base_score_offline(phi, shadow_phi, is_in, scale=1.0).any()


def test_near_certainty_surer_answers_still_score_higher():
    phi = np.arange(40.0, 70.0)
    scores = base_score_online(phi, np.full((4, phi.size), 38.0))
    assert (np.diff(scores) > 0).all()


def test_a_planted_leak_points_at_the_members():
    phi, shadow_phi, is_in, member = referred(4000, 1.0, np.random.default_rng(3))
    for scores in both(phi, shadow_phi, is_in):
        assert roc(scores[member], scores[~member]).auc > 0.55


def test_without_a_leak_it_is_at_chance():
    rng, aucs = np.random.default_rng(4), []
    for _ in range(40):
        phi, shadow_phi, is_in, member = referred(1000, 0.0, rng)
        aucs.append([roc(s[member], s[~member]).auc for s in both(phi, shadow_phi, is_in)])
    assert (np.abs(np.mean(aucs, axis=0) - 0.5) < 3 * sqrt(1001 / (12 * 500 * 500) / 40)).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 100.0]), n=st.integers(1, 30))
def test_permuting_records_or_models_permutes_scores_or_nothing(seed, scale, n):
    phi, shadow_phi, is_in, _ = referred(n, 1.0, np.random.default_rng(seed), scale=scale)
    records, models = np.random.default_rng(seed).permutation(n), np.random.default_rng(seed).permutation(16)
    scores = both(phi, shadow_phi, is_in)
    moved = both(phi[records], shadow_phi[:, records], is_in[:, records])
    reordered = both(phi, shadow_phi[models], is_in[models])
    for k in (0, 1):
        assert np.isfinite(scores[k]).all()
        assert (scores[k].dtype, scores[k].shape) == (np.float64, (n,))
        np.testing.assert_array_equal(moved[k], scores[k][records])
        np.testing.assert_allclose(reordered[k], scores[k], rtol=1e-12, atol=1e-12)


def test_answers_that_cannot_be_scored_are_refused():
    phi, shadow_phi, is_in, _ = referred(5, 1.0, np.random.default_rng(5))
    with pytest.raises(InputError, match="Expected finite phi"):
        base_score_online(np.full(5, np.nan), shadow_phi)
    with pytest.raises(InputError, match="Expected at least 1 shadow model, found none"):
        base_score_online(phi, shadow_phi[:0])
    is_in[:, 3] = True
    with pytest.raises(InputError, match="found none for record 4; train more models"):
        base_score_offline(phi, shadow_phi, is_in)

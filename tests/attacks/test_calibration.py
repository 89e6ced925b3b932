"""Difficulty calibration against its loop, golden laws, and offline LiRA's ranking."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit
from tests.attacks.observed import referred

from vestige.attacks.calibration import (
    calibration_confidence,
    calibration_gradient_norm,
    calibration_loss,
    calibration_score,
)
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


def naive(score, reference_scores, is_in):
    """Record by record, draw by draw, reference by reference."""
    found = []
    for j in range(len(score)):
        by_draw = []
        for d in range(score.shape[1]):
            outs = [reference_scores[k, j, d] for k in range(len(is_in)) if not is_in[k, j]]
            by_draw.append(score[j, d] - sum(outs) / len(outs))
        found.append(sum(by_draw) / len(by_draw))
    return found


def everything(phi, shadow_phi, is_in):
    return calibration_score(phi, shadow_phi, is_in=is_in), calibration_loss(phi, shadow_phi, is_in)


@pytest.mark.parametrize("n_draws", [1, 10])
def test_scores_of_any_number_of_draws_equal_the_loop(n_draws):
    rng = np.random.default_rng(0)
    *_, is_in, _ = referred(30, 0.0, rng)
    score, references = rng.normal(size=(30, n_draws)), rng.normal(size=(16, 30, n_draws))
    found = calibration_score(score, references, is_in=is_in)
    np.testing.assert_allclose(found, naive(score, references, is_in), rtol=0, atol=1e-12)
    found = calibration_score(score, references)
    np.testing.assert_allclose(found, naive(score, references, np.zeros_like(is_in)), rtol=0, atol=1e-12)


def test_a_score_without_draws_is_one_of_one_draw():
    phi, shadow_phi, is_in, _ = referred(30, 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(
        calibration_score(phi, shadow_phi, is_in=is_in),
        calibration_score(phi[:, None], shadow_phi[:, :, None], is_in=is_in),
    )


def test_the_calibrated_loss_is_the_calibrated_log_confidence():
    phi, shadow_phi, is_in, _ = referred(50, 1.0, np.random.default_rng(2))
    expected = calibration_score(log_expit(phi), log_expit(shadow_phi), is_in=is_in)
    np.testing.assert_allclose(calibration_loss(phi, shadow_phi, is_in), expected, rtol=0, atol=1e-12)


def test_g8_a_constant_reference_leaves_the_auc_unchanged():
    phi, shadow_phi, is_in, member = referred(500, 1.0, np.random.default_rng(3))
    for constant in (0.0, -4.0):
        same = np.full_like(shadow_phi, constant)
        for scores, plain in zip(everything(phi, same, is_in), (phi, log_expit(phi)), strict=True):
            assert roc(scores[member], scores[~member]).auc == pytest.approx(
                roc(plain[member], plain[~member]).auc, abs=1e-12
            )


@pytest.mark.parametrize("n_models", [1, 3, 7])
def test_g8_references_that_equal_the_target_give_zeros(n_models):
    phi = np.random.default_rng(4).normal(scale=9, size=40)
    same, nobody = np.tile(phi, (n_models, 1)), np.zeros((n_models, 40), dtype=bool)
    for scores in everything(phi, same, nobody):
        assert scores.tolist() == [0] * 40
    draws = np.random.default_rng(5).normal(size=(40, 10))
    assert not calibration_score(draws, np.tile(draws, (n_models, 1, 1))).any()


def test_of_phi_it_ranks_as_offline_lira_with_one_spread_for_all():
    phi, shadow_phi, is_in, _ = referred(200, 1.0, np.random.default_rng(6))
    outs = np.ma.masked_array(shadow_phi, is_in)
    z = np.asarray((phi - outs.mean(axis=0)) / (outs - outs.mean(axis=0)).std())
    found = calibration_score(phi, shadow_phi, is_in=is_in)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(z))


def test_models_trained_on_the_record_have_no_part():
    phi, shadow_phi, is_in, _ = referred(30, 1.0, np.random.default_rng(7))
    other = np.where(is_in, 50.0, shadow_phi)
    for one, two in zip(everything(phi, shadow_phi, is_in), everything(phi, other, is_in), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_planted_leak_points_at_the_members_whatever_the_difficulty_of_records():
    phi, shadow_phi, is_in, member = referred(4000, 1.0, np.random.default_rng(8))
    on_phi, on_loss = everything(phi, shadow_phi, is_in)
    assert roc(on_phi[member], on_phi[~member]).auc > 0.65
    assert roc(on_loss[member], on_loss[~member]).auc > 0.6
    assert roc(phi[member], phi[~member]).auc < 0.6


def test_without_a_leak_it_is_at_chance():
    rng, aucs = np.random.default_rng(9), []
    for _ in range(40):
        phi, shadow_phi, is_in, member = referred(1000, 0.0, rng)
        aucs.append([roc(s[member], s[~member]).auc for s in everything(phi, shadow_phi, is_in)])
    assert (np.abs(np.mean(aucs, axis=0) - 0.5) < 3 * sqrt(1001 / (12 * 500 * 500) / 40)).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 100.0]), n=st.integers(1, 30))
def test_permuting_records_or_models_permutes_scores_or_nothing(seed, scale, n):
    rng = np.random.default_rng(seed)
    phi, shadow_phi, is_in, _ = referred(n, 1.0, rng, scale=scale)
    records, models = rng.permutation(n), rng.permutation(16)
    scores = everything(phi, shadow_phi, is_in)
    moved = everything(phi[records], shadow_phi[:, records], is_in[:, records])
    reordered = everything(phi, shadow_phi[models], is_in[models])
    for k in (0, 1):
        assert np.isfinite(scores[k]).all()
        assert (scores[k].dtype, scores[k].shape) == (np.float64, (n,))
        np.testing.assert_array_equal(moved[k], scores[k][records])
        np.testing.assert_allclose(reordered[k], scores[k], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_models", [1, 2, 5, 16])
def test_calibrated_confidence_and_gradient_norm_equal_the_loop(n_models):
    phi, shadow_phi, is_in, _ = referred(60, 1.0, np.random.default_rng(11))
    shadow_phi, is_in = shadow_phi[:n_models], is_in[:n_models] & (np.arange(n_models) > 0)[:, None]
    surest, theirs = (np.log(np.maximum(expit(one), expit(-one))) for one in (phi, shadow_phi))  # of two classes
    expected = naive(surest[:, None], theirs[:, :, None], is_in)
    np.testing.assert_allclose(calibration_confidence(surest, theirs, is_in), expected, rtol=0, atol=1e-10)
    norms, theirs = np.exp(-phi / 5), np.exp(-shadow_phi / 5)
    expected = naive(-norms[:, None], -theirs[:, :, None], is_in)
    np.testing.assert_allclose(calibration_gradient_norm(norms, theirs, is_in), expected, rtol=0, atol=1e-10)


def test_their_signs():
    nobody = np.zeros((1, 2), dtype=bool)
    surer = calibration_confidence(np.log([0.9, 0.6]), np.log([[0.8, 0.8]]), nobody)
    calmer = calibration_gradient_norm(np.array([0.5, 2.0]), np.ones((1, 2)), nobody)
    for scores in (surer, calmer):
        assert scores[0] > 0 > scores[1]


@pytest.mark.parametrize("n_models", [1, 4])
def test_g8_references_that_equal_the_target_leave_chance(n_models):
    phi = np.random.default_rng(12).normal(scale=9, size=40)
    same, nobody = np.tile(phi, (n_models, 1)), np.zeros((n_models, 40), dtype=bool)
    member = np.arange(40) < 20
    for scores in (
        calibration_confidence(-np.abs(phi), -np.abs(same), nobody),
        calibration_gradient_norm(np.exp(phi), np.exp(same), nobody),
    ):
        assert scores.tolist() == [0] * 40
        assert roc(scores[member], scores[~member]).auc == 0.5


def test_what_cannot_be_calibrated_is_refused():
    phi, shadow_phi, is_in, _ = referred(5, 1.0, np.random.default_rng(10))
    with pytest.raises(InputError, match=r"found 0 models and scores of shape \(5,\)"):
        calibration_score(phi, shadow_phi[:0])
    with pytest.raises(InputError, match=r"found 16 models and scores of shape \(5, 0\)"):
        calibration_score(np.zeros((5, 0)), np.zeros((16, 5, 0)))
    with pytest.raises(InputError, match="Expected finite scores, found NaN or infinity"):
        calibration_score(phi, np.full_like(shadow_phi, -np.inf))
    with pytest.raises(InputError, match="Expected finite phi"):
        calibration_loss(phi, np.full_like(shadow_phi, np.nan), is_in)
    with pytest.raises(InputError, match="Expected finite scores"):
        calibration_confidence(phi, np.full_like(shadow_phi, np.nan), is_in)
    with pytest.raises(InputError, match="Expected finite scores"):
        calibration_gradient_norm(np.full_like(phi, np.nan), shadow_phi, is_in)
    is_in[:, 1] = True
    refusing = (calibration_loss, calibration_confidence, calibration_gradient_norm)
    for attack in (*refusing, lambda p, s, i: calibration_score(p, s, is_in=i)):
        with pytest.raises(InputError, match="found none for record 2; train more models"):
            attack(phi, shadow_phi, is_in)

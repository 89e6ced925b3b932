"""Means of confidence in the log domain: against exact fractions, near certainty, and in bounded memory."""

import tracemalloc
from fractions import Fraction
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_expit, logsumexp

from vestige.attacks._log_means import log_confidence, log_mean_confidence, log_mean_out_confidence, out_counts
from vestige.core.errors import InputError


@settings(max_examples=100, deadline=None)
@given(phi=st.lists(st.floats(-1000, 1000), min_size=1, max_size=20))
def test_the_log_of_the_confidence_is_that_of_the_logistic_function(phi):
    np.testing.assert_allclose(log_confidence(np.array(phi)), log_expit(np.array(phi)), rtol=1e-13, atol=0)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 3.0, 200.0]), n_models=st.integers(1, 9))
def test_the_mean_is_that_of_the_models_on_the_side_asked_for(seed, scale, n_models):
    rng = np.random.default_rng(seed)
    phi, is_in = scale * rng.normal(size=(n_models, 6)), rng.random((n_models, 6)) < 0.5
    is_in[rng.integers(n_models)] = False
    twin = [logsumexp(log_expit(phi[:, j])) - log(n_models) for j in range(6)]
    np.testing.assert_allclose(log_mean_confidence(phi), twin, rtol=1e-10, atol=1e-12)
    outs = [log_expit(phi[~is_in[:, j], j]) for j in range(6)]
    twin = [logsumexp(out) - log(out.size) for out in outs]
    np.testing.assert_allclose(log_mean_out_confidence(phi, is_in), twin, rtol=1e-10, atol=1e-12)


def test_near_certainty_the_mean_keeps_its_digits():
    """log(mean(1 - e_k)) is -mean(e_k) to first order, far below what 1 - e can hold."""
    phi = np.array([[50.0], [80.0], [90.0]])
    expected = -float(sum(Fraction(float(np.exp(-v))) for v in phi[:, 0]) / 3)
    assert log_mean_confidence(phi)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [-700.0, -0.3, 0.0, 1.7, 103.6])
@pytest.mark.parametrize("n_models", [1, 3, 7, 256])
def test_models_that_agree_have_exactly_their_confidence_as_mean(value, n_models):
    phi = np.full((n_models, 2), value)
    np.testing.assert_array_equal(log_mean_confidence(phi), log_confidence(phi[0]))
    is_in = np.arange(n_models)[:, None] > np.array([0, n_models])
    np.testing.assert_array_equal(log_mean_out_confidence(phi, is_in), log_confidence(phi[0]))


def test_in_models_have_no_part_in_the_mean_of_the_others_however_far_away_they_are():
    phi, is_in = np.array([[-900.0, 1.0], [900.0, -900.0]]), np.array([[False, False], [True, True]])
    np.testing.assert_array_equal(log_mean_out_confidence(phi, is_in), log_confidence(phi[0]))


def test_a_record_s_mean_depends_neither_on_its_place_nor_on_its_neighbours():
    phi = np.random.default_rng(0).normal(scale=4, size=(11, 67))
    together = log_mean_confidence(phi)
    np.testing.assert_array_equal(together, [log_mean_confidence(phi[:, [j]])[0] for j in range(67)])


def test_float32_is_widened_row_by_row_and_no_copy_of_all_models_is_held():
    phi = np.random.default_rng(1).normal(size=(200, 5000)).astype(np.float32)
    is_in = np.zeros(phi.shape, dtype=bool)
    np.testing.assert_array_equal(log_mean_confidence(phi), log_mean_confidence(phi.astype(np.float64)))
    tracemalloc.start()
    found = log_mean_confidence(phi)
    log_mean_out_confidence(phi, is_in)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.dtype == np.float64
    assert peak < phi.nbytes / 2


def test_out_models_are_counted():
    assert out_counts(np.array([[True, False, False], [False, False, True]])).tolist() == [1, 2, 1]
    assert out_counts(np.zeros((3, 0), dtype=bool)).tolist() == []


def test_a_record_without_an_out_model_is_named():
    is_in = np.array([[False, True, False], [True, True, False]])
    with pytest.raises(InputError, match="not trained on each record, found none for record 2; train more models"):
        log_mean_out_confidence(np.zeros((2, 3)), is_in)


def test_no_model_at_all_is_refused():
    with pytest.raises(InputError, match="Expected at least 1 shadow model, found none"):
        log_mean_confidence(np.zeros((0, 3)))
    with pytest.raises(InputError, match="found none for record 1"):
        log_mean_out_confidence(np.zeros((0, 3)), np.zeros((0, 3), dtype=bool))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_phi_is_finite(bad):
    phi = np.zeros((3, 4))
    phi[1, 2] = bad
    with pytest.raises(InputError, match=r"Expected finite phi .* found NaN or infinity"):
        log_mean_confidence(phi)
    with pytest.raises(InputError, match="Expected finite phi"):
        log_mean_out_confidence(phi, np.zeros((3, 4), dtype=bool))
    with pytest.raises(InputError, match="Expected finite phi"):
        log_confidence(phi[1])

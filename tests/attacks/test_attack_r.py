"""Attack-R against its double loop, and its levels and ties."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attacks.observed import referred

from vestige.attacks.attack_r import attack_r
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


def naive(phi, shadow_phi, is_in):
    scores = []
    for j in range(len(phi)):
        outs = [shadow_phi[k, j] for k in range(len(shadow_phi)) if not is_in[k, j]]
        scores.append(sum(phi[j] >= out for out in outs) / len(outs))
    return scores


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 20), discrete=st.booleans())
def test_scores_equal_the_double_loop_with_and_without_ties(seed, n, discrete):
    phi, shadow_phi, is_in, _ = referred(n, 1.0, np.random.default_rng(seed))
    if discrete:
        phi, shadow_phi = np.sign(phi), np.sign(shadow_phi)
    assert attack_r(phi, shadow_phi, is_in).tolist() == naive(phi, shadow_phi, is_in)


def test_a_tie_counts_and_in_models_do_not():
    shadow_phi = np.array([[2.0], [3.0], [-1.0], [-9.0]])
    is_in = np.array([[False], [False], [False], [True]])
    found = [attack_r(np.array([phi]), shadow_phi, is_in)[0] for phi in (-2.0, -1.0, 2.0, 2.5, 3.0)]
    assert found == [0, 1 / 3, 2 / 3, 2 / 3, 1]


def test_k_models_give_k_plus_1_levels():
    rng = np.random.default_rng(0)
    scores = attack_r(rng.normal(size=2000), rng.normal(size=(4, 2000)), np.zeros((4, 2000), dtype=bool))
    assert np.unique(scores).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_only_the_order_of_answers_matters():
    phi, shadow_phi, is_in, _ = referred(50, 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(
        attack_r(np.tanh(phi / 50), np.tanh(shadow_phi / 50), is_in), attack_r(phi, shadow_phi, is_in)
    )


def test_a_planted_leak_points_at_the_members():
    phi, shadow_phi, is_in, member = referred(4000, 1.0, np.random.default_rng(2))
    scores = attack_r(phi, shadow_phi, is_in)
    assert roc(scores[member], scores[~member]).auc > 0.65


def test_without_a_leak_it_is_at_chance():
    rng, aucs = np.random.default_rng(3), []
    for _ in range(40):
        phi, shadow_phi, is_in, member = referred(1000, 0.0, rng)
        scores = attack_r(phi, shadow_phi, is_in)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * sqrt(1001 / (12 * 500 * 500) / len(aucs))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30))
def test_permuting_records_or_models_permutes_scores_or_nothing(seed, n):
    rng = np.random.default_rng(seed)
    phi, shadow_phi, is_in, _ = referred(n, 1.0, rng)
    records, models = rng.permutation(n), rng.permutation(16)
    scores = attack_r(phi, shadow_phi, is_in)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(attack_r(phi[records], shadow_phi[:, records], is_in[:, records]), scores[records])
    np.testing.assert_array_equal(attack_r(phi, shadow_phi[models], is_in[models]), scores)


def test_infinite_answers_have_their_place_and_nan_has_none():
    out = np.zeros((2, 1), dtype=bool)
    assert attack_r(np.array([np.inf]), np.array([[np.inf], [1.0]]), out).tolist() == [1.0]
    for phi, shadow in ((np.nan, 0.0), (0.0, np.nan)):
        with pytest.raises(InputError, match="Expected phi of the target and of every shadow model, found NaN"):
            attack_r(np.array([phi]), np.array([[shadow], [1.0]]), out)


def test_a_record_without_an_out_model_is_named():
    with pytest.raises(InputError, match="found none for record 1; train more models"):
        attack_r(np.zeros(1), np.zeros((2, 1)), np.ones((2, 1), dtype=bool))

"""Shadow models that were trained otherwise than the target."""

from typing import Any

import numpy as np
import pytest

from vestige import Predictions, References, Shadow, audit
from vestige.core.outputs import Phi, Probabilities
from vestige.core.result import Check, Validity
from vestige.evaluation import preflight
from vestige.evaluation.preflight import behaviour


def shadow_training(*given: Any) -> Check:
    """What the check says, where it has something to say."""
    found = preflight.shadow_training(*given)
    assert found is not None
    return found


def losses(n, rng, gain=1.0, scale=1.0, shift=0.0):
    is_in = rng.permutation(n) < n // 2
    phi = 1 + 2 * rng.normal(size=n) + gain * is_in + 0.1 * rng.normal() + shift
    return np.log1p(np.exp(-scale * phi)), is_in


OTHERWISE = {
    "more epochs": {"gain": 5.0},
    "another loss": {"scale": 0.2},
    "another order of the classes": {"shift": -3.0},
}


@pytest.mark.parametrize("n_models", [1, 2, 4, 16])
@pytest.mark.parametrize("how", OTHERWISE)
def test_a_target_that_was_trained_otherwise_is_noticed(how, n_models):
    rng = np.random.default_rng(0)
    shadows = [behaviour(*losses(2000, rng)) for _ in range(n_models)]
    found = shadow_training(behaviour(*losses(2000, rng, **OTHERWISE[how])), shadows)
    assert found.validity is Validity.LIMITED
    assert "do not behave like the target" in found.message


@pytest.mark.parametrize("n_models", [1, 3, 8])
@pytest.mark.parametrize("with_subjects", [False, True])
def test_one_more_of_the_same_is_valid(n_models, with_subjects):
    rng, flagged = np.random.default_rng(0), 0
    for _ in range(60):
        models = [losses(200, rng) for _ in range(n_models + 1)]
        units = np.repeat(np.arange(200), 2) if with_subjects else None
        models = [(np.repeat(loss, 2), np.repeat(is_in, 2)) for loss, is_in in models] if with_subjects else models
        own, *theirs = (behaviour(loss, is_in, units) for loss, is_in in models)
        flagged += shadow_training(own, theirs).validity is not Validity.VALID
    assert flagged <= 2  # 0.3 %


def test_nothing_to_compare():
    rng = np.random.default_rng(0)
    few = behaviour(np.ones(30), np.arange(30) < 15)
    assert few is None
    assert preflight.shadow_training(behaviour(*losses(100, rng)), [None]) is None


def of_two_classes(loss):
    return np.stack([np.exp(-loss), -np.expm1(-loss)], axis=1)


def one_model(rng, **how):
    loss, is_in = losses(1000, rng, **how)
    return Predictions(Probabilities(of_two_classes(loss)), np.zeros(1000, dtype=int), is_in)


def test_a_single_shadow_file_is_compared():
    rng = np.random.default_rng(0)
    target = one_model(rng)
    for shadow, validity in ((one_model(rng), Validity.VALID), (one_model(rng, scale=0.2), Validity.LIMITED)):
        [check] = [c for c in audit(target, adversary=Shadow(shadow)).preflight.checks if c.name == "shadow_training"]
        assert check.validity is validity


def test_references_are_compared():
    rng = np.random.default_rng(0)
    models = [losses(600, rng) for _ in range(9)]
    shadow_phi = np.stack([-np.log(np.expm1(loss)) for loss, _ in models[1:]])
    is_in = np.stack([inside for _, inside in models[1:]])
    for scale, validity in ((1.0, Validity.VALID), (0.2, Validity.LIMITED)):
        phi = -np.log(np.expm1(models[0][0])) * scale
        target = Predictions(Phi(phi), np.zeros(600, dtype=int), models[0][1], ids=np.arange(600))
        result = audit(target, adversary=References(Phi, shadow_phi, is_in, ids=np.arange(600)))
        [check] = [c for c in result.preflight.checks if c.name == "shadow_training"]
        assert check.validity is validity

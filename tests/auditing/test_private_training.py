"""Audits of models trained by DP-SGD: an honest training stays below what epsilon allows, a mistake in it is found."""

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vestige import Records, ShadowTraining, TorchRecipe, audit, audit_recipe, silent
from vestige.core.result import Check, Validity
from vestige.training.dp_sgd import DPSGD, PrivateGradients
from vestige.training.strategies import Measured, Strategy

N, WIDTH, CLIP = 400, 1000, 8.0


def linear() -> nn.Module:
    return nn.Linear(WIDTH, 4, bias=False)


def labelled(subjects: Any = None) -> Records:
    """Labels that nothing tells, and inputs so wide that a model which may remember does; of the clip's length."""
    rng = np.random.default_rng(0)
    inputs = CLIP * rng.normal(size=(N, WIDTH)).astype(np.float32) / np.sqrt(WIDTH)
    return Records(inputs.astype(np.float32), rng.integers(4, size=N), subjects=subjects)


def recipe(**of_noise: Any) -> TorchRecipe:
    sgd = functools.partial(torch.optim.SGD, lr=60 / CLIP**2)
    private = DPSGD(CLIP, **of_noise)
    return TorchRecipe(linear, epochs=20, batch_size=200, optimiser=sgd, defences=(private,))


def no_noise(self: Any, network: Any) -> None:
    """Forgotten."""


def noise_without_clip(self: Any, network: Any) -> None:
    right, self.defence = self.defence, replace(self.defence, clip=1.0)
    add_noise(self, network)
    self.defence = right


add_noise = PrivateGradients.add_noise


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch):
    measured = [Measured(Strategy(), 0.001)]
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: measured)


def check_of(result: Any) -> Check | None:
    return next((check for check in result.preflight.checks if check.name == "promised_privacy"), None)


def of_recipe(recipe: Any, folder: Any, records: Records | None = None) -> Check | None:
    training = ShadowTraining(recipe, n_models=4, bank=folder / "bank")
    return check_of(audit_recipe(records or labelled(), training, attacks=["loss", "correctness"], progress=silent))


def of_model(recipe: Any, folder: Any) -> Check | None:
    records = labelled()
    members, nonmembers = records.take(np.arange(N // 2)), records.take(np.arange(N // 2, N))
    model = recipe.fit(members, seed=5).classifier
    training = ShadowTraining(recipe, n_models=4, bank=folder / "bank")
    attacks = ["loss", "empirical_bayes_online"]
    return check_of(audit(model, members, nonmembers, adversary=training, attacks=attacks, progress=silent))


@pytest.mark.parametrize("audited", [of_recipe, of_model])
@pytest.mark.parametrize("noise", [4.0, 10.0])
def test_an_honest_training_stays_below_what_epsilon_allows(audited, noise, tmp_path):
    found, promised = audited(recipe(noise=noise), tmp_path), recipe(noise=noise).privacy(200)
    assert found is not None
    assert promised is not None
    assert found.validity is Validity.VALID
    assert found.message.startswith(f"The training promises epsilon {promised.epsilon:.3g} at")


@pytest.mark.parametrize("audited", [of_recipe, of_model])
@pytest.mark.parametrize("mistake", [no_noise, noise_without_clip])
def test_a_mistake_in_the_noise_is_found(audited, mistake, tmp_path, monkeypatch):
    monkeypatch.setattr(PrivateGradients, "add_noise", mistake)
    found = audited(recipe(noise=4.0), tmp_path)
    assert found is not None
    assert found.validity is Validity.LIMITED
    assert "more than epsilon allows: the guarantee does not hold" in found.message


def test_nothing_is_said_where_nothing_is_promised(tmp_path):
    assert of_recipe(recipe(noise=0.0), tmp_path) is None
    assert of_recipe(replace(recipe(noise=4.0), defences=()), tmp_path) is None


def test_of_people_more_is_allowed_than_of_records(tmp_path):
    records, people = labelled(), labelled(subjects=np.arange(N) // 2)  # two records each
    found = [of_recipe(recipe(noise=4.0), tmp_path, given) for given in (records, people)]
    assert found[0] is not None
    assert found[1] is not None
    assert "of people up to 2 are there" in found[1].message
    assert found[1].validity is Validity.VALID


@pytest.mark.parametrize("mistake", [None, no_noise])
def test_every_model_in_turn_is_held_to_the_promise(mistake, tmp_path, monkeypatch):
    if mistake is not None:
        monkeypatch.setattr(PrivateGradients, "add_noise", mistake)
    training = ShadowTraining(recipe(noise=4.0), n_models=6, bank=tmp_path / "bank")
    result = audit_recipe(labelled(), training, attacks=["empirical_bayes_online"], progress=silent)
    (found,) = (check for check in result.preflight.checks if check.name == "promised_privacy_in_turn")
    assert found.message.startswith("Of 3 models together, one of each draw of training sets: The training promises")
    assert found.validity is (Validity.VALID if mistake is None else Validity.LIMITED)

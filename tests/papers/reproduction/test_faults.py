"""Faults planted in the product turn a row red: what was published, by honest runs, is outside of what is measured."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vestige.auditing.shadows.auxiliary_references import references_from_scratch
from vestige.core.records import Records
from vestige.papers.networks.perceptron import perceptron
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.watson import games as rows
from vestige.papers.reproduction.rows.watson.tables import Setting, tables_trial
from vestige.papers.reproduction.verdicts import prediction_of
from vestige.training.torch_recipe import TorchRecipe

pytestmark = pytest.mark.slow  # two minutes of one core

N_POOL, N_TRIALS = 400, 5
RECIPE = TorchRecipe(
    functools.partial(perceptron, 10, (128,), 2, activation=nn.ReLU, dropout=0.3),
    epochs=80, batch_size=20, optimiser=functools.partial(torch.optim.Adam, lr=0.01),
)  # fmt: skip


@pytest.fixture(scope="module")
def records():
    """Labels that are half noise: what a network knows of a record beyond its class, it has memorised."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(N_POOL + 100, 10)).astype(np.float32)
    return Records(inputs, (inputs[:, 0] + 2 * rng.normal(size=len(inputs)) > 0).astype(int))


def measured(records, seeds, recipe=RECIPE):
    setting = Setting(n_pool=N_POOL, recipe=lambda: recipe)
    found = [tables_trial(setting, records, Scale.LAPTOP, seed) for seed in seeds]
    return {name: [trial[name] for trial in found] for name in found[0]}


@pytest.fixture(scope="module")
def published(records):
    return {name: float(np.mean(values)) for name, values in measured(records, range(100, 103)).items()}


def red(records, published, recipe=RECIPE):
    """Numbers whose published value, a mean of three, is outside of the prediction interval."""
    bounds = {name: prediction_of(values, 3) for name, values in measured(records, range(N_TRIALS), recipe).items()}
    return {name for name, of in bounds.items() if not of.lower <= published[name] <= of.upper}


def test_honest_runs_leave_nearly_all_numbers_inside(records, published):
    assert published["AUC: loss"] > 0.6
    assert len(red(records, published)) <= 0.2 * len(published)


def test_a_swapped_sign_is_seen(records, published, monkeypatch):
    whole = rows.Played.audited

    def swapped(*given, **more):
        found = whole(*given, **more)
        scores = found.records.assign(loss=-found.records["loss"]) if more["plain"] else found.records
        return replace(found, records=scores)

    monkeypatch.setattr(rows.Played, "audited", swapped)
    assert "accuracy: loss" in red(records, published)


def test_references_that_were_trained_on_the_members_are_seen(records, published, monkeypatch):
    def on_members(recipe, auxiliary, members, nonmembers, **options):
        found = references_from_scratch(recipe, auxiliary, members, nonmembers, **options)
        told = RECIPE.fit(members, seed=7).classifier
        both = np.concatenate([members.inputs, nonmembers.inputs])
        with torch.inference_mode():
            logits = told(torch.from_numpy(both)).numpy()
        return replace(found, answers=logits[None])

    monkeypatch.setattr(rows, "references_from_scratch", on_members)
    assert "AUC: loss, calibrated" in red(records, published)


def test_dropout_that_is_left_on_is_seen(records, published):
    forgotten = replace(RECIPE, evaluation_mode=False)
    assert {"training accuracy", "AUC: loss"} & red(records, published, forgotten)

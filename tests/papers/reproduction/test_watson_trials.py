"""Trials of Watson et al.'s rows: by hand on small records, and each plain score played once."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from vestige.auditing.querying.settings import Querying
from vestige.core.probabilities import from_logits
from vestige.core.records import Records
from vestige.evaluation.thresholds import balanced_accuracy_threshold
from vestige.papers.networks.perceptron import perceptron
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.watson import figures, games
from vestige.papers.reproduction.rows.watson.tables import Setting
from vestige.training.torch_recipe import TorchRecipe

N_POOL = 160
RECIPE = games.as_released(
    TorchRecipe(
        functools.partial(perceptron, 4, (8,), 2, activation=nn.ReLU),
        epochs=4, batch_size=10, optimiser=functools.partial(torch.optim.SGD, lr=0.5),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def of():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(N_POOL + 40, 4)).astype(np.float32)
    records = Records(inputs, (inputs[:, 0] + rng.normal(size=len(inputs)) > 0).astype(int))
    return Setting(n_pool=N_POOL, recipe=lambda: RECIPE).quarters(records, Scale.LAPTOP, 3)


@pytest.fixture(scope="module")
def models(of):
    return RECIPE.fit(of.members, seed=0), RECIPE.fit(of.public, seed=1)


def log_p(model, records):
    with torch.inference_mode():
        logits = model.classifier(torch.from_numpy(records.inputs)).numpy()
    return from_logits(logits).log_p[np.arange(records.n_records), records.labels]


def test_plain_scores_are_played_once_and_the_role_swap_is_that_by_hand(of, models, monkeypatch):
    target, simulator = models
    asked, whole = [], games.Played.audited

    def noted(self, model, *given, plain, more=()):
        asked.append((model is target, plain))
        return whole(self, model, *given, plain=plain, more=more)

    monkeypatch.setattr(games.Played, "audited", noted)
    played = games.Played(scores={"loss": games.SCORES["loss"]}, querying=Querying())
    found = games.calibrated_game(played, of, target, simulator)
    assert sorted(asked) == [(False, False), (False, False), (False, True), (True, False), (True, True)]

    def calibrated(records):
        return log_p(simulator, records) - log_p(target, records)

    threshold = balanced_accuracy_threshold(calibrated(of.public), calibrated(of.public_others))
    reference = games.from_scratch(target, of, of.public, of.private, False, None).classifiers[0]
    inside, outside = (log_p(target, side) - log_p(_Of(reference), side) for side in of.private)
    assert found["accuracy, role swap: loss, calibrated"] == pytest.approx(
        games.accuracy(inside, outside, threshold), abs=0.03
    )
    gap = [np.exp(log_p(target, side)) > 0.5 for side in of.private]
    assert found["accuracy: gap"] == pytest.approx((gap[0].mean() + 1 - gap[1].mean()) / 2)


class _Of:
    """A classifier as a model."""

    def __init__(self, classifier):
        self.classifier = classifier


def test_before_the_softmax_the_answers_are_those_of_the_inner_network(of, models):
    target, _ = models
    inner = games.before_softmax(target)
    inputs = torch.from_numpy(of.members.inputs)
    with torch.inference_mode():
        doubled = inner.classifier(inputs).softmax(dim=1) - 0.5
        torch.testing.assert_close(target.classifier(inputs), doubled)
    assert games.before_softmax(inner) is inner


def test_no_record_is_on_two_sides(of):
    sides = (of.members, of.nonmembers, of.public, of.spare, of.simulated, of.validation)
    ids = np.concatenate([side.ids for side in sides])
    assert np.unique(ids).size == ids.size == N_POOL + 40
    assert set(of.spare.ids) | set(of.simulated.ids) == set(of.public_others.ids)


def test_a_part_of_a_sorted_set_has_all_classes():
    records = Records(np.arange(120.0)[:, None], np.repeat(np.arange(10), 12))
    some = games.part_of(records, 100, 40)
    assert some.n_records == 50
    assert (some.inputs[:40] < 100).all()
    assert (some.inputs[40:] >= 100).all()
    assert np.unique(some.labels[:40]).size > 5


def test_members_found_surely_by_a_plain_loop():
    rng = np.random.default_rng(2)
    scores = [rng.normal(1.0, size=50), rng.normal(size=50)]
    sure = [t for t in scores[0] if (scores[0] >= t).sum() / ((scores[0] >= t).sum() + (scores[1] >= t).sum()) > 0.9]
    expected = scores[0] >= min(sure) if sure else np.zeros(50, bool)
    np.testing.assert_array_equal(figures.found_surely(*scores), expected)

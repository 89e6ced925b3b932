"""Imitators: one loss by hand, the epochs that it begins after, stacks against the plain loop, identities, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.networks import (
    UNEQUAL,
    Skip,
    agree,
    distance,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    refused,
    same_bits,
    sgd,
    table,
)
from torch import nn

from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.training.defences import L2
from vestige.training.imitation import Imitation, logits_of
from vestige.training.model_key import ModelKey, key_of


def answered(seed: int = 0) -> Records:
    records = table()
    logits = np.random.default_rng(seed).normal(size=(records.n_records, records.n_classes)) * 2
    return records.answered(logits)


def test_the_loss_by_hand():
    outputs, answers = torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([[4.0, 4.0, 1.0]])
    # Centred: -2, -1, 3 and 1, 1, -2; squares of the differences 9, 4, 25.
    mixed = Imitation(alpha=0.25).mixed(torch.tensor([2.0]), outputs, answers)
    assert torch.allclose(mixed, torch.tensor([0.25 * 38 / 3 + 0.75 * 2.0]))


def test_a_constant_added_to_all_logits_changes_nothing():
    records = answered()
    moved = records.answered(records.answers + 7.0)
    it = in_double(mlp, imitation=Imitation(warm_up=0.0))
    assert distance(it.fit(records, seed=1), it.fit(moved, seed=1)) < 1e-5  # answers are kept in float32


@pytest.mark.parametrize(("epochs", "warm_up", "expected"), [(40, 0.8, 32), (3, 0.8, 2), (2, 0.0, 0), (1, 0.8, 1)])
def test_epochs_on_labels_alone(epochs, warm_up, expected):
    assert Imitation(warm_up=warm_up).begins_after(epochs) == expected


def test_the_warm_up_is_ordinary_training():
    records = answered()
    plain = recipe(mlp, epochs=5).fit(records, seed=1, checkpoints=(4,))
    imitator = recipe(mlp, epochs=5, imitation=Imitation()).fit(records, seed=1, checkpoints=(4,))
    assert same_bits(plain.checkpoints[0], imitator.checkpoints[0])
    assert not same_bits(plain, imitator)


def test_an_imitator_comes_closer_to_the_answers():
    records = answered()

    def apart(model):
        with torch.no_grad():
            logits = model.classifier(torch.from_numpy(records.inputs)).numpy()
        centred = [z - z.mean(axis=1, keepdims=True) for z in (logits, records.answers)]
        return float(((centred[0] - centred[1]) ** 2).mean())

    options = {"epochs": 60, "optimiser": sgd(lr=0.1)}
    ordinary = recipe(mlp, **options).fit(records, seed=3)
    imitator = recipe(mlp, imitation=Imitation(warm_up=0.2), **options).fit(records, seed=3)
    assert apart(imitator) < 0.5 * apart(ordinary)


@pytest.mark.parametrize("network", [linear, mlp, lambda: mlp(lambda: nn.Dropout(0.3)), Skip])
def test_a_stack_gives_what_the_plain_loop_gives(network):
    it = in_double(network, epochs=4, batch_size=16, imitation=Imitation(warm_up=0.5), defences=(L2(0.01),))
    agree(it, answered(), membership(*UNEQUAL), checkpoints=(2,))


def test_the_bank_tells_imitators_apart():
    def key(it, records):
        return key_of(ModelKey(data=records.digest, membership="row", recipe=it.identity(), seed=0))

    ordinary, imitating = recipe(mlp), recipe(mlp, imitation=Imitation())
    assert "imitation" not in ordinary.identity()
    keys = {
        key(ordinary, table()),
        key(imitating, answered()),
        key(imitating, answered(seed=1)),
        key(replace(imitating, imitation=Imitation(alpha=0.6)), answered()),
    }
    assert len(keys) == 4


def test_records_keep_their_answers():
    names = Records(np.eye(3), ["c", "a", "b"]).answered(np.eye(3))
    assert (names.classes, names.labels.tolist()) == (("a", "b", "c"), [2, 0, 1])
    records = answered()
    assert np.array_equal(records.take([3, 1]).answers, records.answers[[3, 1]])
    assert table().take([0]).answers is None


def test_logits_of_probabilities():
    found = logits_of([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
    assert np.allclose(found.sum(axis=1), 0.0)
    assert np.allclose(np.exp(found[0]) / np.exp(found[0]).sum(), [0.2, 0.3, 0.5])
    assert np.isfinite(found).all()


def test_what_is_refused():
    refused(InputError, lambda: recipe(mlp, imitation=Imitation()).fit(table(), seed=0), "answers", "found none")
    refused(InputError, lambda: Imitation(alpha=1.5), "alpha", "1.5")
    refused(InputError, lambda: Imitation(warm_up=1.0), "warm-up", "1")
    shape = (table().n_records, 2)
    refused(InputError, lambda: table().answered(np.zeros(shape)), "finite logits", str(shape))

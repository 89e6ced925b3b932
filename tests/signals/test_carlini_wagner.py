"""Distances by gradients: exact on linear models, one record like many, and what cannot be searched."""

import numpy as np
import pytest
import torch
from torch import nn

from vestige.core.errors import InputError
from vestige.signals.boundary import Descent, carlini_wagner
from vestige.targets.access import MeteredGradients
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter
from vestige.targets.opening import open_target

N_CLASSES, N_FEATURES = 4, 20


def linear(n_records=16, seed=0):
    """A linear model of several classes as a target, records in the middle of their range, and their true distances."""
    rng = np.random.default_rng(seed)
    layer = nn.Linear(N_FEATURES, N_CLASSES)
    weights = rng.normal(size=(N_CLASSES, N_FEATURES)) * 5
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(-weights.sum(axis=1) / 2))
    x = (0.5 + 0.1 * rng.normal(size=(n_records, N_FEATURES))).astype(np.float32)
    own = layer.weight.detach().double().numpy()
    logits = x.astype(float) @ own.T + layer.bias.detach().double().numpy()
    y = logits.argmax(axis=1)
    gaps = logits[np.arange(n_records), y][:, None] - logits
    lengths = np.linalg.norm(own[y][:, None] - own[None], axis=2)
    distances = np.where(lengths > 0, gaps / np.where(lengths > 0, lengths, 1), np.inf).min(axis=1)
    target = MeteredGradients(Meter(open_target(layer, N_CLASSES), Ledger(None, n_records)), "white_box_distance")
    return target, x, y, np.arange(n_records), distances


def test_the_distance_of_a_linear_model_is_found():
    target, x, y, records, distances = linear()
    found = carlini_wagner(target, x, y, records, (0.0, 1.0))
    assert (found >= distances - 1e-6).all()
    assert np.median(found / distances) < 1.01
    assert (found - distances).max() < 5e-4


def test_it_does_not_depend_on_the_unit_of_the_inputs():
    target, x, y, records, _ = linear()

    class InBytes:
        def margins(self, inputs, labels, rows):
            margins, slopes = target.margins(inputs / 255, labels, rows)
            return margins, slopes / 255

    found = carlini_wagner(target, x.astype(float), y, records, (0.0, 1.0))
    scaled = carlini_wagner(InBytes(), 255.0 * x.astype(float), y, records, (0.0, 255.0))
    assert np.allclose(scaled / 255, found, rtol=1e-3)


def test_each_record_is_searched_by_itself():
    target, x, y, records, _ = linear(6)
    few = Descent(n_steps=100)
    found = carlini_wagner(target, x, y, records, (0.0, 1.0), few)
    order = np.array([3, 0, 5])
    assert np.allclose(carlini_wagner(target, x[order], y[order], records[order], (0.0, 1.0), few), found[order])


def test_a_record_that_the_model_is_wrong_about_is_at_0_and_one_that_cannot_be_left_infinitely_far():
    target, x, y, records, _ = linear(4)
    assert (carlini_wagner(target, x, (y + 1) % N_CLASSES, records, (0.0, 1.0), Descent(5)) == 0).all()

    class Constant:
        def margins(self, inputs, labels, rows):
            return np.ones(len(inputs)), np.zeros((len(inputs), N_FEATURES))

    assert np.isinf(carlini_wagner(Constant(), x, y, records, (0.0, 1.0), Descent(5))).all()


def test_what_cannot_be_followed_is_refused():
    target, x, y, records, _ = linear(4)
    with pytest.raises(InputError, match="fractions"):
        carlini_wagner(target, (255 * x).astype(np.uint8), y, records, (0, 255))
    with pytest.raises(InputError, match="finite bounds"):
        carlini_wagner(target, x, y, records, (0.0, np.inf))
    with pytest.raises(InputError, match="above 0"):
        Descent(n_steps=0)

"""The white-box yardstick: near the exact distances of a plane, and what it does where it fails."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from torch import nn

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.inputs import InputSpace
from vestige.targets.objects.carlini_wagner import carlini_wagner_distances

with_foolbox = pytest.mark.skipif(importlib.util.find_spec("foolbox") is None, reason="an optional extra")


def _plane(n_features=10):
    torch.manual_seed(0)
    layer = nn.Linear(n_features, 2)
    with torch.no_grad():
        layer.bias.sub_(layer(torch.full((1, n_features), 0.5))[0])
    normal = (layer.weight[1] - layer.weight[0]).detach().numpy().astype(np.float64)
    x = np.random.default_rng(0).uniform(0.35, 0.65, (20, n_features)).astype(np.float32)
    return layer, x, np.abs((x - 0.5) @ normal) / np.linalg.norm(normal)


@with_foolbox
@pytest.mark.filterwarnings("ignore")
def test_g5_distances_of_a_plane_are_within_a_hundredth():
    layer, x, true = _plane()
    with torch.no_grad():
        y = layer(torch.from_numpy(x)).argmax(1).numpy()
    y[:3] = 1 - y[:3]
    layer.train()
    found = carlini_wagner_distances(layer, x, y, 2, (0, 1), n_steps=300)
    assert layer.training
    assert found[:3].tolist() == [0, 0, 0]
    assert (found[3:] >= true[3:] - 1e-6).all()
    assert found[3:] == pytest.approx(true[3:], rel=0.02, abs=2e-3)


@with_foolbox
@pytest.mark.filterwarnings("ignore")
def test_one_logit_for_two_classes_has_the_same_distances():
    layer, x, true = _plane()
    one = nn.Linear(10, 1)
    with torch.no_grad():
        one.weight.copy_(layer.weight[1:] - layer.weight[:1])
        one.bias.copy_(layer.bias[1:] - layer.bias[:1])
        y = layer(torch.from_numpy(x)).argmax(1).numpy()
    found = carlini_wagner_distances(one, x, y, 2, (0, 1), n_steps=300)
    assert found == pytest.approx(true, rel=0.02, abs=2e-3)


@with_foolbox
@pytest.mark.filterwarnings("ignore")
def test_declared_inputs_are_prepared_and_distances_are_in_their_units():
    layer, x, true = _plane(12)  # in 0..1, as the module is given them

    class Images(nn.Module):
        def forward(self, z):
            assert z.shape[1:] == (3, 2, 2)
            return layer((z * 0.25 + 0.5).permute(0, 2, 3, 1).reshape(len(z), 12))

    pixels = np.rint(x.reshape(20, 2, 2, 3) * 255).astype(np.uint8)
    space = InputSpace(low=0, high=255, mean=[127.5] * 3, scale=0.25 * 255, channels_first=True)
    given = torch.from_numpy(space.prepared(pixels))
    module = Images().eval()
    with torch.no_grad():
        y = module(given).argmax(1).numpy()
    found = carlini_wagner_distances(module, pixels, y, 2, space, n_steps=300)
    alone = carlini_wagner_distances(layer, pixels.reshape(20, 12).astype(np.float32) / 255, y, 2, (0, 1), n_steps=300)
    assert not module.training
    assert found == pytest.approx(255 * alone, rel=1e-3)
    assert found == pytest.approx(255 * true, rel=0.1, abs=2)
    with pytest.raises(InputError, match=r"Expected a value in 0\.\.200"):
        carlini_wagner_distances(module, pixels + 100, y, 2, InputSpace(low=0, high=200))


@with_foolbox
@pytest.mark.filterwarnings("ignore")
def test_where_nothing_is_found_a_record_is_infinitely_far():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum(1) * 0 + 2, x.sum(1) * 0], dim=1)

    x = np.full((2, 3), 0.5, dtype=np.float32)
    found = carlini_wagner_distances(Constant(), x, np.array([0, 1]), 2, (0, 1), n_steps=5)
    assert found.tolist() == [np.inf, 0]


@with_foolbox
@pytest.mark.filterwarnings("ignore")
def test_inputs_outside_of_the_bounds_are_refused():
    layer, x, _ = _plane()
    with pytest.raises(InputError, match="within two bounds"):
        carlini_wagner_distances(layer, x, np.zeros(20, dtype=int), 2, (0, 0.5))
    with pytest.raises(InputError, match="within two bounds"):
        carlini_wagner_distances(layer, x, np.zeros(20, dtype=int), 2, (np.zeros(10), np.ones(10)))


def test_without_foolbox_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "foolbox", None)
    layer, x, _ = _plane()
    with pytest.raises(UnsupportedModelError, match=r"pip install .foolbox>="):
        carlini_wagner_distances(layer, x, np.zeros(20, dtype=int), 2, (0, 1))

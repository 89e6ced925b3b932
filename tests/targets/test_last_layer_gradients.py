"""The gradient in the last layer's weights equals that of a backward pass per record, or the module is refused."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from vestige.core.errors import TargetError, UnsupportedModelError
from vestige.papers.networks.convolutional import smallnet
from vestige.targets.objects.record_gradients import last_layer_gradients
from vestige.targets.objects.torch_module import TorchTarget


def loop(module, layer, x, y):
    """The plain form: one backward pass per record."""
    found = []
    for i in range(len(x)):
        module.zero_grad()
        functional.cross_entropy(module(x[i : i + 1]), y[i : i + 1]).backward()
        found.append(layer.weight.grad.T.clone())
    return torch.stack(found).double()


def perceptron(*sizes, bias=True):
    torch.manual_seed(0)
    layers = [nn.Linear(a, b, bias=bias) for a, b in pairwise(sizes)]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.Tanh())))[:-1].eval()


def records(n=9, *shape, n_classes=4):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(size=(n, *shape))), torch.from_numpy(rng.integers(n_classes, size=n))


class WithModules(nn.Module):
    """A module made of parts and of a way to go through them."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.way = forward

    def forward(self, x):
        return self.way(self, x)


# ---------------------------------------------------------------------------------- closed form


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(6, 4), (6, 8, 5, 4), (6, 3, 2)])
def test_it_equals_a_loop_of_backward_passes(sizes, bias):
    module = perceptron(*sizes, bias=bias).double()
    x, y = records(9, 6, n_classes=sizes[-1])
    found = last_layer_gradients(module, x, y)
    assert found.shape == (9, sizes[-2], sizes[-1])
    torch.testing.assert_close(found, loop(module, module[-1], x, y), rtol=1e-9, atol=1e-12)
    single = last_layer_gradients(module.float(), x.float(), y)
    torch.testing.assert_close(single, found, rtol=1e-6, atol=1e-6)


def test_a_network_of_convolutions_too():
    torch.manual_seed(0)
    module = smallnet(4).eval()
    x, y = records(5, 3, 8, 8)
    layer = [part for part in module.modules() if type(part) is nn.Linear][-1]
    found = last_layer_gradients(module, x.float(), y)
    torch.testing.assert_close(found, loop(module, layer, x.float(), y), rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_confident_answer_is_not_rounded_to_nothing():
    """1 - p is 1e-22 here: in any precision 1 - (1 - 1e-22) is 0."""
    module = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        module.weight[:] = torch.tensor([[50.0], [0.0]])
    found = last_layer_gradients(module, torch.ones(1, 1), torch.tensor([0]))
    np.testing.assert_allclose(found.numpy()[0, 0], [-np.exp(-50.0), np.exp(-50.0)], rtol=1e-9)


def test_frozen_parameters_count_and_nothing_is_left_behind():
    module = perceptron(6, 5, 4)
    x, y = records(4, 6)
    expected = last_layer_gradients(module, x.float(), y)
    frozen = copy.deepcopy(module).requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(last_layer_gradients(frozen, x.float(), y), expected, rtol=0, atol=0)
    assert not any(part._forward_hooks for part in module.modules())
    assert all(p.grad is None for p in module.parameters())
    assert last_layer_gradients(module, x[:0].float(), y[:0]).shape == (0, 5, 4)


# ---------------------------------------------------------------------------------------- target


def test_a_target_gives_them_in_batches_in_evaluation_mode_and_is_left_in_its_own():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(600, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))
    x, y = records(1030, 600, n_classes=3)
    blocks = list(TorchTarget(module.train(), 3).last_layer_gradients(x.numpy(), y.numpy()))
    assert all(part.training for part in module.modules())
    assert [block.shape for block in blocks] == [(512, 5, 3), (512, 5, 3), (6, 5, 3)]
    assert blocks[0].dtype == np.float32
    whole = last_layer_gradients(module.eval(), x.float(), y).numpy()
    np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=1e-4, atol=1e-6)


def test_a_target_that_gives_other_than_logits_is_refused():
    x, y = records(4, 6)
    with pytest.raises(TargetError):
        list(TorchTarget(nn.Linear(6, 3), 4).last_layer_gradients(x.numpy(), y.numpy()))


# --------------------------------------------------------------------------------------- refusals


def tied():
    inner, out = nn.Linear(6, 6), nn.Linear(6, 6)
    out.weight = inner.weight
    return WithModules(lambda m, x: m.out(torch.tanh(m.inner(x))), inner=inner, out=out)


TWICE = WithModules(lambda m, x: m.out(torch.tanh(m.out(x))), out=nn.Linear(6, 6))
ALSO_OUTSIDE = WithModules(lambda m, x: m.out(torch.tanh(x @ m.out.weight)), out=nn.Linear(6, 6))
MIXING = WithModules(lambda m, x: m.out(x - x.mean(dim=0)), out=nn.Linear(6, 6))
SCALED_IN_PLACE = WithModules(lambda m, x: m.out(x).div_(3.0), out=nn.Linear(6, 6))


@pytest.mark.parametrize("module", [tied(), TWICE, ALSO_OUTSIDE, MIXING, SCALED_IN_PLACE])
def test_weights_that_serve_elsewhere_are_found_by_a_backward_pass(module):
    x, y = records(5, 6)
    with pytest.raises(UnsupportedModelError, match="last layer whose weights do nothing else in WithModules"):
        last_layer_gradients(module.eval().double(), x, y)


def test_logits_must_come_from_a_linear_layer():
    x, y = records(5, 6)
    x = x.float()
    softened = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    with pytest.raises(
        UnsupportedModelError, match="found that something follows the last one; give a module that ends"
    ):
        last_layer_gradients(softened, x, y)
    images = nn.Sequential(nn.Unflatten(1, (6, 1, 1)), nn.Conv2d(6, 4, 1), nn.Flatten())
    with pytest.raises(UnsupportedModelError, match=r"come from an nn\.Linear in Sequential, found no such layer"):
        last_layer_gradients(images, x, y)
    weighed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    with pytest.raises(UnsupportedModelError, match="no such layer"):
        last_layer_gradients(weighed, x, y)

"""First weights: their spread is that of the formulas, and biases are 0."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from vestige.papers.networks.initialisation import glorot_uniform, he_normal_of_outputs


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [(nn.Linear(300, 200), 300, 200), (nn.Conv2d(16, 40, 3), 16 * 9, 40 * 9)],
    ids=["linear", "convolution"],
)
def test_glorot_weights_are_uniform_up_to_the_bound_of_both_fans(layer, fan_in, fan_out):
    torch.manual_seed(0)
    glorot_uniform(nn.Sequential(layer))
    bound = math.sqrt(6 / (fan_in + fan_out))
    largest, spread = float(layer.weight.detach().abs().max()), float(layer.weight.detach().std())
    assert 0.99 * bound < largest <= bound
    assert spread == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert not layer.bias.any()


def test_he_weights_have_the_spread_of_the_outputs():
    torch.manual_seed(0)
    convolution: Any
    convolution, linear = nn.Conv2d(16, 40, 3, stride=2), nn.Linear(4, 4)
    before = linear.weight.clone()
    he_normal_of_outputs(nn.Sequential(convolution, linear))
    assert float(convolution.weight.detach().std()) == pytest.approx(math.sqrt(2 / (40 * 9)), rel=0.03)
    assert not convolution.bias.any()
    assert torch.equal(linear.weight, before)


def test_a_layer_without_bias_stays_without():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Linear(2, 2, bias=False))
    he_normal_of_outputs(network)
    assert [name for name, _ in glorot_uniform(network).named_parameters()] == ["0.weight", "1.weight"]

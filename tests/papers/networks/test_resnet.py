"""ResNet-18: its parameters, and its answers against the equations written out."""

from typing import Any

import pytest
import torch
from tests.papers.networks.counting import convolution, linear, n_parameters
from torch import nn
from torch.nn import functional

from vestige.papers.networks.resnet import ResNet18


def _counted(n_filters: int, n_classes: int) -> int:
    def block(n_in: int, n_out: int) -> int:
        inner = convolution(n_in, n_out, 3, bias=False) + convolution(n_out, n_out, 3, bias=False) + 4 * n_out
        return inner + (convolution(n_in, n_out, 1, bias=False) + 2 * n_out if n_in != n_out else 0)

    total, n_in = convolution(3, n_filters, 3, bias=False) + 2 * n_filters, n_filters
    for n_out in (n_filters, 2 * n_filters, 4 * n_filters, 8 * n_filters):
        total += block(n_in, n_out) + block(n_out, n_out)
        n_in = n_out
    return total + linear(n_in, n_classes)


def test_it_has_the_11_174_million_parameters_of_the_published_models():
    assert n_parameters(ResNet18()) == _counted(64, 10) == 11_173_962


def test_fewer_filters_make_it_smaller():
    assert n_parameters(ResNet18(100, n_filters=16)) == _counted(16, 100)


def _normed(x: torch.Tensor, layer: nn.BatchNorm2d) -> torch.Tensor:
    return functional.batch_norm(x, None, None, layer.weight, layer.bias, training=True)


@pytest.mark.parametrize("pool_first", [True, False])
def test_answers_are_the_equations_written_out(pool_first):
    torch.manual_seed(0)
    network, images = ResNet18(n_filters=8, pool_first=pool_first), torch.rand(4, 3, 32, 32)
    x = _normed(functional.conv2d(images, network.first.weight, padding=1), network.norm).relu()
    x = functional.max_pool2d(x, 3, stride=2, padding=1) if pool_first else x
    groups: Any = network.groups
    for number, pair in enumerate(groups):
        for place, block in enumerate(pair):
            stride = 2 if number > 0 and place == 0 else 1
            y = _normed(functional.conv2d(x, block.conv_1.weight, stride=stride, padding=1), block.norm_1).relu()
            y = _normed(functional.conv2d(y, block.conv_2.weight, padding=1), block.norm_2)
            if stride == 2:
                x = _normed(functional.conv2d(x, block.shortcut[0].weight, stride=2), block.shortcut[1])
            x = (x + y).relu()
    assert x.shape[-1] == (2 if pool_first else 4)
    assert torch.allclose(network(images), network.last(x.mean(dim=(2, 3))), atol=1e-4)

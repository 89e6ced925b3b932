"""Wide residual networks: parameters by a formula of their own, blocks against their equations written out."""

from typing import Any

import pytest
import torch
from tests.papers.networks.counting import convolution, linear, n_parameters
from torch.nn import functional

from vestige.core.errors import InputError
from vestige.papers.networks.wide_resnet import FIXMATCH, LIRA, Form, WideResNet


def _counted(depth: int, width: int, n_classes: int, *, bias: bool) -> int:
    """The parameters, group by group."""
    total, n_in = convolution(3, 16, 3, bias=bias), 16
    for n_out in (16 * width, 32 * width, 64 * width):
        for block in range((depth - 4) // 6):
            total += 2 * n_in + convolution(n_in, n_out, 3, bias=bias)
            total += 2 * n_out + convolution(n_out, n_out, 3, bias=bias)
            if block == 0 and (n_in != n_out or n_out > 16 * width):
                total += convolution(n_in, n_out, 1, bias=bias)
            n_in = n_out
    return total + 2 * n_in + linear(n_in, n_classes)


@pytest.mark.parametrize(("width", "form", "n"), [(1, LIRA, 369_498), (2, LIRA, 1_467_610), (2, FIXMATCH, 1_469_642)])
def test_it_has_the_parameters_of_its_layers(width, form, n):
    assert n_parameters(WideResNet(width=width, form=form)) == _counted(28, width, 10, bias=form.bias) == n


def test_the_widest_one_is_36_million_parameters():
    with torch.device("meta"):
        assert n_parameters(WideResNet(width=10)) == _counted(28, 10, 10, bias=False) == 36_479_194


def _normed(x, layer):
    return functional.batch_norm(x, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)


def _written_out(network: Any, images: torch.Tensor, form: Form) -> Any:
    def act(x):
        return torch.where(x > 0, x, form.negative_slope * x)

    x = functional.conv2d(images, network.first.weight, network.first.bias, padding=1)
    for number, group in enumerate(network.groups):
        for place, block in enumerate(group):
            stride = 2 if number > 0 and place == 0 else 1
            o = act(_normed(x, block.norm_1))
            y = functional.conv2d(o, block.conv_1.weight, block.conv_1.bias, stride=stride, padding=1)
            y = functional.conv2d(act(_normed(y, block.norm_2)), block.conv_2.weight, block.conv_2.bias, padding=1)
            if place == 0:
                start = o if form is LIRA or number == 0 else x
                x = functional.conv2d(start, block.shortcut.weight, block.shortcut.bias, stride=stride)
            x = x + y
    return network.last(act(_normed(x, network.norm)).mean(dim=(2, 3)))


@pytest.mark.parametrize("form", [LIRA, FIXMATCH], ids=["lira", "fixmatch"])
def test_answers_are_the_equations_written_out(form):
    torch.manual_seed(0)
    network, images = WideResNet(10, depth=10, form=form), torch.rand(4, 3, 16, 16)
    assert torch.allclose(network(images), _written_out(network, images, form), atol=1e-5)


@pytest.mark.parametrize(("form", "share"), [(LIRA, 0.1), (FIXMATCH, 0.001)], ids=["lira", "fixmatch"])
def test_running_statistics_move_by_the_share_of_the_form(form, share):
    torch.manual_seed(0)
    network: Any = WideResNet(10, depth=10, form=form)
    images = torch.rand(4, 3, 16, 16)
    network(images)
    seen = network.first(images).mean(dim=(0, 2, 3))
    assert torch.allclose(network.groups[0][0].norm_1.running_mean, share * seen, atol=1e-6)


def test_first_weights_have_hes_spread_over_the_outputs():
    torch.manual_seed(0)
    network: Any = WideResNet(10, width=2)
    assert float(network.groups[2][1].conv_1.weight.detach().std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("depth", [27, 4])
def test_a_depth_that_makes_no_blocks_is_refused(depth):
    with pytest.raises(InputError, match=f"Expected a depth of 6n \\+ 4, such as 28, found {depth}"):
        WideResNet(depth=depth)

"""Networks of others that the papers attack: their published numbers of parameters, and their blocks written out."""

import pytest
import torch
from tests.data.refusals import refused
from tests.papers.networks.counting import layers_of, n_parameters
from torch import nn
from torch.nn import functional

from vestige.papers.networks.densenet import densenet_bc
from vestige.papers.networks.mobilenet import mobilenet_v2
from vestige.papers.networks.resnet import ResNet
from vestige.papers.networks.vgg import alexnet, vgg


@pytest.mark.parametrize(
    ("network", "published"),
    [
        (lambda: ResNet(), 21_282_122),
        (lambda: ResNet(1000, large_images=True), 21_797_672),
        (lambda: ResNet(bottleneck=True), 23_520_842),
        (lambda: ResNet(1000, bottleneck=True, large_images=True), 25_557_032),
        (lambda: mobilenet_v2(), 2_236_682),
        (lambda: mobilenet_v2(1000, large_images=True), 3_504_872),
        (lambda: mobilenet_v2(1000, width=0.5), 1_968_680),
        (lambda: densenet_bc(), 769_162),
        (lambda: densenet_bc(depth=190, growth=40), 25_624_430),
        (lambda: vgg(depth=11), 9_231_114),
        (lambda: vgg(), 14_728_266),
        (lambda: vgg(depth=19), 20_040_522),
        (lambda: alexnet(), 2_472_266),
    ],
)
def test_it_has_the_published_number_of_parameters(network, published):
    assert n_parameters(network()) == published


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (lambda: ResNet(7, bottleneck=True, n_filters=4), 32),
        (lambda: ResNet(7, large_images=True, n_filters=4), 64),
        (lambda: mobilenet_v2(7, width=0.25), 32),
        (lambda: mobilenet_v2(7, width=0.25, large_images=True, n_channels=1), 64),
        (lambda: densenet_bc(7, depth=10, growth=4), 32),
        (lambda: vgg(7, depth=11, n_filters=4), 32),
        (lambda: alexnet(7), 32),
    ],
)
def test_a_batch_of_images_gets_a_batch_of_logits(network, size):
    made = network()
    n_channels = next(layer.in_channels for layer in made.modules() if isinstance(layer, nn.Conv2d))
    logits = made(torch.rand(3, n_channels, size, size))
    assert logits.shape == (3, 7)
    logits.sum().backward()
    assert all(p.grad is not None for p in made.parameters())


def _normed(x: torch.Tensor, layer: nn.BatchNorm2d) -> torch.Tensor:
    return functional.batch_norm(x, None, None, layer.weight, layer.bias, training=True)


def test_a_bottleneck_is_its_equations():
    torch.manual_seed(0)
    network, x = ResNet(n_blocks=(1, 1), bottleneck=True, n_filters=4), torch.rand(2, 4, 8, 8)
    block = network.groups[0][0]  # type: ignore[index]
    y = _normed(functional.conv2d(x, block.conv_1.weight), block.norm_1).relu()
    y = _normed(functional.conv2d(y, block.conv_2.weight, padding=1), block.norm_2).relu()
    y = _normed(functional.conv2d(y, block.conv_3.weight), block.norm_3)
    expected = (y + _normed(functional.conv2d(x, block.shortcut[0].weight), block.shortcut[1])).relu()
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_an_inverted_block_is_its_equations():
    torch.manual_seed(0)
    block = layers_of(mobilenet_v2(width=0.25))[5]  # the second of its group: it has a shortcut
    x = torch.rand(2, 8, 6, 6)
    wide, norm_1, _, deep, norm_2, _, narrow, norm_3 = block.layers
    y = _normed(functional.conv2d(x, wide.weight), norm_1).clamp(0, 6)
    each = [functional.conv2d(y[:, i : i + 1], deep.weight[i : i + 1], padding=1) for i in range(48)]
    y = _normed(torch.cat(each, dim=1), norm_2).clamp(0, 6)
    assert torch.allclose(block(x), x + _normed(functional.conv2d(y, narrow.weight), norm_3), atol=1e-5)


def test_a_dense_layer_adds_its_channels():
    torch.manual_seed(0)
    layer = layers_of(densenet_bc(depth=10, growth=4))[1]
    x = torch.rand(2, 8, 5, 5)
    norm_1, _, narrow, norm_2, _, wide = layer.layers
    y = functional.conv2d(_normed(x, norm_1).relu(), narrow.weight)
    y = functional.conv2d(_normed(y, norm_2).relu(), wide.weight, padding=1)
    found = layer(x)
    assert torch.equal(found[:, :8], x)
    assert torch.allclose(found[:, 8:], y, atol=1e-5)


def test_what_is_no_depth():
    refused(lambda: densenet_bc(depth=101), "Expected a depth of 6n + 4, such as 100, found 101")
    refused(lambda: vgg(depth=12), "Expected a depth of 11, 13, 16 or 19, found 12")

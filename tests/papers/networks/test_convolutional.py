"""Small convolutional networks: parameters counted by hand, and the papers' own counts."""

import pytest
import torch
from tests.papers.networks.counting import convolution, layers_of, linear, n_parameters
from torch import nn

from vestige.papers.networks.convolutional import four_convolutions, smallnet, two_blocks, two_convolutions


def _n_classes_of(network: nn.Module, n_channels: int, size: int) -> int:
    with torch.no_grad():
        return int(network.eval()(torch.rand(2, n_channels, size, size)).shape[1])


def test_p3s_cnn_has_the_parameters_of_its_layers():
    pairs = convolution(3, 32, 3) + convolution(32, 32, 3) + convolution(32, 64, 3) + convolution(64, 64, 3)
    network = four_convolutions()  # 32 -> 30 -> 15 -> 13 -> 6 pixels
    assert n_parameters(network) == pairs + linear(64 * 6 * 6, 512) + linear(512, 10) == 1_250_858
    assert _n_classes_of(network, 3, 32) == 10


def test_p3s_cnn_fits_mnist():
    pairs = convolution(1, 32, 3) + convolution(32, 32, 3) + convolution(32, 64, 3) + convolution(64, 64, 3)
    network = four_convolutions(10, n_channels=1, size=28)  # 28 -> 26 -> 13 -> 11 -> 5 pixels
    assert n_parameters(network) == pairs + linear(64 * 5 * 5, 512) + linear(512, 10)
    assert _n_classes_of(network, 1, 28) == 10


def test_p3s_cnn_draws_glorots_weights_and_its_dropout_is_where_the_code_has_it():
    network = four_convolutions(dropout=0.8)
    layers = [type(layer) for layer in network]
    assert layers[9:12] == [nn.MaxPool2d, nn.Dropout, nn.Flatten]
    assert layers[12:] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [layer.p for layer in network if isinstance(layer, nn.Dropout)] == [0.8, 0.8]
    dense = layers_of(network)[12]
    assert float(dense.weight.detach().abs().max()) <= (6 / (2304 + 512)) ** 0.5
    assert not dense.bias.any()


def test_p3s_cnn_sees_the_pixels_that_its_padding_leaves():
    """A naive twin: the four convolutions written out."""
    torch.manual_seed(0)
    network, images = four_convolutions(), torch.rand(2, 3, 32, 32)
    c1, c2, c3, c4 = (layer for layer in network if isinstance(layer, nn.Conv2d))
    f = nn.functional
    x = f.conv2d(f.relu(f.conv2d(f.pad(images, (1,) * 4), c1.weight, c1.bias)), c2.weight, c2.bias).relu()
    x = f.max_pool2d(x, 2)
    x = f.conv2d(f.relu(f.conv2d(f.pad(x, (1,) * 4), c3.weight, c3.bias)), c4.weight, c4.bias).relu()
    x = f.max_pool2d(x, 2).reshape(2, -1)
    hidden, last = layers_of(network)[12], layers_of(network)[15]
    x = f.linear(f.linear(x, hidden.weight, hidden.bias).relu(), last.weight, last.bias)
    assert torch.allclose(network.eval()(images), x, atol=1e-5)


def test_p4s_smallnet_has_131_thousand_parameters():
    channels = convolution(3, 32, 3) + convolution(32, 64, 3) + convolution(64, 64, 3) + convolution(64, 128, 3)
    assert n_parameters(smallnet()) == channels + linear(128, 10) == 131_466
    assert n_parameters(smallnet(100)) == channels + linear(128, 100)
    assert _n_classes_of(smallnet(), 3, 32) == 10


def test_p4s_smallnet_averages_what_it_sees_at_last():
    network = smallnet()
    features = network[:-3](torch.rand(2, 3, 32, 32))
    assert features.shape == (2, 128, 4, 4)
    assert torch.allclose(network[-2](network[-3](features)), features.mean(dim=(2, 3)), atol=1e-6)


def test_p4s_mnist_network_has_the_parameters_of_its_layers():
    network = two_convolutions()  # 28 -> 24 -> 12 -> 8 -> 4 pixels
    expected = convolution(1, 20, 5) + convolution(20, 50, 5) + linear(50 * 4 * 4, 500) + linear(500, 10)
    assert n_parameters(network) == expected == 431_080
    assert [layer.p for layer in network if isinstance(layer, nn.Dropout)] == [0.25, 0.25, 0.5]
    assert _n_classes_of(network, 1, 28) == 10


@pytest.mark.parametrize("size", [64, 32])
def test_p1s_ch_mnist_network_has_the_parameters_of_its_layers(size):
    network = two_blocks(size=size)
    assert n_parameters(network) == convolution(1, 32, 3) + convolution(32, 64, 3) + linear(64 * (size // 4) ** 2, 8)
    assert _n_classes_of(network, 1, size) == 8

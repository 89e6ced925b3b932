"""Fully connected networks against their layers written out."""

import torch
from tests.papers.networks.counting import layers_of, linear, n_parameters
from torch import nn

from vestige.papers.networks.perceptron import perceptron


def test_the_layers_are_those_that_were_asked_for():
    network = perceptron(7, [5, 3], 2, activation=nn.ReLU)
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert n_parameters(network) == linear(7, 5) + linear(5, 3) + linear(3, 2)


def test_answers_are_the_products_written_out():
    torch.manual_seed(0)
    network, x = perceptron(4, [3], 2), torch.randn(6, 4)
    first, _, last = layers_of(network)
    hidden = torch.tanh(x @ first.weight.T + first.bias)
    assert torch.allclose(network(x), hidden @ last.weight.T + last.bias, atol=1e-6)


def test_dropout_stands_before_every_layer():
    network = perceptron(4, [3], 2, dropout=0.5)
    assert [type(layer) for layer in network] == [nn.Dropout, nn.Linear, nn.Tanh, nn.Dropout, nn.Linear]
    assert {layer.p for layer in network if isinstance(layer, nn.Dropout)} == {0.5}


def test_without_hidden_layers_it_is_linear():
    assert n_parameters(perceptron(4, [], 2)) == linear(4, 2)

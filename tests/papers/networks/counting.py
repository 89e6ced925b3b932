"""How tests count what a network has to learn."""

from typing import Any

from torch import nn


def n_parameters(network: nn.Module) -> int:
    """Return the number of weights and biases."""
    return sum(p.numel() for p in network.parameters())


def layers_of(network: nn.Sequential) -> list[Any]:
    """Return the layers of a network, whose attributes a test may name."""
    return list(network)


def linear(n_in: int, n_out: int) -> int:
    """Return the parameters of a linear layer."""
    return n_in * n_out + n_out


def convolution(n_in: int, n_out: int, size: int, *, bias: bool = True) -> int:
    """Return the parameters of a convolution of size x size."""
    return n_in * n_out * size * size + (n_out if bias else 0)

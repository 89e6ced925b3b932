"""Fully connected networks."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def perceptron(
    n_features: int,
    hidden: Sequence[int],
    n_classes: int,
    *,
    activation: type[nn.Module] = nn.Tanh,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return a network of linear layers with an activation after each but the last.

    Args:
        n_features: Inputs.
        hidden: Neurons of each hidden layer, from the inputs on.
        n_classes: Outputs.
        activation: Such as `torch.nn.Tanh`.
        dropout: Share of the inputs and of each hidden layer's outputs that training leaves out.

    Example:
        >>> [tuple(p.shape) for p in perceptron(5, [3], 2).parameters()]
        [(3, 5), (3,), (2, 3), (2,)]
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([n_features, *hidden]):
        layers += [*_dropout(dropout), nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers, *_dropout(dropout), nn.Linear([n_features, *hidden][-1], n_classes))


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share > 0 else []

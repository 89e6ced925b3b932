"""The gradient of every single record: of a batch at once, layer by layer, where that can be relied on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call, grad, vmap
from torch.nn import functional

Call = tuple[nn.Module, Tensor, GradientEdge]

_AGREEMENT = 1e-4
"""Largest relative difference that rounding explains."""


def squared_norms_one_by_one(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the squared norm of every record's gradient, a record at a time: slow, and right for any module."""
    weights = _weights(module)
    squares = inputs.new_zeros(len(inputs), dtype=torch.float64)
    for i in range(len(inputs)):
        loss = _loss(functional_call(module, weights, (inputs[i : i + 1],)), labels[i : i + 1])
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        squares[i] = sum(g.double().square().sum() for g in gradients if g is not None)
    return squares


def squared_norms_by_layer(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor | None:
    """Return the squared norm of every record's gradient from what each layer was given and is to change.

    Returns:
        None if the module cannot be taken apart: one that owns parameters has parts, is called more than once, or with
        something else than one tensor whose first axis is the records.

    Raises:
        RuntimeError: `torch.func` cannot do one of the layers.
    """
    owners = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))]
    if any(True for owner in owners for _ in owner.children()):
        return None
    weights = {name: _channels_last(w) for name, w in _weights(module).items()}
    with _recorded(owners) as calls:
        logits = functional_call(module, weights, (inputs,))
    if calls is None or len({id(layer) for layer, _, _ in calls}) != len(calls):
        return None
    gradients = torch.autograd.grad(_loss(logits, labels), [edge for _, _, edge in calls], allow_unused=True)
    squares = inputs.new_zeros(len(inputs), dtype=torch.float64)
    for (layer, given, _), gradient in zip(calls, gradients, strict=True):
        if gradient is not None:
            squares += _squares_of_layer(layer, given, gradient)
    return squares

"""The norm of every single record's gradient: of a batch at once, layer by layer, where that can be relied on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call, grad, vmap
from torch.nn import functional

SquaredNorms = Callable[[nn.Module, Tensor, Tensor], Tensor]

_ROUNDING = 1e-4
"""Relative difference of two ways that rounding may explain."""


def squared_norms_for(module: nn.Module, inputs: Tensor, labels: Tensor) -> SquaredNorms:
    """Return the fastest way that is right for a module: a few records are done in both ways, and must agree.

    They would not if the module used a parameter outside of the layer that owns it, or mixed its records.

    Args:
        module: Gives logits, in evaluation mode.
        inputs: A few records.
        labels: Their classes.
    """
    plain = squared_norms_one_by_one(module, inputs, labels)
    try:
        fast = squared_norms_by_layer(module, inputs, labels)
    except (RuntimeError, _Indivisible):
        return squared_norms_one_by_one
    agree = torch.allclose(fast, plain, rtol=_ROUNDING, atol=0.0)
    return squared_norms_by_layer if agree else squared_norms_one_by_one


def squared_norms_one_by_one(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the squared norm of each record's gradient, a record at a time: slow, and right for every module."""
    weights = _weights_of(module)
    squares = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    for i in range(len(inputs)):
        loss = _loss(functional_call(module, weights, (inputs[i : i + 1],)), labels[i : i + 1])
        for gradient in torch.autograd.grad(loss, list(weights.values()), allow_unused=True):
            if gradient is not None:
                squares[i] += _squares(gradient[None])[0]
    return squares


def squared_norms_by_layer(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the squared norm of each record's gradient, from what every layer was given and how its outputs matter.

    One pass forward and one back serve the whole batch; no gradient of a parameter is summed over records.
    """
    weights = _weights_of(module)
    with _recorded(module, len(inputs)) as calls:
        logits = functional_call(module, weights, (inputs,))
    edges = [edge for _, _, edge in calls]
    squares = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    gradients = torch.autograd.grad(_loss(logits, labels), edges, allow_unused=True)
    for (layer, given, _), gradient in zip(calls, gradients, strict=True):
        if gradient is not None:
            squares += _squares_of_layer(layer, given, gradient)
    return squares


class _Indivisible(Exception):
    """A module that is more than its layers, each asked once about all records."""


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of cross-entropies: in double precision, because of a confident model 1 - p is nothing in single."""
    return functional.cross_entropy(logits.double(), labels, reduction="sum")


def _weights_of(module: nn.Module) -> dict[str, Tensor]:
    """All parameters, frozen ones too, free of their history; laid out so that convolutions are fastest."""
    weights = {}
    for name, parameter in module.named_parameters():
        weight = parameter.detach()
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=torch.channels_last)
        weights[name] = weight.requires_grad_()
    return weights


@contextmanager
def _recorded(module: nn.Module, n_records: int) -> Iterator[list[tuple[nn.Module, Tensor, GradientEdge]]]:
    """Note what every layer with parameters is given, and where the gradient of its outputs will pass."""
    calls: list[tuple[nn.Module, Tensor, GradientEdge]] = []

    def note(layer: nn.Module, given: tuple[Any, ...], outputs: Any) -> None:
        tensors = (*given, outputs)
        whole = len(tensors) == 2 and all(isinstance(t, Tensor) and t.ndim and len(t) == n_records for t in tensors)
        if not whole or any(layer is known for known, _, _ in calls):
            raise _Indivisible
        calls.append((layer, given[0].detach(), get_gradient_edge(outputs)))

    owners = [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
    n_names = sum(1 for _ in module.named_parameters(remove_duplicate=False))
    if n_names != sum(1 for _ in module.parameters()) or any(next(o.children(), None) is not None for o in owners):
        raise _Indivisible
    handles = [owner.register_forward_hook(note) for owner in owners]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _squares_of_layer(layer: nn.Module, given: Tensor, gradient: Tensor) -> Tensor:
    """Squared norm per record of the gradient of a layer's parameters, from the gradient of its outputs."""
    if type(layer) is nn.Linear:
        rows, columns = given.reshape(len(given), -1, given.shape[-1]), gradient
        columns = gradient.reshape(len(given), -1, gradient.shape[-1])
    elif type(layer) is nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros":
        if isinstance(layer.padding, str):
            return _squares_by_vmap(layer, given, gradient)
        rows = _patches(layer, given)
        columns = gradient.permute(0, 2, 3, 1).flatten(1, 2)
    else:
        return _squares_by_vmap(layer, given, gradient)
    squares = _squares_of_products(rows, columns)
    return squares if layer.bias is None else squares + _squares(columns.sum(dim=1))


def _patches(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """What a convolution multiplies its weights with, record x position x number, channels last."""
    (top, left), (height, width) = layer.padding, layer.kernel_size
    (down, right), (tall, wide) = layer.stride, layer.dilation
    channels_last = functional.pad(images, (left, left, top, top)).permute(0, 2, 3, 1).contiguous()
    n, n_high, n_wide, n_channels = channels_last.shape
    rows = (n_high - tall * (height - 1) - 1) // down + 1
    columns = (n_wide - wide * (width - 1) - 1) // right + 1
    of_record, of_row, of_column, of_channel = channels_last.stride()
    windows = channels_last.as_strided(
        (n, rows, columns, height, width, n_channels),
        (of_record, down * of_row, right * of_column, tall * of_row, wide * of_column, of_channel),
    )
    return windows.reshape(n, rows * columns, -1)


def _squares_of_products(rows: Tensor, columns: Tensor) -> Tensor:
    """Squared norm of rows' x columns per record, each record x position x number.

    With few positions it is cheaper to multiply positions with each other; in double precision, because that cancels.
    """
    n_positions, n_in, n_out = rows.shape[1], rows.shape[2], columns.shape[2]
    if 2 * n_positions * (n_in + n_out) < n_in * n_out:
        rows, columns = rows.double(), columns.double()
        return ((rows @ rows.mT) * (columns @ columns.mT)).sum(dim=(1, 2))
    return _squares(columns.mT @ rows)


def _squares(gradients: Tensor) -> Tensor:
    """Squared norm per record; summed in double precision over the norms of the last axis."""
    norms = torch.linalg.vector_norm(gradients, dim=-1) if gradients.ndim > 1 else gradients
    return norms.double().square().reshape(len(gradients), -1).sum(dim=1)


def _squares_by_vmap(layer: nn.Module, given: Tensor, gradient: Tensor) -> Tensor:
    """The same for a layer of any kind."""
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}

    def along(w: dict[str, Tensor], x: Tensor, g: Tensor) -> Tensor:
        return (functional_call(layer, w, (x[None],)) * g[None]).sum()

    gradients = vmap(grad(along), in_dims=(None, 0, 0))(weights, given, gradient)
    return torch.stack([_squares(g) for g in gradients.values()]).sum(dim=0)

"""Squared norms of per-record gradients in a layer's parameters, from what it was given and how its outputs matter.

One pass forward and one back serve a whole block; no gradient of a parameter is summed over records.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call, grad, vmap
from torch.nn import functional


class Indivisible(Exception):
    """A module that is more than its layers, each asked once about all records."""


@contextmanager
def calls_of_layers(module: nn.Module, n_records: int) -> Iterator[list[tuple[nn.Module, Tensor, GradientEdge]]]:
    """Note what every layer with parameters is given, and where the gradient in its outputs will pass."""
    calls: list[tuple[nn.Module, Tensor, GradientEdge]] = []

    def note(layer: nn.Module, given: tuple[Any, ...], outputs: Any) -> None:
        tensors = (*given, outputs)
        whole = len(tensors) == 2 and all(isinstance(t, Tensor) and t.ndim > 1 and len(t) == n_records for t in tensors)
        if not whole or any(layer is known for known, _, _ in calls):
            raise Indivisible
        if outputs.requires_grad:
            calls.append((layer, given[0].detach(), get_gradient_edge(outputs)))

    layers = [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
    n_names = sum(1 for _ in module.named_parameters(remove_duplicate=False))
    if n_names != sum(1 for _ in module.parameters()) or any(next(m.children(), None) is not None for m in layers):
        raise Indivisible
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def squares_of_layer(layer: nn.Module, given: Tensor, gradient: Tensor) -> Tensor:
    """Squared norm per record of the gradient in a layer's parameters, from that in its outputs."""
    if type(layer) is nn.Linear:
        rows, columns = given.unsqueeze(1).flatten(1, -2), gradient.unsqueeze(1).flatten(1, -2)
    elif type(layer) is nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros":
        rows, columns = _patches(layer, given), gradient.permute(0, 2, 3, 1).flatten(1, 2)
    else:
        return _squares_by_vmap(layer, given, gradient)
    squares = _squares_of_products(rows, columns)
    return squares if layer.bias is None else squares + _squares(columns.sum(dim=1))


def _patches(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """What a convolution multiplies its weights with, record x position x number: channels last, a copy of rows."""
    (tall, wide), (down, right), (apart, aside) = layer.kernel_size, layer.stride, layer.dilation
    borders = layer._reversed_padding_repeated_twice  # left, right, top, bottom, also of padding that has a name
    padded = functional.pad(images, borders).permute(0, 2, 3, 1).contiguous()
    n, height, width, channels = padded.shape
    n_down = (height - apart * (tall - 1) - 1) // down + 1
    n_right = (width - aside * (wide - 1) - 1) // right + 1
    record, row, column, channel = padded.stride()
    windows = padded.as_strided(
        (n, n_down, n_right, tall, wide, channels),
        (record, down * row, right * column, apart * row, aside * column, channel),
    )
    return windows.reshape(n, n_down * n_right, -1)


def _squares_of_products(rows: Tensor, columns: Tensor) -> Tensor:
    """Squared norm per record of the products of its rows with its columns, summed over positions.

    Where there are few positions, it is cheaper to multiply those with each other, and needs no memory for a gradient;
    in double precision, because terms cancel.
    """
    n_positions, n_in, n_out = rows.shape[1], rows.shape[2], columns.shape[2]
    if 2 * n_positions * (n_in + n_out) < n_in * n_out:
        rows, columns = rows.double(), columns.double()
        return ((rows @ rows.mT) * (columns @ columns.mT)).sum(dim=(1, 2))
    return _squares(columns.mT @ rows)


def _squares(gradients: Tensor) -> Tensor:
    """Squared norm per record, in double precision from the norms along the last axis."""
    norms = torch.linalg.vector_norm(gradients, dim=-1) if gradients.ndim > 1 else gradients
    return norms.double().square().reshape(len(gradients), -1).sum(dim=1)


def _squares_by_vmap(layer: nn.Module, given: Tensor, gradient: Tensor) -> Tensor:
    """The same for a layer of any kind."""
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}

    def along(w: dict[str, Tensor], x: Tensor, g: Tensor) -> Tensor:
        outputs: Tensor = functional_call(layer, w, (x[None],))
        return (outputs * g[None]).sum()

    gradients = vmap(grad(along), in_dims=(None, 0, 0))(weights, given, gradient)
    return torch.stack([_squares(g) for g in gradients.values()]).sum(dim=0)

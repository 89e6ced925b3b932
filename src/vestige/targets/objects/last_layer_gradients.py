"""The gradient of every single record's loss in the weights of the last layer: known in closed form."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from vestige.core.errors import UnsupportedModelError

_ROUNDING = 1e-4
"""Relative difference of the closed form and a backward pass that rounding may explain."""


def last_layer_gradients(
    module: nn.Module, inputs: Tensor, labels: Int[Tensor, " record"]
) -> Float[Tensor, "record input class"]:
    """Return the gradient of each record's own cross-entropy in the weights of the layer that gives the logits.

    It is the outer product of what the layer is given and of softmax - one-hot, in double precision; one pass forward
    serves all records, and one record's backward pass is compared with it.

    Args:
        module: Gives logits, in evaluation mode.
        inputs: A block of records.
        labels: Their classes.

    Returns:
        Gradient, one input of the layer after the other [nats per unit of weight].

    Raises:
        UnsupportedModelError: The logits are not what one `nn.Linear` gives, or its weights serve elsewhere as well.

    Example:
        >>> layer = nn.Linear(1, 2)
        >>> _ = nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
        >>> last_layer_gradients(layer, torch.tensor([[4.0]]), torch.tensor([0])).tolist()
        [[[-2.0, 2.0]]]

    Source:
        Nasr et al. 2019, https://arxiv.org/abs/1812.00910, gradient of the last layer; the closed form is textbook.
    """
    layer, given, logits = _last_layer(module, inputs)
    found = given.double()[:, :, None] * _softmax_less_one_hot(logits, labels)[:, None, :]
    if len(inputs) and not torch.allclose(
        found[0], _by_backward(module, layer, inputs[:1], labels[:1]), rtol=_ROUNDING, atol=_ROUNDING * _size(found[0])
    ):
        raise UnsupportedModelError(
            f"Expected a last layer whose weights do nothing else in {type(module).__name__}, found a backward pass "
            "that disagrees with its outer product; give a module without tied weights that treats each record alone."
        )
    return found


def _last_layer(module: nn.Module, inputs: Tensor) -> tuple[nn.Linear, Tensor, Tensor]:
    """The linear layer whose outputs are the logits, what it was given, and the logits."""
    calls: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def note(layer: nn.Module, given: tuple[Any, ...], outputs: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            calls.append((layer, given[0], outputs))

    layers = [part for part in module.modules() if type(part) is nn.Linear]  # a subclass may do more than it
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            logits = module(inputs.clone())
    finally:
        for handle in handles:
            handle.remove()
    if not calls or calls[-1][2] is not logits:
        raise UnsupportedModelError(
            f"Expected logits that come from an nn.Linear in {type(module).__name__}, found "
            f"{'no such layer' if not calls else 'that something follows the last one'}; give a module that ends "
            "with one, and leave softmax or temperature to the attack."
        )
    return calls[-1]


def _softmax_less_one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    """In double precision, the true class as a sum of the others: 1 - p of a confident model would round to 0."""
    direction = logits.double().softmax(dim=1).scatter(1, labels[:, None], 0.0)
    return direction.scatter(1, labels[:, None], -direction.sum(dim=1, keepdim=True))


def _by_backward(module: nn.Module, layer: nn.Linear, inputs: Tensor, labels: Tensor) -> Tensor:
    """The gradient in the layer's weights wherever the module uses them."""
    weights = {name: value.detach() for name, value in module.named_parameters()}
    name = next(name for name, value in module.named_parameters() if value is layer.weight)
    weights[name] = weights[name].clone().requires_grad_()
    with torch.enable_grad():
        logits = functional_call(module, weights, (inputs.clone(),))
        loss = functional.cross_entropy(logits.double(), labels)
    return torch.autograd.grad(loss, weights[name])[0].double().T


def _size(gradient: Tensor) -> float:
    """Of the whole gradient; a sum in single precision cancels down to nothing for a confident answer."""
    return max(float(gradient.abs().max()), 1e-6)

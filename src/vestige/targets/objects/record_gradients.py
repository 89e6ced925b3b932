"""Per-record gradients: their norms, and in closed form the gradients in the weights of the last layer.

Norms are of a block at once, layer by layer, where that can be relied on.
"""

from contextlib import suppress
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from vestige.core.errors import UnsupportedModelError
from vestige.gradients.by_layer import Indivisible, calls_of_layers, squares_of_layer

Weights = dict[str, Tensor]

_ROUNDING = 1e-4
"""Relative difference of two ways that rounding may explain."""


def squared_norms_for(module: nn.Module, inputs: Tensor) -> "partial[Tensor]":
    """Return the fastest way that is right for a module, from inputs and labels to squared norms.

    A few records are done in both ways, which must agree. They do not if the module uses a parameter outside of the
    layer that owns it, or mixes its records. Each is given the least likely class: of the own class of a record that
    was memorised the gradient may be 0, in every way. Convolutions are fastest with channels last, which some
    modules cannot bear: those that take a `view` of a convolution's output.

    Args:
        module: Gives logits, in evaluation mode. Its parameters are read now and not again.
        inputs: A few records.
    """
    weights = weights_of(module)
    with torch.no_grad():
        labels = functional_call(module, weights, (inputs.clone(),)).argmin(dim=1)
    plain = squared_norms_one_by_one(module, weights, inputs, labels)
    for laid_out in (weights_of(module, torch.channels_last), weights):
        with suppress(RuntimeError, Indivisible):
            fast = squared_norms_by_layer(module, laid_out, inputs, labels)
            if torch.allclose(fast, plain, rtol=_ROUNDING, atol=0.0):
                return partial(squared_norms_by_layer, module, laid_out)
    return partial(squared_norms_one_by_one, module, weights)


def weights_of(module: nn.Module, layout: torch.memory_format = torch.contiguous_format) -> Weights:
    """Return all parameters, frozen ones too, free of their history; those of convolutions of images in a layout."""
    return {
        name: parameter.detach()
        .contiguous(memory_format=layout if parameter.ndim == 4 else torch.contiguous_format)
        .requires_grad_()
        for name, parameter in module.named_parameters()
    }


def squared_norms_one_by_one(module: nn.Module, weights: Weights, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the squared norm of each record's gradient, a record at a time: slow, and right for every module."""
    squares = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    for i in range(len(inputs)):
        logits = functional_call(module, weights, (inputs[i : i + 1].clone(),))
        loss, scale = _scaled_loss(logits, labels[i : i + 1])
        if loss.requires_grad:
            gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
            squares[i] = torch.stack([g.double().square().sum() for g in gradients]).sum()
            squares[i] *= scale.square().item()
    return squares


def squared_norms_by_layer(module: nn.Module, weights: Weights, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the squared norm of each record's gradient, from what every layer was given and how its outputs matter.

    One pass forward and one back serve the whole block; no gradient of a parameter is summed over records.
    """
    with calls_of_layers(module, len(inputs)) as calls:
        logits = functional_call(module, weights, (inputs.clone(),))
    loss, scale = _scaled_loss(logits, labels)
    gradients = torch.autograd.grad(loss, [edge for _, _, edge in calls], allow_unused=True)
    squares = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    for (layer, given, _), gradient in zip(calls, gradients, strict=True):
        if gradient is not None:
            squares += squares_of_layer(layer, given, gradient)
    return squares * scale.square()


def _scaled_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of something whose gradient in the logits is that of the cross-entropy, up to a scale per record.

    The gradient of a confident model, softmax - one-hot, is far below what single precision can tell from 0, both as a
    difference and as a square. So the difference is taken as a sum of the others' probabilities in double precision,
    and the largest of them is set to 1.
    """
    direction = _softmax_less_one_hot(logits.detach(), labels)
    scale = direction.abs().amax(dim=1)
    direction = direction / torch.where(scale > 0, scale, 1.0)[:, None]
    return (logits * direction.to(logits.dtype)).sum(), scale


# ------------------------------------------------------------------------------- the last layer


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
    gradients = given.double()[:, :, None] * _softmax_less_one_hot(logits, labels)[:, None, :]
    if len(inputs) and not torch.allclose(
        gradients[0],
        _by_backward(module, layer, inputs[:1], labels[:1]),
        rtol=_ROUNDING,
        atol=_ROUNDING * _size(gradients[0]),
    ):
        raise UnsupportedModelError(
            f"Expected a last layer whose weights do nothing else in {type(module).__name__}, found a backward pass "
            "that disagrees with its outer product; give a module without tied weights that treats each record alone."
        )
    return gradients


def last_layer_inputs(module: nn.Module, inputs: Tensor) -> Float[Tensor, "record feature"]:
    """Return what the layer that gives the logits is given: each record's embedding.

    Args:
        module: Gives logits; its mode stays as it is, so take evaluation mode.
        inputs: A block of records.

    Raises:
        UnsupportedModelError: The logits are not what one `nn.Linear` gives.

    Example:
        >>> double = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(double.weight, 2.0)
        >>> last_layer_inputs(nn.Sequential(double, nn.Linear(1, 3)), torch.tensor([[4.0]])).tolist()
        [[8.0]]
    """
    return _last_layer(module, inputs)[1].detach().flatten(1)


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
        loss = functional.cross_entropy(functional_call(module, weights, (inputs.clone(),)).double(), labels)
    return torch.autograd.grad(loss, weights[name])[0].double().T


def _size(gradient: Tensor) -> float:
    """Of the whole gradient; a sum in single precision cancels down to nothing for a confident answer."""
    return max(float(gradient.abs().max()), 1e-6)

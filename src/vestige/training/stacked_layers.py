"""How the networks of a stack answer together: directly, if every layer is a simple one, and else under `vmap`."""

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

_ELEMENTWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh,
    nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid,
)  # fmt: skip
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
Weights = dict[str, Tensor]


class Masks:
    """Dropout masks of a stack: every model draws its own from a stream of its own, as it would alone.

    Attributes:
        streams: A stream per model.
        n_records: How many rows of each model's batch are records and not padding.
    """

    def __init__(self, streams: list[torch.Generator]) -> None:
        self.streams = streams
        self.n_records: list[int] = []

    def apply(self, inputs: Tensor, layer: Any) -> Tensor:
        """Return inputs, model x record x ..., with some of them zeroed and the others scaled up."""
        masks = torch.zeros_like(inputs)
        for mask, n, stream in zip(masks, self.n_records, self.streams, strict=True):
            whole_channels = type(layer) is not nn.Dropout
            shape = (n, mask.shape[1], *([1] * (mask.ndim - 2))) if whole_channels else (n, *mask.shape[1:])
            # torch's own layer draws numbers of the inputs' type, of this shape, and scales them like this.
            drawn = torch.empty(shape, dtype=inputs.dtype).bernoulli_(1 - layer.p, generator=stream)
            mask[:n] = drawn.div_(1 - layer.p)
        return inputs * masks


@runtime_checkable
class StackedNetwork(Protocol):
    """Answers for all models of a stack. `packed` is how it wants their weights; `unpacked` is as torch has them."""

    def packed(self, weights: Weights) -> Weights:
        """Return weights, each with the models first, as `answers` takes them."""

    def unpacked(self, weights: Weights) -> Weights:
        """Return what `packed` was given."""

    def answers(self, weights: Weights, buffers: Weights, inputs: Tensor, training: bool) -> Tensor:
        """Return model x record x class logits of inputs, model x record x ..."""


def stacked_network(network: nn.Module, masks: Masks) -> StackedNetwork:
    """Return the way for a network."""
    layers = _simple_layers(network)
    return UnderVmap(network, masks) if layers is None else Direct(layers, masks)


def _simple_layers(network: nn.Module) -> list[tuple[str, nn.Module]] | None:
    """The layers in their order, if they are simple ones in a row, with the prefix of the names of their weights."""
    if type(network) is not nn.Sequential:
        found = [("", network)]
    else:
        found = []
        for name, child in network.named_children():
            inner = _simple_layers(child)
            if inner is None:
                return None
            found += [(f"{name}.{rest}", layer) for rest, layer in inner]
    plain = all(type(layer) in (nn.Linear, nn.Dropout, nn.Flatten, *_ELEMENTWISE) for _, layer in found)
    flat = all(layer.start_dim == 1 and layer.end_dim == -1 for _, layer in found if isinstance(layer, nn.Flatten))
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks for _, layer in found)
    return found if plain and flat and not hooked else None


class Direct:
    """Linear layers, activations and dropout in a row: a product of three axes each, without going through `vmap`.

    Weights are kept transposed, because their gradients are then products in the faster order of memory.
    """

    def __init__(self, layers: list[tuple[str, nn.Module]], masks: Masks) -> None:
        self.layers, self.masks = layers, masks
        self.transposed = {f"{prefix}weight" for prefix, layer in layers if isinstance(layer, nn.Linear)}

    def packed(self, weights: Weights) -> Weights:
        """Transpose the weights of linear layers."""
        return {name: w.mT.contiguous() if name in self.transposed else w for name, w in weights.items()}

    def unpacked(self, weights: Weights) -> Weights:
        """Transpose them back."""
        return {name: w.mT if name in self.transposed else w for name, w in weights.items()}

    def answers(self, weights: Weights, buffers: Weights, inputs: Tensor, training: bool) -> Tensor:
        """Go through the layers."""
        x = inputs
        for prefix, layer in self.layers:
            if isinstance(layer, nn.Linear):
                x = _linear(x, weights[f"{prefix}weight"], weights.get(f"{prefix}bias"))
            elif isinstance(layer, nn.Dropout):
                x = self.masks.apply(x, layer) if training and layer.p > 0 else x
            else:
                x = x.flatten(2) if isinstance(layer, nn.Flatten) else layer(x)
        return x


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    flat = inputs.flatten(1, -2)
    outputs = torch.bmm(flat, weight) if bias is None else torch.baddbmm(bias[:, None], flat, weight)
    return outputs.reshape(*inputs.shape[:-1], -1)


class UnderVmap:
    """Any network that `torch.func.vmap` can take."""

    def __init__(self, network: nn.Module, masks: Masks) -> None:
        holder = nn.ModuleList([copy.deepcopy(network)])
        for parent in list(holder.modules()):
            for name, layer in list(parent.named_children()):
                if type(layer) in _DROPOUTS:
                    setattr(parent, name, _MaskedDropout(layer, masks))
        self.network = holder[0]
        self.forward: Callable[..., Tensor] = vmap(self._one, in_dims=(0, 0, 0), randomness="error")

    def packed(self, weights: Weights) -> Weights:
        """Leave them as they are."""
        return weights

    def unpacked(self, weights: Weights) -> Weights:
        """Leave them as they are."""
        return weights

    def answers(self, weights: Weights, buffers: Weights, inputs: Tensor, training: bool) -> Tensor:
        """Call the network under `vmap` over models."""
        self.network.train(training)
        return self.forward(weights, buffers, inputs)

    def _one(self, weights: Weights, buffers: Weights, inputs: Tensor) -> Any:
        return functional_call(self.network, (weights, buffers), (inputs,))


class _MaskedDropout(nn.Module):
    """A dropout layer under `vmap` over models."""

    def __init__(self, layer: nn.Module, masks: Masks) -> None:
        super().__init__()
        self.layer, self.masks = layer, masks

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or self.layer.p == 0:
            return inputs
        return _Masked.apply(inputs, self.layer, self.masks)  # type: ignore[no-untyped-call, no-any-return]


class _Masked(torch.autograd.Function):
    """States what `vmap` over models does, because no mask could be drawn for one model alone under it."""

    @staticmethod
    def forward(inputs: Tensor, layer: nn.Module, masks: Masks) -> Tensor:
        raise RuntimeError("dropout of a stack outside of vmap over models")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, inputs: Tensor, layer: nn.Module, masks: Masks) -> tuple[Tensor, int]:
        return masks.apply(inputs.movedim(in_dims[0], 0), layer), 0

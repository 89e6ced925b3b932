"""Stacked networks: computed directly if every layer is a simple one, else under `vmap`."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vestige.core.errors import UnsupportedModelError
from vestige.training.classifier import global_stream

_ELEMENTWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh,
    nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid,
)  # fmt: skip
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_WITHOUT_RECORDS = {nn.Dropout1d: 2, nn.Dropout3d: 4}  # with so many axes, torch takes the first one for channels
Weights = dict[str, Tensor]


class Masks:
    """Dropout masks of a stack: every model draws its own from a stream of its own, as it would alone.

    Attributes:
        streams: A stream per model.
        n_records: How many rows of each model's batch are records and not padding.
        width: How many rows the batches have.
        order: In which order of memory images go through a network, and masks for them are drawn.
    """

    def __init__(self, streams: list[torch.Generator]) -> None:
        self.streams = streams
        self.n_records: list[int] = []
        self.width = 0
        self.order = torch.contiguous_format

    def of_batch(self, inputs: Tensor, n_records: list[int]) -> None:
        """Be those of a batch, model x record x ..., as it is given to the networks."""
        self.n_records, self.width = n_records, inputs.shape[1]
        channels_last = inputs.ndim == 5 and inputs[0].is_contiguous(memory_format=torch.channels_last)
        self.order = torch.channels_last if channels_last else torch.contiguous_format

    def apply(self, inputs: Tensor, layer: Any) -> Tensor:
        """Return inputs, model x record x ..., with some of them zeroed and the others scaled up.

        Raises:
            UnsupportedModelError: It cannot be told which of the inputs are of records.
        """
        if layer.p == 1:
            return inputs * 0.0  # torch draws nothing then
        masks = torch.ones_like(inputs)
        for mask, n, stream in zip(masks, self.n_records, self.streams, strict=True):
            part = mask if n == self.width else mask[:n]
            if n < self.width != len(mask):
                raise _unclear(layer, mask)
            part.copy_(self._drawn(part, layer, stream))
        return inputs * masks

    def _drawn(self, part: Tensor, layer: Any, stream: torch.Generator) -> Tensor:
        """What torch's own layer multiplies its inputs by, from numbers of their type, drawn in their order."""
        if type(layer) is nn.Dropout:
            order = self.order if part.ndim == 4 else torch.preserve_format
            drawn = torch.empty_like(part, device="cpu", memory_format=order)
        elif part.ndim < 2 or part.ndim == _WITHOUT_RECORDS.get(type(layer)):
            raise _unclear(layer, part)
        else:
            drawn = torch.empty((*part.shape[:2], *([1] * (part.ndim - 2))), dtype=part.dtype)
        return drawn.bernoulli_(1 - layer.p, generator=stream).div_(1 - layer.p)


def _unclear(layer: nn.Module, inputs: Tensor) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"Expected inputs with records first in {type(layer).__name__}, found shape {tuple(inputs.shape)}, of which a "
        "stack cannot tell records from padding; train the models one by one."
    )


class StackedNetwork:
    """Answers for all models of a stack. `packed` weights are in its own layout, `unpacked` ones in torch's."""

    def packed(self, weights: Weights) -> Weights:
        """Return weights, each with the models first, as `answers` takes them."""
        return weights

    def unpacked(self, weights: Weights) -> Weights:
        """Return what `packed` was given."""
        return weights

    def answers(self, weights: Weights, buffers: Weights, inputs: Any, training: bool) -> Tensor:
        """Return model x record x class logits of inputs, model x record x ...; several inputs come as a tuple."""
        raise NotImplementedError


def stacked_network(network: nn.Module, masks: Masks) -> StackedNetwork:
    """Return the implementation for a network."""
    layers = simple_layers(network)
    return UnderVmap(network, masks) if layers is None else Direct(network, layers, masks)


def simple_layers(network: nn.Module) -> list[nn.Module] | None:
    """The layers in their order, if they are simple ones in a row; one that is used twice is there twice."""
    if is_changed(network):
        return None
    if type(network) is nn.Sequential:
        parts = [simple_layers(child) for child in network]
        return None if None in parts else [layer for part in parts if part is not None for layer in part]
    whole = not isinstance(network, nn.Flatten) or (network.start_dim, network.end_dim) == (1, -1)
    return [network] if whole and type(network) in (nn.Linear, nn.Dropout, nn.Flatten, *_ELEMENTWISE) else None


def is_changed(layer: nn.Module) -> bool:
    """Whether a layer has hooks, or a `forward` of its own, that its class does not show."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(hooks) or "forward" in vars(layer)


class Direct(StackedNetwork):
    """Linear layers, activations and dropout in a row: a product of three axes each, without going through `vmap`.

    Weights are kept transposed, because their gradients are then products in the faster order of memory.
    """

    def __init__(self, network: nn.Module, layers: list[nn.Module], masks: Masks) -> None:
        self.layers, self.masks = layers, masks
        # By identity, because layers may share weights, which then have the name of the first.
        names = {id(weight): name for name, weight in network.named_parameters()}
        self.names = {id(w): names[id(w)] for layer in layers for w in layer.parameters(recurse=False)}
        self.transposed = {self.names[id(layer.weight)] for layer in layers if isinstance(layer, nn.Linear)}

    def packed(self, weights: Weights) -> Weights:
        """Transpose the weights of linear layers."""
        return {name: w.mT.contiguous() if name in self.transposed else w for name, w in weights.items()}

    def unpacked(self, weights: Weights) -> Weights:
        """Transpose them back."""
        return {name: w.mT if name in self.transposed else w for name, w in weights.items()}

    def answers(self, weights: Weights, buffers: Weights, inputs: Any, training: bool) -> Tensor:
        """Go through the layers."""
        x: Tensor = inputs
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                bias = self.names.get(id(layer.bias))  # it may have none
                x = _linear(x, weights[self.names[id(layer.weight)]], None if bias is None else weights[bias])
            elif isinstance(layer, nn.Dropout):
                x = self.masks.apply(x, layer) if training and layer.p > 0 else x
            else:
                x = x.flatten(2) if isinstance(layer, nn.Flatten) else layer(x)
        return x


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    flat = inputs.flatten(1, -2)
    outputs = torch.bmm(flat, weight) if bias is None else torch.baddbmm(bias[:, None], flat, weight)
    return outputs.reshape(*inputs.shape[:-1], -1)


class UnderVmap(StackedNetwork):
    """Any network that `torch.func.vmap` can take."""

    def __init__(self, network: nn.Module, masks: Masks) -> None:
        holder = nn.ModuleList([copy.deepcopy(network)])
        for parent in list(holder.modules()):
            for name, layer in parent._modules.items():
                if isinstance(layer, _DROPOUTS) and type(layer) in _DROPOUTS and not is_changed(layer):
                    parent._modules[name] = _MaskedDropout(layer, masks)
        self.network = holder[0]
        self.forward: Callable[..., Any] = vmap(self._one, in_dims=(0, 0, 0), randomness="error")

    def answers(self, weights: Weights, buffers: Weights, inputs: Any, training: bool) -> Tensor:
        """Call the network under `vmap` over models."""
        self.network.train(training)
        outputs: Tensor
        outputs, replaced = self.forward(weights, buffers, inputs)
        for name, buffer in replaced.items():
            buffers[name].copy_(buffer.detach())
        return outputs

    def _one(self, weights: Weights, buffers: Weights, inputs: Any) -> Any:
        """The outputs of one model, and buffers that it did not change in place but set anew."""
        state = weights | buffers
        outputs = functional_call(self.network, state, inputs)
        return outputs, {name: state[name] for name, buffer in buffers.items() if state[name] is not buffer}


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
    """Defines dropout under `vmap` over models, where no mask could be drawn for one model alone."""

    @staticmethod
    def forward(inputs: Tensor, layer: nn.Module, masks: Masks) -> Tensor:
        raise RuntimeError("dropout of a stack outside of vmap over models")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, inputs: Tensor, layer: nn.Module, masks: Masks) -> tuple[Tensor, int]:
        return masks.apply(inputs.movedim(in_dims[0], 0), layer), 0


def sees_others(answer: Callable[[Tensor], Tensor], inputs: Tensor) -> bool:
    """Whether the answers for half of some records, or the buffers, change with the other half.

    Args:
        answer: A network, which is not changed, or another function.
        inputs: At least two records.
    """
    n = (len(inputs) + 1) // 2
    alone, together = _trial(answer, inputs[:n]), _trial(answer, inputs)
    together[0] = together[0][:n]
    return not all(map(_alike, alone, together))


def _alike(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal, but for rounding."""
    a, b = first.nan_to_num(), second.nan_to_num()
    return a.numel() == 0 or torch.allclose(a, b, 1e-3, 1e-3 * float(a.abs().max()))


@torch.no_grad()
def _trial(answer: Callable[[Tensor], Tensor], inputs: Tensor) -> list[Tensor]:
    """The answers, and the buffers afterwards, in training mode but without dropout."""
    # Another stream for other records, so that what is drawn by chance differs.
    with global_stream(len(inputs), str(inputs.device)):
        if not isinstance(answer, nn.Module):
            return [answer(inputs.clone()).double()]
        trial = copy.deepcopy(answer).train()
        for layer in trial.modules():
            if isinstance(layer, _DROPOUTS):
                layer.p = 0.0
        return [trial(inputs.clone()).double(), *(buffer.double() for buffer in trial.buffers())]

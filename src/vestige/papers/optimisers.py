"""Optimisers that torch does not make of `parameters()` alone."""

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor, nn

from vestige.core.errors import InputError


@dataclass(frozen=True)
class WeightsOnlyDecay:
    """SGD with momentum that adds decay/2 · ‖w‖² to the loss for weights, and not for biases or normalisation layers.

    Torch adds decay · w to the gradient before momentum, which is the gradient of that very term. Weights are told
    apart by their place in the network, not by their shape, because in a stack each has an axis more.

    Attributes:
        network: Makes the network whose parameters the optimiser will be given.
        learning_rate: Before any schedule.
        decay: Of weights: parameters with two axes or more.
        momentum: Share of the last step that is kept.
        nesterov: Whether the gradient is looked up ahead.

    Raises:
        InputError: It is called with the parameters of another network.

    Source:
        Carlini et al.'s demonstration and FixMatch: half the sum of squares over weights of convolutions and linear
        layers.

    Example:
        >>> import functools
        >>> optimiser = WeightsOnlyDecay(functools.partial(nn.Linear, 2, 2), learning_rate=0.1, decay=0.5)
        >>> groups = optimiser(nn.Linear(2, 2).parameters()).param_groups
        >>> [(group["weight_decay"], len(group["params"])) for group in groups]
        [(0.5, 1), (0.0, 1)]
    """

    network: Callable[[], nn.Module]
    _: KW_ONLY
    learning_rate: float
    decay: float
    momentum: float = 0.9
    nesterov: bool = False

    def __call__(self, parameters: Iterable[Tensor]) -> torch.optim.SGD:
        """Return the optimiser of these parameters, which are in the network's order."""
        given = list(parameters)
        with torch.device("meta"):  # no memory, and no numbers drawn
            decays = [p.ndim > 1 for p in self.network().parameters()]
        if len(given) != len(decays):
            raise InputError(
                f"Expected the {len(decays)} parameters of the optimiser's own network, found {len(given)}; give the "
                "recipe and its optimiser one network."
            )
        weights = [p for p, is_weight in zip(given, decays, strict=True) if is_weight]
        others = [p for p, is_weight in zip(given, decays, strict=True) if not is_weight]
        groups = [{"params": weights, "weight_decay": self.decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=self.learning_rate, momentum=self.momentum, nesterov=self.nesterov)

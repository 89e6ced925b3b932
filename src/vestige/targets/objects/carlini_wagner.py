"""The white-box reference for boundary distances: Carlini & Wagner's L2 attack, with gradients of a torch module."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import nn

from vestige.core.errors import InputError
from vestige.core.input_values import fitted_to
from vestige.core.inputs import InputSpace
from vestige.targets.objects.torch_module import TorchTarget
from vestige.targets.refusals import missing_package

_BATCH = 256
_SETTINGS = {"binary_search_steps": 5, "stepsize": 5e-3, "initial_const": 1e-2}  # of cleverhans


def carlini_wagner_distances(
    module: nn.Module,
    inputs: Shaped[np.ndarray, " record *features"],
    labels: Int[np.ndarray, " record"],
    n_classes: int,
    bounds: tuple[Any, Any] | InputSpace,
    *,
    n_steps: int = 1_000,
) -> Float[np.ndarray, " record"]:
    """Find how far each record is from the decision boundary [L2, unit of the inputs], with gradients.

    Args:
        module: Gives logits; it is asked in evaluation mode, and left in the mode it was in.
        inputs: As the module is given them; with an `InputSpace` as they are in the records.
        labels: True class.
        n_classes: Number of classes.
        bounds: Least and largest value of every feature; or what was declared of the inputs, by which they are prepared
            for the module, and the distances are in the units of the records.
        n_steps: Steps of Adam at most, for each of 5 weights of the loss.

    Returns:
        The distances: 0 where the module is wrong about the record, infinite where no other class was found.

    Raises:
        InputError: The bounds are not two numbers, or an input is outside of them.
        UnsupportedModelError: foolbox is not installed.

    Source:
        Carlini & Wagner 2017, section V, with the settings of Choquette-Choo et al. 2021 (cleverhans'), by foolbox.
        Deviation: a failure is infinite, where they took the record itself for what was found.
    """
    try:
        import foolbox
    except ModuleNotFoundError:
        raise missing_package("foolbox", "distances by gradients", "whitebox") from None
    low, high = _range_of(inputs, bounds)
    if isinstance(bounds, InputSpace):
        unit = np.clip((inputs.astype(np.float64) - low) / (high - low), 0, 1).astype(np.float32)
        prepared = _Prepared(module, bounds, low, high, inputs.shape[1:])
        return carlini_wagner_distances(prepared, unit, labels, n_classes, (0, 1), n_steps=n_steps) * (high - low)
    attack = foolbox.attacks.L2CarliniWagnerAttack(steps=n_steps, **_SETTINGS)
    was_training = module.training
    module.eval()
    try:
        target = TorchTarget(module, n_classes)
        model = foolbox.PyTorchModel(target.per_class(inputs), bounds=(low, high), device=target.device)
        parts = [
            _distances(attack, model, target, inputs[start : start + _BATCH], labels[start : start + _BATCH])
            for start in range(0, len(inputs), _BATCH)
        ]
    finally:
        module.train(was_training)
    return np.concatenate([np.empty(0), *parts])


def _range_of(inputs: np.ndarray, bounds: tuple[Any, Any] | InputSpace) -> tuple[float, float]:
    """The least and the largest value of every feature, within which all inputs are."""
    sides: Any = bounds
    if isinstance(bounds, InputSpace):
        bounds.check(inputs)
        sides = (side.flat[0] if (side == side.flat[0]).all() else np.nan for side in bounds.bounds(inputs))
    low, high = (float(side) if np.ndim(side) == 0 else np.nan for side in sides)
    least, most = (float(inputs.min()), float(inputs.max())) if inputs.size else (np.inf, -np.inf)
    is_outside = not isinstance(bounds, InputSpace) and (least < low or most > high)
    if not low < high or is_outside:
        raise InputError(
            f"Expected inputs within two bounds that hold for every feature, found bounds {low:g} and {high:g} and "
            f"inputs from {least:g} to {most:g}; scale the features alike."
        )
    return low, high


class _Prepared(nn.Module):
    """A module that is asked about records as fractions of their range, and prepares them as was declared."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, module: nn.Module, space: InputSpace, low: float, high: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module, self.low, self.width, self.channels_first = module, low, high - low, space.channels_first
        self.training = module.training
        for name, value, usual in (("mean", space.mean, 0.0), ("scale", space.scale, 1.0)):
            fitted = torch.tensor(fitted_to(usual if value is None else value, shape, name), dtype=torch.float32)
            self.register_buffer(name, fitted.to(next(iter(module.parameters()), fitted).device))

    def forward(self, fractions: torch.Tensor) -> torch.Tensor:
        x = (self.low + self.width * fractions - self.mean) / self.scale
        logits: torch.Tensor = self.module(x.movedim(-1, 1) if self.channels_first else x)
        return logits


def _distances(attack: Any, model: Any, target: TorchTarget, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    distances = np.zeros(len(inputs))
    right = np.flatnonzero(target.answers(inputs).whole().argmax(axis=1) == labels)
    if not right.size:
        return distances
    x = torch.as_tensor(inputs[right], dtype=torch.float32, device=target.device)
    y = torch.as_tensor(labels[right], device=target.device)
    moved = attack(model, x, y, epsilons=None)[1].detach().cpu().numpy()
    is_other = target.answers(moved).whole().argmax(axis=1) != labels[right]
    moves = (moved.astype(np.float64) - inputs[right]).reshape(right.size, -1)
    distances[right] = np.where(is_other, np.linalg.norm(moves, axis=1), np.inf)
    return distances

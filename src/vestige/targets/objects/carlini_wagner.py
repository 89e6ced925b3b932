"""The white-box yardstick of boundary distances: Carlini & Wagner's L2 attack, with the gradients of a torch module."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from vestige.core.errors import InputError
from vestige.targets.objects.torch_module import TorchTarget
from vestige.targets.refusals import missing_package

_BATCH = 256


def carlini_wagner_distances(
    module: nn.Module,
    inputs: Float[np.ndarray, " record *features"],
    labels: Int[np.ndarray, " record"],
    n_classes: int,
    bounds: tuple[Any, Any],
    *,
    n_steps: int = 1_000,
    step_size: float = 5e-3,
    n_searches: int = 5,
    first_weight: float = 1e-2,
) -> Float[np.ndarray, " record"]:
    """Find how far each record is from the decision boundary [L2, unit of the inputs], with gradients.

    Args:
        module: Gives logits; it is asked in evaluation mode, and left in the mode it was in.
        inputs: As the module is given them.
        labels: True class.
        n_classes: Number of classes.
        bounds: Least and largest value of every feature.
        n_steps: Steps of Adam at most, for each weight of the loss.
        step_size: Its step.
        n_searches: Weights that are tried, by bisection.
        first_weight: The first of them.

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
    low, high = (float(side) if np.ndim(side) == 0 else np.nan for side in bounds)
    if not low < high or inputs.min(initial=np.inf) < low or inputs.max(initial=-np.inf) > high:
        raise InputError(
            f"Expected inputs within two bounds that hold for every feature, found bounds {bounds} and inputs from "
            f"{inputs.min(initial=np.inf):g} to {inputs.max(initial=-np.inf):g}; scale the features alike."
        )
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=n_searches, steps=n_steps, stepsize=step_size, initial_const=first_weight
    )
    was_training = module.training
    module.eval()
    try:
        target = TorchTarget(module, n_classes)
        model = foolbox.PyTorchModel(module, bounds=(low, high), device=target.device)
        parts = [
            _distances(attack, model, target, inputs[start : start + _BATCH], labels[start : start + _BATCH])
            for start in range(0, len(inputs), _BATCH)
        ]
    finally:
        module.train(was_training)
    return np.concatenate([np.empty(0), *parts])


def _distances(attack: Any, model: Any, target: TorchTarget, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    distances = np.zeros(len(inputs))
    right = np.flatnonzero(target.answers(inputs).whole().argmax(axis=1) == labels)
    if not right.size:
        return distances
    x = torch.as_tensor(inputs[right], dtype=torch.float32, device=target.device)
    y = torch.as_tensor(labels[right], device=target.device)
    found = attack(model, x, y, epsilons=None)[1].detach().cpu().numpy()
    is_other = target.answers(found).whole().argmax(axis=1) != labels[right]
    moves = (found.astype(np.float64) - inputs[right]).reshape(right.size, -1)
    distances[right] = np.where(is_other, np.linalg.norm(moves, axis=1), np.inf)
    return distances

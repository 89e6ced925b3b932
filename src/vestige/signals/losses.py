"""Losses: the cross-entropy of every record on its own, never of a batch."""

from typing import Any

import numpy as np
from jaxtyping import Float

from vestige.core.probabilities import LOG_FLOOR
from vestige.signals.answers import per_row
from vestige.signals.phi import check_probabilities, phi_from_logits


def losses_from_logits(logits: Any, labels: Any) -> Float[np.ndarray, "*axes"]:
    """Return `-log p_y` [nats] of the softmax, exact however certain the model is.

    Args:
        logits: Unnormalised class scores; any axes, then the class.
        labels: True class, of a shape that fits the axes before the class.

    Returns:
        One loss per row.

    Raises:
        InputError: The shapes do not fit, a label is no class, a logit is not finite.

    Example:
        >>> print(losses_from_logits(np.array([[3.0, 1.0, 0.0], [80.0, 1.0, 0.0]]), np.array([0, 0])))
        [1.69846020e-01 6.71094612e-35]
    """
    return losses_from_phi(phi_from_logits(logits, labels))


def losses_from_probabilities(probabilities: Any, labels: Any) -> Float[np.ndarray, "*axes"]:
    """Return `-log max(p_y, 1e-30)` [nats], in float64: at most 69.0776.

    Args:
        probabilities: Class probabilities; any axes, then the class.
        labels: True class, of a shape that fits the axes before the class.

    Returns:
        One loss per row.

    Raises:
        InputError: The shapes do not fit, a label is no class, an entry is no probability.

    Example:
        >>> print(losses_from_probabilities(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])))
        [ 0.69314718 69.07755279]

    Source:
        Song & Mittal 2021, published code (the floor).
    """

    def work(block: np.ndarray, truth: np.ndarray) -> np.ndarray:
        check_probabilities(block)
        return np.asarray(-np.log(np.maximum(block[np.arange(len(block)), truth], LOG_FLOOR)))

    return per_row(work, probabilities, labels, "probabilities")


def losses_from_phi(phi: Any) -> Float[np.ndarray, "*axes"]:
    """Return `log(1 + exp(-phi))` [nats], the loss that belongs to a logit-scaled confidence.

    Example:
        >>> print(losses_from_phi(np.array([0.0, 50.0, -2000.0])))
        [6.93147181e-01 1.92874985e-22 2.00000000e+03]
    """
    return np.logaddexp(0.0, -np.asarray(phi, dtype=np.float64))

"""Hinge: by how much the true class is ahead of the best other one, on the scale of the logits."""

from typing import Any

import numpy as np
from jaxtyping import Float

from vestige.signals.answers import per_row, taken_out


def hinge_from_logits(logits: Any, labels: Any) -> Float[np.ndarray, "*axes"]:
    """Return `z_y - max_{j != y} z_j` [logit]; what reads phi reads it too.

    Args:
        logits: Unnormalised class scores; any axes, then the class.
        labels: True class, of a shape that fits the axes before the class.

    Returns:
        One number per row, above 0 where the true class is the predicted one.

    Raises:
        InputError: The shapes do not fit, a label is no class, a logit is not finite.

    Example:
        >>> hinge_from_logits(np.array([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), np.array([0, 1]))
        array([ 2., -2.])

    Source:
        Carlini et al. 2022, section IV-C, the hinge among the statistics they compare.
    """
    return per_row(_ahead, logits, labels, "logits")


def _ahead(block: np.ndarray, labels: np.ndarray) -> np.ndarray:
    own = taken_out(block, labels, -np.inf)
    return np.asarray(own - block.max(axis=1))

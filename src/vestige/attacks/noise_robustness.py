"""Noise robustness attack: members keep their class under noise more often."""

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.attack import attack
from vestige.core.errors import InputError


@attack(
    definition="share of noisy copies that get the true class, 0 if the record does not",
    source="Choquette-Choo et al. 2021, section 3.4",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def noise_robustness(
    noise_correct: Bool[np.ndarray, "record draw"],
    predicted: Int[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by the share of its noisy copies that get its true class; 0 if it is misclassified itself.

    Idea:
        A model keeps the class of a training record under noise more often than that of another record.

    Formula:
        (right answers about noisy copies) / (noisy copies) if the class of x is right, else 0

    Args:
        noise_correct: Whether each noisy copy got the true class. Misclassified records need not be asked about.
        predicted: Class the model answered for the record as it is.
        labels: True class.

    Returns:
        A share in 0..1 per record; higher means member.

    Raises:
        InputError: There is no draw.

    Example:
        >>> noise_correct = np.array([[True, True], [True, False], [True, True]])
        >>> noise_robustness(noise_correct, np.array([0, 1, 0]), np.array([0, 1, 1]))
        array([1. , 0.5, 0. ])

    Source:
        Choquette-Choo et al. 2021, section 3.4.
    """
    if not noise_correct.shape[1]:
        raise InputError("Expected at least 1 noisy copy of each record, found none; ask about some.")
    return np.where(predicted == labels, noise_correct.mean(axis=1), 0.0)

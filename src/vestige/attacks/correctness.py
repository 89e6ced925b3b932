"""Correctness (gap) attack: a record the model classifies rightly is called a member."""

import numpy as np
from jaxtyping import Float, Int

from vestige.core.attack import attack


@attack(
    definition="1 if the predicted class is the true one",
    source="Song & Mittal 2021, eq. 5",
    cites="song2021systematic",
    monotone=True,
)
def correctness(
    predicted: Int[np.ndarray, " record"], labels: Int[np.ndarray, " record"]
) -> Float[np.ndarray, " record"]:
    """Score 1 where the predicted class is the true one, else 0.

    Its balanced accuracy is 1/2 + (training accuracy - test accuracy) / 2.

    Idea:
        A model is right about its training records more often than about others. This gap alone is an attack, and asks
        for labels only.

    Formula:
        1 if the predicted class is y, else 0

    Args:
        predicted: Class the model answered.
        labels: True class.

    Returns:
        1.0 or 0.0 per record; higher means member.

    Example:
        >>> correctness(np.array([0, 1]), np.array([0, 0]))
        array([1., 0.])

    Source:
        Song & Mittal 2021, eq. 5; the gap attack of Choquette-Choo et al. 2021, section 3.2.
    """
    return np.asarray(predicted == labels, dtype=np.float64)

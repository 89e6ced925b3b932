"""Confidence attack: a high probability of the true class speaks for membership."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack


@attack(
    definition="probability of the true class",
    source="Song & Mittal 2021, eq. 6",
    cites="song2021systematic",
    monotone=True,
)
def confidence(p_true: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by the probability of its true class.

    Ranks as `loss` does, except that probabilities run out of digits near 1 where losses do not.

    Idea:
        A model is surer of the true class of a record that it was trained on.

    Formula:
        p_y(x)

    Args:
        p_true: Probability of the true class.

    Returns:
        That probability in float64; higher means member.

    Example:
        >>> confidence(np.array([0.9, 0.2]))
        array([0.9, 0.2])

    Source:
        Song & Mittal 2021, eq. 6.
    """
    return np.asarray(p_true, dtype=np.float64)

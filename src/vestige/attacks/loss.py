"""Loss attack: a small cross-entropy loss speaks for membership."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack


@attack(definition="-(cross-entropy loss)", source="Yeom et al. 2018", cites="yeom2018privacy", monotone=True)
def loss(losses: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by its negated loss.

    Idea:
        Training makes the loss of its own records small; that of other records stays larger.

    Formula:
        -loss(x) = log p_y(x)

    Args:
        losses: `-log p(true class)` [nats].

    Returns:
        The negated loss; higher means member.

    Example:
        >>> loss(np.array([0.5, 2.0]))
        array([-0.5, -2. ])

    Source:
        Yeom et al. 2018, adversary 2; Watson et al. 2022, eq. 1.
    """
    return -np.asarray(losses, dtype=np.float64)

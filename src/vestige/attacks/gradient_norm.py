"""Gradient norm attack: a record that pulls little at the parameters was probably trained on."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack


@attack(
    definition="-(L2 norm of the gradient of the record's loss)",
    source="Watson et al. 2022, eq. 2",
    cites="watson2022importance",
    monotone=True,
)
def gradient_norm(gradient_norms: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by the negated norm of its own gradient.

    Idea:
        Training ends where the gradients of its own records are small; those of other records stay larger.

    Formula:
        -||gradient of loss(x) in all parameters||_2

    Args:
        gradient_norms: L2 norm, over all parameters, of the gradient of the record's cross-entropy alone.

    Returns:
        The negated norm; higher means member.

    Example:
        >>> gradient_norm(np.array([0.5, 2.0]))
        array([-0.5, -2. ])

    Source:
        Watson et al. 2022, eq. 2; evaluation mode, no regulariser, one record at a time.
    """
    return -np.asarray(gradient_norms, dtype=np.float64)

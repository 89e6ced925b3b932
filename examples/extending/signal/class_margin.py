"""Class margin: by how much the record's class is ahead of the best other one."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack


@attack(
    definition="log-odds of the record's class against the most probable other class",
    source="an example of how to add a signal",
    cites="example2026margin",
    natural_threshold=0.0,
)
def class_margin(margins: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by the margin of its class.

    Args:
        margins: Log-odds of the true class against the most probable other class.

    Returns:
        The margin; higher means member.

    Example:
        >>> class_margin(np.array([1.5, -0.5]))
        array([ 1.5, -0.5])

    Source:
        None: it shows how little there is to write.
    """
    return margins

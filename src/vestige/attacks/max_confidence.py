"""Maximum-confidence attack: a decided answer, right or wrong, speaks for membership."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack
from vestige.core.probabilities import ClassProbabilities


@attack(definition="log of the largest probability", source="Salem et al. 2019", cites="salem2019mlleaks")
def max_confidence(probabilities: ClassProbabilities) -> Float[np.ndarray, " record"]:
    """Score each record by the logarithm of its largest probability [nats].

    Idea:
        A model trained on a record gives a decided answer about it. The true class need not be known.

    Formula:
        max_i log p_i

    Args:
        probabilities: Class probabilities of the records.

    Returns:
        `max_i log p_i`; higher means member. The label is not used.

    Example:
        >>> from vestige.core.probabilities import from_probabilities
        >>> max_confidence(from_probabilities(np.array([[0.25, 0.75]]))).round(6)
        array([-0.287682])

    Source:
        Salem et al. 2019, adversary 3; Choquette-Choo et al. 2021, section 3.
    """
    return np.asarray(probabilities.log_p.max(axis=1), dtype=np.float64)

"""Entropy attack: a decided answer, right or wrong, speaks for membership."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack
from vestige.core.probabilities import ClassProbabilities


@attack(
    definition="-(Shannon entropy of the probabilities)", source="Song & Mittal 2021, eq. 7", cites="song2021systematic"
)
def entropy(probabilities: ClassProbabilities) -> Float[np.ndarray, " record"]:
    """Score each record by the negated Shannon entropy of its prediction [nats].

    Idea:
        A model trained on a record gives a decided answer about it, with little probability on other classes.

    Formula:
        sum_i p_i log p_i

    Args:
        probabilities: Class probabilities of the records.

    Returns:
        `sum_i p_i log p_i`; higher means member. The label is not used.

    Example:
        >>> from vestige.core.probabilities import from_probabilities
        >>> entropy(from_probabilities(np.array([[0.7, 0.2, 0.1]]))).round(9)
        array([-0.80181855])

    Source:
        Song & Mittal 2021, eq. 7.
    """
    return np.asarray((probabilities.p * probabilities.log_p).sum(axis=1), dtype=np.float64)

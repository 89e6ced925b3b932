"""Modified-entropy attack: entropy that knows the label, 0 for a certain right answer, large for a wrong one."""

import numpy as np
from jaxtyping import Float, Int

from vestige.core.attack import attack
from vestige.core.probabilities import ClassProbabilities


@attack(definition="-(modified entropy)", source="Song & Mittal 2021, eq. 8", cites="song2021systematic", monotone=True)
def modified_entropy(
    probabilities: ClassProbabilities, labels: Int[np.ndarray, " record"]
) -> Float[np.ndarray, " record"]:
    """Score each record by the negated modified entropy of its prediction [nats].

    `M = -(1 - p_y) log p_y - sum_{i != y} p_i log(1 - p_i)` falls as p_y rises and rises with every other p_i.

    Idea:
        Entropy calls a record a member even where the model is surely wrong. This form knows the label, and calls it a
        nonmember.

    Formula:
        (1 - p_y) log p_y + sum_{i != y} p_i log(1 - p_i)

    Args:
        probabilities: Class probabilities of the records.
        labels: True class of each record.

    Returns:
        `-M`; higher means member.

    Example:
        >>> from vestige.core.probabilities import from_probabilities
        >>> p = from_probabilities(np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]))
        >>> modified_entropy(p, np.array([0, 1])).round(6)
        array([-0.162167, -2.140867])

    Source:
        Song & Mittal 2021, eq. 8. Two saturated logarithms give 138.155 instead of infinity, as in their code.
    """
    terms = probabilities.p * probabilities.log_not_p
    rows = np.arange(labels.size)
    terms[rows, labels] = probabilities.not_p[rows, labels] * probabilities.log_p[rows, labels]
    return np.asarray(terms.sum(axis=1), dtype=np.float64)

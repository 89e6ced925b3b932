"""Random forest of answers: what tells members is learnt from records whose membership the adversary knows."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._known_members import of_sorted
from vestige.core.attack import attack


@attack(
    definition="log-odds of membership by a random forest of the sorted probabilities",
    source="Jia et al. 2019",
    cites="jia2019memguard",
    natural_threshold=0.0,
)
def forest_memguard(
    known_probabilities: Float[np.ndarray, "known class"],
    known_member: Bool[np.ndarray, " known"],
    probabilities: Float[np.ndarray, "record class"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by a random forest that reads its probabilities in rising order, and no label.

    Idea:
        Whoever knows some members can learn from them how answers about members look, whatever the class.

    Formula:
        log P(member | sorted p) - log P(nonmember | sorted p), a random forest

    Args:
        known_probabilities: What the model that the known belong to answered about them.
        known_member: Their side.
        probabilities: What the target answered about the records to be scored.
        classifier: Anything with `fit` and `predict_proba`, copied. None: a forest of 200 trees.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member.

    Raises:
        InputError: Fewer than 2 known on a side, lengths or columns that do not fit, or something is not finite.

    Example:
        >>> known, member = np.array([[0.99, 0.01], [0.4, 0.6]] * 8), np.array([True, False] * 8)
        >>> score = forest_memguard(known, member, np.array([[0.01, 0.99], [0.6, 0.4]]))
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Jia et al. 2019, https://arxiv.org/abs/1909.10594, whose forest's settings we do not know: ours has 200 trees
        with 5 records or more in a leaf, so that its shares tell more than its votes.
    """
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(200, min_samples_leaf=5, random_state=0) if classifier is None else classifier
    return of_sorted(known_probabilities, known_member, probabilities, model)

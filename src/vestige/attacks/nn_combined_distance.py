"""Combined attack as published: a small network per class reads the boundary distances of a record's shifted copies."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._finite_distances import finite_distances
from vestige.attacks._known_members import by_class, network, standardised
from vestige.core.attack import attack


@attack(
    definition="log-odds of membership by a classifier per class, of the boundary distances of shifted copies",
    source="Choquette-Choo et al. 2021, section 3.4, combined attack",
    cites="choquettechoo2021labelonly",
    natural_threshold=0.0,
)
def nn_combined_distance(
    known_copy_distances: Float[np.ndarray, "known copy"],
    known_labels: Int[np.ndarray, " known"],
    known_member: Bool[np.ndarray, " known"],
    copy_distances: Float[np.ndarray, "record copy"],
    labels: Int[np.ndarray, " record"],
    *,
    classifier: Any = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by the classifier of its class, which reads the distance of each of its shifted copies.

    A class with fewer than 2 known members or nonmembers is left to a classifier of all known records.

    Idea:
        The distances of a record's shifted copies form a pattern. A small network per class learns which pattern
        members have.

    Formula:
        log P(member | d(c_1), ..., d(c_n)) - log P(nonmember | ...), a network per class

    Args:
        known_copy_distances: L2 distance of each copy of the known records, the record itself among them, to the
            nearest input that the model which the known belong to decides otherwise about [unit of the inputs]; 0 where
            it is wrong about the copy, infinite where no such input was found.
        known_labels: Their classes.
        known_member: Their side.
        copy_distances: The same of the target and the records to be scored, copies in the same order.
        labels: Their classes.
        classifier: Anything with `fit` and `predict_proba`, copied for each class. None: distances standardised by the
            known records of the class, and a network with two hidden layers of 10.

    Returns:
        Log-odds of membership, the probabilities bounded below by 1e-30; higher means member. Infinite distances count
        as the largest finite one of the known records, or of the others.

    Raises:
        InputError: Fewer than 2 known on a side, lengths or numbers of copies that do not fit, or a distance is not a
            number.

    Example:
        >>> from sklearn.naive_bayes import GaussianNB
        >>> known, member = np.array([[2.0, 1.9], [0.1, 0.2]] * 4), np.array([True, False] * 4)
        >>> zeros = np.zeros(8, int)
        >>> score = nn_combined_distance(known, zeros, member, known[:2], zeros[:2], classifier=GaussianNB())
        >>> bool(score[0] > 0 > score[1])
        True

    Source:
        Choquette-Choo et al. 2021, section 3.4: the distances of all translates are the features of the classifier of
        their augmentation attack. The released code cannot run this attack, so the network is that of `nn_augmentation`
        with its deviations. Ours besides: distances are standardised, which the paper does not say, and a copy that no
        search could leave counts as the farthest.
    """
    known, others = finite_distances(known_copy_distances), finite_distances(copy_distances)
    model = standardised(network(10, 10, epochs=30, step=0.01)) if classifier is None else classifier
    return by_class(known, known_labels, known_member, others, labels, model)

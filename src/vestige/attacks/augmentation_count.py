"""Augmentation attack: members keep their class under rotations and translations more often."""

import numpy as np
from jaxtyping import Bool, Float

from vestige.core.attack import attack
from vestige.core.errors import InputError


def augmentation_count(correct: Bool[np.ndarray, "record copy"]) -> Float[np.ndarray, " record"]:
    """Score each record by how many of its copies, itself among them, get its true class.

    With a single copy, the record itself, it is the gap attack.

    Args:
        correct: Whether each copy got the true class.

    Returns:
        A count per record; higher means member.

    Raises:
        InputError: There is no copy.

    Example:
        >>> augmentation_count(np.array([[True, True, False], [True, False, False]]))
        array([2., 1.])

    Source:
        Choquette-Choo et al. 2021, section 3.3, with a threshold in place of their network, which they found to change
        little; they count the misclassified.
    """
    if not correct.shape[1]:
        raise InputError("Expected at least 1 copy of each record, found none; ask about some.")
    return np.asarray(correct.sum(axis=1), dtype=np.float64)


@attack(
    definition="number of turned copies that get the true class",
    source="Choquette-Choo et al. 2021, section 3.3",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def rotations(correct: Bool[np.ndarray, "record copy"]) -> Float[np.ndarray, " record"]:
    """Score each record by `augmentation_count` of turned copies.

    Idea:
        A model keeps the class of a training record when it is turned a little, more often than of another record.

    Formula:
        number of right answers about {x, x turned by +r, x turned by -r}

    Example:
        >>> rotations(np.array([[True, True, False]]))
        array([2.])

    Source:
        Choquette-Choo et al. 2021, section 3.3.
    """
    return augmentation_count(correct)


@attack(
    definition="number of shifted copies that get the true class",
    source="Choquette-Choo et al. 2021, section 3.3",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def translations(correct: Bool[np.ndarray, "record copy"]) -> Float[np.ndarray, " record"]:
    """Score each record by `augmentation_count` of shifted copies.

    Idea:
        A model keeps the class of a training record when it is shifted a little, more often than of another record.

    Formula:
        number of right answers about {x, x shifted by (i, j) with |i| + |j| = d}

    Example:
        >>> translations(np.array([[True, True, False]]))
        array([2.])

    Source:
        Choquette-Choo et al. 2021, section 3.3.
    """
    return augmentation_count(correct)


@attack(
    definition="number of copies drawn by the training pipeline that get the true class",
    source="Choquette-Choo et al. 2021, section 6.1",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def random_augmentations(correct: Bool[np.ndarray, "record draw"]) -> Float[np.ndarray, " record"]:
    """Score each record by `augmentation_count` of random copies, as the training pipeline makes them.

    Idea:
        A model that was trained on random copies of a record is right about more new copies of it.

    Formula:
        number of right answers about copies of x, drawn as training draws them

    Example:
        >>> random_augmentations(np.array([[True, True, False]]))
        array([2.])

    Source:
        Choquette-Choo et al. 2021, section 6.1 and figure 4, with a threshold on the count in place of their network:
        draws are exchangeable, so that the count is all they say.
    """
    return augmentation_count(correct)

"""Combined attack: members, and what looks like them, lie far from the boundary, whichever way they are shifted."""

import numpy as np
from jaxtyping import Float

from vestige.attacks._finite_distances import finite_distances
from vestige.core.attack import attack
from vestige.core.errors import InputError


@attack(
    definition="mean over shifted copies of their L2 distances to the decision boundary, "
    "standardised by a source model",
    source="Choquette-Choo et al. 2021, section 3.4",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def combined_distance(
    copy_distances: Float[np.ndarray, "record copy"], source_copy_distances: Float[np.ndarray, "known source_copy"]
) -> Float[np.ndarray, " record"]:
    """Score each record by the mean, over its copies, of their standardised distances to the decision boundary.

    Idea:
        A record whose shifted copies are far from the boundary too was probably trained on.

    Formula:
        mean over copies c of (d(c) - mean_c) / std_c, with mean_c and std_c of a shadow model's distances

    Args:
        copy_distances: L2 distance of each copy, the record itself among them, to the nearest input of another class
            [unit of the inputs]; 0 where the model is wrong about the copy, infinite where no such input was found.
        source_copy_distances: The same of a source (shadow) model, whose mean and standard deviation of each copy
            standardise it; the target's own if there is no source.

    Returns:
        A mean of standard scores; higher means member. Infinite distances count as the largest finite one of their
        model; a copy whose distances are all equal at the source is centred only.

    Raises:
        InputError: There is no copy, another number of them at the source, or a distance is not a number.

    Example:
        >>> source = np.array([[0.0, 0.0], [2.0, 4.0]])
        >>> print(combined_distance(np.array([[2.0, 4.0], [1.0, np.inf], [0.0, 0.0]]), source))
        [ 1.   0.5 -1. ]

    Source:
        Choquette-Choo et al. 2021, section 3.4, combined attack. Deviations: a threshold on the mean in place of their
        network per class; the rule for infinite distances. Standardising by the source model is ours.
    """
    n_copies = copy_distances.shape[-1]
    if copy_distances.ndim != 2 or not n_copies or source_copy_distances.shape[1:] != (n_copies,):
        raise InputError(
            f"Expected distances of as many copies of each record for both models, found shapes "
            f"{copy_distances.shape} and {source_copy_distances.shape}; ask both about the same copies."
        )
    own, source = finite_distances(copy_distances), finite_distances(source_copy_distances)
    spread = source.std(axis=0)
    return np.asarray(((own - source.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).mean(axis=1))

"""Boundary distance attack: a record far from where the model decides otherwise was probably trained on."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack

_FARTHEST = 1e30  # what no distance found reaches, and all arithmetic on scores survives


@attack(
    definition="L2 distance to the nearest input found that is decided otherwise",
    source="Choquette-Choo et al. 2021, section 3.4",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def boundary_distance(boundary_distances: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by its distance to the decision boundary.

    Idea:
        Training pushes the decision boundary away from its records. How far it is can be found from labels alone.

    Formula:
        min ||x' - x||_2 over the x' found with another class than x; 0 where the class of x is wrong

    Args:
        boundary_distances: L2 distance to the nearest input of another class [unit of the inputs], found from labels
            alone; 0 (or, if signed, negative) where the model is wrong, infinite where no such input was found.

    Returns:
        The distance; where none was found 1e30, farther than any, with the sign kept. Higher means member.

    Raises:
        ValueError: A distance is not a number.

    Example:
        >>> boundary_distance(np.array([0.0, 0.75, np.inf]))
        array([0.0e+00, 7.5e-01, 1.0e+30])

    Source:
        Choquette-Choo et al. 2021, section 3.4. Deviation: a record of which no input of another class is found is the
        farthest; their code took the record itself for one, at distance 0, which reads as a nonmember.
    """
    distances = np.asarray(boundary_distances, dtype=np.float64)
    if np.isnan(distances).any():
        raise ValueError("Expected distances, found one that is not a number; give infinity where none was found.")
    return np.clip(distances, -_FARTHEST, _FARTHEST)


@attack(
    definition="L2 distance found until a record's side of a shadow model's threshold stands; only that side counts",
    source="Choquette-Choo et al. 2021, section 3.4; when to end is ours",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def settled_boundary_distance(settled_distances: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by `boundary_distance`, of searches that ended as soon as a threshold was settled.

    Idea:
        As `boundary_distance`, and a search ends as soon as its side of the threshold is clear. This saves most
        queries.

    Formula:
        as boundary_distance; only which side of a shadow model's threshold it is on counts

    Example:
        >>> settled_boundary_distance(np.array([0.0, 0.75]))
        array([0.  , 0.75])

    Source:
        Choquette-Choo et al. 2021, section 3.4; when a search ends is ours.
    """
    return boundary_distance(settled_distances)


@attack(
    definition="L2 distance to the nearest input found by its gradients that is decided otherwise",
    source="Choquette-Choo et al. 2021, section 3.4",
    cites="choquettechoo2021labelonly",
    monotone=True,
)
def white_box_distance(gradient_distances: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Score each record by `boundary_distance`, of distances that whoever knows the parameters found by gradients.

    Idea:
        As `boundary_distance`, found with the model's gradients: what label-only searches fall short of.

    Formula:
        min ||x' - x||_2 over the x' found by Carlini & Wagner's attack; 0 where the class of x is wrong

    Example:
        >>> white_box_distance(np.array([0.0, 0.75, np.inf]))
        array([0.0e+00, 7.5e-01, 1.0e+30])

    Source:
        Choquette-Choo et al. 2021, section 3.4: the idealised baseline of the label-only distance.
    """
    return boundary_distance(gradient_distances)

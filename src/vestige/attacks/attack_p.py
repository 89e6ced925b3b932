"""Attack-P: the share of a population of nonmembers whose loss is no smaller than the record's."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack
from vestige.core.errors import InputError


@attack(
    definition="share of the population with at least the record's loss",
    source="Ye et al. 2022",
    cites="ye2022enhanced",
    monotone=True,
)
def attack_p(
    losses: Float[np.ndarray, " record"], population_losses: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " record"]:
    """Score each record by the share of the population's points with at least its loss; ties count.

    It ranks as the loss attack does, up to ties; what it adds is a threshold that means a false-positive rate.

    Idea:
        If few records that the model never saw have a loss as small as this record, it was probably trained on.

    Formula:
        number of known nonmembers z with loss(z) >= loss(x), over the number of known nonmembers

    Args:
        losses: `-log p(true class)` under the target [nats].
        population_losses: The same of points that the target was not trained on and that are not scored [nats].

    Returns:
        Share of points, from 0 to 1; higher means member.

    Raises:
        InputError: There is no point, or some loss is NaN.

    Example:
        >>> print(attack_p(np.array([0.1, 0.5, 3.0]), np.array([0.2, 0.5, 1.0, 2.0])))
        [1.   0.75 0.  ]

    Source:
        Ye et al. 2022, https://arxiv.org/abs/2111.09679, attack P, with the empirical distribution of all classes:
        the share is 1 less the false-positive rate at which the record is called a member, up to ties.
    """
    if population_losses.size == 0:
        raise InputError("Expected at least 1 point of the population, found none; give records nobody was trained on.")
    if np.isnan(losses).any() or np.isnan(population_losses).any():
        raise InputError("Expected losses of the records and of the population, found NaN; look for it in the answers.")
    smaller = np.searchsorted(np.sort(population_losses), losses, side="left")
    share: np.ndarray = (population_losses.size - smaller) / population_losses.size
    return share

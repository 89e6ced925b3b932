"""Second choice: how little the model gives to the class it likes second best."""

import numpy as np
from jaxtyping import Float

from vestige.core.attack import attack
from vestige.core.probabilities import ClassProbabilities


@attack(
    definition="-(probability of the second most probable class ** power)",
    source="an example of how to add an attack",
    cites="example2026second",
)
def second_choice(probabilities: ClassProbabilities, *, power: float = 1.0) -> Float[np.ndarray, " record"]:
    """Score each record by how improbable the second most probable class is.

    Args:
        probabilities: Of every class.
        power: An option, because it has a default: `--set attacks.second_choice.power=0.5`.

    Returns:
        A number from -1 to 0; higher means member.

    Example:
        >>> from vestige.core.probabilities import from_probabilities
        >>> second_choice(from_probabilities(np.array([[0.9, 0.1], [0.5, 0.5]])))
        array([-0.1, -0.5])

    Source:
        None: it shows how little there is to write.
    """
    return -(np.sort(np.asarray(probabilities.p, dtype=np.float64), axis=1)[:, -2] ** power)

"""A function from inputs to probabilities as a target."""

from collections.abc import Callable
from typing import Any

import numpy as np

from vestige.core.errors import TrainingError
from vestige.core.outputs import Probabilities
from vestige.targets.checking import checked


class FunctionTarget:
    """Calls a function that returns a probability per record and class; it is given a copy of the inputs."""

    def __init__(self, function: Callable[[Any], Any], n_classes: int) -> None:
        self.function, self.n_classes = function, n_classes

    def answers(self, inputs: Any) -> Probabilities:
        """Return the probability of every class."""
        found = np.asarray(self.function(inputs.copy()), dtype=np.float64)
        probabilities = checked(found, len(inputs), self.n_classes, "probabilities")
        if (probabilities < -1e-6).any():
            row = int(np.argmax((probabilities < -1e-6).any(axis=1)))
            raise TrainingError(
                f"Expected probabilities of at least 0, found {probabilities[row].min():.6g} for record {row + 1:,}; "
                "apply a softmax in the function if these are logits."
            )
        sums = probabilities.sum(axis=1)
        if (np.abs(sums - 1) > 1e-3).any():
            row = int(np.argmax(np.abs(sums - 1) > 1e-3))
            raise TrainingError(
                f"Expected probabilities that sum to 1, found a sum of {sums[row]:.6g} for record {row + 1:,}; apply a "
                "softmax in the function if these are logits."
            )
        return Probabilities(probabilities)

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
        sums = probabilities.sum(axis=1)
        wrong = (probabilities < -1e-6).any(axis=1) | (np.abs(sums - 1) > 1e-3)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise TrainingError(
                f"Expected probabilities of at least 0 that sum to 1, found {probabilities[row].min():.6g} and a sum of "
                f"{sums[row]:.6g} for record {row + 1:,}; apply a softmax in the function if these are logits."
            )
        return Probabilities(probabilities)

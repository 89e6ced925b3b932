"""A function from inputs to probabilities as a target."""

from collections.abc import Callable
from typing import Any

import numpy as np

from vestige.core.errors import TrainingError
from vestige.core.outputs import Probabilities
from vestige.targets.checking import checked


class FunctionTarget:
    """Calls a function that returns a probability per record and class."""

    def __init__(self, function: Callable[[Any], Any], n_classes: int) -> None:
        self.function, self.n_classes = function, n_classes

    def answers(self, inputs: Any) -> Probabilities:
        """Return the probability of every class."""
        found = np.asarray(self.function(inputs), dtype=np.float64)
        probabilities = checked(found, len(inputs), self.n_classes, "probabilities")
        sums = probabilities.sum(axis=1)
        if probabilities.min() < -1e-6 or np.abs(sums - 1).max() > 1e-3:
            row = int(np.argmax(np.abs(sums - 1))) + 1
            raise TrainingError(
                f"Expected probabilities that sum to 1, found a sum of {sums[row - 1]:.6g} for record {row:,}; apply a "
                "softmax in the function if these are logits."
            )
        return Probabilities(probabilities)

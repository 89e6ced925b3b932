"""What may be asked of a model, by access. An attack gets an object of exactly the level that it declared."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from vestige.core.outputs import Logits, Probabilities


@runtime_checkable
class ConfidenceTarget(Protocol):
    """A model that answers with a number per class."""

    @property
    def n_classes(self) -> int:
        """Number of classes; class k of every answer is the records' class k."""

    def answers(self, inputs: Any) -> Logits | Probabilities:
        """Answer for inputs as they are in the records: logits or probabilities, each of its own type.

        Raises:
            TrainingError: The answers are not one number per record and class, or not finite.
        """


@runtime_checkable
class GradientTarget(ConfidenceTarget, Protocol):
    """A model whose parameters are known too."""

    def gradient_norms(self, inputs: Any, labels: Int[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
        """Return the L2 norm of the gradient of each record's own cross-entropy, over all parameters.

        Source:
            Watson et al. 2022, section on scores; evaluation mode, no regulariser.
        """

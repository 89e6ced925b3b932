"""A fitted scikit-learn estimator, or whatever follows its conventions, as a target."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.labels import codes_of_classes
from vestige.core.outputs import Probabilities
from vestige.targets.checking import checked


class EstimatorTarget:
    """Asks `predict_proba`; a class that its training records lacked has probability 0.

    It is given a copy of the inputs, because some steps, such as `StandardScaler(copy=False)`, change theirs.

    Args:
        estimator: A fitted classifier.
        n_classes: Classes of the records.
        classes: Their names; the estimator's classes are these names, in any order, or the codes 0..K-1.

    Raises:
        InputError: It is not fitted, or has a class that the records do not.
    """

    def __init__(self, estimator: Any, n_classes: int, classes: Sequence[str] | None = None) -> None:
        self.estimator, self.n_classes = estimator, n_classes
        fitted = getattr(estimator, "classes_", None)
        if fitted is None:
            raise InputError(f"Expected a fitted {type(estimator).__name__}, found one without classes_; fit it first.")
        self.columns = list(
            codes_of_classes(np.asarray(fitted).tolist(), "the estimator's classes", n_classes, classes)
        )

    def answers(self, inputs: Any) -> Probabilities:
        """Return the probability of every class."""
        found = np.asarray(self.estimator.predict_proba(inputs.copy()), dtype=np.float64)
        probabilities = np.zeros((len(inputs), self.n_classes))
        probabilities[:, self.columns] = checked(found, len(inputs), len(self.columns), "probabilities")
        return Probabilities(probabilities)

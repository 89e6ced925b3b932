"""A fitted scikit-learn estimator, or whatever follows its conventions, as a target."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.outputs import Probabilities
from vestige.targets.checking import checked


class EstimatorTarget:
    """Asks `predict_proba`; a class that its training records lacked has probability 0.

    Args:
        estimator: A fitted classifier.
        n_classes: Classes of the records.
        classes: Their names; the estimator's classes are matched with them, or are the codes 0..K-1.

    Raises:
        InputError: It is not fitted, or has a class that the records do not.
    """

    def __init__(self, estimator: Any, n_classes: int, classes: Sequence[str] | None = None) -> None:
        self.estimator, self.n_classes = estimator, n_classes
        fitted = getattr(estimator, "classes_", None)
        if fitted is None:
            raise InputError(f"Expected a fitted {type(estimator).__name__}, found one without classes_; fit it first.")
        self.columns = np.array([_code(value, n_classes, classes) for value in np.asarray(fitted).tolist()])

    def answers(self, inputs: Any) -> Probabilities:
        """Return the probability of every class."""
        found = np.asarray(self.estimator.predict_proba(inputs), dtype=np.float64)
        probabilities = np.zeros((len(inputs), self.n_classes))
        probabilities[:, self.columns] = checked(found, len(inputs), self.columns.size, "probabilities")
        return Probabilities(probabilities)


def _code(value: Any, n_classes: int, classes: Sequence[str] | None) -> int:
    """Class code of one of an estimator's classes: by name where classes are named, else the number itself."""
    if classes is not None and str(value) in classes:
        return list(classes).index(str(value))
    if isinstance(value, int | float | bool) and value == int(value) and 0 <= int(value) < n_classes:
        return int(value)
    known = few(list(classes), 5) if classes is not None else f"0..{n_classes - 1}"
    raise InputError(
        f"Expected the estimator's classes among those of the records, {known}, found {value!r}; name the records' "
        "classes as the estimator does."
    )

"""Predicted labels: all that a label-only adversary sees."""

from typing import Any

import numpy as np
from jaxtyping import Int

from vestige.core.errors import InputError
from vestige.signals.answers import as_table


def predicted_labels(answers: Any) -> Int[np.ndarray, "*axes"]:
    """Return the class with the largest answer, the first one of equal ones.

    Args:
        answers: Logits or probabilities; any axes, then the class.

    Returns:
        One class 0..K-1 per row.

    Raises:
        InputError: There are no classes, or an answer is not a number.

    Example:
        >>> predicted_labels(np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]]))
        array([1, 0])
    """
    table = as_table(answers, "answers")
    labels = np.asarray(table.argmax(axis=-1), dtype=np.int64)
    top = np.take_along_axis(table, labels[..., None], axis=-1)
    if np.isnan(top).any():  # argmax stops at the first value that is not a number
        raise InputError("Expected answers that are numbers, found NaN; leave that model or record out.")
    return labels

"""Which models were drawn together: those that a played model takes along, so that counts do not tell its members."""

import numpy as np
from jaxtyping import Bool, Int


def remaining(
    is_in: Bool[np.ndarray, "model record"], groups: Int[np.ndarray, " model"] | None, model: int
) -> Bool[np.ndarray, " model"]:
    """Return which models remain when one is the target: all but its group, or but it and those that complement it.

    Args:
        is_in: Whether each model was trained on each record.
        groups: Which models were drawn together; None to read pairs off the training sets.
        model: The one that is the target.

    Example:
        >>> is_in = np.array([[True, False], [False, True], [True, True]])
        >>> remaining(is_in, None, 0)
        array([False, False,  True])
    """
    if groups is not None:
        return np.asarray(groups != groups[model])
    others = (is_in != ~is_in[model]).any(axis=1)
    others[model] = False
    return np.asarray(others)

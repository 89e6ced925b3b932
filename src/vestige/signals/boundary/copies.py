"""Combined attack: boundary distances of every copy of a record, such as its translates."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from vestige.core.errors import InputError
from vestige.core.targets import LabelTarget
from vestige.signals.boundary.search import BoundaryDistances


def distances_of_copies(
    estimator: Callable[..., BoundaryDistances],
    target: LabelTarget,
    copies: Shaped[np.ndarray, " record copy *features"],
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    bounds: tuple[Any, Any],
    **options: Any,
) -> Float[np.ndarray, "record copy"]:
    """Find the boundary distance of every copy of each record [L2, unit of the inputs].

    All copies go through the estimator at once. Each has the whole budget, so that a record costs as many times
    `n_queries` as it has copies; those of one record share its random numbers.

    Args:
        estimator: `hop_skip_jump` or `surfree`.
        target: Gives labels, and counts.
        copies: Of each record, within the bounds.
        labels: True class of each record.
        records: Number of each record in the audit.
        bounds: Least and largest value of the features of a copy.
        options: Further arguments of the estimator.

    Returns:
        The distances: 0 for copies the model is wrong about, infinite where nothing was found.

    Raises:
        InputError: As the estimator, or there is no axis of copies.
        TargetError: As the estimator.
        BudgetError: As the estimator.

    Example:
        >>> from vestige.signals.boundary import surfree
        >>> class Plane:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs.sum(axis=1) > 1).astype(int)
        >>> copies = np.array([[[0.2, 0.2], [0.4, 0.4]]])
        >>> found = distances_of_copies(surfree, Plane(), copies, np.array([0]), np.array([0]), (0, 1), n_queries=99)
        >>> print(found.round(2))
        [[0.42 0.14]]

    Source:
        Choquette-Choo et al. 2021, section 3.4, combined attack; the copies are its translates.
    """
    if copies.ndim < 3:
        raise InputError(f"Expected records x copies x features, found shape {copies.shape}; give copies an axis.")
    n_records, n_copies = copies.shape[:2]
    found = estimator(
        target,
        copies.reshape(n_records * n_copies, *copies.shape[2:]),
        np.repeat(labels, n_copies),
        np.repeat(records, n_copies),
        bounds,
        **options,
    )
    return found.distances.reshape(n_records, n_copies)

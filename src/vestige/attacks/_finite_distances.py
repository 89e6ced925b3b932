"""Distances of which some are infinite, for arithmetic that takes no infinity."""

import numpy as np
from jaxtyping import Float

from vestige.core.errors import InputError


def finite_distances(distances: Float[np.ndarray, " record *copy"]) -> Float[np.ndarray, " record *copy"]:
    """Put the largest finite distance of a model in the place of its infinite ones, with their sign.

    A record that no search could leave is then as far as the farthest that was left, and no farther: one that stood
    at 1e30 would make up all of a mean or a standard deviation.

    Args:
        distances: Of one model; negative where it is wrong, infinite where no input of another class was found.

    Returns:
        The same, finite. If no finite distance is above 0 in size, 1 in the place of infinity.

    Raises:
        InputError: A distance is not a number.

    Example:
        >>> finite_distances(np.array([0.5, -2.0, np.inf, -np.inf]))
        array([ 0.5, -2. ,  2. , -2. ])

    Source:
        Ours; Watson et al. 2022 and Choquette-Choo et al. 2021 do not say.
    """
    if np.isnan(distances).any():
        raise InputError("Expected distances, found one that is not a number; give infinity where none was found.")
    sizes = np.abs(distances)
    largest = float(sizes[np.isfinite(sizes)].max(initial=0.0)) or 1.0
    return np.asarray(np.where(np.isfinite(distances), distances, np.sign(distances) * largest), dtype=np.float64)

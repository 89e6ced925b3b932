"""Privacy score: how far apart a record's models that were trained on it and those that were not stand."""

import numpy as np
from jaxtyping import Bool, Float

from vestige.core.errors import InputError


def privacy_score(
    signal: Float[np.ndarray, "model record"], is_in: Bool[np.ndarray, "model record"], *, min_std: float = 1e-3
) -> Float[np.ndarray, " record"]:
    """Return `|mean IN - mean OUT| / (std IN + std OUT)`: how vulnerable each record is, whatever the target.

    Args:
        signal: Loss or phi of every model; say which, because the scores differ.
        is_in: Whether each model was trained on each record.
        min_std: Floor of each standard deviation, in the unit of the signal.

    Returns:
        One number per record, 0 or more.

    Raises:
        InputError: A record has fewer than 2 models on a side, or an entry is not finite.

    Example:
        >>> phi = np.array([[4.0], [6.0], [-1.0], [1.0]])
        >>> privacy_score(phi, np.array([[True], [True], [False], [False]]))
        array([2.5])

    Source:
        Carlini et al. 2022, figure 13. Their number of models is not stated; standard deviations are not corrected for
        it here.
    """
    if not np.isfinite(signal).all():
        raise InputError("Expected a finite signal of every model, found NaN or infinity; leave that model out.")
    (mean_in, std_in), (mean_out, std_out) = (_moments(signal, side) for side in (is_in, ~is_in))
    spread = np.maximum(min_std, std_in) + np.maximum(min_std, std_out)
    return np.asarray(np.abs(mean_in - mean_out) / spread)


def _moments(signal: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = side.sum(axis=0)
    if counts.min() < 2:
        record = int(counts.argmin())
        raise InputError(
            f"Expected at least 2 models that were trained on each record and 2 that were not, found {counts[record]} "
            f"on one side for record {record + 1:,}; train more models."
        )
    kept = signal.astype(np.float64)
    return np.mean(kept, axis=0, where=side), np.std(kept, axis=0, where=side)

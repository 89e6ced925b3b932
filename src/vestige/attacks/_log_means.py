"""Mean confidence over reference models, in the log domain: what the attacks that compare with a mean have in common.

Each model's row is read once as it is given and widened alone, so that the largest array made holds one number per
record however many models there are.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.attacks._phi import refuse_infinite
from vestige.core.errors import InputError


def log_confidence(phi: Float[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
    """Return `log p = -log(1 + exp(-phi))` [nats] in float64, exact for confident and for wrong answers alike.

    Args:
        phi: Logit-scaled confidence in the true class [logit].

    Raises:
        InputError: Some phi is not finite.

    Example:
        >>> print(log_confidence(np.array([-800.0, 0.0, 80.0])))
        [-8.00000000e+02 -6.93147181e-01 -1.80485139e-35]
    """
    refuse_infinite(phi)
    wide = phi.astype(np.float64)
    return np.asarray(np.minimum(wide, 0.0) - np.log1p(np.exp(-np.abs(wide))))


def log_mean_confidence(shadow_phi: Float[np.ndarray, "model record"]) -> Float[np.ndarray, " record"]:
    """Return the log of the mean confidence over all models [nats].

    Args:
        shadow_phi: Logit-scaled confidence of every model in the true class [logit].

    Raises:
        InputError: There is no model, or some phi is not finite.

    Example:
        >>> print(np.exp(log_mean_confidence(np.log([[1 / 3], [3.0]]))))  # of 1/4 and 3/4
        [0.5]
    """
    if len(shadow_phi) == 0:
        raise InputError("Expected at least 1 shadow model, found none; train some.")
    every = np.broadcast_to(np.True_, shadow_phi.shape)
    return _log_mean(shadow_phi, every, np.full(shadow_phi.shape[1], len(shadow_phi)))


def log_mean_out_confidence(
    shadow_phi: Float[np.ndarray, "model record"], is_in: Bool[np.ndarray, "model record"]
) -> Float[np.ndarray, " record"]:
    """Return the log of the mean confidence over each record's OUT models [nats].

    Args:
        shadow_phi: Logit-scaled confidence of every model in the true class [logit].
        is_in: Whether each model was trained on each record.

    Raises:
        InputError: Some record has no OUT model, or some phi is not finite.

    Example:
        >>> print(np.exp(log_mean_out_confidence(np.log([[1 / 3], [3.0]]), np.array([[False], [True]]))))
        [0.25]
    """
    counts = out_counts(is_in)
    return _log_mean(shadow_phi, ~is_in, counts)


def out_counts(is_in: Bool[np.ndarray, "model record"]) -> Int[np.ndarray, " record"]:
    """Return how many models were not trained on each record, at least one.

    Args:
        is_in: Whether each model was trained on each record.

    Raises:
        InputError: Every model was trained on some record.

    Example:
        >>> out_counts(np.array([[True, False], [False, False]]))
        array([1, 2])
    """
    counts: np.ndarray = len(is_in) - is_in.sum(axis=0)
    if (counts < 1).any():
        raise InputError(
            f"Expected at least 1 shadow model that was not trained on each record, found none for record "
            f"{int(counts.argmin()) + 1:,}; train more models."
        )
    return counts


def _log_mean(shadow_phi: np.ndarray, chosen: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Relative to the surest chosen model; expm1 and log1p keep what tells answers near certainty apart."""
    top = np.full(shadow_phi.shape[1], -np.inf)
    for row, take in zip(shadow_phi, chosen, strict=True):
        np.maximum(top, row, out=top, where=take)
    highest = log_confidence(top)
    below = np.zeros_like(top)
    for row, take in zip(shadow_phi, chosen, strict=True):
        below += np.expm1(np.where(take, log_confidence(row) - highest, 0.0))
    return np.asarray(highest + np.log1p(below / counts))

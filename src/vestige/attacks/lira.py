"""LiRA, online: how much likelier a record's confidence is under models that were trained on it than under others."""

from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float

from vestige.core.errors import InputError


class Variance(StrEnum):
    """Whose spread a record's is taken to be."""

    POOLED = "pooled"
    """That of all records' residuals from their own means, one for IN and one for OUT models: for few models."""
    PER_RECORD = "per_record"
    """Its own: for many models, about 32 on each side and more."""


def lira_online(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    variance: Variance = Variance.POOLED,
    min_std: float = 1e-3,
) -> Float[np.ndarray, " record"]:
    """Score each record by the log-likelihood ratio of the target's phi under IN and OUT models.

    Each side is a Gaussian around the mean of the models on that side.

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit], finite.
        is_in: Whether each shadow model was trained on each record.
        variance: Whose spread is used.
        min_std: Floor of a standard deviation [logit].

    Returns:
        Log-likelihood ratio [nats]; higher means member.

    Raises:
        InputError: Some record has fewer IN or OUT models than the variance needs, 1 if pooled and else 2, or some phi
            is not finite.

    Example:
        >>> shadow_phi = np.array([[4.0], [6.0], [-1.0], [1.0]])
        >>> is_in = np.array([[True], [True], [False], [False]])
        >>> lira_online(np.array([5.0]), shadow_phi, is_in)
        array([12.5])

    Source:
        Carlini et al. 2022, online attack. Differs from the authors' script in taking means where it takes medians,
        in pooling residuals instead of raw values, and in using each side's own spread.
    """
    if not (np.isfinite(phi).all() and np.isfinite(shadow_phi).all()):
        raise InputError(
            "Expected finite phi of the target and of every shadow model, found NaN or infinity; take phi from "
            "logits, or bound the probabilities away from 0 and 1."
        )
    (mean_in, std_in), (mean_out, std_out) = (
        _gaussian(shadow_phi, side, variance, min_std) for side in (is_in, ~is_in)
    )
    z_in, z_out = (phi - mean_in) / std_in, (phi - mean_out) / std_out
    ratio: np.ndarray = 0.5 * (z_out**2 - z_in**2) + np.log(std_out / std_in)
    return ratio


def _gaussian(
    shadow_phi: Float[np.ndarray, "model record"],
    side: Bool[np.ndarray, "model record"],
    variance: Variance,
    floor: float,
) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, " record"] | float]:
    """Mean and standard deviation (around it, not corrected for the number of models) of the models on one side."""
    counts = side.sum(axis=0)
    needed = 1 if variance is Variance.POOLED else 2
    if counts.min() < needed:
        record = int(counts.argmin())
        raise InputError(
            f"Expected at least {needed} shadow models that were trained on each record and {needed} that were not, "
            f"found {counts[record]} on one side for record {record + 1:,}; train more models."
        )
    mean = np.where(side, shadow_phi, 0.0).sum(axis=0) / counts
    squares = (np.where(side, shadow_phi - mean, 0.0) ** 2).sum(axis=0)
    if variance is Variance.POOLED:
        return mean, max(floor, float(np.sqrt(squares.sum() / counts.sum())))
    return mean, np.maximum(floor, np.sqrt(squares / counts))

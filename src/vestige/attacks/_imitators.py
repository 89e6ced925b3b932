"""Likelihood ratio whose OUT side is answered by imitators: models that learnt to answer as the target does."""

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._phi import check_phi
from vestige.attacks._predictive import Predictive, log_density, pooled_variance, predictives, side_moments

_FREEDOM = 8.0  # degrees of freedom of the OUT density: a target differs from its imitators more than they do
_WIDER = 2.0  # its variance, in variances of the imitators about their mean


def imitators(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    imitator_phi: Float[np.ndarray, "imitator record"],
    imitator_is_in: Bool[np.ndarray, "imitator record"],
    *,
    min_std: float = 1e-3,
) -> Float[np.ndarray, " record"]:
    """Score each record by the target's phi under IN shadow models against that under OUT imitators.

    Imitators are trained on labels and on the target's answers, on records without the one that is scored. What they
    answer about it is what the target's randomness alone explains, and OUT shadow models do not know that.

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        imitator_phi: That of every imitator of the target [logit]; NaN where one did not answer.
        imitator_is_in: Whether each imitator was trained on each record.
        min_std: Floor of the pooled standard deviation of models about their record's mean [logit].

    Returns:
        Log-ratio [nats]; higher means member. A record without OUT imitators is judged by OUT shadow models.

    Raises:
        InputError: Some phi is impossible, or no model or imitator answered a record on one of the sides.

    Example:
        >>> is_in = np.array([[True, True], [True, True], [False, False], [False, False]])
        >>> shadow_phi = np.array([[4.0, 5.0], [6.0, 7.0], [-1.0, 0.0], [1.0, 2.0]])
        >>> copies = np.array([[1.0, 1.5], [1.4, 1.1]])
        >>> imitators(np.array([5.0, 1.3]), shadow_phi, is_in, copies, np.zeros((2, 2), dtype=bool)).round(2)
        array([10.07, -5.55])

    Source:
        Ours, after IMIA (USENIX Security 2026), which trains imitators for both sides. IN densities are those of
        `empirical_bayes_online`; the OUT density is Student's t with 8 degrees of freedom about the mean of the
        record's OUT imitators, with twice the variance that imitators have about their records' means.
    """
    check_phi(phi, shadow_phi)
    check_phi(phi, imitator_phi)
    of_in, of_out = predictives(shadow_phi, is_in, min_std=min_std)
    copies = side_moments(imitator_phi, ~imitator_is_in, "not trained on")
    several = bool((copies.counts > 1).any())
    variance = pooled_variance(copies) if several else float(np.mean(of_out.scale**2)) / _WIDER
    scale = np.sqrt(_WIDER * max(variance, min_std**2))
    of_imitators = Predictive(
        np.where(copies.known, copies.means, of_out.mean),
        np.where(copies.known, scale, of_out.scale),
        np.where(copies.known, _FREEDOM, of_out.freedom),
    )
    return np.asarray(log_density(phi, of_in) - log_density(phi, of_imitators))

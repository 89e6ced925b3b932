"""BASE: the record's loss against the log of the mean confidence that reference models have in it."""

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._log_means import log_confidence, log_mean_confidence, log_mean_out_confidence
from vestige.core.attack import attack
from vestige.core.signal import NOT_TRAINED


@attack(
    definition="log of the confidence over the mean confidence of all models",
    source="Lassila et al. 2025",
    cites="lassila2025practical",
)
def base_score_online(
    phi: Float[np.ndarray, " record"], shadow_phi: Float[np.ndarray, "model record"]
) -> Float[np.ndarray, " record"]:
    """Score each record by the log of the target's confidence over the mean confidence of all models.

    Every record must be IN equally many of the models, as after a target and its partner are left out of
    complementary pairs: else how many there are tells membership.

    Idea:
        Some records are easy for every model. What counts is how much surer of a record the target is than models are
        on average.

    Formula:
        log p_y(x) - log(mean over all models of p_y,model(x))

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit], finite.

    Returns:
        Log-ratio [nats]; higher means member.

    Raises:
        InputError: There is no model, or some phi is not finite.

    Example:
        >>> score = base_score_online(np.array([0.0]), np.log([[1 / 3], [3.0]]))
        >>> print(np.exp(score).round(12))  # 1/2 over the mean of 1/4 and 3/4
        [1.]

    Source:
        Lassila, Östman & Ngo 2025, https://arxiv.org/abs/2505.24089, online attack for independent records. The
        temperature is 1; LeakPro's default of 2 divides the logits before phi is taken, and so belongs to the signal.
    """
    return np.asarray(log_confidence(phi) - log_mean_confidence(shadow_phi))


@attack(
    definition="log p - 0.33 log(mean p of models not trained on the record)",
    source="Lassila et al. 2025",
    cites="lassila2025practical",
    needs=NOT_TRAINED,
)
def base_score_offline(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    scale: float = 0.33,
) -> Float[np.ndarray, " record"]:
    """Score each record by the log of the target's confidence less a share of that of the mean OUT confidence.

    Idea:
        As `base_score_online`, from OUT models alone. Only a part of the log of their mean is subtracted, for want of
        IN models.

    Formula:
        log p_y(x) - scale * log(mean over OUT models of p_y,model(x))

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit], finite.
        is_in: Whether each shadow model was trained on each record.
        scale: Share of the OUT models' log-mean that is subtracted, for want of IN models. At 0 nothing is: the loss
            attack.

    Returns:
        `log p_target - scale * log mean p_OUT` [nats]; higher means member.

    Raises:
        InputError: Some record has no OUT model, or some phi is not finite.

    Example:
        >>> shadow_phi, is_in = np.array([[0.0], [5.0]]), np.array([[False], [True]])
        >>> print(base_score_offline(np.array([0.0]), shadow_phi, is_in, scale=1.0))
        [0.]

    Source:
        Lassila, Östman & Ngo 2025, offline attack; the default scale is that of LeakPro, whose temperature of 2
        divides the logits before phi is taken. Deviation: any number of OUT models per record.
    """
    return np.asarray(log_confidence(phi) - scale * log_mean_out_confidence(shadow_phi, is_in))

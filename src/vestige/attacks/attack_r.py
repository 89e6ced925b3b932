"""Attack-R: the share of models not trained on a record that are no surer of it than the target."""

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._log_means import out_counts
from vestige.core.attack import attack
from vestige.core.errors import InputError
from vestige.core.signal import NOT_TRAINED


@attack(
    definition="share of models not trained on the record that are no surer of it",
    source="Ye et al. 2022",
    cites="ye2022enhanced",
    needs=NOT_TRAINED,
)
def attack_r(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by the share of its OUT models with at most the target's confidence; ties count.

    K models give K + 1 levels, so that false-positive rates below about 1 / K cannot be told apart.

    Idea:
        If hardly any model that was not trained on the record is as sure of it as the target, the target was probably
        trained on it.

    Formula:
        number of OUT models with phi_model(x) <= phi(x), over the number of OUT models

    Args:
        phi: The target's logit-scaled confidence in the true class [logit].
        shadow_phi: That of every shadow model [logit].
        is_in: Whether each shadow model was trained on each record.

    Returns:
        Share of OUT models, from 0 to 1; higher means member.

    Raises:
        InputError: Some record has no OUT model, or some phi is NaN.

    Example:
        >>> shadow_phi = np.array([[1.0, 1.0], [2.0, 2.0], [9.0, 9.0]])
        >>> is_in = np.array([[False, False], [False, False], [True, False]])
        >>> print(attack_r(np.array([2.0, 1.5]), shadow_phi, is_in))
        [1.         0.33333333]

    Source:
        Ye et al. 2022, https://arxiv.org/abs/2111.09679, attack R, with the empirical distribution: the share is 1
        less the false-positive rate at which the record is called a member, up to ties.
    """
    if np.isnan(phi).any() or np.isnan(shadow_phi).any():
        raise InputError(
            "Expected phi of the target and of every shadow model, found NaN; take phi from logits, or bound the "
            "probabilities away from 0 and 1."
        )
    counts = out_counts(is_in)
    share: np.ndarray = ((shadow_phi <= phi) & ~is_in).sum(axis=0) / counts
    return share

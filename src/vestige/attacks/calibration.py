"""Difficulty calibration: a score of the target less what models that never saw the record score on average."""

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._log_means import log_confidence, out_counts
from vestige.core.attack import Attack, attack
from vestige.core.errors import InputError
from vestige.core.signal import NOT_TRAINED


@attack(
    definition="log p less its mean over models not trained on the record",
    source="Watson et al. 2022, eq. 5",
    cites="watson2022importance",
    needs=NOT_TRAINED,
)
def calibration_loss(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by how much smaller its loss is under the target than under its OUT models on average.

    Idea:
        Some records have a small loss under every model. What counts is how much smaller it is under the target than
        under models that never saw the record.

    Formula:
        log p_y(x) - (mean over OUT models of log p_y,model(x))

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit], finite.
        is_in: Whether each shadow model was trained on each record.

    Returns:
        `log p_target - mean log p_OUT` [nats]; higher means member.

    Raises:
        InputError: Some record has no OUT model, or some phi is not finite.

    Example:
        >>> shadow_phi, is_in = np.array([[0.0], [5.0]]), np.array([[False], [True]])
        >>> print(calibration_loss(np.array([0.0]), shadow_phi, is_in))
        [0.]

    Source:
        Watson et al. 2022, https://arxiv.org/abs/2111.08440, eq. 1 (the loss) in eq. 5 (its calibration). Deviation:
        the references are those shadow models that were not trained on the record, instead of models trained on
        disjoint public data.
    """
    counts, score = out_counts(is_in), log_confidence(phi)
    above = np.zeros_like(score)
    for row, trained in zip(shadow_phi, is_in, strict=True):
        above += np.where(trained, 0.0, score - log_confidence(row))
    return np.asarray(above / counts)


@attack(
    definition="log of the largest probability less its mean over models not trained on the record",
    source="Watson et al. 2022, eq. 5",
    cites="watson2022importance",
)
def calibration_confidence(
    max_log_p: Float[np.ndarray, " record"],
    shadow_max_log_p: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by how much surer of any class the target is than its OUT models are on average.

    Idea:
        As `calibration_loss`, of the surest class in the place of the true one.

    Formula:
        max_i log p_i(x) - (mean over OUT models of max_i log p_i,model(x))

    Args:
        max_log_p: Logarithm of the largest probability that the target answers [nats].
        shadow_max_log_p: That of every shadow model.
        is_in: Whether each shadow model was trained on each record.

    Returns:
        `max_i log p_i - mean max_i log p_i of the OUT models` [nats]; higher means member. The label is not used.

    Raises:
        InputError: Some record has no OUT model, there is no record or model, or some number is not finite.

    Example:
        >>> theirs, is_in = np.log([[0.5], [1.0]]), np.array([[False], [True]])
        >>> print(calibration_confidence(np.log([0.9]), theirs, is_in).round(3))
        [0.588]

    Source:
        Watson et al. 2022, https://arxiv.org/abs/2111.08440, eq. 3 (the confidence) in eq. 5 (its calibration);
        references as in `calibration_loss`.
    """
    return calibration_score(max_log_p, shadow_max_log_p, is_in=is_in)


@attack(
    definition="mean gradient norm over models not trained on the record less the target's",
    source="Watson et al. 2022, eq. 5",
    cites="watson2022importance",
)
def calibration_gradient_norm(
    gradient_norms: Float[np.ndarray, " record"],
    shadow_gradient_norms: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by how much less it pulls at the target than at its OUT models on average.

    Idea:
        As `calibration_loss`, of the length of the record's gradient.

    Formula:
        (mean over OUT models of ||gradient_model(x)||_2) - ||gradient(x)||_2

    Args:
        gradient_norms: L2 norm, over all parameters of the target, of the gradient of the record's loss alone.
        shadow_gradient_norms: The same of every shadow model and its parameters.
        is_in: Whether each shadow model was trained on each record.

    Returns:
        `mean norm_OUT - norm_target`; higher means member.

    Raises:
        InputError: Some record has no OUT model, there is no record or model, or some norm is not finite.

    Example:
        >>> norms, is_in = np.array([[3.0], [0.0]]), np.array([[False], [True]])
        >>> print(calibration_gradient_norm(np.array([1.0]), norms, is_in))
        [2.]

    Source:
        Watson et al. 2022, https://arxiv.org/abs/2111.08440, eq. 2 (the gradient norm) in eq. 5 (its
        calibration); references as in `calibration_loss`.
    """
    own, theirs = (-np.asarray(norms, dtype=np.float64) for norms in (gradient_norms, shadow_gradient_norms))
    return calibration_score(own, theirs, is_in=is_in)


def calibration_score(
    score: Float[np.ndarray, " record *draw"],
    reference_scores: Float[np.ndarray, "model record *draw"],
    *,
    is_in: Bool[np.ndarray, "model record"] | None = None,
) -> Float[np.ndarray, " record"]:
    """Subtract from any score, such as a negated gradient norm, its mean over models that never saw the record.

    Args:
        score: The score under the target, higher for members; of several augmented draws of a record, the mean counts.
        reference_scores: The same score of the same draws under every reference model.
        is_in: Whether each reference model was trained on each record; those that were are left out. None: no model
            was trained on any.

    Returns:
        The calibrated score, in the score's unit; higher means member.

    Raises:
        InputError: Some record has no OUT model, there is no model or no draw, or some score is not finite.

    Example:
        >>> print(calibration_score(np.array([-1.0, -3.0]), np.array([[-2.0, -3.0], [-4.0, -3.0]])))
        [2. 0.]

    Source:
        Watson et al. 2022, https://arxiv.org/abs/2111.08440, eq. 5, with the mean over references and over draws where
        the authors' code also offers sums, maxima and medians.
    """
    if score.size == 0 or not len(reference_scores):
        raise InputError(
            f"Expected scores of at least 1 record, draw and reference model, found {len(reference_scores)} models "
            f"and scores of shape {score.shape}; give some."
        )
    if not (np.isfinite(score).all() and np.isfinite(reference_scores).all()):
        raise InputError("Expected finite scores, found NaN or infinity; clip them, or take a score that has none.")
    trained = np.zeros(reference_scores.shape[:2], dtype=bool) if is_in is None else is_in
    counts, own = out_counts(trained), _mean_over_draws(score)
    above = np.zeros_like(own)
    for row, left_out in zip(reference_scores, trained, strict=True):
        above += np.where(left_out, 0.0, own - _mean_over_draws(row))
    return np.asarray(above / counts)


@attack(
    definition="signed L2 distance to the decision boundary less its mean over models not trained on the record",
    source="Watson et al. 2022, table 4",
    cites="watson2022importance",
)
def calibrated_boundary_distance(
    signed_distances: Float[np.ndarray, " record"],
    shadow_signed_distances: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by `calibration_score` of its distance to the decision boundary, negative where it is wrong.

    Idea:
        Some records lie far from the boundary of every model. What counts is how much farther they lie under the target
        than under models that never saw them.

    Formula:
        d(x) - (mean over OUT models of d_model(x)), d negative where the model is wrong

    Example:
        >>> is_in = np.array([[False], [True]])
        >>> print(calibrated_boundary_distance(np.array([3.0]), np.array([[1.0], [9.0]]), is_in))
        [2.]

    Source:
        Watson et al. 2022, table 4 (the label-only part).
    """
    return calibration_score(signed_distances, shadow_signed_distances, is_in=is_in)


def _mean_over_draws(score: np.ndarray) -> np.ndarray:
    return np.asarray(score.reshape(len(score), -1).mean(axis=1, dtype=np.float64))


def calibrated(attack: Attack) -> Attack:
    """Return the attack that compares another one's score with what models that never saw the record score.

    Args:
        attack: Any attack on a model's answers about one record, or its gradients: one of the catalogue or a custom
            one.

    Returns:
        The attack `calibrated_NAME`, which an audit with reference models plays.

    Raises:
        InputError: It has reference models of its own, learns from known members, or asks about copies of a record.

    Example:
        >>> from vestige.attacks import named
        >>> found = calibrated(named("modified_entropy"))
        >>> found.name, found.access
        ('calibrated_modified_entropy', 'confidence')

    Source:
        Watson et al. 2022, https://arxiv.org/abs/2111.08440, eq. 5 for any score; references as in `calibration_loss`.
        With several queries of a record its score is the mean over them, for the target and for every reference.
    """
    if attack.needs_references or attack.learns or attack.asks_copies:
        raise InputError(
            f"Expected an attack on a model's answers about one record to calibrate, found {attack.name}, which needs "
            f"{attack.needs}; distances to the boundary are calibrated by calibrated_boundary_distance."
        )
    return Attack(
        name=f"calibrated_{attack.name}",
        score=_calibrated,
        definition=f"{attack.definition}, less its mean over models not trained on the record",
        source="Watson et al. 2022, eq. 5",
        citations=("watson2022importance", *attack.citations),
        calibrates=attack,
    )


def _calibrated(
    plain_score: Float[np.ndarray, " record"],
    shadow_plain_score: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    return calibration_score(plain_score, shadow_plain_score, is_in=is_in)

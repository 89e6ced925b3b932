"""Attacks with imitators: models that learnt to answer as the target does, on records with and without each other half.

What imitators answer about a record that they were not trained on is what the target's own randomness explains. OUT
shadow models do not know that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vestige.attacks._learnt import LearntWeights, features_of, fit_learnt_ratio, fitted_to, weights_of
from vestige.attacks._phi import check_phi
from vestige.attacks._predictive import Predictive, log_density, pooled_variance, predictives, side_moments
from vestige.core.attack import attack
from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.result import LearntCombination

FEATURES_WITH_IMITATORS = (
    "learnt_ratio",
    "imitator_ratio",
    "imitator_out_residual",
    "imitator_out_mean",
    "imitator_in_mean",
)
"""What `learnt_ratio_with_imitators` combines: two scores, and what the target's imitators answered."""

_FREEDOM = 8.0  # degrees of freedom of the OUT density: a target differs from its imitators more than they do
_WIDER = 2.0  # its variance, in variances of the imitators about their mean
_NEEDS = "shadow models that torch trains, and imitators of the model (ShadowTraining(imitators=Imitation()))"


@attack(
    definition="log-ratio of the densities of phi under IN shadow models and under OUT imitators of the model",
    source="ours; after Du et al. 2026 (IMIA)",
    cites="du2026imitative",
    needs=_NEEDS,
)
def imitator_ratio(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    imitator_phi: Float[np.ndarray, "imitator record"],
    imitator_is_in: Bool[np.ndarray, "imitator record"],
    *,
    min_std: float = 1e-3,
) -> Float[np.ndarray, " record"]:
    """Score each record by the target's phi under IN shadow models against that under OUT imitators.

    Idea:
        Models that learnt to answer as the target does share its chance errors, which OUT shadow models do not. They
        say more exactly what it would answer about a record that it never saw.

    Formula:
        log t(phi; m_IN, s_IN, f_IN) - log t(phi; m, s, 8)
        m: mean phi of the record's OUT imitators; s^2: twice the variance of imitators about their record's mean

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
        >>> imitator_ratio(np.array([5.0, 1.3]), shadow_phi, is_in, copies, np.zeros((2, 2), dtype=bool)).round(2)
        array([10.07, -5.55])

    Source:
        Ours, after Du et al. 2026 (IMIA), which trains imitators for both sides. IN densities are those of
        `empirical_bayes_online`; the OUT density is Student's t with 8 degrees of freedom about the mean of the
        record's OUT imitators, with twice the variance that imitators have about their records' means.
    """
    of_in, of_out = _densities(phi, shadow_phi, is_in, imitator_phi, imitator_is_in, min_std)
    return np.asarray(log_density(phi, of_in) - log_density(phi, of_out))


def _densities(
    phi: np.ndarray,
    shadow_phi: np.ndarray,
    is_in: np.ndarray,
    imitator_phi: np.ndarray,
    imitator_is_in: np.ndarray,
    min_std: float = 1e-3,
) -> tuple[Predictive, Predictive]:
    """Of phi under IN shadow models, and under OUT imitators."""
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
    return of_in, of_imitators


# ---------------------------------------------------------------------------------------- with the learnt ratio


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightsWithImitators:
    """What `learnt_ratio_with_imitators` learnt.

    Attributes:
        of_shadows: Weights of the learnt ratio.
        of_imitators: Weights of `FEATURES_WITH_IMITATORS`.
    """

    of_shadows: LearntWeights
    of_imitators: LearntWeights

    def summary(self, attack: str) -> LearntCombination:
        """Return the second as a result holds it; the first is that of `learnt_ratio`."""
        return self.of_imitators.summary(attack)


def fit_with_imitators(
    query_phi: Float[np.ndarray, "record query"],
    shadow_query_phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    imitator_phi: Float[np.ndarray, "imitator record"],
    imitator_is_in: Bool[np.ndarray, "imitator record"],
    shadow_imitator_phi: Float[np.ndarray, "imitated imitator record"],
    imitated: Int[np.ndarray, " imitated"],
    *,
    penalty: float = 1.0,
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
) -> WeightsWithImitators:
    """Fit the weights of `learnt_ratio_with_imitators`; no answer of the target or of its imitators is read.

    Raises:
        InputError: As of `learnt_ratio_with_imitators`.
    """
    if not len(imitated):
        raise InputError("Expected imitators of a shadow model that plays the target, found none; imitate some.")
    of_shadows = fit_learnt_ratio(query_phi, shadow_query_phi, is_in, groups=groups, subjects=subjects)
    features, sides, rows = [], [], []
    for model, copies in zip(imitated.tolist(), shadow_imitator_phi, strict=True):
        kept, own = remaining(is_in, groups, model), shadow_query_phi[model]
        found = ~np.isnan(own).any(axis=1)
        theirs, theirs_in = shadow_query_phi[kept], is_in[kept]
        of_groups = None if groups is None else groups[kept]
        weights = fit_learnt_ratio(np.nan_to_num(own), theirs, theirs_in, groups=of_groups, subjects=subjects)
        answers = own[found], theirs[:, found], theirs_in[:, found], copies[:, found], imitator_is_in[:, found]
        features.append(_features(*answers, weights))
        sides.append(is_in[model, found])
        rows.append(weights_of(subjects, is_in.shape[1])[found])
    found_weights = fitted_to(
        FEATURES_WITH_IMITATORS,
        np.concatenate(features),
        np.concatenate(sides),
        np.concatenate(rows),
        penalty,
        len(imitated),
    )
    return WeightsWithImitators(of_shadows=of_shadows, of_imitators=found_weights)


@attack(
    definition="log-odds of membership by the learnt ratio and by imitators of the model; imitated shadow models teach "
    "how to combine them",
    source="ours; after Du et al. 2026 (IMIA)",
    cites="du2026imitative",
    needs=_NEEDS,
    natural_threshold=0.0,
    fit=fit_with_imitators,
)
def learnt_ratio_with_imitators(
    query_phi: Float[np.ndarray, "record query"],
    shadow_query_phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    imitator_phi: Float[np.ndarray, "imitator record"],
    imitator_is_in: Bool[np.ndarray, "imitator record"],
    shadow_imitator_phi: Float[np.ndarray, "imitated imitator record"],
    imitated: Int[np.ndarray, " imitated"],
    *,
    penalty: float = 1.0,
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
    fitted: WeightsWithImitators | None = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by log-odds of membership, from the learnt ratio and from imitators of the target.

    Some shadow models have imitators of their own. Each is played as the target of the others, without the models drawn
    together with it; rows of `FEATURES_WITH_IMITATORS` with the sides of its records teach the weights, as in
    `learnt_ratio`.

    Idea:
        The learnt ratio and imitators know different things of a record. Shadow models that have imitators of their own
        teach how to weigh them.

    Formula:
        w_0 + sum_j w_j g_j(features)
        features: learnt_ratio, imitator_ratio, (phi - m) / s, m, mean phi of IN imitators; terms g and weights w as of
          learnt_ratio

    Args:
        query_phi: The target's logit-scaled confidence in the true class [logit], finite; of one query.
        shadow_query_phi: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        imitator_phi: That of every imitator of the target [logit]; NaN where one did not answer.
        imitator_is_in: Which records the imitators were trained on, the same of every imitated model.
        shadow_imitator_phi: That of the imitators of each imitated shadow model.
        imitated: Which shadow models these are.
        penalty: Half of it times the sum of squared weights is added to the loss.
        groups: As of `learnt_ratio`.
        subjects: As of `learnt_ratio`.
        fitted: Weights; fitted if omitted.

    Returns:
        Log-odds [nats]; higher means member.

    Raises:
        InputError: No shadow model is imitated; fewer than 8 shadow models; or some phi is impossible.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in = np.stack([half := rng.random((5, 500)) < 0.5, ~half], axis=1).reshape(10, 500)
        >>> own = rng.normal(size=(10, 500))  # what each model's training adds to its answers
        >>> phi = is_in + own
        >>> copies = np.stack([own[0], own[0] + 0.1]), np.stack([own[[2, 4]], own[[2, 4]] + 0.1], axis=1)
        >>> sides = np.stack([half := rng.random(500) < 0.5, ~half])
        >>> given = phi[0][:, None], phi[2:, :, None], is_in[2:], copies[0], sides, copies[1], np.array([0, 2])
        >>> bool(np.ptp([learnt_ratio_with_imitators(*given)[side].mean() for side in (is_in[0], ~is_in[0])]) > 1)
        True

    Source:
        Ours. Imitators after Du et al. 2026 (IMIA).
    """
    if fitted is None:
        fitted = fit_with_imitators(
            query_phi, shadow_query_phi, is_in, imitator_phi, imitator_is_in, shadow_imitator_phi, imitated,
            penalty=penalty, groups=groups, subjects=subjects,
        )  # fmt: skip
    answers = query_phi, shadow_query_phi, is_in, imitator_phi, imitator_is_in
    return fitted.of_imitators.log_odds(_features(*answers, fitted.of_shadows))


# ------------------------------------------------------------------------------------------------ of labels alone


def _fit_to_labels(
    agreement: Float[np.ndarray, " record"],
    shadow_agreement: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    imitator_agreement: Float[np.ndarray, "imitator record"],
    imitator_is_in: Bool[np.ndarray, "imitator record"],
    shadow_imitator_agreement: Float[np.ndarray, "imitated imitator record"],
    imitated: Int[np.ndarray, " imitated"],
    *,
    penalty: float = 1.0,
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
) -> WeightsWithImitators:
    """Fit the weights of `label_only_learnt_ratio_with_imitators`; no answer of the target is read.

    Raises:
        InputError: As of `learnt_ratio_with_imitators`.
    """
    of_models = agreement[:, None], shadow_agreement[:, :, None], is_in
    of_imitators = imitator_agreement, imitator_is_in, shadow_imitator_agreement, imitated
    return fit_with_imitators(*of_models, *of_imitators, penalty=penalty, groups=groups, subjects=subjects)


@attack(
    definition="log-odds of membership by the label-only learnt ratio and by imitators that learn labels of copies",
    source="ours; after Du et al. 2026 (IMIA)",
    cites="du2026imitative",
    needs="access to labels only, noisy or augmented copies of each record, 8 shadow models or more that torch trains "
    "on random halves, and imitators of the model (ShadowTraining(imitators=Imitation()))",
    natural_threshold=0.0,
    fit=_fit_to_labels,
)
def label_only_learnt_ratio_with_imitators(
    agreement: Float[np.ndarray, " record"],
    shadow_agreement: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    imitator_agreement: Float[np.ndarray, "imitator record"],
    imitator_is_in: Bool[np.ndarray, "imitator record"],
    shadow_imitator_agreement: Float[np.ndarray, "imitated imitator record"],
    imitated: Int[np.ndarray, " imitated"],
    *,
    penalty: float = 1.0,
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
    fitted: WeightsWithImitators | None = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by `learnt_ratio_with_imitators` of a label-only signal, such as the share of correct copies.

    Idea:
        As `learnt_ratio_with_imitators`, where the model answers labels only.

    Formula:
        as learnt_ratio_with_imitators, with the z of label_only_likelihood_ratio in the place of phi

    Args:
        agreement: As of `label_only_learnt_ratio`.
        shadow_agreement: That of every shadow model, asked about the same copies.
        is_in: Whether each shadow model was trained on each record.
        imitator_agreement: That of imitators, which learnt how often the target gave each class to a record's copies.
        imitator_is_in: Which records the imitators were trained on, the same of every imitated model.
        shadow_imitator_agreement: That of the imitators of each imitated shadow model.
        imitated: Which shadow models these are.
        penalty: As of `learnt_ratio_with_imitators`.
        groups: As of `learnt_ratio`.
        subjects: As of `learnt_ratio`.
        fitted: Weights; fitted if omitted.

    Returns:
        As of `learnt_ratio_with_imitators`.

    Raises:
        InputError: As of `learnt_ratio_with_imitators`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in = np.stack([half := rng.random((5, 500)) < 0.5, ~half], axis=1).reshape(10, 500)
        >>> own = rng.normal(size=(10, 500))  # what each model's training adds to its answers
        >>> shares = is_in + own
        >>> copies = np.stack([own[0], own[0] + 0.1]), np.stack([own[[2, 4]], own[[2, 4]] + 0.1], axis=1)
        >>> sides = np.stack([half := rng.random(500) < 0.5, ~half])
        >>> given = shares[0], shares[2:], is_in[2:], copies[0], sides, copies[1], np.array([0, 2])
        >>> scores = label_only_learnt_ratio_with_imitators(*given)
        >>> bool(scores[is_in[0]].mean() > scores[~is_in[0]].mean() + 1)
        True

    Source:
        Ours, on the copies of Choquette-Choo et al. 2021; imitators after Du et al. 2026 (IMIA), which learn from
        confidences there.
    """
    of_models = agreement[:, None], shadow_agreement[:, :, None], is_in
    of_imitators = imitator_agreement, imitator_is_in, shadow_imitator_agreement, imitated
    return learnt_ratio_with_imitators(
        *of_models, *of_imitators, penalty=penalty, groups=groups, subjects=subjects, fitted=fitted
    )


def _features(
    query_phi: np.ndarray,
    shadow_query_phi: np.ndarray,
    is_in: np.ndarray,
    imitator_phi: np.ndarray,
    imitator_is_in: np.ndarray,
    learnt: LearntWeights,
) -> Float[np.ndarray, "record feature"]:
    phi, theirs = query_phi.mean(axis=1), shadow_query_phi.mean(axis=2)
    of_in, of_out = _densities(phi, theirs, is_in, imitator_phi, imitator_is_in)
    trained_on = side_moments(imitator_phi, imitator_is_in, "trained on")

    def columns() -> Iterator[np.ndarray]:
        yield learnt.log_odds(features_of(query_phi, shadow_query_phi, is_in))
        yield log_density(phi, of_in) - log_density(phi, of_out)
        yield (phi - of_out.mean) / of_out.scale
        yield of_out.mean
        yield np.where(trained_on.known, trained_on.means, of_in.mean)

    return np.stack(list(columns()), axis=1)

"""Learnt ratio: shadow models, played as targets, teach how to combine the scores of other attacks.

Every shadow model is a target whose members are known. Its answers, judged by the other models, give rows of features
with the side of each record; a logistic regression on these rows is applied to the target, of whose members nothing is
used.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vestige.attacks._learnt import (
    FEATURES,
    FEWEST_MODELS,
    OFFLINE_FEATURES,
    LearntWeights,
    features_of,
    fit_learnt_ratio,
    fit_offline,
    n_out_of_a_point,
    offline_features_of,
    order_of_models,
    out_models,
)
from vestige.attacks._phi import check_phi
from vestige.core.attack import Attack, attack

__all__ = [
    "FEATURES",
    "FEWEST_MODELS",
    "OFFLINE_FEATURES",
    "LearntWeights",
    "fit_learnt_ratio",
    "label_only_learnt_ratio",
    "learnt_ratio",
    "learnt_ratio_offline",
]


@attack(
    definition="log-odds of membership by a combination of scores that shadow models, played as targets, teach",
    source="ours; related: He et al. 2024 (RAPID)",
    cites="he2024rapid",
    needs=f"{FEWEST_MODELS} shadow models or more, trained on random halves of the audited records",
    natural_threshold=0.0,
    fit=fit_learnt_ratio,
)
def learnt_ratio(
    query_phi: Float[np.ndarray, "record query"],
    shadow_query_phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    penalty: float = 10.0,
    also: Sequence[Attack | Callable[..., Any]] = (),
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
    fitted: LearntWeights | None = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by log-odds of membership, learnt from the shadow models.

    Each shadow model is played as the target of the others, without the models that were drawn together with it. Its
    records give rows of `FEATURES`. They are standardised and clipped at 4 deviations; their products and hinges (above
    0, above 1, below -1) are further terms. A logistic regression with a penalty on all weights but the intercept
    learns the side of each row, and is applied to the target's features by all shadow models. Of many records some are
    fitted to, those that stand evenly in an order of their contents: 100,000 rows at most.

    Idea:
        Each shadow model is a target whose members are known. Played as targets, they teach which mix of other attacks'
        scores finds members.

    Formula:
        w_0 + sum_j w_j g_j(features)
        features: empirical_bayes_online, base_score_online, calibration_loss, phi, m_OUT, m_IN, (phi - m_OUT) / s_OUT,
          (phi - m_IN) / s_IN
        terms g: each feature z (standardised, clipped at +-4), all products of two (squares too), max(z, 0),
          max(z - 1, 0) and max(-z - 1, 0)
        weights w: least log loss over rows of a shadow model and a record, plus penalty / 2 * sum_{j > 0} w_j^2

    Args:
        query_phi: The target's logit-scaled confidence in the true class [logit], finite; features are means over
            queries.
        shadow_query_phi: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        penalty: Half of it times the sum of squared weights is added to the loss.
        also: Further features: attacks or functions that read `phi`, `losses`, `p_true`, `shadow_phi` or `is_in`.
        groups: Which models were drawn together. None to read it off the training sets: models that complement each
            other. Where every record is in equally many models and none has a complement, one model of the other side
            is left out with each, record by record.
        subjects: Whose record it is: each subject then weighs as much as any other.
        fitted: Weights; fitted if omitted.

    Returns:
        Log-odds, for as large a share of members as the shadow models' records have [nats]; higher means member.

    Raises:
        InputError: Fewer than 6 shadow models or 3 pairs or groups, a side without any answer, or some phi or option
            is impossible.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in = np.stack([half := rng.random((4, 500)) < 0.5, ~half], axis=1).reshape(8, 500)
        >>> phi = np.where(is_in, 3.0, 0.0) + rng.normal(size=is_in.shape)
        >>> scores = learnt_ratio(phi[0][:, None], phi[2:, :, None], is_in[2:])
        >>> bool(scores[is_in[0]].mean() > scores[~is_in[0]].mean() + 1)
        True

    Source:
        Ours. Combining a score with a calibrated one by a network that learns from shadow models: He et al. 2024
        (RAPID). Here the features are eight scalars, every shadow model is a target, and the model is a ridge
        regression.
    """
    if fitted is None:
        fitted = fit_learnt_ratio(
            query_phi, shadow_query_phi, is_in, penalty=penalty, also=also, groups=groups, subjects=subjects
        )
    return fitted.log_odds(features_of(query_phi, shadow_query_phi, is_in, also))


def _fit_offline(
    query_phi: Float[np.ndarray, "record query"],
    shadow_query_phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    pool_phi: Float[np.ndarray, "model point query"],
    pool_is_in: Bool[np.ndarray, "model point"],
    *,
    penalty: float = 10.0,
    groups: Int[np.ndarray, " model"] | None = None,
) -> LearntWeights:
    """Fit the weights of `learnt_ratio_offline`; of the audited records nothing is read.

    Raises:
        InputError: As of `learnt_ratio_offline`.
    """
    return fit_offline(pool_phi, pool_is_in, penalty=penalty, groups=groups)


@attack(
    definition="log-odds of membership by scores of OUT models, combined as shadow models teach on their own pool",
    source="ours; related: He et al. 2024 (RAPID)",
    cites="he2024rapid",
    needs=f"{FEWEST_MODELS} shadow models or more, trained on random halves of a pool of other records, and their "
    "answers about this pool and about the audited records",
    natural_threshold=0.0,
    fit=_fit_offline,
)
def learnt_ratio_offline(
    query_phi: Float[np.ndarray, "record query"],
    shadow_query_phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    pool_phi: Float[np.ndarray, "model point query"],
    pool_is_in: Bool[np.ndarray, "model point"],
    *,
    penalty: float = 10.0,
    groups: Int[np.ndarray, " model"] | None = None,
    fitted: LearntWeights | None = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by log-odds of membership from OUT models; their own pool taught how to combine scores.

    As `learnt_ratio`, where no model was trained on the audited records: each model is played as the target of the
    others on the pool, where its members are known, by what models say that were not trained on the point. Models are
    trained once for any number of targets. A point of the pool has fewer OUT models than an audited record: as many as
    it has are taken at once of the record's, eight times in turn, and the log-odds averaged; in an order that their
    answers about the pool give, not their places.

    Idea:
        As `learnt_ratio`, where no model was trained on the audited records: shadow models play targets on their own
        pool. Models once trained serve for any number of targets.

    Formula:
        w_0 + sum_j w_j g_j(features), terms and weights as of learnt_ratio
        features, of OUT models: phi, log p_y, calibration_loss, log p_y - log(mean p_y), (phi - m_OUT) / s_OUT, m_OUT,
          log s_OUT, attack_r

    Args:
        query_phi: The target's logit-scaled confidence in the true class [logit], finite; features are means over
            queries.
        shadow_query_phi: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record; these models are left out.
        pool_phi: What the shadow models answered about the points of their pool [logit].
        pool_is_in: Whether each was trained on each point.
        penalty: As of `learnt_ratio`.
        groups: As of `learnt_ratio`.
        fitted: Weights; fitted if omitted.

    Returns:
        Log-odds, for as large a share of members as the pool has [nats]; higher means member.

    Raises:
        InputError: Fewer than 6 shadow models or 3 pairs or groups, a record or point without OUT model, or some phi
            or option is impossible.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> pool_is_in = np.stack([half := rng.random((4, 500)) < 0.5, ~half], axis=1).reshape(8, 500)
        >>> pool_phi = np.where(pool_is_in, 3.0, 0.0) + rng.normal(size=(8, 500))
        >>> member, theirs = np.arange(200) < 100, rng.normal(size=(8, 200, 1))
        >>> phi = np.where(member, 3.0, 0.0) + rng.normal(size=200)
        >>> none = np.zeros((8, 200), dtype=bool)
        >>> scores = learnt_ratio_offline(phi[:, None], theirs, none, pool_phi[:, :, None], pool_is_in)
        >>> bool(scores[member].mean() > scores[~member].mean() + 1)
        True

    Source:
        Ours, as `learnt_ratio`.
    """
    check_phi(query_phi, shadow_query_phi)
    if fitted is None:
        fitted = fit_offline(pool_phi, pool_is_in, penalty=penalty, groups=groups)
    n_taken, order = n_out_of_a_point(pool_is_in, groups), order_of_models(pool_phi)
    scores = [
        fitted.log_odds(offline_features_of(query_phi, theirs, np.zeros(theirs.shape[:2], dtype=bool)))
        for theirs in out_models(shadow_query_phi[order], is_in[order], n_taken)
    ]
    return np.asarray(sum(scores) / len(scores))


def _fit_to_labels(
    agreement: Float[np.ndarray, " record"],
    shadow_agreement: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    penalty: float = 10.0,
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
) -> LearntWeights:
    """Fit the weights of `label_only_learnt_ratio`; the target's answers are not read.

    Raises:
        InputError: As of `learnt_ratio`.
    """
    given = agreement[:, None], shadow_agreement[:, :, None], is_in
    return fit_learnt_ratio(*given, penalty=penalty, groups=groups, subjects=subjects)


@attack(
    definition="log-odds of membership by a combination of scores of a label-only signal that shadow models teach",
    source="ours; related: He et al. 2024 (RAPID)",
    cites="he2024rapid",
    needs=f"predicted labels of copies of each record, of the model and of {FEWEST_MODELS} shadow models or more, "
    "trained on random halves",
    natural_threshold=0.0,
    fit=_fit_to_labels,
)
def label_only_learnt_ratio(
    agreement: Float[np.ndarray, " record"],
    shadow_agreement: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    penalty: float = 10.0,
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
    fitted: LearntWeights | None = None,
) -> Float[np.ndarray, " record"]:
    """Score each record by `learnt_ratio` of a label-only signal, such as the share of correct noisy copies.

    Idea:
        As `learnt_ratio`, where the model answers labels only.

    Formula:
        as learnt_ratio, with the z of label_only_likelihood_ratio in the place of phi

    Args:
        agreement: As of `label_only_likelihood_ratio`, in the place of phi.
        shadow_agreement: That of every shadow model, asked about the same copies.
        is_in: Whether each shadow model was trained on each record.
        penalty: As of `learnt_ratio`.
        groups: As of `learnt_ratio`.
        subjects: As of `learnt_ratio`.
        fitted: Weights; fitted if omitted.

    Returns:
        As of `learnt_ratio`.

    Raises:
        InputError: As of `learnt_ratio`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in = np.stack([half := rng.random((4, 500)) < 0.5, ~half], axis=1).reshape(8, 500)
        >>> shares = np.where(is_in, 2.0, 0.0) + rng.normal(size=is_in.shape)
        >>> scores = label_only_learnt_ratio(shares[0], shares[2:], is_in[2:])
        >>> bool(scores[is_in[0]].mean() > scores[~is_in[0]].mean() + 1)
        True

    Source:
        Ours, on the copies of Choquette-Choo et al. 2021. What is on the scale of phi for `learnt_ratio` is here the
        share on the normal's scale, so that two of the features are no confidences, only rising functions of it.
    """
    given = agreement[:, None], shadow_agreement[:, :, None], is_in
    return learnt_ratio(*given, penalty=penalty, groups=groups, subjects=subjects, fitted=fitted)

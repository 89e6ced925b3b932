"""Likelihood ratio for few reference models: what is known of all records steadies the fit of each.

A record's phi is normal under IN models (trained on it) and under OUT models (not). Mean and variance of each side
have a normal-inverse-gamma prior, fitted across records by moments; what the record's own models answered turns it
into a posterior, and the target's phi is judged by the Student-t density that this predicts. With one model on a side
the prior decides, with many the record itself.
"""

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._phi import check_phi
from vestige.attacks._predictive import (
    log_density,
    pooled_variance,
    predictive_out,
    predictives,
    side_moments,
)
from vestige.core.attack import attack
from vestige.core.errors import InputError
from vestige.core.signal import NOT_TRAINED


@attack(
    definition="log-ratio of Student-t predictive densities of phi, priors fitted across records",
    source="ours; predictives of Murphy 2007",
    cites="murphy2007conjugate",
)
def empirical_bayes_online(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    shape: float = 4.0,
    min_between_in: float = 0.05,
    min_between_out: float = 0.1,
    min_std: float = 1e-3,
) -> Float[np.ndarray, " record"]:
    """Score each record by the log-ratio of predictive densities of the target's phi under IN and OUT models.

    Two models, one trained on each record and one not, are enough. A record without models on a side is judged by
    that side's prior. What cannot be estimated is taken as follows:

    - No record has two models on some side, so that side's spread between models cannot be told from that between
      records: if the other side has them, its spread; else one for both, the variance that IN and OUT answers have
      across the straight line that fits both best (the smaller eigenvalue of their covariance over records).
    - All records have the same OUT answers, so no line can be laid through IN means: they have one mean.

    Idea:
        With few shadow models, a mean and a spread fitted to one record are rough. What is seen of all records steadies
        them, and the more models there are, the less it weighs.

    Formula:
        log t(phi; m_IN, s_IN, f_IN) - log t(phi; m_OUT, s_OUT, f_OUT), densities of Student's t
        m = prior mean + n / (n + k) * (mean of the n models - prior mean)
        s^2 = b / (4 + n / 2) * (1 + 1 / (n + k)), f = 8 + n
        b = 4 w + (squares about the mean + k n / (n + k) * (mean - prior mean)^2) / 2
        w: variance of models about their record's mean; k: w over the variance of the records' true means

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        shape: Of the prior of the variance: it weighs as much as twice that many models.
        min_between_in: Floor of the variance of IN means about their prior mean [logit^2].
        min_between_out: Floor of the variance of OUT means about theirs [logit^2].
        min_std: Floor of the pooled standard deviation of models about their record's mean [logit].

    Returns:
        Log-ratio [nats]; higher means member.

    Raises:
        InputError: No model answered a record that it was trained on, or none that it was not; or some phi or option
            is impossible.

    Example:
        >>> shadow_phi = np.array([[4.0, 5.0], [6.0, 7.0], [-1.0, 0.0], [1.0, 2.0]])
        >>> is_in = np.array([[True, True], [True, True], [False, False], [False, False]])
        >>> empirical_bayes_online(np.array([5.0, 1.0]), shadow_phi, is_in).round(2)
        array([ 4.03, -4.63])

    Source:
        Ours; the normal-inverse-gamma predictives are Murphy's (2007). The OUT prior has one mean, that of all OUT
        answers; the IN prior's mean is a straight line in the record's OUT posterior mean. The same family is fitted
        in BaVarIA (arXiv 2603.11799), whose priors may differ.
    """
    _check(phi, shadow_phi, shape, min_between_in, min_between_out, min_std)
    of_in, of_out = predictives(
        shadow_phi,
        is_in,
        shape=shape,
        min_between_in=min_between_in,
        min_between_out=min_between_out,
        min_std=min_std,
    )
    return np.asarray(log_density(phi, of_in) - log_density(phi, of_out))


@attack(
    definition="standardised residual of phi under the predictive density of models not trained on it",
    source="ours; predictives of Murphy 2007",
    cites="murphy2007conjugate",
    needs=NOT_TRAINED,
)
def empirical_bayes_offline(
    phi: Float[np.ndarray, " record"],
    shadow_phi: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    shape: float = 4.0,
    min_between: float = 0.1,
    min_std: float = 1e-3,
) -> Float[np.ndarray, " record"]:
    """Score each record by how far the target's phi lies above what OUT models predict, in predicted scales.

    One-sided: a phi below the prediction speaks against membership. IN models are not needed and not used. One OUT
    model is enough; where no record has two, spread between models cannot be told from that between records, and
    records are ranked by phi less that of their model. A record without OUT models is judged by the prior, or by
    nothing, with a score of 0, where that cannot be told.

    Idea:
        As `empirical_bayes_online`, from OUT models alone: how far the target is above what they predict.

    Formula:
        (phi - m_OUT) / s_OUT

    Args:
        phi: The target's logit-scaled confidence in the true class [logit], finite.
        shadow_phi: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        shape: Of the prior of the variance: it weighs as much as twice that many models.
        min_between: Floor of the variance of OUT means about their prior mean [logit^2].
        min_std: Floor of the pooled standard deviation of models about their record's mean [logit].

    Returns:
        Residual over the scale of the Student-t predictive density [1]; higher means member.

    Raises:
        InputError: No model answered a record that it was not trained on, or some phi or option is impossible.

    Example:
        >>> shadow_phi = np.array([[-1.0, 0.0], [1.0, 2.0]])
        >>> empirical_bayes_offline(np.array([5.0, 1.0]), shadow_phi, np.zeros((2, 2), dtype=bool)).round(2)
        array([3.27, 0.33])

    Source:
        The OUT half of `empirical_bayes_online`. The residual is ranked itself, not its tail probability, which loses
        digits near 1; degrees of freedom only differ where numbers of OUT models do.
    """
    _check(phi, shadow_phi, shape, min_between, min_between, min_std)
    outside = side_moments(shadow_phi, ~is_in, "not trained on")
    told_apart = bool((outside.counts > 1).any())
    within = pooled_variance(outside) if told_apart else float(np.var(outside.means[outside.known]))
    between = min_between if told_apart else np.inf
    posterior = predictive_out(outside, max(within, min_std**2), shape, between)
    return np.asarray((phi - posterior.mean) / posterior.scale)


@attack(
    definition="log-ratio of Student-t predictive densities of a label-only signal, on the normal's scale",
    source="ours; predictives of Murphy 2007",
    cites="murphy2007conjugate",
)
def label_only_likelihood_ratio(
    agreement: Float[np.ndarray, " record"],
    shadow_agreement: Float[np.ndarray, "model record"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, " record"]:
    """Score each record by `empirical_bayes_online` of a label-only signal, such as the share of correct noisy copies.

    Idea:
        How often copies of a record keep its class, or how far it is from the boundary, says how sure the model is,
        though it answers labels only. This stands in the place of phi.

    Formula:
        as empirical_bayes_online, with z in the place of phi
        z = normal quantile of (right copies + 1/2) / (copies + 1), or the signed distance to the boundary

    Args:
        agreement: What labels alone tell of the target's certainty about each record, on a scale where it is close to a
            normal distribution: the share of copies that get the true class (`signals.label_only.agreement`), or the
            signed distance to the decision boundary.
        shadow_agreement: That of every shadow model, asked about the same copies or by the same search.
        is_in: Whether each shadow model was trained on each record.

    Returns:
        As of `empirical_bayes_online`.

    Example:
        >>> is_in = np.array([[True, False], [False, True]] * 2)
        >>> shares = np.where(is_in, 2.0, 0.0) + 0.1 * np.arange(4)[:, None]
        >>> bool(np.diff(label_only_likelihood_ratio(np.array([2.0, 0.0]), shares, is_in))[0] < 0)
        True

    Source:
        Ours, on the copies and boundary distances of Choquette-Choo et al. 2021; predictives of Murphy 2007.
    """
    return empirical_bayes_online(agreement, shadow_agreement, is_in)


def _check(phi: np.ndarray, shadow_phi: np.ndarray, *options: float) -> None:
    check_phi(phi, shadow_phi)
    if not min(options) > 0:
        raise InputError(
            f"Expected a shape and floors above 0, found {min(options):g}; without floors a variance may be 0."
        )

"""LiRA: how a record's confidence compares with what models that were trained on it, or were not, have in it.

Every score rests on Gaussians fitted to the models on one side, IN (trained on the record) or OUT (not). A record may
be asked for in several queries, such as shifted copies of an image; without an axis after the record there is one. NaN
in `shadow_statistic` means that a model did not answer: it is left out there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vestige.attacks._phi import check_phi
from vestige.core.attack import attack
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Center, Counts, Queries, Variance
from vestige.core.signal import NOT_TRAINED


@attack(
    definition="log-likelihood ratio of phi under models trained on the record and models that were not",
    source="Carlini et al. 2022",
    cites="carlini2022membership",
)
def lira_online(
    statistic: Float[np.ndarray, "record ..."],
    shadow_statistic: Float[np.ndarray, "model record ..."],
    is_in: Bool[np.ndarray, "model record"],
    *,
    center: Center = Center.MEAN,
    variance: Variance = Variance.POOLED,
    queries: Queries = Queries.MEAN,
    min_std: float = 1e-3,
    counts: Counts = Counts.ALL,
) -> Float[np.ndarray, " record"]:
    """Score each record by the log-likelihood ratio of the target's phi under IN and OUT models.

    Idea:
        The target's confidence in a record is compared with two groups of models: those trained on it and those not.
        Which group it resembles more is the answer.

    Formula:
        log N(phi; mu_IN, sigma_IN^2) - log N(phi; mu_OUT, sigma_OUT^2)
        mu: mean over the record's models; sigma: of all records together (pooled), or the record's own

    Args:
        statistic: The target's logit-scaled confidence in the true class [logit], or what else
            Gaussians are fitted to, finite.
        shadow_statistic: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        center: Where a Gaussian stands.
        variance: Whose spread is used.
        queries: What is made of several queries per record.
        min_std: Floor of a standard deviation [logit].
        counts: How many of a record's models on one side are used.

    Returns:
        Log-likelihood ratio [nats]; higher means member.

    Raises:
        InputError: Some record has fewer IN or OUT models than the variance needs, 1 or, for its own, 2; there are
            too few for the covariance of queries, or it is asked for with another variance than the pooled one; or
            some phi is not finite, or the queries of target and shadow models are not the same.

    Example:
        >>> shadow_phi = np.array([[4.0], [6.0], [-1.0], [1.0]])
        >>> is_in = np.array([[True], [True], [False], [False]])
        >>> lira_online(np.array([5.0]), shadow_phi, is_in)
        array([12.5])

    Source:
        Carlini et al. 2022, online attack. Differs by default from the authors' script in taking means where it takes
        medians, in pooling residuals instead of raw values, in using each side's own spread, and in using all models
        of a record where it uses as many as every record has; the published choices are options.
    """
    ours, theirs = _checked(statistic, shadow_statistic)
    inside = _fitted(ours, _one_side(theirs, is_in, "trained on it", counts), center, variance, queries, min_std)
    outside = _fitted(ours, _one_side(theirs, ~is_in, "not trained on it", counts), center, variance, queries, min_std)
    if variance is Variance.PUBLISHED_FIXED:
        outside = _Gaussian(outside.offset, inside.std, outside.axes)
    return _joined(_log_density(inside) - _log_density(outside), queries)


@attack(
    definition="z-score of phi among models not trained on the record",
    source="Carlini et al. 2022, offline attack",
    cites="carlini2022membership",
    needs=NOT_TRAINED,
)
def lira_offline(
    statistic: Float[np.ndarray, "record ..."],
    shadow_statistic: Float[np.ndarray, "model record ..."],
    is_in: Bool[np.ndarray, "model record"],
    *,
    center: Center = Center.MEAN,
    variance: Variance = Variance.POOLED,
    queries: Queries = Queries.MEAN,
    min_std: float = 1e-3,
    counts: Counts = Counts.ALL,
) -> Float[np.ndarray, " record"]:
    """Score each record by how far the target's phi lies above that of OUT models, in standard deviations.

    IN models are not needed and not used. With the covariance of queries the score is that of the best weighted mean
    of the queries: the one that tells an equal rise of all of them apart with the most certainty.

    Idea:
        As `lira_online`, from OUT models alone: how far the target is above them.

    Formula:
        (phi - mu_OUT) / sigma_OUT

    Args:
        statistic: The target's logit-scaled confidence in the true class [logit], or what else
            Gaussians are fitted to, finite.
        shadow_statistic: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        center: Where a Gaussian stands.
        variance: Whose spread is used.
        queries: What is made of several queries per record.
        min_std: Floor of a standard deviation [logit].
        counts: How many of a record's models on one side are used.

    Returns:
        z-score [standard deviations]; higher means member.

    Raises:
        InputError: As for `lira_online`, of OUT models.

    Example:
        >>> shadow_phi = np.array([[-1.0, 0.0], [1.0, 4.0]])
        >>> is_in = np.zeros((2, 2), dtype=bool)
        >>> lira_offline(np.array([3.0, 3.0]), shadow_phi, is_in, variance=Variance.PER_RECORD)
        array([3. , 0.5])

    Source:
        Carlini et al. 2022, offline attack: its one-sided test, ranked by z instead of `Pr[Z <= z]`, which rounds to 1
        from z = 8.3 on. By default as different from the authors' script as `lira_online`.
    """
    ours, theirs = _checked(statistic, shadow_statistic)
    outside = _fitted(ours, _one_side(theirs, ~is_in, "not trained on it", counts), center, variance, queries, min_std)
    if queries is Queries.MEAN:
        return _joined(outside.offset / outside.std, queries)
    rise = outside.axes.sum(axis=0) / outside.std[0]  # of all queries by 1, in the coordinates of the axes
    z: np.ndarray = (outside.offset / outside.std) @ rise / np.linalg.norm(rise)
    return z


@attack(
    definition="-(log-density of phi under models not trained on the record)",
    source="Carlini et al. 2022, published code",
    cites="carlini2022membership",
    needs=NOT_TRAINED,
)
def lira_offline_two_sided(
    statistic: Float[np.ndarray, "record ..."],
    shadow_statistic: Float[np.ndarray, "model record ..."],
    is_in: Bool[np.ndarray, "model record"],
    *,
    center: Center = Center.MEAN,
    variance: Variance = Variance.POOLED,
    queries: Queries = Queries.MEAN,
    min_std: float = 1e-3,
    counts: Counts = Counts.ALL,
) -> Float[np.ndarray, " record"]:
    """Score each record by how unlikely the target's phi is under OUT models, be it too high or too low.

    IN models are not needed and not used. A record that the target knows less well than OUT models do counts as a
    member too: `lira_offline` does not make that mistake.

    Idea:
        As `lira_offline`, but any surprise counts, a confidence that is too low as well. It is the form of the
        published code.

    Formula:
        -log N(phi; mu_OUT, sigma_OUT^2)

    Args:
        statistic: The target's logit-scaled confidence in the true class [logit], or what else
            Gaussians are fitted to, finite.
        shadow_statistic: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        center: Where a Gaussian stands.
        variance: Whose spread is used.
        queries: What is made of several queries per record.
        min_std: Floor of a standard deviation [logit].
        counts: How many of a record's models on one side are used.

    Returns:
        Negated log-density [nats]; higher means member.

    Raises:
        InputError: As for `lira_online`, of OUT models.

    Example:
        >>> shadow_phi, is_in = np.array([[-1.0], [1.0]]), np.array([[False], [False]])
        >>> print(lira_offline_two_sided(np.array([2.0]), shadow_phi, is_in))
        [2.91893853]

    Source:
        Carlini et al. 2022, published code of the offline attack; their text has the one-sided `lira_offline`.
    """
    ours, theirs = _checked(statistic, shadow_statistic)
    outside = _fitted(ours, _one_side(theirs, ~is_in, "not trained on it", counts), center, variance, queries, min_std)
    return _joined(-_log_density(outside), queries)


@attack(
    definition="log-density of phi under models trained on the record",
    source="Carlini et al. 2022, IN half of the online attack",
    cites="carlini2022membership",
)
def lira_in_only(
    statistic: Float[np.ndarray, "record ..."],
    shadow_statistic: Float[np.ndarray, "model record ..."],
    is_in: Bool[np.ndarray, "model record"],
    *,
    center: Center = Center.MEAN,
    variance: Variance = Variance.POOLED,
    queries: Queries = Queries.MEAN,
    min_std: float = 1e-3,
    counts: Counts = Counts.ALL,
) -> Float[np.ndarray, " record"]:
    """Score each record by how likely the target's phi is under IN models.

    OUT models are not needed and not used.

    Idea:
        How well the target's confidence fits models that were trained on the record.

    Formula:
        log N(phi; mu_IN, sigma_IN^2)

    Args:
        statistic: The target's logit-scaled confidence in the true class [logit], or what else
            Gaussians are fitted to, finite.
        shadow_statistic: That of every shadow model [logit]; NaN where a model did not answer.
        is_in: Whether each shadow model was trained on each record.
        center: Where a Gaussian stands.
        variance: Whose spread is used.
        queries: What is made of several queries per record.
        min_std: Floor of a standard deviation [logit].
        counts: How many of a record's models on one side are used.

    Returns:
        Log-density [nats]; higher means member.

    Raises:
        InputError: As for `lira_online`, of IN models.

    Example:
        >>> shadow_phi, is_in = np.array([[-1.0], [1.0]]), np.array([[True], [True]])
        >>> print(lira_in_only(np.array([2.0]), shadow_phi, is_in))
        [-2.91893853]

    Source:
        The IN half of Carlini et al. 2022, online attack.
    """
    ours, theirs = _checked(statistic, shadow_statistic)
    inside = _fitted(ours, _one_side(theirs, is_in, "trained on it", counts), center, variance, queries, min_std)
    return _joined(_log_density(inside), queries)


# ------------------------------------------------------------------------------------------ Gaussians of one side


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """Where the target stands in each record's Gaussian: coordinates along axes in which they are independent.

    Attributes:
        offset: Of the target from the centre.
        std: Of each coordinate; one for all records, or their own.
        axes: The axes as columns; the unit matrix for independent queries.
    """

    offset: Float[np.ndarray, "record query"]
    std: Float[np.ndarray, "records query"]
    axes: Float[np.ndarray, "query query"]


@dataclass(frozen=True, eq=False)
class _Side:
    """What the models on one side answered: NaN where another side's answer or none is."""

    phi: Float[np.ndarray, "model record query"]
    name: str

    @property
    def counts(self) -> np.ndarray:
        """Answers per record and query."""
        return np.asarray((~np.isnan(self.phi)).sum(axis=0))

    @property
    def mean(self) -> np.ndarray:
        """Mean of the models that answered."""
        return np.asarray(np.nansum(self.phi, axis=0) / self.counts)

    @property
    def median(self) -> np.ndarray:
        """Their median."""
        upwards, counts = np.sort(self.phi, axis=0), self.counts[None]  # NaN goes last
        low, high = (np.take_along_axis(upwards, at, axis=0)[0] for at in ((counts - 1) // 2, counts // 2))
        return np.asarray((low + high) / 2)


def _checked(phi: np.ndarray, shadow_phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in float64 with one axis of queries."""
    if phi.shape != shadow_phi.shape[1:]:
        raise InputError(
            f"Expected the same records and queries of the target and of every shadow model, found {phi.shape} and "
            f"{shadow_phi.shape[1:]}; ask all models the same."
        )
    check_phi(phi, shadow_phi)
    n_models, n_records = shadow_phi.shape[:2]
    n_queries = int(np.prod(phi.shape[1:]))
    ours = np.asarray(phi, dtype=np.float64).reshape(n_records, n_queries)
    return ours, np.asarray(shadow_phi, dtype=np.float64).reshape(n_models, n_records, n_queries)


def _one_side(theirs: np.ndarray, side: np.ndarray, name: str, counts: Counts) -> _Side:
    phi = np.where(side[:, :, None], theirs, np.nan)
    if counts is Counts.SMALLEST:
        rank = np.cumsum(~np.isnan(phi), axis=0)  # of each answer among those of its record and query
        phi[rank > rank[-1].min()] = np.nan
    return _Side(phi, name)


def _fitted(
    ours: Float[np.ndarray, "record query"],
    side: _Side,
    center: Center,
    variance: Variance,
    queries: Queries,
    min_std: float,
) -> _Gaussian:
    _check_counts(side, 2 if variance is Variance.PER_RECORD else 1)
    axes = np.eye(ours.shape[1])
    if queries is Queries.FULL_COVARIANCE:
        side = _answered_throughout(side, variance)
        std, axes = _of_residuals(side, min_std)
    else:
        std = np.maximum(min_std, _std(side, variance))
    return _Gaussian((ours - (side.median if center is Center.MEDIAN else side.mean)) @ axes, std, axes)


def _std(side: _Side, variance: Variance) -> Float[np.ndarray, "records query"]:
    """Standard deviations around the mean, not corrected for the number of models."""
    if variance is Variance.PUBLISHED_FIXED:
        return np.full((1, side.phi.shape[2]), np.nanstd(side.phi))
    counts, squares = side.counts, np.nansum((side.phi - side.mean) ** 2, axis=0)
    if variance is Variance.POOLED:
        counts, squares = counts.sum(axis=0, keepdims=True), squares.sum(axis=0, keepdims=True)
    return np.asarray(np.sqrt(squares / counts))


def _answered_throughout(side: _Side, variance: Variance) -> _Side:
    """Leave out models that did not answer all of a record's queries."""
    if variance is not Variance.POOLED:
        raise InputError(
            f"Expected the pooled variance for the covariance of queries, found {variance}; "
            "take it, or the mean over queries."
        )
    whole = _Side(np.where(np.isnan(side.phi).any(axis=2, keepdims=True), np.nan, side.phi), side.name)
    _check_counts(whole, 1)
    n_queries, free = side.phi.shape[2], int((whole.counts[:, 0] - 1).sum())
    if free < n_queries:
        raise InputError(
            f"Expected at least {n_queries} more answers than records for the covariance of {n_queries} queries, found "
            f"{free} more of the models that were {side.name}; train more models, or take the mean over queries."
        )
    return whole


def _of_residuals(side: _Side, min_std: float) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes of the residuals from records' means, and the standard deviations along them."""
    residuals = (side.phi - side.mean)[~np.isnan(side.phi).any(axis=2)]
    variances, axes = np.linalg.eigh(residuals.T @ residuals / len(residuals))
    return np.maximum(min_std, np.sqrt(np.maximum(variances, 0.0)))[None], axes


def _check_counts(side: _Side, needed: int) -> None:
    counts = side.counts.min(axis=1, initial=np.iinfo(np.int64).max)
    if counts.min() < needed:
        record = int(counts.argmin())
        raise InputError(
            f"Expected at least {needed} shadow models per record that were {side.name}, found {counts[record]} for "
            f"record {record + 1:,}; train more models."
        )


def _log_density(at: _Gaussian) -> Float[np.ndarray, "record query"]:
    return np.asarray(-0.5 * (at.offset / at.std) ** 2 - np.log(at.std) - 0.5 * np.log(2 * np.pi))


def _joined(scores: Float[np.ndarray, "record query"], queries: Queries) -> Float[np.ndarray, " record"]:
    """One score per record: independent queries give their mean, coordinates of one density its sum."""
    return np.asarray(scores.mean(axis=1) if queries is Queries.MEAN else scores.sum(axis=1))

"""What attacks share that learn from shadow models played as targets: features, rows, and the regression on them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy import special

from vestige.attacks._log_means import log_confidence, log_mean_confidence, log_mean_out_confidence, out_counts
from vestige.attacks._phi import check_phi
from vestige.attacks._predictive import (
    Predictive,
    log_density,
    pooled_variance,
    predictive_out,
    predictives,
    side_moments,
)
from vestige.attacks._row_order import order_of_contents
from vestige.core.attack import Attack
from vestige.core.custom_attacks import attack_of
from vestige.core.drawn_together import remaining
from vestige.core.errors import InputError
from vestige.core.result import LearntCombination, LearntFeature

FEWEST_MODELS = 6
"""Shadow models from which on each side keeps two while a pair is left out."""
FEATURES = (
    "empirical_bayes_log_ratio",
    "base_score",
    "calibrated_loss",
    "phi",
    "out_mean",
    "in_mean",
    "out_residual",
    "in_residual",
)
"""What is combined, in this order: three scores; the target's phi; means and residuals of the predictive densities."""
OFFLINE_FEATURES = (
    "phi",
    "log_confidence",
    "calibrated_loss",
    "base_score",
    "out_residual",
    "out_mean",
    "log_out_scale",
    "attack_r",
)
"""What is combined where no model was trained on the audited records: the same of OUT models alone."""

_LEAST, _LEAST_BETWEEN, _SHAPE = 1e-3, 0.1, 4.0  # floors and prior, as of `empirical_bayes_offline`
_WINDOWS = 8  # of OUT models, of which as many are taken at once as a point of the pool has
_FEWEST_DRAWS = 3  # pairs, groups or single models: one is played, two remain
_MOST_ROWS = 100_000  # that weights are fitted to: some seventy weights need no more
_CLIP = 4.0  # standard deviations of a feature: heavy tails would decide the products
_STEPS, _SETTLED = 60, 1e-12  # of Newton's method
_SHRINKS = 0.2  # a step that is longer than this share of the last one asks for a new curvature
_TINY = 1e-6  # on the curvature's diagonal: the intercept has no penalty
_BLOCK = 16_384  # rows whose terms are held at once


@dataclass(frozen=True, kw_only=True, eq=False)
class LearntWeights:
    """A fitted combination: log-odds of membership from features.

    Attributes:
        names: Names of the features.
        centers: Mean of each feature over the rows that it was fitted to.
        scales: Standard deviation of each.
        weights: Of every term of `terms`, the intercept first [nats].
        offsets: Mean of every term but the intercept.
        n_models: Shadow models that were played as targets.
        n_rows: Rows of a model and a record that were fitted to.
    """

    names: tuple[str, ...]
    centers: Float[np.ndarray, " feature"]
    scales: Float[np.ndarray, " feature"]
    weights: Float[np.ndarray, " one_and_terms"]
    offsets: Float[np.ndarray, " term"]
    n_models: int
    n_rows: int

    def log_odds(self, features: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, " row"]:
        """Return log-odds of membership [nats], in blocks."""
        found = np.empty(len(features))
        for rows in _blocks(len(features)):
            terms = _terms(_standardised(features[rows], self.centers, self.scales))
            found[rows] = self.weights[0] + (terms - self.offsets) @ self.weights[1:]
        return found

    def summary(self, attack: str) -> LearntCombination:
        """Return it as a result holds it."""
        numbers = zip(self.names, self.centers.tolist(), self.scales.tolist(), strict=True)
        weights = zip(("intercept", *_names_of_terms(self.names)), self.weights.tolist(), strict=True)
        return LearntCombination(
            attack=attack,
            n_models=self.n_models,
            n_rows=self.n_rows,
            features=tuple(LearntFeature(*of_feature) for of_feature in numbers),
            weights=dict(weights),
        )


def fit_learnt_ratio(
    query_phi: Float[np.ndarray, "record query"],
    shadow_query_phi: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    *,
    penalty: float = 10.0,
    also: Sequence[Attack | Callable[..., Any]] = (),
    groups: Int[np.ndarray, " model"] | None = None,
    subjects: Shaped[np.ndarray, " record"] | None = None,
) -> LearntWeights:
    """Fit the weights of `learnt_ratio`; the target's answers are not read.

    Raises:
        InputError: As of `learnt_ratio`.
    """
    names = (*FEATURES, *(_as_attack(one).name for one in also))
    features = partial(features_of, also=also)
    _check(query_phi, shadow_query_phi, penalty)
    return _taught(names, features, shadow_query_phi, is_in, penalty, groups, subjects)


def fit_offline(
    pool_phi: Float[np.ndarray, "model point query"],
    pool_is_in: Bool[np.ndarray, "model point"],
    *,
    penalty: float = 10.0,
    groups: Int[np.ndarray, " model"] | None = None,
) -> LearntWeights:
    """Fit the weights of `learnt_ratio_offline`; no answer about an audited record is read.

    Raises:
        InputError: As of `learnt_ratio_offline`.
    """
    _check(pool_phi[0], pool_phi, penalty)
    return _taught(OFFLINE_FEATURES, offline_features_of, pool_phi, pool_is_in, penalty, groups, None)


def n_out_of_a_point(pool_is_in: Bool[np.ndarray, "model point"], groups: np.ndarray | None) -> int:
    """Return how many OUT models a point of the pool has, in the mean, while one model is played."""
    kept = [remaining(pool_is_in, groups, model) for model in range(len(pool_is_in))]
    return round(float(np.mean([(~pool_is_in[some]).sum(axis=0).mean() for some in kept])))


def order_of_models(theirs: Float[np.ndarray, "model record query"]) -> Int[np.ndarray, " model"]:
    """Return the models in an order of their answers, wherever they stand, that follows no size of the answers."""
    values = np.sort(theirs.reshape(len(theirs), -1).astype(np.float64), axis=1)  # sums of a row in any order are equal
    means = np.nansum(values, axis=1) / np.maximum(1, (~np.isnan(values)).sum(axis=1))
    return np.asarray(np.argsort(means, kind="stable")[np.random.default_rng(0).permutation(len(means))])


def out_models(
    theirs: Float[np.ndarray, "model record query"], is_in: Bool[np.ndarray, "model record"], n_taken: int
) -> Iterator[Float[np.ndarray, "taken record query"]]:
    """Yield what so many OUT models of each record answer, taken as they follow each other, from eight places on.

    A record that fewer answered has NaN in their place.
    """
    out = ~(is_in | np.isnan(theirs).any(axis=2))
    order, n_out = np.argsort(~out, axis=0, kind="stable"), out_counts(~out)
    n_windows = 1 if n_taken >= n_out.max() else min(_WINDOWS, int(n_out.max()))
    for window in range(n_windows):
        steps = np.arange(min(n_taken, n_out.max()))[:, None]
        places = (window * n_out // n_windows + steps) % n_out
        taken = np.take_along_axis(theirs, np.take_along_axis(order, places, axis=0)[:, :, None], axis=0)
        yield np.where((steps < n_out)[:, :, None], taken, np.nan)


def _taught(
    names: tuple[str, ...],
    features: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    shadow_query_phi: np.ndarray,
    is_in: np.ndarray,
    penalty: float,
    groups: np.ndarray | None,
    subjects: np.ndarray | None,
) -> LearntWeights:
    """Weights of features that each model has as the target of those that were not drawn with it."""
    every_kept = [remaining(is_in, groups, model) for model in range(len(is_in))]
    _check_draws(every_kept)
    counts = is_in.sum(axis=0)
    alone = any(kept.sum() == len(is_in) - 1 for kept in every_kept)
    counts_would_tell = alone and bool((counts == counts[0]).all())
    if counts_would_tell:  # which further model is left out follows their order
        order = order_of_models(shadow_query_phi)
        shadow_query_phi, is_in = shadow_query_phi[order], is_in[order]
        every_kept = [every_kept[model][order] for model in order]
    chosen = _chosen(shadow_query_phi, is_in)
    theirs, sides = shadow_query_phi[:, chosen], is_in[:, chosen]
    weights = weights_of(subjects, len(is_in[0]))[chosen]
    rows, answered = [], ~np.isnan(theirs).any(axis=2)
    for model, kept in enumerate(every_kept):
        others, others_in = theirs[kept], sides[kept]
        if counts_would_tell and kept.sum() == len(is_in) - 1:
            others, others_in = _with_even_counts(others, others_in, sides[model], model)
        found = answered[model]
        rows.append(features(theirs[model][found], others[:, found], others_in[:, found]))
    of_rows = np.broadcast_to(weights, answered.shape)[answered]
    return fitted_to(names, np.concatenate(rows), sides[answered], of_rows, penalty, len(is_in))


# ------------------------------------------------------------------------------------------------------ features


def features_of(
    phi: Float[np.ndarray, "record query"],
    theirs: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    also: Sequence[Attack | Callable[..., Any]] = (),
) -> Float[np.ndarray, "record feature"]:
    """Return `FEATURES` and further ones, the mean over queries of those of each; arguments as of `learnt_ratio`."""
    queries = range(phi.shape[1])
    of_queries = [_of_query(phi[:, q], theirs[:, :, q], is_in, also) for q in queries]
    return np.asarray(sum(of_queries) / len(of_queries))


def offline_features_of(
    phi: Float[np.ndarray, "record query"],
    theirs: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
) -> Float[np.ndarray, "record feature"]:
    """Return `OFFLINE_FEATURES`, of OUT models alone; arguments as of `learnt_ratio`."""
    queries = range(phi.shape[1])
    return np.asarray(sum(_offline_of_query(phi[:, q], theirs[:, :, q], is_in) for q in queries) / len(queries))


def _offline_of_query(phi: np.ndarray, theirs: np.ndarray, is_in: np.ndarray) -> Float[np.ndarray, "record feature"]:
    phi, out = phi.astype(np.float64), ~(is_in | np.isnan(theirs))
    n_out, filled, own = out_counts(~out), np.where(out, theirs, 0.0), log_confidence(phi)
    moments = side_moments(theirs, out, "not trained on")
    if not (moments.counts > 1).any():
        raise InputError("Expected 2 models that were not trained on some record, found 1 of each; train more models.")
    of_out = predictive_out(moments, max(pooled_variance(moments), _LEAST**2), _SHAPE, _LEAST_BETWEEN)
    of_others = sum(np.where(side, log_confidence(row), 0.0) for row, side in zip(filled, out, strict=True))
    columns = [
        phi,
        own,
        own - of_others / n_out,
        own - log_mean_out_confidence(filled, ~out),
        (phi - of_out.mean) / of_out.scale,
        of_out.mean,
        np.log(of_out.scale),
        ((filled <= phi) & out).sum(axis=0) / n_out,
    ]
    return np.stack(columns, axis=1)


def _of_query(
    phi: np.ndarray, theirs: np.ndarray, is_in: np.ndarray, also: Sequence[Attack | Callable[..., Any]]
) -> Float[np.ndarray, "record feature"]:
    phi = phi.astype(np.float64)
    of_in, of_out = predictives(theirs, is_in)
    filled = _filled(theirs, is_in, of_in, of_out)
    own, n_out = log_confidence(phi), (~is_in).sum(axis=0)
    of_others = sum(np.where(side, 0.0, log_confidence(row)) for row, side in zip(filled, is_in, strict=True))
    expected = np.where(n_out > 0, of_others / np.maximum(n_out, 1), log_confidence(of_out.mean))
    columns = [
        log_density(phi, of_in) - log_density(phi, of_out),
        own - log_mean_confidence(filled),
        own - expected,
        phi,
        of_out.mean,
        of_in.mean,
        (phi - of_out.mean) / of_out.scale,
        (phi - of_in.mean) / of_in.scale,
    ]
    signals = {"phi": phi, "losses": -own, "p_true": np.exp(own), "shadow_phi": filled, "is_in": is_in}
    return np.stack([*columns, *(_as_attack(one).play(signals) for one in also)], axis=1)


def _filled(theirs: np.ndarray, is_in: np.ndarray, of_in: Predictive, of_out: Predictive) -> np.ndarray:
    """Where a model did not answer, what is expected of its side."""
    missing = np.isnan(theirs)
    return np.asarray(np.where(missing, np.where(is_in, of_in.mean, of_out.mean), theirs))


def _as_attack(one: Attack | Callable[..., Any]) -> Attack:
    known = one if isinstance(one, Attack) else getattr(one, "attack", None)
    found = known if isinstance(known, Attack) else attack_of(one)
    allowed = ("phi", "losses", "p_true", "shadow_phi", "is_in")
    unknown = next((name for name in found.reads if name not in allowed), None)
    if unknown is not None:
        raise InputError(
            f"Expected an attack on {', '.join(allowed)} as a feature of the learnt ratio, found {found.name}, which "
            f"reads {unknown}: shadow models are played as targets, and only these are known of them."
        )
    return found


def _standardised(features: np.ndarray, centers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip((features - centers) / scales, -_CLIP, _CLIP))


def _terms(z: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, "row term"]:
    one, other = np.triu_indices(z.shape[1])
    hinges = (np.maximum(z, 0.0), np.maximum(z - 1.0, 0.0), np.maximum(-z - 1.0, 0.0))
    return np.concatenate([z, z[:, one] * z[:, other], *hinges], axis=1)


def _names_of_terms(names: tuple[str, ...]) -> Iterator[str]:
    yield from names
    yield from (f"{names[i]} * {names[j]}" for i, j in zip(*np.triu_indices(len(names)), strict=True))
    for of_hinge in ("above 0", "above 1", "below -1"):
        yield from (f"{name} {of_hinge}" for name in names)


# ----------------------------------------------------------------------------------------- shadow models as targets


def _with_even_counts(
    theirs: np.ndarray, sides: np.ndarray, side: np.ndarray, model: int
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out one model of the other side too: the number of IN models left would tell the played one's members."""
    turned = (np.arange(len(sides)) + model) % len(sides)  # begins behind the model, so that all are left out alike
    first = turned[(sides[turned] != side).argmax(axis=0)]
    left = np.argsort(np.arange(len(sides))[:, None] == first, axis=0, kind="stable")[:-1]
    return np.take_along_axis(theirs, left[:, :, None], axis=0), np.take_along_axis(sides, left, axis=0)


def _chosen(theirs: np.ndarray, is_in: np.ndarray) -> Int[np.ndarray, " chosen"]:
    """Records to fit to: of many some, the same wherever they stand."""
    n = max(1, _MOST_ROWS // len(is_in))
    if is_in.shape[1] <= n:
        return np.arange(is_in.shape[1])
    contents = np.concatenate([np.moveaxis(theirs, 0, 2).reshape(is_in.shape[1], -1), is_in.T], axis=1)
    order = order_of_contents(contents)
    return np.asarray(order[np.linspace(0, order.size - 1, n).round().astype(int)])


def weights_of(subjects: np.ndarray | None, n: int) -> Float[np.ndarray, " record"]:
    """Return one over the number of the subject's records; ones without subjects."""
    if subjects is None:
        return np.ones(n)
    _, whose, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[whose])


def _check(phi: np.ndarray, theirs: np.ndarray, penalty: float) -> None:
    check_phi(phi, theirs)
    if not penalty > 0:
        raise InputError(f"Expected a penalty above 0, found {penalty:g}; 10 is the default.")


def _check_draws(every_kept: Sequence[Bool[np.ndarray, " model"]]) -> None:
    n_draws = len({bytes(kept) for kept in every_kept})
    if len(every_kept) < FEWEST_MODELS or n_draws < _FEWEST_DRAWS:
        raise InputError(
            f"Expected {FEWEST_MODELS} shadow models or more, in {_FEWEST_DRAWS} pairs or groups, found "
            f"{len(every_kept)} in {n_draws}; train more models."
        )


# ----------------------------------------------------------------------------------------------------------- fit


def _blocks(n: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, n, _BLOCK))


def fitted_to(
    names: tuple[str, ...], features: np.ndarray, side: np.ndarray, weight: np.ndarray, penalty: float, n_models: int
) -> LearntWeights:
    """Return a ridge logistic regression by Newton steps.

    Terms are centred, so that the intercept is free of the penalty.

    Args:
        names: Of the features.
        features: Row x feature.
        side: Whether the row is of a member.
        weight: Of each row.
        penalty: Half of it times the sum of squared weights is added to the loss.
        n_models: Models that the rows are of.
    """
    weight = weight * (weight.size / weight.sum())
    centers = np.average(features, axis=0, weights=weight)
    spread = np.sqrt(np.average((features - centers) ** 2, axis=0, weights=weight))
    scales = np.where(spread > 0, spread, 1.0)
    z = _standardised(features, centers, scales)
    terms = _terms(z)
    offsets = weight @ terms / weight.sum()
    terms = np.column_stack([np.ones(len(z)), terms - offsets])
    found = np.zeros(terms.shape[1])
    ridge = np.r_[0.0, np.full(len(offsets), penalty)]
    narrow, curvature, lengths = terms.astype(np.float32), np.empty(0), [np.inf, np.inf]
    for _ in range(_STEPS):
        p = special.expit(terms @ found)
        slope = (weight * (side - p)) @ terms - ridge * found
        if lengths[-1] > _SHRINKS * lengths[-2] or not curvature.size:  # else the last one is near enough
            of_rows = (weight * p * (1 - p)).astype(np.float32)
            curvature = (narrow * of_rows[:, None]).T @ narrow + np.diag(ridge + _TINY)
        step = np.linalg.solve(curvature, slope)
        found += step
        lengths.append(float(np.abs(step).max()))
        if lengths[-1] < _SETTLED:
            break
    return LearntWeights(
        names=names, centers=centers, scales=scales, weights=found, offsets=np.asarray(offsets),
        n_models=n_models, n_rows=len(features),
    )  # fmt: skip

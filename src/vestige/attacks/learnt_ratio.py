"""Learnt ratio: shadow models, played as targets, teach how to combine the scores of other attacks.

Every shadow model is a target whose members are known. Its answers, judged by the other models, give rows of features
with the side of each record; a logistic regression on these rows is applied to the target, of whose members nothing is
used.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy import special

from vestige.attacks._log_means import log_confidence, log_mean_confidence
from vestige.attacks._phi import check_phi
from vestige.attacks._predictive import Predictive, log_density, predictives
from vestige.attacks._row_order import order_of_contents
from vestige.core.attack import Attack, attack
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
    every_kept = [remaining(is_in, groups, model) for model in range(len(is_in))]
    _check(query_phi, shadow_query_phi, every_kept, penalty)
    counts = is_in.sum(axis=0)
    counts_would_tell = bool((counts == counts[0]).all())
    chosen = _chosen(shadow_query_phi, is_in)
    theirs, sides = shadow_query_phi[:, chosen], is_in[:, chosen]
    weights = _weights_of(subjects, len(is_in[0]))[chosen]
    rows, answered = [], ~np.isnan(theirs).any(axis=2)
    for model, kept in enumerate(every_kept):
        others, others_in = theirs[kept], sides[kept]
        if counts_would_tell and kept.sum() == len(is_in) - 1:
            others, others_in = _with_even_counts(others, others_in, sides[model], model)
        found = answered[model]
        rows.append(_features(theirs[model][found], others[:, found], others_in[:, found], also))
    names = (*FEATURES, *(_as_attack(one).name for one in also))
    of_rows = np.broadcast_to(weights, answered.shape)[answered]
    return _fitted(names, np.concatenate(rows), sides[answered], of_rows, penalty, len(is_in))


@attack(
    definition="log-odds of membership by a combination of scores that shadow models, played as targets, teach",
    source="ours; related: He et al. 2024 (RAPID)",
    cites="he2024rapid",
    needs=f"{FEWEST_MODELS} shadow models or more, trained on random halves of the audited records",
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
    return fitted.log_odds(_features(query_phi, shadow_query_phi, is_in, also))


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


# ------------------------------------------------------------------------------------------------------ features


def _features(
    phi: Float[np.ndarray, "record query"],
    theirs: Float[np.ndarray, "model record query"],
    is_in: Bool[np.ndarray, "model record"],
    also: Sequence[Attack | Callable[..., Any]],
) -> Float[np.ndarray, "record feature"]:
    """The mean over queries of the features of each."""
    queries = range(phi.shape[1])
    of_queries = [_of_query(phi[:, q], theirs[:, :, q], is_in, also) for q in queries]
    return np.asarray(sum(of_queries) / len(of_queries))


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


def _weights_of(subjects: np.ndarray | None, n: int) -> Float[np.ndarray, " record"]:
    """One over the number of the subject's records."""
    if subjects is None:
        return np.ones(n)
    _, whose, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[whose])


def _check(
    phi: np.ndarray, theirs: np.ndarray, every_kept: Sequence[Bool[np.ndarray, " model"]], penalty: float
) -> None:
    check_phi(phi, theirs)
    if not penalty > 0:
        raise InputError(f"Expected a penalty above 0, found {penalty:g}; 10 is the default.")
    n_draws = len({bytes(kept) for kept in every_kept})
    if len(every_kept) < FEWEST_MODELS or n_draws < _FEWEST_DRAWS:
        raise InputError(
            f"Expected {FEWEST_MODELS} shadow models or more, in {_FEWEST_DRAWS} pairs or groups, found "
            f"{len(every_kept)} in {n_draws}; train more models."
        )


# ----------------------------------------------------------------------------------------------------------- fit


def _blocks(n: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, n, _BLOCK))


def _fitted(
    names: tuple[str, ...], features: np.ndarray, side: np.ndarray, weight: np.ndarray, penalty: float, n_models: int
) -> LearntWeights:
    """Ridge logistic regression by Newton steps; terms are centred, so that the intercept is free of the penalty."""
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

"""How LiRA is played where that was left open: ways of it are compared on reference models in turn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.attacks.lira import lira_online
from vestige.auditing.references.phi import ReferencePhi, fewest_on_a_side, left_without
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import LikelihoodRatio, Queries, Variance
from vestige.core.result import Check, Validity
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.roc import Roc, point_at_fpr, roc

_MOST_TURNS = 32  # reference models that ways of LiRA are compared on
_MOST_RECORDS = 5_000  # of each of them
_RATES = (0.001, 0.01, 0.1)  # ways are compared by the TPR at the lowest of these that resolves


def decided(observed: ReferencePhi, asked: LikelihoodRatio) -> tuple[LikelihoodRatio, str, tuple[Check, ...]]:
    """How LiRA is played where that was left open, why, and what is to be said of it.

    Ways are compared on reference models in turn, each as the target of the others: what the target answered is not
    looked at, so that no choice is made in its favour. Published text has one variance better with 43 OUT models
    (Carlini et al. 2022), other data each record's own from 32 on each side on: no number of models decides.
    """
    if asked.queries is Queries.FULL_COVARIANCE:
        how = replace(asked, variance=Variance.POOLED)
        if observed.phi.shape[1] == 1:
            return how, "", ()
        return how, "", _of_covariance(_compared(observed, [how, replace(how, queries=Queries.MEAN)]))
    if asked.variance is not None:
        return asked, "", ()
    pooled, own = (replace(asked, variance=variance) for variance in (Variance.POOLED, Variance.PER_RECORD))
    turns = _compared(observed, [pooled, own])
    if turns is None:
        return pooled, ", as too few models remain to compare it with their own", ()
    of_pooled, of_own = turns.values
    said = (
        f", the better on {turns.n_targets} reference models in turn "
        f"({turns.metric} {of_pooled:.3f} pooled, {of_own:.3f} own)"
    )
    return (own if of_own > of_pooled else pooled), said, ()


@dataclass(frozen=True)
class _Turns:
    """Means of one number over reference models as targets, for several ways of LiRA."""

    metric: str
    values: tuple[float, ...]
    n_targets: int


def _compared(observed: ReferencePhi, ways: Sequence[LikelihoodRatio]) -> _Turns | None:
    """Play online LiRA in several ways on reference models; None where too few models remain."""
    targets = [m for m in range(len(observed.is_in)) if not np.isnan(observed.shadow_phi[m]).any()]
    if len(targets) > _MOST_TURNS:
        targets = [targets[i] for i in np.linspace(0, len(targets) - 1, _MOST_TURNS).round().astype(int)]
    targets = [m for m in targets if observed.is_in[m].any() and not observed.is_in[m].all()]
    if len(targets) < 2 or fewest_on_a_side(observed.is_in) < 2:
        return None
    records = _spread_over(observed)
    theirs, is_in = observed.signals["shadow_statistic"][:, records], observed.is_in[:, records]
    curves: list[list[Roc]] = [[] for _ in ways]
    for model in targets:
        others = left_without(observed, model)
        member = is_in[model]
        if not others.any() or not member.any() or member.all():
            return None
        for of_way, way in zip(curves, ways, strict=True):
            try:
                scores = lira_online(theirs[model], theirs[others], is_in[others], **ways_of_lira(way))
            except InputError:  # too few models on one side of some record
                return None
            of_way.append(roc(scores[member], scores[~member]))
    n_nonmembers = min(curve.n_nonmembers for curve in curves[0])
    fpr = next((rate for rate in _RATES if is_resolvable(rate, n_nonmembers)), None)
    means = [
        float(np.mean([c.auc if fpr is None else c.rates_at(point_at_fpr(c, fpr))[0] for c in of_way]))
        for of_way in curves
    ]
    return _Turns("mean AUC" if fpr is None else f"mean TPR at FPR {fpr:g}", tuple(means), len(targets))


def _spread_over(observed: ReferencePhi) -> np.ndarray:
    """Some records, evenly along what models answered on average, so that their order says nothing."""
    n = observed.is_in.shape[1]
    if n <= _MOST_RECORDS:
        return np.arange(n)
    level = np.argsort(np.nanmean(observed.shadow_phi, axis=(0, 2)), kind="stable")
    return np.sort(level[np.linspace(0, n - 1, _MOST_RECORDS).round().astype(int)])


def _of_covariance(turns: _Turns | None) -> tuple[Check, ...]:
    """Whether the covariance of queries is worse than their mean, which it is with few models."""
    cure = "Take the mean over queries (queries = mean), or train more models."
    if turns is None:
        message = (
            "LiRA reads the covariance of queries, with too few reference models to compare it with the mean over "
            "queries: with few it finds fewer members."
        )
        return (Check("query_covariance", Validity.LIMITED, message, cure),)
    of_covariance, of_mean = turns.values
    if of_covariance >= of_mean:
        return ()
    message = (
        f"LiRA with the covariance of queries finds fewer members of {turns.n_targets} reference models in turn than "
        f"with the mean over queries: {turns.metric} {of_covariance:.3f}, not {of_mean:.3f}."
    )
    return (Check("query_covariance", Validity.LIMITED, message, cure),)


def ways_of_lira(likelihood: LikelihoodRatio) -> dict[str, Any]:
    """Return the arguments of the functions of LiRA."""
    return {name: getattr(likelihood, name) for name in ("center", "variance", "queries", "min_std", "counts")}

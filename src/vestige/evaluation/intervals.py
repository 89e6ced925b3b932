"""Intervals for *this model over units* (records or subjects): what another sample of units would show.

They do not speak of another training run. Each is tested for coverage and width by Monte Carlo
(`tests/evaluation/coverage.json`), under the null, under leaks, with ties and near the edges.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from vestige.evaluation.roc import Roc, allowed_false_positives

MIN_EXPECTED_FALSE_POSITIVES = 10
"""Below this many expected false positives an operating point is not resolvable: the threshold is too uncertain."""

_UNITS_OF_NONE = 4
"""Weight of the plain variance of an area, in units, against the units that are out of order."""

_JUMPS = (1.0, 4.0)
"""Members tied on one score, in standard deviations of the number above it: from where bounds are widened, to where
they are those with and without the tie."""

_PLACES = 128  # places of the threshold looked at: all there are where few are possible, else as many, evenly spaced


class Interval(NamedTuple):
    """A lower and an upper bound."""

    lower: float
    upper: float


Count = np.ndarray | float | int
"""One count or an array of them."""

NO_INTERVAL = Interval(float("nan"), float("nan"))


class Bounds(NamedTuple):
    """Lower and upper bounds of many values."""

    lower: np.ndarray
    upper: np.ndarray


def bonferroni(level: float, n_looks: int) -> float:
    """Level of each of `n_looks` intervals that together hold with `level`.

    Example:
        >>> round(bonferroni(0.95, 5), 4)
        0.99
    """
    return 1.0 - (1.0 - level) / max(n_looks, 1)


def is_resolvable(fpr: float, n_nonmembers: int) -> bool:
    """Whether at least 10 false positives are expected at this rate.

    Example:
        >>> is_resolvable(0.01, 1000), is_resolvable(0.01, 999)
        (True, False)
    """
    return allowed_false_positives(fpr, n_nonmembers) >= MIN_EXPECTED_FALSE_POSITIVES


def nonmembers_needed(fpr: float) -> int:
    """Nonmembers from which on a false-positive rate is resolvable.

    Example:
        >>> nonmembers_needed(0.001)
        10000
    """
    return int(np.ceil(MIN_EXPECTED_FALSE_POSITIVES / fpr * (1 - 1e-12)))


def rate_bounds(hits: Count, n: Count, level: float = 0.95) -> Bounds:
    """Wilson score interval of a rate with a given threshold, such as one set on a shadow model.

    Args:
        hits: Units called members [count].
        n: Units in all [count]; where 0 the bounds are NaN.
        level: Probability that the interval covers.

    Returns:
        Bounds in [0, 1].

    Example:
        >>> [round(float(b), 4) for b in rate_bounds(5, 100)]
        [0.0215, 0.1118]

    Source:
        Wilson 1927; Brown, Cai & DasGupta 2001.
    """
    return _wilson(
        np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64), float(special.ndtri((1 + level) / 2))
    )


def _wilson(hits: np.ndarray, n: np.ndarray, quantile: float) -> Bounds:
    z2 = quantile**2
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (hits + z2 / 2) / (n + z2)
        half = np.sqrt(z2 * (hits * (n - hits) / n + z2 / 4)) / (n + z2)
    # At 0 and n hits the bound is exactly 0 and 1; the sum above misses it by rounding.
    return Bounds(
        np.where((hits == 0) & (n > 0), 0.0, centre - half), np.where((hits == n) & (n > 0), 1.0, centre + half)
    )


def balanced_accuracy_bounds(
    true_positives: Count,
    n_members: Count,
    false_positives: Count,
    n_nonmembers: Count,
    level: float = 0.95,
) -> Bounds:
    """Interval of `(TPR + 1 - FPR) / 2` at a given threshold: the hybrid score interval of a difference.

    Example:
        >>> [round(float(b), 3) for b in balanced_accuracy_bounds(80, 100, 30, 100)]
        [0.685, 0.802]

    Source:
        Newcombe 1998, method 10.
    """
    return accuracy_bounds(true_positives, n_members, false_positives, n_nonmembers, 0.5, level)


def accuracy_bounds(
    true_positives: Count,
    n_members: Count,
    false_positives: Count,
    n_nonmembers: Count,
    prior: float,
    level: float = 0.95,
) -> Bounds:
    """Interval of `prior TPR + (1 - prior) (1 - FPR)`, the accuracy where such a share are members.

    Example:
        >>> [round(float(b), 3) for b in accuracy_bounds(80, 100, 30, 100, prior=0.1)]
        [0.623, 0.783]

    Source:
        As of `balanced_accuracy_bounds`, each side with its own weight.
    """
    t, f = np.asarray(true_positives) / n_members, np.asarray(false_positives) / n_nonmembers
    t_lb, t_ub = rate_bounds(true_positives, n_members, level)
    f_lb, f_ub = rate_bounds(false_positives, n_nonmembers, level)
    of_t, of_f = prior, 1 - prior
    centre = of_t * t + of_f * (1 - f)
    return Bounds(
        centre - np.hypot(of_t * (t - t_lb), of_f * (f_ub - f)), centre + np.hypot(of_t * (t_ub - t), of_f * (f - f_lb))
    )


def _ratio_bounds(top: Count, top_b: Bounds, bottom: Count, bottom_b: Bounds) -> Bounds:
    """Bounds of top / bottom of two independent estimates with their own bounds (Donner & Zou 2012, MOVER-R)."""
    product = top * bottom
    with np.errstate(divide="ignore", invalid="ignore"):
        low_top = top_b.lower * (2 * top - top_b.lower)
        low = low_top / (product + np.sqrt(product**2 - low_top * bottom_b.upper * (2 * bottom - bottom_b.upper)))
        low_bottom = bottom_b.lower * (2 * bottom - bottom_b.lower)
        high = (product + np.sqrt(product**2 - top_b.upper * (2 * top - top_b.upper) * low_bottom)) / low_bottom
    return Bounds(np.where(low_top == 0, 0.0, low), np.where(low_bottom == 0, np.inf, high))


def precision_bounds(
    true_positives: Count,
    n_members: Count,
    false_positives: Count,
    n_nonmembers: Count,
    prior: float,
    level: float = 0.95,
) -> Bounds:
    """Interval of the precision `prior TPR / (prior TPR + (1 - prior) FPR)` at a given threshold.

    Example:
        >>> [round(float(b), 3) for b in precision_bounds(80, 100, 30, 100, prior=0.5)]
        [0.663, 0.787]

    Source:
        Donner & Zou 2012 (ratio of two independent rates with Wilson bounds).
    """
    t, f = np.asarray(true_positives) / n_members, np.asarray(false_positives) / n_nonmembers
    ratio = _ratio_bounds(
        f, rate_bounds(false_positives, n_nonmembers, level), t, rate_bounds(true_positives, n_members, level)
    )
    odds = (1 - prior) / prior
    return Bounds(1 / (1 + odds * ratio.upper), 1 / (1 + odds * ratio.lower))


def difference_bounds(first: Count, first_b: Bounds, second: Count, second_b: Bounds) -> Bounds:
    """Interval of the difference of two independent estimates, each with an interval of its own.

    Args:
        first: Estimate from which the other is subtracted.
        first_b: Its interval.
        second: The other.
        second_b: Its interval, at the same level.

    Example:
        >>> bounds = difference_bounds(56 / 70, rate_bounds(56, 70), 48 / 80, rate_bounds(48, 80))
        >>> [round(float(b), 4) for b in bounds]
        [0.0524, 0.3339]

    Source:
        Zou & Donner 2008, equation 4; with Wilson intervals it is Newcombe 1998, method 10, whose table II, case a,
        is the example.
    """
    found = np.asarray(first) - np.asarray(second)
    return Bounds(
        found - np.hypot(first - first_b.lower, second_b.upper - second),
        found + np.hypot(first_b.upper - first, second - second_b.lower),
    )


def f1_bounds(
    true_positives: Count,
    n_members: Count,
    false_positives: Count,
    n_nonmembers: Count,
    level: float = 0.95,
) -> Bounds:
    """Interval of F1 at a given threshold and this sample's ratio of nonmembers to members.

    `1 / F1 = 1/2 + (1 + FPR n_nonmembers / n_members) / (2 TPR)`, a ratio of independent estimates.

    Example:
        >>> [round(float(b), 3) for b in f1_bounds(80, 100, 30, 100)]
        [0.698, 0.811]

    Source:
        Donner & Zou 2012.
    """
    t, f = np.asarray(true_positives) / n_members, np.asarray(false_positives) / n_nonmembers
    per_member = np.asarray(n_nonmembers) / n_members
    f_b = rate_bounds(false_positives, n_nonmembers, level)
    ratio = _ratio_bounds(
        1 + per_member * f,
        Bounds(1 + per_member * f_b.lower, 1 + per_member * f_b.upper),
        t,
        rate_bounds(true_positives, n_members, level),
    )
    return Bounds(2 / (1 + ratio.upper), 2 / (1 + ratio.lower))


def auc_interval(curve: Roc, level: float = 0.95) -> Interval:
    """Interval of the area: all areas that the one found is not too far from, by the variance that they would have.

    The variance of an area t is taken as r V(t), with Hanley & McNeil's V(t) for scores of no particular distribution
    and r the ratio of DeLong's variance to V at the area found, so that bounds stay inside [0, 1] and do not rest on a
    variance of 0 where few units are out of order. Those are few pieces of evidence of r: it is drawn towards 1 with
    the weight of four units, never below what was found, and the quantile is Student's.

    Scores of two values are right or wrong: the area is `(TPR + 1 - FPR) / 2`, and its interval the hybrid score
    interval of a difference with Student's quantiles. A perfect separation bounds the area by the exact
    `area >= P(perfect separation) ** (1 / n)`, n the units on the smaller side: so many pairs without a common unit
    are all in order.

    Args:
        curve: The ROC.
        level: Probability that the interval covers.

    Returns:
        Bounds in [0, 1]; [0, 1] with a single unit on a side out of order, or where every score is the same.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> [round(b, 3) for b in auc_interval(roc(np.arange(50.0) + 10, np.arange(50.0)))]
        [0.565, 0.774]

    Source:
        DeLong et al. 1988 (with mid-ranks, so ties count one half); Newcombe 2006, part 2, method 5, whose V this is,
        and 1998, method 10; the ratio, its quantile and the edge are ours.
    """
    area, variance = curve.auc, curve.auc_variance
    tail = (1 - level) / 2
    edge = tail ** (1 / min(curve.n_members, curve.n_nonmembers))
    if area == 1.0:
        return Interval(edge, 1.0)
    if area == 0.0:
        return Interval(0.0, 1 - edge)
    if not variance > 0.0:
        return Interval(0.0, 1.0)
    if curve.thresholds.size == 3:
        return _area_of_two_values(curve, tail)
    seen = _overlap(curve)
    observed_ratio = variance / _plain_variance(area, curve)
    ratio = max(observed_ratio, (seen * observed_ratio + _UNITS_OF_NONE) / (seen + _UNITS_OF_NONE))
    quantile = float(special.stdtrit(seen + _UNITS_OF_NONE - 1, 1 - tail))

    def too_far(other: float) -> bool:
        return (area - other) ** 2 > quantile**2 * ratio * _plain_variance(other, curve)

    return Interval(_farthest(area, 0.0, too_far), _farthest(area, 1.0, too_far))


def _area_of_two_values(curve: Roc, tail: float) -> Interval:
    m, n = curve.n_members, curve.n_nonmembers
    tp, fp = int(curve.true_positives[1]), int(curve.false_positives[1])
    (t_lb, t_ub), (f_lb, f_ub) = (
        _wilson(np.asarray(float(hits)), np.asarray(float(of)), float(special.stdtrit(of - 1, 1 - tail)))
        for hits, of in ((tp, m), (fp, n))
    )
    t, f = tp / m, fp / n
    lower, upper = curve.auc - np.hypot(t - t_lb, f_ub - f) / 2, curve.auc + np.hypot(t_ub - t, f - f_lb) / 2
    return Interval(max(float(lower), 0.0), min(float(upper), 1.0))


def _plain_variance(area: float, curve: Roc) -> float:
    """Variance of an area of any continuous scores, neither side's spread the larger."""
    half = (curve.n_members + curve.n_nonmembers) / 2 - 1
    pairs = curve.n_members * curve.n_nonmembers
    return area * (1 - area) * (1 + half * (1 - area) / (2 - area) + half * area / (1 + area)) / pairs


def _farthest(start: float, end: float, too_far: Callable[[float], bool]) -> float:
    """Where `too_far` begins between a start that is not and an end that is."""
    while abs(end - start) > 1e-12:
        middle = (start + end) / 2
        start, end = (start, middle) if too_far(middle) else (middle, end)
    return start


def _overlap(curve: Roc) -> int:
    """Units out of order on the rarer side: those that would have to move for a perfect separation."""
    tp, fp = curve.true_positives, curve.false_positives
    m, n = curve.n_members, curve.n_nonmembers
    if curve.auc >= 0.5:  # members on top: those not above every nonmember, nonmembers not below every member
        return min(m - int(tp[np.searchsorted(fp, 1) - 1]), int(fp[np.searchsorted(tp, m)]))
    return min(n - int(fp[np.searchsorted(tp, 1) - 1]), int(tp[np.searchsorted(fp, n)]))


def tpr_at_fpr_bounds(curves: Sequence[Roc], fprs: Sequence[float], level: float = 0.95) -> Bounds:
    """Intervals of the TPR at fixed false-positive rates, with the threshold's own uncertainty inside.

    With r = floor(fpr n) allowed false positives, the number of nonmembers above the *true* threshold is uncertain:
    n B with B ~ Beta(r + 1/2, n - r + 1/2). Given the threshold's place, the true-positive rate has the Jeffreys
    posterior of the k members above it, Beta(k + 1/2, m - k + 1/2). The bounds are quantiles of that mixture, found
    without random numbers. Compared with the percentile bootstrap through Beta(r + 1, n - r) order statistics this
    has balanced tails and does not shrink to a point where none or all of the members are recognised.

    Args:
        curves: One ROC per interval wanted.
        fprs: Its false-positive rate.
        level: Probability that each interval covers.

    Returns:
        One lower and one upper bound per curve; NaN where fewer than 10 false positives are expected.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> curve = roc(np.arange(1000.0) + 300, np.arange(1000.0))
        >>> [round(float(b[0]), 3) for b in tpr_at_fpr_bounds([curve], [0.01])]
        [0.281, 0.339]

    Source:
        Ours; the bootstrap it refines is described by Hall, Hyndman & Fan 2004.
    """
    n_members = np.array([curve.n_members for curve in curves], dtype=np.float64)
    usable = np.array([is_resolvable(fpr, curve.n_nonmembers) for curve, fpr in zip(curves, fprs, strict=True)])
    thresholds = {i: _members_above(curves[i], fprs[i]) for i in np.flatnonzero(usable).tolist()}
    width = max((places.size for places, _ in thresholds.values()), default=1)
    hits, weights = np.zeros((len(curves), width)), np.full((len(curves), width), 1 / width)
    for i, (places, weight) in thresholds.items():  # padded with places of no weight
        hits[i], weights[i] = places[0], 0.0
        hits[i, : places.size], weights[i, : places.size] = places, weight
    lower = _mixture_quantile(hits, weights, n_members, (1 - level) / 2)
    upper = _mixture_quantile(hits, weights, n_members, (1 + level) / 2)
    for i in thresholds:
        lower[i], upper[i] = _widened_for_ties(curves[i], fprs[i], Interval(lower[i], upper[i]), (1 - level) / 4)
    # Where no place of the threshold recognises anybody (or misses anybody), the bound is the end of the scale.
    lower = np.where(hits.max(axis=1, initial=0) == 0, 0.0, lower)
    upper = np.where(hits.min(axis=1, initial=np.inf) == n_members, 1.0, upper)
    return Bounds(np.where(usable, lower, np.nan), np.where(usable, upper, np.nan))


def _members_above(curve: Roc, fpr: float) -> tuple[Int[np.ndarray, " place"], Float[np.ndarray, " place"]]:
    """Members above the j-th highest nonmember, and the probability that the threshold's place is j."""
    n = curve.n_nonmembers
    r = allowed_false_positives(fpr, n)
    low, high = np.rint(n * special.betaincinv(r + 0.5, n - r + 0.5, np.array([1e-6, 1 - 1e-6])))
    places = np.unique(np.rint(np.linspace(max(low, 1), min(high, n), _PLACES)).astype(np.int64))
    between = (places[1:] + places[:-1]) / 2
    below = special.betainc(r + 0.5, n - r + 0.5, between / n)
    weights = np.diff(np.concatenate([[0.0], below, [1.0]]))
    # The first point that includes the j-th nonmember; the members strictly above it are those of the point before.
    hits = curve.true_positives[np.searchsorted(curve.false_positives, places) - 1]
    return np.asarray(hits), weights


def _widened_for_ties(curve: Roc, fpr: float, mixed: Interval, tail: float) -> Interval:
    """Bounds of the TPR with and without the members tied on one score, where the data leave open which is right.

    A score that many members share is above the true threshold or is not: between the two the TPR jumps by more than
    chance moves it, and the quantile of a mixture of both is often that of the wrong one. So the upper bound is that
    with the ties whose false-positive rate may be no more than wanted, the lower bound that without those whose rate
    may be more, each at half of the interval's tail, with the other half for the doubt about the rate. Fewer tied
    members widen the bounds of the mixture by a share of that.
    """
    m, n = curve.n_members, curve.n_nonmembers
    tp, r = curve.true_positives, allowed_false_positives(fpr, n)
    at = tp[1:] / m
    jumps = np.diff(tp) / np.sqrt(m * at * (1 - at) + 1)
    tied = np.flatnonzero((np.diff(tp) > 1) & (jumps > _JUMPS[0]))
    share = np.minimum((jumps[tied] - _JUMPS[0]) / (_JUMPS[1] - _JUMPS[0]), 1.0)
    # Probability that the true threshold lies above the tie, so that it is left out
    left_out = special.betainc(r + 0.5, n - r + 0.5, np.minimum(curve.false_positives[tied + 1] + 0.5, n) / n)
    with_it, without = tp[tied + 1], tp[tied]
    upper = special.betaincinv(with_it + 0.5, m - with_it + 0.5, 1 - tail)
    lower = np.where(without > 0, special.betaincinv(without + 0.5, m - without + 0.5, tail), 0.0)
    uppers = np.where(1 - left_out > tail, mixed.upper + share * (upper - mixed.upper), mixed.upper)
    lowers = np.where(left_out > tail, mixed.lower + share * (lower - mixed.lower), mixed.lower)
    return Interval(float(lowers.min(initial=mixed.lower)), float(uppers.max(initial=mixed.upper)))


def _mixture_quantile(
    hits: Float[np.ndarray, "row place"],
    weights: Float[np.ndarray, "row place"],
    n: Float[np.ndarray, " row"],
    probability: float,
) -> Float[np.ndarray, " row"]:
    """Quantile of a weighted mixture of Beta(k + 1/2, n - k + 1/2), by Newton steps kept inside a bracket."""
    a, b = hits + 0.5, n[:, None] - hits + 0.5
    log_norm = special.betaln(a, b)
    mean = a / (a + b)
    centre = (mean * weights).sum(axis=1)
    spread = ((mean**2 + mean * (1 - mean) / (a + b + 1)) * weights).sum(axis=1) - centre**2
    size = centre * (1 - centre) / spread - 1
    x = np.clip(special.betaincinv(centre * size, (1 - centre) * size, probability), 1e-300, 1 - 1e-16)
    low, high = np.zeros_like(x), np.ones_like(x)
    active = np.arange(x.size)
    for _ in range(60):
        at, a_, b_, w = x[active], a[active], b[active], weights[active]
        error = (special.betainc(a_, b_, at[:, None]) * w).sum(axis=1) - probability
        low[active], high[active] = np.where(error < 0, at, low[active]), np.where(error < 0, high[active], at)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            log_density = (a_ - 1) * np.log(at)[:, None] + (b_ - 1) * np.log1p(-at)[:, None] - log_norm[active]
            step = at - error / (np.exp(log_density) * w).sum(axis=1)
        inside = (step > low[active]) & (step < high[active])
        x[active] = np.where(inside, step, (low[active] + high[active]) / 2)
        active = active[np.abs(x[active] - at) > 1e-10 + 1e-8 * at]
        if active.size == 0:
            break
    return np.asarray(x)

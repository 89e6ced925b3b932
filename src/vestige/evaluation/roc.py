"""The one ROC routine: every rate, area and threshold of the package is read from it.

A curve is held as counts, not rates, so that nothing is lost to rounding, and it has one point per
*distinct* score, so that ties can never be split by the order of the records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from vestige.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Roc:
    """Members and nonmembers called members as the threshold falls through the distinct scores.

    Attributes:
        thresholds: Distinct scores, falling, after a leading +inf ("call no unit a member").
        true_positives: Members with `score >= threshold` [count].
        false_positives: Nonmembers with `score >= threshold` [count].
    """

    thresholds: Float[np.ndarray, " point"]
    true_positives: Int[np.ndarray, " point"]
    false_positives: Int[np.ndarray, " point"]

    @property
    def n_members(self) -> int:
        """Members behind the curve."""
        return int(self.true_positives[-1])

    @property
    def n_nonmembers(self) -> int:
        """Nonmembers behind the curve."""
        return int(self.false_positives[-1])

    @cached_property
    def auc(self) -> float:
        """Area under the curve: P(member > nonmember) + P(tie) / 2 (Hanley & McNeil 1982)."""
        above = (self.true_positives[1:] + self.true_positives[:-1]).astype(np.float64)
        pairs = float(np.dot(np.diff(self.false_positives).astype(np.float64), above))
        return pairs / (2.0 * self.n_members * self.n_nonmembers)

    @cached_property
    def auc_variance(self) -> float:
        """Variance of the area from the placement of each side's units among the other's (DeLong et al. 1988).

        NaN where a side has a single unit.
        """
        m, n = self.n_members, self.n_nonmembers
        if min(m, n) < 2:
            return float("nan")
        at_level_m = np.diff(self.true_positives).astype(np.float64)
        at_level_n = np.diff(self.false_positives).astype(np.float64)
        of_members = 1 - (self.false_positives[1:] - at_level_n / 2) / n
        of_nonmembers = (self.true_positives[:-1] + at_level_m / 2) / m
        spread_m = np.dot(at_level_m, (of_members - self.auc) ** 2) / (m - 1)
        spread_n = np.dot(at_level_n, (of_nonmembers - self.auc) ** 2) / (n - 1)
        return float(spread_m / m + spread_n / n)

    def rates_at(self, point: int) -> tuple[float, float]:
        """True- and false-positive rate of one point."""
        return (
            float(self.true_positives[point] / self.n_members),
            float(self.false_positives[point] / self.n_nonmembers),
        )

    @property
    def tpr(self) -> Float[np.ndarray, " point"]:
        """True-positive rate at each point [fraction]."""
        return self.true_positives / self.n_members

    @property
    def fpr(self) -> Float[np.ndarray, " point"]:
        """False-positive rate at each point [fraction]."""
        return self.false_positives / self.n_nonmembers


def roc(members: Float[np.ndarray, " member"], nonmembers: Float[np.ndarray, " nonmember"]) -> Roc:
    """Count both sides above every distinct score.

    Args:
        members: Scores of members; higher means more likely a member.
        nonmembers: Scores of nonmembers.

    Returns:
        The curve from (0, 0) to (1, 1), one point per distinct score.

    Raises:
        InputError: A side is empty or a score is NaN.

    Example:
        >>> curve = roc(np.array([3.0, 2.0]), np.array([2.0, 1.0]))
        >>> curve.tpr.tolist(), curve.fpr.tolist(), curve.auc
        ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], 0.875)

    Source:
        Fawcett 2006, Algorithm 1 (ties grouped into one point).
    """
    for side, scores in (("member", members), ("nonmember", nonmembers)):
        if scores.size == 0:
            raise InputError(f"Expected at least one {side} score, found none.")
    scores = np.concatenate([members, nonmembers])
    order = np.argsort(scores)[::-1]
    scores = scores[order]
    if np.isnan(scores[0]):  # NaN sorts last, so it stands first in falling order
        raise InputError("Expected numbers as scores, found NaN.")
    is_member = order < members.size
    last_of_tie = np.append(np.flatnonzero(scores[1:] != scores[:-1]), scores.size - 1)
    true_positives = np.cumsum(is_member)[last_of_tie]
    return Roc(
        thresholds=np.append(np.inf, scores[last_of_tie]),
        true_positives=np.append(0, true_positives),
        false_positives=np.append(0, last_of_tie + 1 - true_positives),
    )


def allowed_false_positives(fpr: float, n_nonmembers: int) -> int:
    """False positives an operating point may have at most: `floor(fpr * n)`, safe from rounding.

    Example:
        >>> allowed_false_positives(0.29, 100)  # 0.29 * 100 is 28.999999999999996
        29
    """
    return int(np.floor(fpr * n_nonmembers * (1 + 1e-12) + 1e-12))


def expected_fpr(fpr: float, n_nonmembers: int) -> float:
    """Return what the true false-positive rate of `point_at_fpr` is on average over samples, without ties.

    The point reaches down to the next nonmember, so its true rate is that of the (floor(fpr n) + 1)-th highest of n:
    a little more than wanted, and its true-positive rate is that of this rate.

    Example:
        >>> round(expected_fpr(0.1, 150), 3), round(expected_fpr(0.1, 10_000), 4)
        (0.106, 0.1001)
    """
    return (allowed_false_positives(fpr, n_nonmembers) + 1) / (n_nonmembers + 1)


def point_at_fpr(curve: Roc, fpr: float) -> int:
    """Index of the last operating point whose false-positive rate is at most `fpr`.

    No interpolation and no convex hull: the point is one an attacker can stand on. The published LiRA
    script asks for `<` instead of `<=`; the two differ only where `fpr * n` is a whole number. Over samples the true
    rate of the point is `expected_fpr` on average: kept as it is, because published numbers are of this point.

    Example:
        >>> curve = roc(np.array([3.0, 2.0]), np.array([2.0, 1.0]))
        >>> point_at_fpr(curve, 0.5), point_at_fpr(curve, 0.4)
        (2, 1)

    Source:
        Carlini et al. 2022, `plot.py` (strict there).
    """
    allowed = allowed_false_positives(fpr, curve.n_nonmembers)
    return int(np.searchsorted(curve.false_positives, allowed, side="right")) - 1


def best_point(curve: Roc, prior: float = 0.5) -> int:
    """Index of the first point of largest `TPR - FPR`; on the target itself, the oracle threshold.

    Compared in whole numbers: as rates, equally good points could differ by a rounding. With another share of members
    than a half, the first point of the largest accuracy `prior TPR + (1 - prior) (1 - FPR)`.

    Example:
        >>> best_point(roc(np.array([3.0, 2.0]), np.array([2.0, 1.0])))
        1
    """
    if prior != 0.5:
        return int(np.argmax(np.round(prior * curve.tpr - (1 - prior) * curve.fpr, 12)))
    return int(np.argmax(curve.true_positives * curve.n_nonmembers - curve.false_positives * curve.n_members))


def pooled(curves: Sequence[Roc]) -> Roc:
    """Return the curve of all units behind several curves, whose scores mean the same.

    Example:
        >>> one, two = roc(np.array([3.0, 1.0]), np.array([2.0])), roc(np.array([2.0]), np.array([0.0]))
        >>> pooled([one, two]).true_positives, pooled([one, two]).false_positives
        (array([0, 1, 2, 3, 3]), array([0, 0, 1, 1, 2]))
    """
    falling, place = np.unique(-np.concatenate([one.thresholds[1:] for one in curves]), return_inverse=True)
    counts = []
    for side in ("true_positives", "false_positives"):
        at = np.concatenate([np.diff(getattr(one, side)) for one in curves])
        total = np.zeros(falling.size + 1, dtype=np.int64)
        np.add.at(total, place + 1, at)
        counts.append(total.cumsum())
    return Roc(np.append(np.inf, -falling), *counts)

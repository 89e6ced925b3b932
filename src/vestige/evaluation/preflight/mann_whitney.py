"""The rank test behind every check: an area under the ROC, its spread by chance, and its bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np

from vestige.evaluation.roc import Roc


@dataclass(frozen=True)
class MannWhitney:
    """An area under the ROC with two variances.

    Attributes:
        auc: P(member > nonmember) + P(tie) / 2.
        null_variance: Variance of `auc` if membership were dealt at random; exact, ties included.
        variance: Variance of `auc` as estimated from the scores.
    """

    auc: float
    null_variance: float
    variance: float

    @property
    def p_above(self) -> float:
        """One-sided p-value against "members do not score higher"; 1 where all scores are equal."""
        if self.null_variance <= 0:
            return 1.0
        return 0.5 * erfc((self.auc - 0.5) / sqrt(2 * self.null_variance))

    @property
    def p_below(self) -> float:
        """One-sided p-value against "members do not score lower"; 1 where all scores are equal."""
        return MannWhitney(1 - self.auc, self.null_variance, self.variance).p_above

    @property
    def p_two_sided(self) -> float:
        """Two-sided p-value against "both sides score alike"."""
        return min(1.0, 2 * min(self.p_above, self.p_below))

    def lower(self, confidence: float) -> float:
        """One-sided lower bound of the area.

        The wider of the two variances counts: the estimated one is 0 where the sides do not overlap.
        """
        z = NormalDist().inv_cdf(confidence)
        return max(0.0, self.auc - z * sqrt(max(self.null_variance, self.variance)))

    def upper(self, confidence: float) -> float:
        """One-sided upper bound of the area, by the same rule."""
        return 1 - MannWhitney(1 - self.auc, self.null_variance, self.variance).lower(confidence)


def mann_whitney(curve: Roc) -> MannWhitney:
    """Read the rank test off a ROC.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> test = mann_whitney(roc(np.array([3.0, 4.0]), np.array([1.0, 2.0])))
        >>> test.auc, round(test.null_variance, 4), test.variance
        (1.0, 0.1042, 0.0)

    Source:
        Mann & Whitney 1947; variance under ties: Lehmann 1975, section 1.4; estimated variance: DeLong et al.
        1988. Normal approximation without continuity correction.
    """
    m, n = curve.n_members, curve.n_nonmembers
    total = m + n
    ties = np.diff(curve.true_positives + curve.false_positives).astype(np.float64)
    tie_term = float(np.sum(ties**3 - ties)) / (total * (total - 1))
    return MannWhitney(
        auc=curve.auc,
        null_variance=max(0.0, total + 1 - tie_term) / (12 * m * n),
        variance=0.0 if min(m, n) < 2 else curve.auc_variance,
    )


def any_difference(curve: Roc) -> tuple[float, float, float]:
    """Test whether the sides' scores differ in any way: by rank, and by Kolmogorov and Smirnov's distance.

    Returns:
        The p-value over both, the largest distance between the sides' distributions, and its scale by chance.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> [round(found, 3) for found in any_difference(roc(np.arange(20.0) + 5, np.arange(20.0)))]
        [0.036, 0.25, 0.316]
    """
    from scipy.special import kolmogorov

    distance = float(np.max(np.abs(curve.tpr - curve.fpr)))
    scale = sqrt(1 / curve.n_members + 1 / curve.n_nonmembers)
    p_value = min(1.0, 2 * min(mann_whitney(curve).p_two_sided, float(kolmogorov(distance / scale))))
    return p_value, distance, scale


def mean_of_independent(tests: Sequence[MannWhitney]) -> MannWhitney:
    """Average rank tests whose deviations from chance are uncorrelated.

    Example:
        >>> mean_of_independent([MannWhitney(0.5, 0.1, 0.1), MannWhitney(0.7, 0.3, 0.1)])
        MannWhitney(auc=0.6, null_variance=0.1, variance=0.05)
    """
    k = len(tests)
    return MannWhitney(
        auc=sum(t.auc for t in tests) / k,
        null_variance=sum(t.null_variance for t in tests) / k**2,
        variance=sum(t.variance for t in tests) / k**2,
    )

"""What goes with a record's risk: how much the model changes without it, and how well its class generalises."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from vestige.evaluation.intervals import NO_INTERVAL, Interval
from vestige.evaluation.risk import SMALLEST_ENTROPY

_FEWEST_OF_TEN = 100
"""Training records that Song & Mittal ask of a class of which they draw a picture."""
_FEWEST = 20
"""As many must do where fewer than ten classes have those."""
_EACH = 5
_PERPLEXITY = 30.0
_MOST_DRAWN = 200
"""Records of a class and side in the picture; more hide each other."""


@dataclass(frozen=True)
class Correlation:
    """How two numbers of the same things go together.

    Attributes:
        value: In -1..1; NaN for fewer than 4 things, or if one of the numbers never changes.
        interval: Of it.
        n: Things.
    """

    value: float
    interval: Interval
    n: int

    def __str__(self) -> str:
        """With its interval."""
        return f"{self.value:.2f} [{self.interval.lower:.2f}, {self.interval.upper:.2f}]"


def pearson(x: Float[np.ndarray, " thing"], y: Float[np.ndarray, " thing"], level: float = 0.95) -> Correlation:
    """Correlate two numbers; things where one is NaN do not count.

    Example:
        >>> found = pearson(np.arange(10.0), np.array([1.0, 0, 2, 3, 5, 4, 6, 8, 7, 9]))
        >>> print(found)
        0.96 [0.85, 0.99]

    Source:
        Fisher's z: the inverse hyperbolic tangent has a standard error of 1/sqrt(n - 3).
    """
    return _correlation(x, y, lambda r: 1.0, level)


def rank_correlation(
    x: Float[np.ndarray, " thing"], y: Float[np.ndarray, " thing"], level: float = 0.95
) -> Correlation:
    """Correlate the ranks of two numbers (Spearman), the middle one for ties; otherwise as `pearson`.

    Example:
        >>> rank_correlation(np.arange(5.0), np.exp(np.arange(5.0))).value
        1.0

    Source:
        Bonett & Wright 2000, Psychometrika 65(1): Fisher's z with a variance of (1 + r^2 / 2) / (n - 3).
    """
    from scipy import stats  # half a second

    both = ~(np.isnan(x) | np.isnan(y))
    return _correlation(stats.rankdata(x[both]), stats.rankdata(y[both]), lambda r: 1 + r * r / 2, level)


def _correlation(x: np.ndarray, y: np.ndarray, spread: Callable[[float], float], level: float) -> Correlation:
    both = ~(np.isnan(x) | np.isnan(y))
    x, y, n = x[both], y[both], int(both.sum())
    if n < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(math.nan, NO_INTERVAL, n)
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    if abs(r) > 1 - 1e-12:
        sign = math.copysign(1.0, r)
        return Correlation(sign, Interval(sign, sign), n)
    half = float(special.ndtri((1 + level) / 2)) * math.sqrt(spread(r) / (n - 3))
    return Correlation(r, Interval(math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)), n)


def sensitivity(
    without: Float[np.ndarray, " record"], trained: Float[np.ndarray, " record"]
) -> Float[np.ndarray, " record"]:
    """How much a model owes to a record: the logarithm of M without it over M with it, where M is modified entropy.

    Above 0 where a model that was not trained on the record is less sure of it.

    Args:
        without: M of each record, by the model that was trained without this one record [nats].
        trained: M of each, by the model that was trained on all of them.

    Returns:
        Sensitivity [nats]; finite, for both are clamped below at 1e-10, and a sensitivity of 0 may be of two such.

    Example:
        >>> sensitivity(np.array([1.0, 0.0]), np.array([0.1, 1e-12])).round(3)
        array([2.303, 0.   ])

    Source:
        Song & Mittal 2021, section 4.2.4, a formula in its text without a number, of which our copy has lost the
        fraction: M without over M with is our reading. The clamp is ours.
    """
    return np.asarray(np.log(np.maximum(without, SMALLEST_ENTROPY)) - np.log(np.maximum(trained, SMALLEST_ENTROPY)))


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassRisks:
    """What a model knows of each class, and how much at risk its members are; NaN of a side without records.

    Attributes:
        n_members: Members of the class.
        n_nonmembers: Nonmembers of it.
        training_accuracy: Share of members that are classified rightly.
        test_accuracy: Share of nonmembers that are.
        mean_risk: Mean risk of the members.
    """

    n_members: Int[np.ndarray, " class"]
    n_nonmembers: Int[np.ndarray, " class"]
    training_accuracy: Float[np.ndarray, " class"]
    test_accuracy: Float[np.ndarray, " class"]
    mean_risk: Float[np.ndarray, " class"]

    @property
    def generalisation_error(self) -> Float[np.ndarray, " class"]:
        """Training accuracy less test accuracy."""
        return np.asarray(self.training_accuracy - self.test_accuracy)

    @property
    def correlation(self) -> Correlation:
        """Pearson's, of generalisation error and mean risk over classes."""
        return pearson(self.generalisation_error, self.mean_risk)


def class_risks(
    labels: Int[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    right: Bool[np.ndarray, " record"],
    risk: Float[np.ndarray, " record"],
    n_classes: int,
) -> ClassRisks:
    """Compare how each class generalises with how much its members are at risk.

    Args:
        labels: Class of each record.
        member: Whether the model was trained on it.
        right: Whether the model classifies it rightly.
        risk: Its privacy risk score.
        n_classes: Number of classes.

    Example:
        >>> found = class_risks(
        ...     np.array([0, 0, 1, 1]),
        ...     np.array([True, False] * 2),
        ...     np.array([True, False, True, True]),
        ...     np.array([0.9, 0.1, 0.6, 0.5]),
        ...     2,
        ... )
        >>> found.generalisation_error.tolist(), found.mean_risk.tolist()
        ([1.0, 0.0], [0.9, 0.6])

    Source:
        Song & Mittal 2021, section 4.2.4 and figure 8.
    """

    def mean(values: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = np.bincount(labels[side], minlength=n_classes)
        total = np.bincount(labels[side], weights=values[side], minlength=n_classes)
        return n, np.divide(total, n, out=np.full(n_classes, np.nan), where=n > 0)

    n_members, training = mean(right, member)
    n_nonmembers, test = mean(right, ~member)
    return ClassRisks(
        n_members=n_members,
        n_nonmembers=n_nonmembers,
        training_accuracy=training,
        test_accuracy=test,
        mean_risk=mean(risk, member)[1],
    )


def extreme_classes(risks: ClassRisks) -> tuple[Int[np.ndarray, " low"], Int[np.ndarray, " high"]]:
    """Return the five classes at the lowest and the five at the highest risk, both from the lower to the higher.

    Classes with at least 100 members and a nonmember are looked at; if those are fewer than ten, such with 20. Of
    fewer than ten there are as many on each side.

    Example:
        >>> n = np.full(12, 150)
        >>> zero = np.zeros(12)
        >>> found = extreme_classes(
        ...     ClassRisks(
        ...         n_members=n,
        ...         n_nonmembers=n,
        ...         training_accuracy=zero,
        ...         test_accuracy=zero,
        ...         mean_risk=np.arange(12.0)[::-1],
        ...     )
        ... )
        >>> [side.tolist() for side in found]
        [[11, 10, 9, 8, 7], [4, 3, 2, 1, 0]]

    Source:
        Song & Mittal 2021, section 4.2.4 and figure 9; 20 for small sets is ours.
    """
    for fewest in (_FEWEST_OF_TEN, _FEWEST):
        there = (risks.n_members >= fewest) & (risks.n_nonmembers > 0) & ~np.isnan(risks.mean_risk)
        if there.sum() >= 2 * _EACH:
            break
    classes = np.flatnonzero(there)
    ranked = classes[np.argsort(risks.mean_risk[classes], kind="stable")]
    each = min(_EACH, ranked.size // 2)
    return ranked[:each], ranked[ranked.size - each :]


def drawn_of_each(
    features: Float[np.ndarray, "record feature"], kind: Int[np.ndarray, " record"], rng: np.random.Generator
) -> Int[np.ndarray, " drawn"]:
    """Draw 200 records of each kind at most, whatever order they come in; return their rows, rising."""
    order = np.lexsort(features.T)
    parts = [order[kind[order] == one] for one in np.unique(kind)]
    return np.sort(np.concatenate([rng.permutation(part)[:_MOST_DRAWN] for part in parts]))


def plane_of(features: Float[np.ndarray, "record feature"], seed: int) -> Float[np.ndarray, "record 2"]:
    """Put records onto a plane where neighbours stay neighbours, by t-SNE; the same plane in whatever order they come.

    Args:
        features: Of at least 4 records, training and test records together: planes of two fits cannot be compared.
        seed: Of the embedding.

    Returns:
        Positions without a unit: what is far apart means nothing.

    Source:
        van der Maaten & Hinton 2008, in scikit-learn, begun from the principal components, at perplexity 30, or a third
        of fewer than 90 records. Song & Mittal 2021, figure 9, states no setting.
    """
    from sklearn.manifold import TSNE

    order = np.lexsort(features.T)
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    placed = np.empty((len(features), 2))
    placed[order] = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(features[order])
    return placed

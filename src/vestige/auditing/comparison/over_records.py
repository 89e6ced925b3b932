"""Numbers about the records that are at hand, and how each record moves them: intervals over records."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy import special

from vestige.evaluation.roc import Roc, point_at_fpr, roc

_QUANTILE = float(special.ndtri(0.975))


@dataclass(frozen=True, eq=False)
class Measure:
    """A number about one model.

    Attributes:
        value: The number.
        influence: How far each record moves it: if records are drawn anew, its error is near the sum of the influences
            of those drawn. None where that is not known.
    """

    value: float
    influence: Float[np.ndarray, " record"] | None

    def less(self, other: "Measure") -> "Measure":
        """Return by how much it is more than another one about the same model."""
        known = self.influence is not None and other.influence is not None
        influence = self.influence - other.influence if known else None  # type: ignore[operator]  # both known
        return Measure(self.value - other.value, influence)


def half_width(influence: Float[np.ndarray, " record"] | None, subjects: Shaped[np.ndarray, " record"] | None) -> float:
    """Return half of the normal 95 % interval over records, or over people where records have some; NaN if unknown.

    Args:
        influence: Of each record on a number, or on a difference of two numbers.
        subjects: Whose record each is; None without people.

    Example:
        >>> round(half_width(np.array([0.1, -0.1, 0.1, -0.1]), None), 3)
        0.453

    Source:
        The infinitesimal jackknife (Efron 1982); for areas it is DeLong et al. 1988.
    """
    if influence is None or influence.size == 0:
        return float("nan")
    of_units = influence if subjects is None else np.bincount(np.unique(subjects, return_inverse=True)[1], influence)
    return _QUANTILE * float(np.sqrt(of_units.size) * of_units.std(ddof=1)) if of_units.size > 1 else float("nan")


def area(curve: Roc, scores: Float[np.ndarray, " record"], side: Bool[np.ndarray, " record"]) -> Measure:
    """Return the area under a model's ROC; a record's influence is its place among the other side."""
    influence = np.empty(scores.size)
    for own, beyond in ((side, 1.0), (~side, -1.0)):
        others = np.sort(scores[~own])
        below = (np.searchsorted(others, scores[own], "left") + np.searchsorted(others, scores[own], "right")) / 2
        won = below / others.size if beyond > 0 else 1 - below / others.size
        influence[own] = (won - curve.auc) / own.sum()
    return Measure(curve.auc, influence)


def rate(
    curve: Roc,
    fpr: float,
    scores: Float[np.ndarray, " record"],
    side: Bool[np.ndarray, " record"],
    counted: Bool[np.ndarray, " record"] | None = None,
) -> Measure:
    """Return how many members are found at a false-positive rate, and what each record does to that.

    A nonmember moves the threshold: by how much that matters is the slope of the curve, over two standard deviations of
    the threshold's rate on either side; of one model it is rough, and the mean over models steadies it.

    Args:
        curve: The model's ROC.
        fpr: The false-positive rate.
        scores: Of each record.
        side: Whether the model was trained on it.
        counted: Members that are counted; all of them if omitted.
    """
    point = point_at_fpr(curve, fpr)
    called, n_out = scores >= curve.thresholds[point], curve.n_nonmembers
    those = side if counted is None else counted & side
    value = curve.rates_at(point)[0] if counted is None else float(called[those].mean())
    seen = curve if counted is None else roc(scores[those], scores[~side])
    step = 2 * np.sqrt(fpr * (1 - fpr) / n_out)
    low, high = (seen.rates_at(point_at_fpr(seen, at))[0] for at in (fpr - step, fpr + step))
    influence = np.zeros(scores.size)
    influence[those] = (called[those] - value) / those.sum()
    influence[~side] = -(high - low) / (2 * step) * (called[~side] - called[~side].mean()) / n_out
    return Measure(value, influence)


def mean(values: Float[np.ndarray, " record"], counted: Bool[np.ndarray, " record"]) -> Measure:
    """Return the mean of what is known of some records."""
    value = float(values[counted].mean())
    return Measure(value, np.where(counted, values - value, 0.0) / counted.sum())


def precision(
    called: Bool[np.ndarray, " record"], side: Bool[np.ndarray, " record"], counted: Bool[np.ndarray, " record"]
) -> Measure | None:
    """Return how many of the records that are called members are, with as many members as nonmembers counted.

    Args:
        called: Records that are called members.
        side: Whether the model was trained on each.
        counted: Records that are looked at.

    Returns:
        The precision; None if none of them was called, or a side has none.
    """
    inside, outside = (counted & own for own in (side, ~side))
    if not inside.any() or not outside.any() or not (called & counted).any():
        return None
    (t, dt), (f, df) = ((one.value, one.influence) for one in (mean(called * 1.0, rows) for rows in (inside, outside)))
    assert dt is not None
    assert df is not None
    return Measure(t / (t + f), (f * dt - t * df) / (t + f) ** 2)

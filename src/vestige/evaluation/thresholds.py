"""Rules that set a threshold on records whose membership is known, to be used on others.

A threshold chosen on the target itself is an oracle (`roc.best_point`) and lives apart from these.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.evaluation.roc import Roc, best_point, point_at_fpr, roc
from vestige.evaluation.units import Units, rows_of_levels


@dataclass(frozen=True, eq=False)
class Thresholds:
    """One threshold per class, and how to compare with it.

    Attributes:
        values: Threshold of each class; one entry for all classes alike.
        strict: Member iff `score > threshold` instead of `>=`.
        fallback_classes: Classes without both sides, which were given the global threshold.
    """

    values: Float[np.ndarray, " class"]
    strict: bool = False
    fallback_classes: tuple[int, ...] = ()

    def of(self, labels: Int[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
        """The threshold of each record."""
        if self.values.size == 1:
            return np.broadcast_to(self.values, labels.shape)
        return np.asarray(self.values[labels])


def balanced_accuracy_threshold(
    members: Float[np.ndarray, " member"], nonmembers: Float[np.ndarray, " nonmember"]
) -> float:
    """Song & Mittal's threshold: the observed score with the best `(TPR + TNR) / 2` of "member iff score >= threshold".

    Every observed score is a candidate, members first, and the first of the best wins, as in the published search,
    which is quadratic; this one sorts.

    Args:
        members: Scores of known members; higher means member.
        nonmembers: Scores of known nonmembers.

    Returns:
        The threshold.

    Raises:
        InputError: A side is empty.

    Example:
        >>> balanced_accuracy_threshold(np.array([0.9, 0.8, 0.3]), np.array([0.4, 0.2]))
        0.8

    Source:
        Song & Mittal 2021, section 3.1 and published code.
    """
    if members.size == 0 or nonmembers.size == 0:
        raise InputError("Expected known members and known nonmembers to set a threshold, found an empty side.")
    return _first_best(roc(members, nonmembers), members, nonmembers)


def _first_best(curve: Roc, members: np.ndarray, nonmembers: np.ndarray) -> float:
    called = curve.true_positives[1:]
    left_out = curve.n_nonmembers - curve.false_positives[1:]
    # Written as the mean of two ratios of counts: any other order of operations breaks ties differently.
    accuracy = 0.5 * (called / curve.n_members + left_out / curve.n_nonmembers)
    best = curve.thresholds[1:][accuracy == accuracy.max()]
    if best.size == 1:
        return float(best[0])
    for side in (members, nonmembers):  # several scores are equally good: the first in the order of the records
        among = np.isin(side, best)
        if among.any():
            return float(side[np.argmax(among)])
    raise AssertionError("every threshold of a curve is somebody's score")


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Scores of units whose membership is known, and their curve: what every global rule reads."""

    members: Float[np.ndarray, " member"]
    nonmembers: Float[np.ndarray, " nonmember"]
    curve: Roc


def known_scores(known: Units, scores: Float[np.ndarray, " record"]) -> KnownScores:
    """Bring records' scores to units and sort them once for all rules."""
    unit_scores = known.score(scores)
    members, nonmembers = unit_scores[known.member], unit_scores[~known.member]
    return KnownScores(members, nonmembers, roc(members, nonmembers))


def global_thresholds(known: KnownScores) -> Thresholds:
    """Song & Mittal's class-independent threshold."""
    return Thresholds(np.array([_first_best(known.curve, known.members, known.nonmembers)]))


def per_class_thresholds(
    known: Units,
    scores: Float[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
    n_classes: int,
    *,
    zero_for_degenerate: bool = False,
) -> Thresholds:
    """Song & Mittal's class-dependent thresholds: its rule on the known units of each class.

    Args:
        known: Units whose membership is known.
        scores: Score of each of their records.
        labels: Class of each record.
        n_classes: Number of classes; classes without known records are ordinary.
        zero_for_degenerate: Song & Mittal's script leaves the threshold of a class without both sides at 0. Otherwise
            such a class gets the global threshold, and is listed.

    Returns:
        One threshold per class.

    Source:
        Song & Mittal 2021, section 3.1.2 and published code.
    """
    values = np.zeros(n_classes)
    degenerate = []
    units, unit_labels = known.within(labels)
    unit_scores = units.score(scores)
    for c, rows in enumerate(rows_of_levels(unit_labels, n_classes)):
        class_scores, member = unit_scores[rows], units.member[rows]
        if member.any() and not member.all():
            values[c] = balanced_accuracy_threshold(class_scores[member], class_scores[~member])
        else:
            degenerate.append(c)
    if zero_for_degenerate or not degenerate:
        return Thresholds(values)
    values[degenerate] = global_thresholds(known_scores(known, scores)).values[0]
    return Thresholds(values, fallback_classes=tuple(degenerate))


def strict_thresholds(known: KnownScores) -> Thresholds:
    """Choquette-Choo et al.'s threshold: the best accuracy of the *strict* "member iff score > threshold".

    Candidates are all distinct scores and minus infinity, from the highest down; the first of the best wins.

    Source:
        Choquette-Choo et al. 2021, published code; its ROC routine dropped collinear candidates, this one does not.
    """
    best = best_point(known.curve)
    return Thresholds(np.array([_below(known.curve, best)]), strict=True)


def fpr_thresholds(known: KnownScores, fpr: float) -> Thresholds:
    """The lowest strict threshold that calls members at most `fpr` of the known nonmembers."""
    return Thresholds(np.array([_below(known.curve, point_at_fpr(known.curve, fpr))]), strict=True)


def _below(curve: Roc, point: int) -> float:
    """The threshold t for which `score > t` selects what this point of the curve selects."""
    return float(curve.thresholds[point + 1]) if point + 1 < curve.thresholds.size else -np.inf


def decide(
    units: Units, scores: Float[np.ndarray, " record"], thresholds: Float[np.ndarray, " record"], strict: bool
) -> Bool[np.ndarray, " unit"]:
    """Call each unit member or not: its score against the mean of its records' thresholds.

    For a record this is Song & Mittal's rule; for a subject whose records have several classes, and so several
    thresholds, the mean is our definition.
    """
    unit_scores, unit_thresholds = units.score(scores), units.mean(thresholds)
    return unit_scores > unit_thresholds if strict else unit_scores >= unit_thresholds

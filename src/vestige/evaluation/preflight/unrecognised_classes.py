"""Is there a class whose members are never recognised, though the model gives that class to others?"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.messages import brief, few
from vestige.core.result import Check, Validity
from vestige.evaluation.hypergeometric import hypergeometric_tail

LEVEL = 0.001
"""Honest audits of a model at chance level flagged at most; shared by all classes."""

_OF_CHANCE = 0.5  # recognised less often than this share of what blind answers would: no accident of a weak model
_SURE = 0.5  # share of a class's members that get one wrong class, from which on the model is sure of it


def unrecognised_classes(
    predicted: Int[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None,
    class_name: Callable[[int], str] = str,
) -> Check | None:
    """Ask of each class whether its members get it less often than blind answers would give it to them.

    A class that the model never gives to anybody is rare, or too hard, and no fault of the files. One that it gives,
    but to other records than those of the class, is another class by that name: two were exchanged. Accuracy over all
    classes does not show that as long as most are in place.

    Args:
        predicted: Class of the largest probability, 0 or more.
        labels: True class, 0 or more.
        member: Whether each record is a member; nonmembers are not looked at.
        units: Subject of each record; with subjects, counts are divided by their records' number, as if those of one
            subject were all alike.
        class_name: What a class is called.

    Returns:
        CONFOUNDED if a class is recognised less often than by chance at `LEVEL` (hypergeometric, Bonferroni over
        classes), by half or more, and most of its members get one other class; LIMITED if they get several. None with
        two classes or one, where accuracy says the same.

    Example:
        >>> labels = np.arange(400) % 4
        >>> swapped = np.array([0, 1, 3, 2])[labels]
        >>> str(unrecognised_classes(swapped, labels, np.ones(400, dtype=bool), None).validity)
        'CONFOUNDED'
    """
    name = "unrecognised_classes"
    predicted, labels = predicted[member], labels[member]
    n_classes = 1 + int(max(predicted.max(), labels.max()))
    given, true = np.bincount(predicted, minlength=n_classes), np.bincount(labels, minlength=n_classes)
    if np.count_nonzero(given + true) < 3:
        return None
    right = np.bincount(labels[predicted == labels], minlength=n_classes)
    tested = np.flatnonzero((given > 0) & (true > 0))
    p_values = np.ones(n_classes)
    p_values[tested] = np.minimum(1.0, tested.size * _p_values(right, given, true, units, member)[tested])
    unseen = (p_values < LEVEL) & (right < _OF_CHANCE * given * true / labels.size)
    if not unseen.any():
        message = f"Members of each of {tested.size} classes are recognised at least as often as by chance"
        return Check(name, Validity.VALID, f"{message} (smallest p = {p_values.min():.2g}).")
    unseen_classes, sure = [], False
    for code in np.flatnonzero(unseen).tolist():
        others = np.bincount(predicted[labels == code], minlength=n_classes)
        other, share = int(others.argmax()), float(others.max()) / int(true[code])
        sure |= share > _SURE
        words = f"{brief(class_name(code))} ({right[code]:,} of {true[code]:,} members, {share:.0%} are given"
        unseen_classes.append(f"{words} {brief(class_name(other))})")
    return Check(
        name,
        Validity.CONFOUNDED if sure else Validity.LIMITED,
        f"Classes that the model gives, but not to their members: {few(unseen_classes, 5)} (p = {p_values.min():.2g}).",
        "Are these columns or labels in another order than the model's classes? Match them by class name, and give "
        "the names in the model's order.",
    )


def _p_values(
    right: np.ndarray, given: np.ndarray, true: np.ndarray, units: np.ndarray | None, member: np.ndarray
) -> np.ndarray:
    """Of so few members who get their class, by class, if answers were dealt at random."""
    n = int(true.sum())
    alike = 1.0 if units is None else float(np.sum(np.unique(units[member], return_counts=True)[1] ** 2)) / n
    n, given, true = int(n / alike), np.floor(given / alike).astype(int), np.floor(true / alike).astype(int)
    most = np.ceil(right / alike).astype(int)
    # At most so many who are right are at least so many who are given the class and are not of it.
    rows = zip(most.tolist(), given.tolist(), true.tolist(), strict=True)
    return np.array([hypergeometric_tail(g - right_ones, n, n - of_class, g) for right_ones, g, of_class in rows])

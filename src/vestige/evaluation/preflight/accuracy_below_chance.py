"""Is the model worse on its own training records than a blind guess? Then columns and labels may not match."""

from math import erfc, sqrt

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.result import Check, Validity

LEVEL = 0.001
"""Honest audits of a model at chance level flagged at most. Exchanged columns are far beyond any level."""


def accuracy_below_chance(
    predicted: Int[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None,
    n_classes: int,
) -> Check:
    """Test the members' accuracy, from below, against the agreement of labels with shuffled predictions.

    With subjects the variance is the largest there can be: that of subjects whose records are all alike.

    Args:
        predicted: Class of the largest probability, 0..n_classes-1.
        labels: True class, 0..n_classes-1.
        member: Whether each record is a member; nonmembers are not looked at.
        units: Subject of each record; None if every record is its own.
        n_classes: Number of classes.

    Returns:
        CONFOUNDED if the accuracy is below chance at `LEVEL`.

    Example:
        >>> labels = np.arange(90) % 3
        >>> str(accuracy_below_chance((labels + 1) % 3, labels, np.ones(90, dtype=bool), None, 3).validity)
        'CONFOUNDED'

    Source:
        Mean and variance of the agreement under permutation: Hoeffding 1951, Theorem 2; normal approximation with
        a continuity correction. The mean is that of Cohen's kappa (1960).
    """
    predicted, labels = predicted[member], labels[member]
    n = labels.size
    accuracy = float(np.mean(predicted == labels))
    a = np.bincount(predicted, minlength=n_classes).astype(np.float64)
    b = np.bincount(labels, minlength=n_classes).astype(np.float64)
    agreement = float(a @ b)
    chance = agreement / n**2
    spread = agreement - float(a @ b**2 + a**2 @ b) / n + agreement**2 / n**2
    variance = spread / max(n - 1, 1) / n**2  # of the accuracy, were every record its own unit
    alike = 1.0 if units is None else float(np.sum(np.unique(units[member], return_counts=True)[1] ** 2)) / n
    gap = chance - accuracy - alike / n  # exchanging two predictions can change two agreements: half of that step
    p_value = 0.5 * erfc(gap / sqrt(2 * variance * alike)) if variance > 1e-12 * chance else 1.0
    seen = f"Accuracy on members is {accuracy:.3f}, where chance agreement gives {chance:.3f} (p = {p_value:.2g}"
    if p_value >= LEVEL:
        return Check("accuracy_below_chance", Validity.VALID, f"{seen}, one-sided).")
    return Check(
        "accuracy_below_chance",
        Validity.CONFOUNDED,
        f"{seen}, {n:,} members, {n_classes} classes): are the probability columns in another order than the labels?",
        "Match the probability columns to the labels by class name (sort order differs between programs: 10 before 2, "
        "capitals before small letters), and check whether labels start at 0 or at 1 (`--set data.label_base=1`), and "
        "whether the rows are in another order than the labels.",
    )

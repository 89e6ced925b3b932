"""Do the answers hide what the predicted class tells? A defence may have masked them."""

from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.mann_whitney import MannWhitney, mann_whitney
from vestige.evaluation.roc import Roc

LEVEL = 0.005
"""Honest audits flagged at most: those where right and wrong answers seem to tell members, and do not."""

_SHARE = 1 / 3  # of what right or wrong tells: a model's largest probability tells more unless it was changed
_NEARLY_ALL = 0.99  # records whose answers tell the same number of classes
_REMEDY = (
    "Play label-only attacks (NoisyCopies, BoundarySearch), which masking does not stop, and shadow models whose "
    "answers go through the same defence."
)


def n_classes_told(p: Float[np.ndarray, "record class"]) -> Int[np.ndarray, " record"]:
    """Return of how many classes each answer tells a probability of their own; the others are 0, or share one value.

    A single smallest probability above 0 is one of its own, and so are those of an answer that prefers no class. An
    answer of 0 and 1 alone counts as 0: it hides nothing that the model knew.

    Example:
        >>> n_classes_told(np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0]]))
        array([3, 1, 2, 0])
    """
    least = p.min(axis=1, keepdims=True)
    n_least, n_classes = np.count_nonzero(p == least, axis=1), p.shape[1]
    own = (n_least == n_classes) | ((n_least == 1) & (least[:, 0] != 0))
    return np.where(p.max(axis=1) == 1, 0, np.where(own, n_classes, n_classes - n_least))


def masked_answers(
    confidence: Roc | None,
    correctness: Roc | None,
    n_told: Int[np.ndarray, " record"] | None,
    n_classes: int,
    *,
    lead: Roc | None = None,
) -> Check | None:
    """Report answers that look as if a defence had masked them.

    A model that knows its members is right about them more often, and surer of them. If it is right more often, and its
    largest probability, or the lead of that over the second, tells nothing, that was taken away. So it was if all
    answers tell probabilities of as many classes, and the others' are 0 or all alike. MemGuard's noise leaves
    the largest probability some of what it told, and none to the lead. A model that answers with 0 and 1 alone, such as
    a fully grown tree, masks nothing.

    Args:
        confidence: ROC of the largest probability; None if it is not known.
        correctness: ROC of right and wrong.
        n_told: What `n_classes_told` says of each record's answer; None where answers are no probabilities.
        n_classes: All classes.
        lead: ROC of the largest probability less the second; None if it is not known.

    Returns:
        LIMITED if so, else None. The test is of the area above 1/2: the largest probability's, or its lead's, is below
        a third of that of right and wrong, whatever the correlation of the two.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> right = roc(np.ones(500), np.r_[np.ones(250), np.zeros(250)])
        >>> masked_answers(roc(np.ones(500), np.ones(500)), right, np.full(1000, 5), 5).name
        'masked_answers'
        >>> masked_answers(right, right, np.full(1000, 5), 5)

    Source:
        Choquette-Choo et al. 2021, section 5.3: an attack on confidences that does worse than the gap attack is a sign
        of confidence masking. The test is ours.
    """
    counts = np.bincount(n_told) if n_told is not None and n_told.size else np.zeros(1, dtype=np.int64)
    usual, n = int(counts.argmax()), int(counts.sum())
    if n and counts[0] == n:
        return None
    if 0 < usual < n_classes and n_classes > 2 and counts[usual] >= _NEARLY_ALL * n:
        said = f"{counts[usual]:,} of {n:,} tell {usual} of {n_classes} classes, the others are 0 or share one value"
        return Check("masked_answers", Validity.LIMITED, f"Answers look masked: {said}.", _REMEDY)
    if correctness is None or not _tells(correctness):
        return None
    for curve, what in ((confidence, "the largest probability"), (lead, "its lead over the second")):
        if curve is not None and _is_missing(curve, correctness):
            return Check(
                "masked_answers",
                Validity.LIMITED,
                f"Answers look masked: right or wrong tells members (AUC {correctness.auc:.3f}), and {what} does not "
                f"(AUC {curve.auc:.3f}).",
                _REMEDY,
            )
    return None


def _tells(correctness: Roc) -> bool:
    right = mann_whitney(correctness)
    return right.auc - 0.5 > NormalDist().inv_cdf(1 - LEVEL) * _error(right)


def _is_missing(curve: Roc, correctness: Roc) -> bool:
    """Whether the area above 1/2 is significantly below a third of that of right and wrong."""
    sure, right = mann_whitney(curve), mann_whitney(correctness)
    missing = _SHARE * (right.auc - 0.5) - (sure.auc - 0.5)
    spread = _error(sure) + _SHARE * _error(right)  # of their difference at most
    return missing > NormalDist().inv_cdf(1 - LEVEL) * spread


def _error(test: MannWhitney) -> float:
    return sqrt(max(test.variance, test.null_variance))

"""Do the answers hide what the predicted class tells? A defence may have masked them."""

from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Int

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.mann_whitney import MannWhitney, mann_whitney
from vestige.evaluation.roc import Roc

LEVEL = 0.005
"""Honest audits flagged at most: those where right and wrong answers seem to tell members, and do not."""

_SHARE = 1 / 3  # of what right or wrong tells: a model's largest probability tells more unless it was changed
_NEARLY_ALL = 0.99  # records with the same number of classes above 0
_REMEDY = (
    "Play label-only attacks (NoisyCopies, BoundarySearch), which masking does not stop, and shadow models whose "
    "answers go through the same defence."
)


def masked_answers(
    confidence: Roc | None, correctness: Roc | None, n_positive: Int[np.ndarray, " record"] | None, n_classes: int
) -> Check | None:
    """Report answers that look as if a defence had masked them.

    A model that knows its members is right about them more often, and surer of them. If it is right more often, and its
    largest probability tells nothing, that was taken away; so it was if all answers have the same number of classes
    above 0. A model that answers with 0 and 1 alone, such as a fully grown tree, masks nothing.

    Args:
        confidence: ROC of the largest probability; None if it is not known.
        correctness: ROC of right and wrong.
        n_positive: Classes above 0 in each record's answer; None where answers are no probabilities.
        n_classes: All classes.

    Returns:
        LIMITED if so, else None. The test is of the area above 1/2: the largest probability's is below a third of that
        of right and wrong, whatever the correlation of the two.

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
    counts = np.bincount(n_positive) if n_positive is not None and n_positive.size else np.zeros(1, dtype=np.int64)
    usual, n = int(counts.argmax()), int(counts.sum())
    if usual == 1 and counts[1] == n:
        return None
    if 0 < usual < n_classes and n_classes > 2 and counts[usual] >= _NEARLY_ALL * n:
        said = f"{counts[usual]:,} of {n:,} are above 0 for {usual} of {n_classes} classes, the others are cut off"
        return Check("masked_answers", Validity.LIMITED, f"Answers look masked: {said}.", _REMEDY)
    if confidence is None or correctness is None:
        return None
    sure, right = mann_whitney(confidence), mann_whitney(correctness)
    gap = right.auc - 0.5 - NormalDist().inv_cdf(1 - LEVEL) * _error(right)
    missing = _SHARE * (right.auc - 0.5) - (sure.auc - 0.5)
    spread = _error(sure) + _SHARE * _error(right)  # of their difference at most
    if gap <= 0 or missing <= NormalDist().inv_cdf(1 - LEVEL) * spread:
        return None
    return Check(
        "masked_answers",
        Validity.LIMITED,
        f"Answers look masked: right or wrong tells members (AUC {right.auc:.3f}), and the largest probability does "
        f"not (AUC {sure.auc:.3f}).",
        _REMEDY,
    )


def _error(test: MannWhitney) -> float:
    return sqrt(max(test.variance, test.null_variance))

"""Do attacks find more members than the differential privacy of the training allows?"""

from collections.abc import Callable, Mapping

import numpy as np

from vestige.core.messages import percent
from vestige.core.result import Check, Validity
from vestige.evaluation.intervals import bonferroni, tpr_at_fpr_bounds
from vestige.evaluation.preflight.judgement import judged
from vestige.evaluation.roc import Roc

LEVEL = 0.001
"""Honest audits flagged at most, over all attacks and rates."""

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4)
"""False-positive rates that are looked at, where the nonmembers resolve them."""


def promised_privacy(
    curves: Mapping[str, Roc], most_tpr: Callable[[float], float] | None, promise: str
) -> Check | None:
    """Compare what every attack finds for certain with what the promise allows, at several false-positive rates.

    Args:
        curves: The ROC of every attack, over records, or over people with what is allowed of these (`for_people`).
        most_tpr: The largest true-positive rate that the promise allows at a false-positive rate; None without one.
        promise: In words.

    Returns:
        LIMITED if a lower bound, simultaneous over attacks and rates, lies above what is allowed. None without a
        promise, or with too few nonmembers for any rate.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> known = {"loss": roc(np.arange(200.0) + 150, np.arange(200.0))}
        >>> str(promised_privacy(known, lambda fpr: 1.1 * fpr + 0.01, "epsilon 0.1").validity)
        'LIMITED'

    Source:
        Kairouz, Oh & Viswanath 2015 (what is allowed). That many records of one training may be counted: Steinke, Nasr
        & Jagielski 2023, for pure differential privacy and records that are drawn by coins of their own; it is taken
        for halves of a fixed size, and for epsilon with delta. The bounds are those of the results.
    """
    if most_tpr is None:
        return None
    pairs = [(name, fpr) for name in curves for fpr in RATES]
    level = bonferroni(1 - 2 * LEVEL, len(pairs))
    lower = tpr_at_fpr_bounds([curves[name] for name, _ in pairs], [fpr for _, fpr in pairs], level).lower
    allowed = {fpr: most_tpr(fpr) for fpr in RATES}
    excess = lower - np.array([allowed[fpr] for _, fpr in pairs])
    if np.isnan(excess).all():
        return None
    worst = int(np.nanargmax(excess))
    name, fpr = pairs[worst]
    message = (
        f"The training promises {promise}: at {percent(fpr)} false positives no attack may find more than "
        f"{percent(allowed[fpr])} of the members; {name}, which comes the closest, finds at least "
        f"{percent(float(lower[worst]))}"
    )
    return judged(
        "promised_privacy",
        Validity.LIMITED if excess[worst] > 0 else Validity.VALID,
        message,
        ", more than epsilon allows: the guarantee does not hold, or this is no test of it",
        "Look for a mistake in the training (noise, clip, size of a batch, accounting), and whether the model was "
        "trained by this recipe, on members and nonmembers of one pool.",
    )


def for_people(most_tpr: Callable[[float], float], n_records: int) -> Callable[[float], float]:
    """Return what a promise about one record allows to be found of people who have up to so many records.

    Args:
        most_tpr: The largest true-positive rate about one record at a false-positive rate.
        n_records: Records of a person at most.

    Example:
        >>> for_people(lambda fpr: min(1.0, 2 * fpr), 3)(0.01)
        0.08

    Source:
        Dong, Roth & Su 2022, theorem 2.14: each record of a person is one step to a neighbour.
    """

    def allowed(fpr: float) -> float:
        for _ in range(n_records):
            if fpr >= 1:
                break
            fpr = most_tpr(fpr)
        return fpr

    return allowed

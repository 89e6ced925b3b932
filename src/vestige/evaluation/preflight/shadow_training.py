"""Do shadow models behave like the target, on what they were trained on and on what they were not?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, log, sqrt

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.result import Check, Validity
from vestige.evaluation.preflight.judgement import judged

LEVEL = 0.003
"""Honest audits flagged at most; shared by all comparisons."""

MARGIN = 0.05
"""Accuracy or mean confidence by which trainings may differ of themselves, where their spread is not known."""

_FEW = 3  # shadow models from which on their spread is known at all
_FEWEST = 20  # records on each side
_LEAST_LOSS = 1e-12


@dataclass(frozen=True)
class Behaviour:
    """How one model does on records it was trained on (first) and on others (second).

    Attributes:
        log_loss: Logarithm of the mean loss.
        accuracy: Share of the records whose true class gets more than half of the probability.
        confidence: Mean probability of the true class.
        variances: Of these three, by records.
    """

    log_loss: tuple[float, float]
    accuracy: tuple[float, float]
    confidence: tuple[float, float]
    variances: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def behaviour(
    losses: Float[np.ndarray, " record"],
    is_in: Bool[np.ndarray, " record"],
    units: Int[np.ndarray, " record"] | None = None,
) -> Behaviour | None:
    """Summarise a model's losses; None with fewer than 20 records, or a person, on a side.

    Args:
        losses: Cross-entropy loss of each record; NaN where the model did not answer.
        is_in: Whether the model was trained on each record.
        units: Subject of each record; None if every record is its own.

    Example:
        >>> found = behaviour(np.repeat([0.1, 2.0], 50), np.arange(100) < 50)
        >>> found.accuracy
        (1.0, 0.0)
    """
    sides = []
    for side in (is_in & ~np.isnan(losses), ~is_in & ~np.isnan(losses)):
        number = np.arange(int(side.sum())) if units is None else np.unique(units[side], return_inverse=True)[1]
        if number.size < _FEWEST or number.max() == 0:
            return None
        of_side = np.sort(losses[side]) if units is None else losses[side]  # a sum depends on the order of its terms
        p_true = np.exp(-of_side)
        loss, of_loss = _mean(of_side, number)
        accuracy, of_accuracy = _mean((p_true > 0.5).astype(np.float64), number)
        of_accuracy = max(of_accuracy, 1.0 / (number.size + 2) ** 2)  # of 20 right answers none was wrong by chance
        confidence, of_confidence = _mean(p_true, number)
        loss = max(loss, _LEAST_LOSS)
        sides.append(((log(loss), accuracy, confidence), (of_loss / loss**2, of_accuracy, of_confidence)))
    (inside, of_inside), (outside, of_outside) = sides
    values = list(zip(inside, outside, strict=True))
    variances = list(zip(of_inside, of_outside, strict=True))
    return Behaviour(values[0], values[1], values[2], (variances[0], variances[1], variances[2]))


def _mean(values: np.ndarray, number: np.ndarray) -> tuple[float, float]:
    """Mean over records, and its variance with the records of one unit taken together."""
    mean = float(values.mean())
    of_unit = np.bincount(number, weights=values - mean)
    n = of_unit.size
    return mean, float(np.sum(of_unit**2)) / values.size**2 * n / (n - 1)


def shadow_training(target: Behaviour | None, shadows: Sequence[Behaviour | None]) -> Check | None:
    """Ask whether the target could be one of the shadow models, by loss and accuracy on own and on other records.

    With several shadow models the target is one more draw from them: Student's t of a prediction. With one or few,
    whose spread over trainings is not known well, that sees little; accuracy and mean confidence that differ by more
    than 0.05 beyond what the records and that spread explain are seen as well.

    Args:
        target: How the target does on its members and on nonmembers.
        shadows: The same of each shadow model; those that lack records on a side are None.

    Returns:
        LIMITED if one of these differs at `LEVEL` (two-sided, Bonferroni over all). None without a shadow model.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> is_in = np.arange(400) < 200
        >>> like = [behaviour(rng.exponential(np.where(is_in, 0.1, 0.5)), is_in) for _ in range(9)]
        >>> other = behaviour(rng.exponential(np.where(is_in, 0.01, 1.0)), is_in)
        >>> str(shadow_training(like[0], like[1:]).validity), str(shadow_training(other, like).validity)
        ('VALID', 'LIMITED')

    Source:
        Prediction interval of a normal sample: Student 1908; ours is its use here.
    """
    known = [shadow for shadow in shadows if shadow is not None]
    if target is None or not known:
        return None
    p_values = []
    for place in (0, 1):
        for row, name in enumerate(("log_loss", "accuracy", "confidence")):
            own, variance = getattr(target, name)[place], target.variances[row][place]
            theirs = np.array([getattr(shadow, name)[place] for shadow in known])
            if name != "confidence" and theirs.size >= _FEW:
                p_values.append(_p_prediction(own, variance, theirs))
            if name != "log_loss":
                of_theirs = float(np.mean([shadow.variances[row][place] for shadow in known]))
                spread = max(of_theirs, float(theirs.var(ddof=1)) if theirs.size > 1 else 0.0)
                p_values.append(_p_margin(own - float(theirs.mean()), variance + spread))
    p_value = min(1.0, len(p_values) * min(p_values))
    words = [
        f"{_said(known, name, 0)} and {_said(known, name, 1)} (target {_said([target], name, 0)} and "
        f"{_said([target], name, 1)})"
        for name in ("accuracy", "log_loss")
    ]
    message = (
        f"On records of their own and on others, the {len(known):,} shadow model{'s' * (len(known) > 1)} give the true "
        f"class more than half in {words[0]} of the cases, with a loss of {words[1]} (p = {p_value:.2g})"
    )
    return judged(
        "shadow_training",
        Validity.VALID if p_value >= LEVEL else Validity.LIMITED,
        message,
        ": they do not behave like the target, so thresholds and attacks that come from them are another model's",
        "Train shadow models as the target was: loss, epochs, number of records, augmentation, order of the classes.",
    )


def _p_prediction(own: float, variance: float, theirs: Float[np.ndarray, " model"]) -> float:
    from scipy.stats import t

    spread = max(float(theirs.var(ddof=1)), variance)  # equal by luck, all right by design: the records still vary
    statistic = (own - float(theirs.mean())) / sqrt(spread * (1 + 1 / theirs.size)) if spread > 0 else 0.0
    return float(2 * t.sf(abs(statistic), theirs.size - 1))


def _p_margin(difference: float, variance: float) -> float:
    beyond = abs(difference) - MARGIN
    if variance <= 0:
        return 1.0 if beyond <= 0 else 0.0
    return erfc(beyond / sqrt(2 * variance)) if beyond > 0 else 1.0


def _said(models: Sequence[Behaviour], name: str, place: int) -> str:
    value = float(np.mean([getattr(model, name)[place] for model in models]))
    return f"{np.exp(value):.3g}" if name == "log_loss" else f"{value:.3f}"

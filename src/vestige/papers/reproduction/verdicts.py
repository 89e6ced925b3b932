"""What independent trials say of a claim or of a published number.

A claim *holds* if the whole interval of the trials agrees. It is *contradicted* if each of two sets of trials says so,
`FEWEST` at least in each, with Holm's correction over all claims of the same paper; the two sets are the first and the
second half of the trials, each with seeds of its own. It is *undecided* with fewer than `FEWEST` trials, or if the
interval lies on both sides of what is claimed, and *not comparable* under other conditions than the claim's.

A published number is one run, or the mean of a few: it is compared with a prediction interval for that many runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, sqrt

import numpy as np

from vestige.evaluation.trials import LEVEL, Mean, mean_of, student_quantile

FEWEST = 5
"""Trials that a verdict needs."""
MARGIN = 0.005
"""How much worse than another an attack may be, as a rate or area, to be called at least as good or equal."""
MOST = 1_000
"""No more trials are named as those that would decide."""


class Relation(StrEnum):
    """What a claim says of the difference of two numbers; "at least" and "equal" are meant up to `MARGIN`."""

    ABOVE = "above"
    AT_LEAST = "at least"
    EQUAL = "equal"

    @property
    def limits(self) -> tuple[float, float]:
        """Between which differences it holds."""
        return {
            Relation.ABOVE: (0.0, inf), Relation.AT_LEAST: (-MARGIN, inf), Relation.EQUAL: (-MARGIN, MARGIN)
        }[self]  # fmt: skip


class Verdict(StrEnum):
    """What may be concluded."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"


def prediction_of(values: Sequence[float] | np.ndarray, n_published: int = 1) -> Mean:
    """Return the mean of trials, and between which bounds the mean of other runs lies with 95 %.

    Args:
        values: One number per trial.
        n_published: Runs that the published number is the mean of.

    Returns:
        `mean -+ t s sqrt(1 / n_published + 1 / T)`; NaN bounds of one trial.

    Example:
        >>> found = prediction_of([1.0, 2.0, 3.0])
        >>> round(found.upper - found.value, 3)  # 4.303 * 1 * sqrt(1 + 1 / 3)
        4.968
    """
    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean())
    if found.size < 2:
        return Mean(mean, float("nan"), float("nan"))
    half = float(student_quantile(found.size)) * float(found.std(ddof=1)) * sqrt(1 / n_published + 1 / found.size)
    return Mean(mean, mean - half, mean + half)


def agrees(relation: Relation, difference: Mean) -> bool:
    """Whether the whole interval of a difference is what a relation says."""
    low, high = relation.limits
    return low <= difference.lower and difference.upper <= high and (low != 0 or difference.lower > 0)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What trials have on one claim.

    Attributes:
        agrees: Whether the whole interval is what the claim says.
        p_against: That the trials are this far on the other side by chance, the larger one of two sets of trials; 1
            without a second set.
        n_trials: Independent trials.
        fewest: Trials that a verdict needs.
        enough: Trials that would decide, if the next ones are like these; None: more than `MOST`, or unknown.
        unmet: The condition of the claim that the trials do not meet; empty: they meet all.
        unit: What a trial is called here.
    """

    agrees: bool
    p_against: float
    n_trials: int
    fewest: int = FEWEST
    enough: int | None = None
    unmet: str = ""
    unit: str = "trial"


def evidence(
    relation: Relation | str,
    differences: Sequence[float] | np.ndarray,
    *,
    unmet: str = "",
    fewest: int = FEWEST,
    unit: str = "trial",
) -> Evidence:
    """Return what the differences of all trials, in the order in which they were run, have on a claim.

    Example:
        >>> evidence("above", [0.1, 0.2, 0.1, 0.2, 0.1]).agrees
        True
    """
    values, relation = np.asarray(differences, dtype=np.float64), Relation(relation)
    halves = values[: len(values) // 2], values[len(values) // 2 :]
    is_twice = min(map(len, halves)) >= fewest
    return Evidence(
        agrees=agrees(relation, mean_of(values)),
        p_against=min(max(side) for side in zip(*(_against(relation, h) for h in halves), strict=True))
        if is_twice
        else 1.0,
        n_trials=len(values),
        fewest=fewest,
        enough=enough_trials(relation, mean_of(values), len(values), fewest),
        unmet=unmet,
        unit=unit,
    )


def _against(relation: Relation, values: np.ndarray) -> tuple[float, float]:
    """One-sided p-values that the mean is below what is claimed, and above it."""
    from scipy.stats import t

    low, high = relation.limits
    error = float(values.std(ddof=1)) / sqrt(len(values))
    beyond = (low - float(values.mean()), float(values.mean()) - high)
    below, above = (
        1.0 if gap <= 0 else float(t.sf(gap / error if error > 0 else inf, len(values) - 1)) for gap in beyond
    )
    return below, above


def enough_trials(relation: Relation, difference: Mean, n_trials: int, fewest: int = FEWEST) -> int | None:
    """Return the trials that decide if mean and spread stay as they are, on either side; two sets to contradict."""
    if n_trials < 2:
        return None
    spread = (difference.upper - difference.value) * sqrt(n_trials) / student_quantile(n_trials)
    value, (low, high) = difference.value, relation.limits
    sets = 1 if low <= value <= high else 2
    distance = min(abs(value - limit) for limit in (low, high))
    sizes = np.arange(fewest, MOST // sets + 1)
    decided = np.flatnonzero(student_quantile(sizes) * spread / np.sqrt(sizes) < distance)
    return int(sets * sizes[decided[0]]) if decided.size else None


@dataclass(frozen=True)
class Judged:
    """A verdict, its reason where there is one, and the trials that would decide what is undecided, where known."""

    verdict: Verdict
    why: str = ""
    enough: int | None = None


def verdicts(found: Sequence[Evidence]) -> list[Judged]:
    """Return a verdict on each claim of one paper, in the order given."""
    family = [e for e in found if not e.unmet and e.n_trials >= e.fewest]
    rejected = _holm([e.p_against for e in family])
    against = {id(e) for e, is_rejected in zip(family, rejected, strict=True) if is_rejected}
    return [_verdict(e, id(e) in against) for e in found]


def _verdict(e: Evidence, is_against: bool) -> Judged:
    if e.unmet:
        return Judged(Verdict.NOT_COMPARABLE, e.unmet)
    trials = f"{e.n_trials} {e.unit}{'s' * (e.n_trials != 1)}"
    if e.n_trials < e.fewest:
        return Judged(Verdict.UNDECIDED, f"{trials}, of the {e.fewest} that a verdict needs", e.enough)
    if e.agrees:
        return Judged(Verdict.HOLDS)
    if is_against:
        return Judged(Verdict.CONTRADICTED)
    if e.enough is None:
        return Judged(Verdict.UNDECIDED, f"{trials}, and {MOST:,} would not decide")
    if e.enough <= e.n_trials:
        return Judged(
            Verdict.UNDECIDED, f"{trials} are against it, but not both halves of them after Holm's correction"
        )
    return Judged(Verdict.UNDECIDED, f"{trials}, about {e.enough} would decide", e.enough)


def _holm(p_values: Sequence[float]) -> list[bool]:
    """Which are rejected together, at the level of one side of an interval."""
    rejected, level = [False] * len(p_values), (1 - LEVEL) / 2
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] > level / (len(p_values) - rank):
            break
        rejected[i] = True
    return rejected

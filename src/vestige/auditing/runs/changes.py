"""What differs between two finished audits, with paired intervals where they are about the same records or people."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from scipy import special

from vestige.auditing.comparison.over_records import Measure, area, rate
from vestige.auditing.results.operating_points import FPRS
from vestige.auditing.runs.scored_units import ScoredUnits, attacks_of, scored_units
from vestige.core.result import AuditResult
from vestige.evaluation.intervals import bonferroni, is_resolvable
from vestige.evaluation.roc import roc

_LEVEL = 0.95


class Change(StrEnum):
    """What is said of a difference."""

    ROSE = "rose"
    FELL = "fell"
    NONE_SHOWN = "no change shown"


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """What differs between two audits.

    Attributes:
        table: A line per attack that both played, and metric: `attack`, `metric`, `first`, `second`, `difference` with
            `lower` and `upper` (95 %), and `change`.
        n_shared: Records or people that both audits scored.
        noun: What is counted, such as `record`.
        warning: Why the intervals are wider than they could be, or the audits are not alike; empty where nothing is.
    """

    table: pd.DataFrame
    n_shared: int
    noun: str
    warning: str

    @property
    def sentence(self) -> str:
        """What may be said of all attacks together."""
        said = {change: self.table.loc[self.table["change"] == change, "attack"].unique() for change in Change}
        parts = [
            f"{change} for {', '.join(said[change])}" for change in (Change.ROSE, Change.FELL) if len(said[change])
        ]
        return f"Leakage {' and '.join(parts)}." if parts else "No change of leakage is shown."

    def __str__(self) -> str:
        """The sentence, and the warning."""
        return f"{self.sentence} {self.warning}".strip()


def changes(first: AuditResult, second: AuditResult) -> Changes:
    """Compare two finished audits attack by attack: such as of a model, and of the model that is to replace it.

    Records that both audits have, by id, are paired: their luck is the same in both, which makes intervals narrower.
    Each interval holds with 95 %; a *change* is said only where the interval that holds for all lines together, by
    Bonferroni's inequality, leaves 0 out. It is about these two models: another training could differ as much.

    Args:
        first: A finished audit with its table of records.
        second: Another one.

    Returns:
        Areas and true-positive rates of every attack that both played, at the rates that both resolve.

    Raises:
        InputError: One of them has no records.

    Example:
        >>> import numpy as np, vestige
        >>> from vestige.core.outputs import Logits
        >>> draw = np.random.default_rng(0)
        >>> labels, member = draw.integers(3, size=2000), np.arange(2000) % 2 == 0
        >>> def audited(gap):
        ...     logits = (
        ...         np.random.default_rng(1).normal(size=(2000, 3)) + (1 + gap * member)[:, None] * np.eye(3)[labels]
        ...     )
        ...     return vestige.audit(vestige.Predictions(Logits(logits), labels, member), attacks=["loss"])
        >>> str(changes(audited(2), audited(0.5)))
        'Leakage fell for loss.'

    Source:
        Paired areas: DeLong et al. 1988; rates: the infinitesimal jackknife (Efron 1982), to which a nonmember counts
        by the slope of the ROC at the threshold.
    """
    both = [name for name in attacks_of(first) if name in attacks_of(second)]
    pairs = {name: (scored_units(first, name), scored_units(second, name)) for name in both}
    alike = _same_labels(first, second) and all(a.noun == b.noun for a, b in pairs.values())
    lines = [line for name, (a, b) in pairs.items() for line in _lines(name, a, b, alike)]
    quantile = float(special.ndtri((1 + bonferroni(_LEVEL, max(1, len(lines)))) / 2))
    table = pd.DataFrame(
        [_line(name, metric, (a, b), error, quantile) for name, metric, a, b, error in lines], columns=list(_COLUMNS)
    )
    shared = max((np.intersect1d(a.ids, b.ids).size if alike else 0 for a, b in pairs.values()), default=0)
    noun = next((a.noun for a, _ in pairs.values()), "record")
    return Changes(table=table, n_shared=shared, noun=noun, warning=_warning(first, second, both, alike, shared))


_COLUMNS = ("attack", "metric", "first", "second", "difference", "lower", "upper", "change")


def _lines(name: str, a: ScoredUnits, b: ScoredUnits, alike: bool) -> list[tuple[str, str, float, float, float]]:
    """Metric, both values and the standard error of their difference."""
    curves = [roc(one.scores[one.member], one.scores[~one.member]) for one in (a, b)]
    rates = [fpr for fpr in FPRS if all(is_resolvable(fpr, curve.n_nonmembers) for curve in curves)]
    measured: dict[str, list[Measure]] = {
        "auc": [area(curve, one.scores, one.member) for curve, one in zip(curves, (a, b), strict=True)]
    }
    for fpr in rates:
        measured[f"tpr_at_fpr_{fpr:g}"] = [
            rate(curve, fpr, one.scores, one.member) for curve, one in zip(curves, (a, b), strict=True)
        ]
    return [
        (name, metric, one.value, other.value, _error(one, other, a, b, alike))
        for metric, (one, other) in measured.items()
    ]


def _error(one: Measure, other: Measure, a: ScoredUnits, b: ScoredUnits, alike: bool) -> float:
    """Standard error of a difference; a unit of both audits moves both numbers."""
    if one.influence is None or other.influence is None:
        return float("nan")
    if not alike:
        return float(np.hypot(*(np.sqrt(x.size) * x.std(ddof=1) for x in (one.influence, other.influence))))
    _, of_unit = np.unique(np.concatenate([b.ids, a.ids]), return_inverse=True)
    moved = np.bincount(of_unit, np.concatenate([other.influence, -one.influence]))
    return float(np.sqrt(moved.size) * moved.std(ddof=1))


def _line(name: str, metric: str, values: tuple[float, float], error: float, quantile: float) -> tuple[object, ...]:
    difference, half = values[1] - values[0], float(special.ndtri((1 + _LEVEL) / 2)) * error
    change = Change.NONE_SHOWN
    if abs(difference) > quantile * error:
        change = Change.ROSE if difference > 0 else Change.FELL
    return name, metric, *values, difference, difference - half, difference + half, str(change)


def _same_labels(first: AuditResult, second: AuditResult) -> bool:
    """Whether the ids of two audits name the same records: where labels differ, they are other records' numbers."""
    a, b = (one.records.drop_duplicates("id").set_index("id")["label"].astype(str) for one in (first, second))
    shared = a.index.intersection(b.index)
    return bool((a[shared] == b[shared]).all())


def _warning(first: AuditResult, second: AuditResult, both: list[str], alike: bool, n_shared: int) -> str:
    """What makes two audits hard to compare."""
    parts = []
    if not both:
        parts.append("No attack was played in both runs.")
    if not alike:
        parts.append(
            "The same ids have other labels in the other run, so records are not paired and intervals are wider: give "
            "ids (data.id) that name the same records in both."
        )
    elif not n_shared and both:
        parts.append("The runs share no record, so intervals are wider than of paired ones.")
    options = (one.provenance.options for one in (first, second))
    a, b = ({name: value for name, value in given.items() if name not in ("seed", "name")} for given in options)
    differing = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
    if differing:
        parts.append(f"Options differ: {', '.join(differing)}.")
    for which, one in (("first", first), ("second", second)):
        if one.validity != "VALID":
            parts.append(f"The {which} test is {one.validity}.")
    return " ".join(parts)

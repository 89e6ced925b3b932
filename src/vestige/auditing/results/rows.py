"""Rows of the result table: every metric of one attack on one group of units, and what is worst of several rows."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from vestige.auditing.results.operating_points import FPRS, Rule
from vestige.core.result import RESULT_DTYPES, Status
from vestige.evaluation.intervals import (
    NO_INTERVAL,
    Bounds,
    Interval,
    accuracy_bounds,
    auc_interval,
    balanced_accuracy_bounds,
    bonferroni,
    f1_bounds,
    is_resolvable,
    nonmembers_needed,
    precision_bounds,
    rate_bounds,
    tpr_at_fpr_bounds,
)
from vestige.evaluation.permutation import ks_p_value
from vestige.evaluation.roc import Roc, best_point, expected_fpr, point_at_fpr
from vestige.evaluation.verdict import Headline

NAN = float("nan")
_LEVEL = 0.95  # with which all bounds behind one worst row hold together

PRIORS = (0.5, 0.1, 0.01)
"""Shares of members in the population for which precision is reported."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number of the result table; the columns that are the same in every row are added at the end."""

    attack: str
    threshold: str
    metric: str
    group: str
    value: float
    interval: Interval
    n_members: int | None
    n_nonmembers: int | None
    definition: str
    false_positives: int | None = None
    status: Status = Status.OK

    @property
    def usable(self) -> bool:
        """Whether headline and gate may read it."""
        return self.status is Status.OK


class Counts(NamedTuple):
    """Units called members on each side."""

    true_positives: int
    n_members: int
    false_positives: int
    n_nonmembers: int


def count_calls(called: np.ndarray, member: np.ndarray) -> Counts:
    """Count the units called members on each side."""
    true_positives = int(np.count_nonzero(called & member))
    n_members = int(np.count_nonzero(member))
    return Counts(true_positives, n_members, int(np.count_nonzero(called)) - true_positives, member.size - n_members)


def curve_rows(curves: Mapping[tuple[str, str], Roc], level: float = 0.95) -> Iterator[Row]:
    """AUC and TPR at the fixed false-positive rates of every (attack, group), all intervals in one go."""
    points = [(key, fpr) for key in curves for fpr in FPRS]
    bounds = tpr_at_fpr_bounds([curves[key] for key, _ in points], [fpr for _, fpr in points], level)
    at = {point: Interval(float(bounds.lower[i]), float(bounds.upper[i])) for i, point in enumerate(points)}
    for (attack, group), curve in curves.items():
        m, n = curve.n_members, curve.n_nonmembers
        definition = "P(member scores higher) + P(tie)/2"
        yield Row(
            attack=attack,
            threshold="roc",
            metric="auc",
            group=group,
            value=curve.auc,
            interval=auc_interval(curve, level),
            n_members=m,
            n_nonmembers=n,
            definition=definition,
        )
        for fpr in FPRS:
            point = point_at_fpr(curve, fpr)
            resolvable = is_resolvable(fpr, n)
            more = (
                f"; without ties its true FPR averages {expected_fpr(fpr, n):.3g}"
                if resolvable
                else f"; needs {nonmembers_needed(fpr):,} nonmembers"
            )
            yield Row(
                attack=attack,
                threshold="roc",
                metric=f"tpr_at_fpr_{fpr:g}",
                group=group,
                value=curve.rates_at(point)[0],
                interval=at[(attack, group), fpr],
                n_members=m,
                n_nonmembers=n,
                definition=f"TPR of the last ROC point with FPR <= {fpr:g}, no interpolation{more}",
                false_positives=int(curve.false_positives[point]),
                status=Status.OK if resolvable else Status.NOT_RESOLVABLE,
            )


def oracle_rows(attack: str, curve: Roc) -> Iterator[Row]:
    """The best threshold on the target itself: optimistic, so without interval but with a p-value."""
    point = best_point(curve)
    m, n = curve.n_members, curve.n_nonmembers
    false_positives = int(curve.false_positives[point])
    counts = Counts(int(curve.true_positives[point]), m, false_positives, n)
    accuracy = Row(
        attack=attack,
        threshold="oracle",
        metric="balanced_accuracy",
        group="all",
        value=_balanced(counts),
        interval=NO_INTERVAL,
        n_members=m,
        n_nonmembers=n,
        definition="best (TPR+TNR)/2 over all thresholds on the target itself: optimistic",
        false_positives=false_positives,
    )
    yield accuracy
    for prior in PRIORS[1:]:
        best = best_point(curve, prior)
        found = Counts(int(curve.true_positives[best]), m, int(curve.false_positives[best]), n)
        metric = f"accuracy_at_prior_{prior:g}"
        words = f"largest {_ACCURACY_AT[metric].definition}, over all thresholds on the target itself: optimistic"
        value, wrong = _ACCURACY_AT[metric].value(found), found.false_positives
        yield replace(accuracy, metric=metric, value=value, definition=words, false_positives=wrong)
    definition = "one-sided Kolmogorov-Smirnov test of members against nonmembers"
    p_value = ks_p_value(curve)
    yield replace(accuracy, metric="p_value", value=p_value, definition=definition, false_positives=None)


def _balanced(c: Counts) -> float:
    """Ratios of counts, averaged, in the order of Song & Mittal's script; another one differs in the last digit."""
    return 0.5 * (c.true_positives / c.n_members + (c.n_nonmembers - c.false_positives) / c.n_nonmembers)


@dataclass(frozen=True)
class Metric:
    """One number of the calls at a given threshold.

    Attributes:
        definition: What it is.
        value: The number; NaN or a division by 0 where there is none.
        bounds: Its interval at a level.
    """

    definition: str
    value: Callable[[Counts], float]
    bounds: Callable[[Counts, float], Bounds]


def _tpr(definition: str) -> Metric:
    return Metric(
        definition,
        lambda c: c.true_positives / c.n_members,
        lambda c, level: rate_bounds(c.true_positives, c.n_members, level),
    )


def _fpr(definition: str) -> Metric:
    return Metric(
        definition,
        lambda c: c.false_positives / c.n_nonmembers,
        lambda c, level: rate_bounds(c.false_positives, c.n_nonmembers, level),
    )


def precision(definition: str, prior: float | None = None) -> Metric:
    """Share of members among the units called members, at a prior, or at the sample's own share of members."""

    def share(c: Counts) -> float:
        return c.n_members / (c.n_members + c.n_nonmembers) if prior is None else prior

    def value(c: Counts) -> float:
        tpr, fpr = c.true_positives / c.n_members, c.false_positives / c.n_nonmembers
        called = share(c) * tpr + (1 - share(c)) * fpr
        return share(c) * tpr / called if called else NAN

    return Metric(definition, value, lambda c, level: precision_bounds(*c, share(c), level))


def _f1(c: Counts) -> float:
    return 2 * c.true_positives / (2 * c.true_positives + c.n_members - c.true_positives + c.false_positives)


_PRECISION_AT = {
    f"precision_at_prior_{prior:g}": precision(f"precision where {prior:g} of the population are members", prior)
    for prior in PRIORS
}


def accuracy(prior: float) -> Metric:
    """Share of right calls where this share of the population are members."""

    def value(c: Counts) -> float:
        return prior * c.true_positives / c.n_members + (1 - prior) * (1 - c.false_positives / c.n_nonmembers)

    words = f"share of right calls where {prior:g} of the population are members"
    return Metric(words, value, lambda c, level: accuracy_bounds(*c, prior, level))


_ACCURACY_AT = {f"accuracy_at_prior_{prior:g}": accuracy(prior) for prior in PRIORS[1:]}  # at a half it is balanced
METRICS = {
    "balanced_accuracy": Metric("(TPR + TNR) / 2", _balanced, lambda c, level: balanced_accuracy_bounds(*c, level)),
    "precision": precision("share of members among those called members, at this sample's ratio"),
    "recall": _tpr("share of the members called members (TPR)"),
    "f1": Metric("2 TP / (2 TP + FP + FN), at this sample's ratio", _f1, lambda c, level: f1_bounds(*c, level)),
    "fpr": _fpr("share of the nonmembers called members"),
    **_PRECISION_AT,
    **_ACCURACY_AT,
}
"""Metrics of a threshold from elsewhere: to add one, add a row here, and its interval in `evaluation.intervals`."""

METRICS_AT_FPR = {
    "tpr": _tpr("share of the members called members"),
    "fpr": _fpr("share of the nonmembers called members, realised"),
    **_PRECISION_AT,
}
"""Metrics of a threshold that was set for a false-positive rate."""


def call_rows(
    attack: str, group: str, rule: Rule, counts: Counts, level: float = 0.95, only: Sequence[str] = ()
) -> Iterator[Row]:
    """Every metric of one attack's calls at a threshold from elsewhere."""
    metrics = METRICS if rule.wanted_fpr is None else METRICS_AT_FPR
    for name in only or metrics:
        metric = metrics[name]
        with np.errstate(divide="ignore", invalid="ignore"):  # no positive call: the row becomes UNDEFINED
            value, bounds = metric.value(counts), metric.bounds(counts, level)
        yield Row(
            attack=attack,
            threshold=rule.threshold,
            metric=name,
            group=group,
            value=value,
            interval=Interval(float(bounds.lower), float(bounds.upper)),
            n_members=counts.n_members,
            n_nonmembers=counts.n_nonmembers,
            definition=f"{metric.definition}; {rule.definition}",
            false_positives=counts.false_positives,
        )


def worst_row(rows: Sequence[Row], attack: str, group: str, what: str, threshold: str) -> Row:
    """The largest of several numbers with bounds that hold for all of them at once.

    Args:
        rows: The candidates, their intervals already at the simultaneous level.
        attack: Attack of the new row: `worst`, or the one whose thresholds are compared.
        group: Group of the new row.
        what: Over what the bounds are simultaneous.
        threshold: Threshold of the new row.

    Returns:
        The largest value, the largest lower and the largest upper bound: an interval for the largest true value. Where
        no candidate is usable, the largest value with the candidates' status. Of equal ones the first attack by name,
        so that the order of the attacks decides nothing.
    """
    rows = sorted(rows, key=lambda row: row.attack)
    usable = [row for row in rows if row.usable]
    top = max(usable or rows, key=lambda row: row.value)
    lower = max((row.interval.lower for row in usable), default=NAN)
    upper = max((row.interval.upper for row in usable), default=NAN)
    where = "" if top.group == group else f" in {top.group}"
    return Row(
        attack=attack,
        threshold=threshold,
        metric=top.metric,
        group=group,
        value=top.value,
        interval=Interval(lower, upper),
        n_members=top.n_members,
        n_nonmembers=top.n_nonmembers,
        definition=f"largest over {what}, here {top.attack}{where}, bounds simultaneous (Bonferroni); {top.definition}",
        false_positives=top.false_positives,
        status=top.status,
    )


def hidden_row(attack: str, group: str, min_cell: int) -> Row:
    """The row that stands for a hidden group."""
    return Row(
        attack=attack,
        threshold="roc",
        metric="auc",
        group=group,
        value=NAN,
        interval=NO_INTERVAL,
        n_members=None,
        n_nonmembers=None,
        definition=f"hidden: fewer than {min_cell} units on a side, or needed to hide such a group or a difference of "
        "groups",
        status=Status.SUPPRESSED,
    )


def worst_rows(
    curves: Mapping[str, Roc],
    calls: Mapping[tuple[str, Rule], Counts],
    group_curves: Mapping[tuple[str, str], Roc],
    groups: Mapping[str, set[str]],
) -> Iterator[Row]:
    """Pick what is worst over attacks, thresholds and groups, with bounds that allow for the picking.

    Args:
        curves: The ROC of every attack.
        calls: What every attack calls members, by threshold rule.
        group_curves: The ROC of every attack and group.
        groups: Names of the groups that are compared, by the name of the row: `worst_class` and `worst_group`.
    """
    level = bonferroni(_LEVEL, len(curves))
    for rows in _by_metric(curve_rows({(a, "all"): c for a, c in curves.items()}, level)):
        # What holds for all attacks needs each of them: those that learnt from half of the records resolve fewer rates.
        left = [row for row in rows if not row.usable]
        some = f"{len(left)} of " if 0 < len(left) < len(rows) else ""
        yield worst_row(left or rows, "worst", "all", f"{some}{len(curves)} attacks", "roc")
    yield from _worst_call_rows("worst", calls, "attacks and thresholds")
    for attack in curves:
        its_own = {key: call for key, call in calls.items() if key[0] == attack}
        yield from _worst_call_rows(attack, its_own, "thresholds")
    for kind, names in groups.items():
        chosen = {key: curve for key, curve in group_curves.items() if key[1] in names}
        if len({name for _, name in chosen}) > 1:
            what = f"{len(curves)} attacks and {len({name for _, name in chosen})} groups"
            for rows in _by_metric(curve_rows(chosen, bonferroni(_LEVEL, len(chosen)))):
                if any(row.usable for row in rows):
                    yield worst_row(rows, "worst", kind, what, "roc")


def _worst_call_rows(attack: str, calls: Mapping[tuple[str, Rule], Counts], what: str) -> Iterator[Row]:
    """Every metric at the threshold where it is largest."""
    level = bonferroni(_LEVEL, len(calls))
    rows = (r for (name, rule), counts in calls.items() for r in call_rows(name, "all", rule, counts, level))
    for candidates in _by_metric(r for r in rows if r.metric not in ("fpr", "tpr")):
        defined = [r for r in candidates if not np.isnan(r.value)]
        if defined:
            yield worst_row(defined, attack, "all", f"{len(calls)} {what}", "any")


def _by_metric(rows: Iterable[Row]) -> list[list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.metric, []).append(row)
    return list(grouped.values())


def headline_of(worst: list[Row], lowest: float | None = None) -> Headline | None:
    """The worst attack at the lowest false-positive rate, from `lowest` on, that every attack's nonmembers resolve."""
    at = {row.metric: row for row in worst if row.attack == "worst" and row.group == "all" and row.usable}
    fpr = min((f for f in FPRS if f >= (lowest or 0) and f"tpr_at_fpr_{f:g}" in at), default=None)
    if fpr is None:
        return None
    row = at[f"tpr_at_fpr_{fpr:g}"]
    return Headline(fpr, row.value, row.interval.lower, row.interval.upper)


def p_value_row(p_value: float, curves: Mapping[str, Roc]) -> Row:
    """Make the row of the permutation test over all attacks."""
    most = max(curves.values(), key=lambda curve: curve.n_nonmembers)
    return Row(
        attack="worst",
        threshold="roc",
        metric="p_value",
        group="all",
        value=p_value,
        interval=NO_INTERVAL,
        n_members=most.n_members,
        n_nonmembers=most.n_nonmembers,
        definition=f"familywise permutation test over {len(curves)} attacks, by AUC and by the tails of one and two "
        "times the headline rate",
    )


def frame_of(
    rows: Iterable[Row], same: Mapping[str, object], access: Mapping[str, str], n_queries: Mapping[str, int]
) -> pd.DataFrame:
    """Return rows as a table with the columns and types of `RESULT_DTYPES`.

    A number that does not exist makes its row UNDEFINED.

    Args:
        rows: In the order of the table.
        same: Columns that are the same in every row.
        access: What an attack may ask of the target, by attack; the audit's own is in `same`.
        n_queries: Queries about one record, by attack; 1 if omitted.
    """
    columns: dict[str, list[object]] = {name: [] for name in RESULT_DTYPES}
    for row in rows:
        if math.isnan(row.value) and row.usable:
            row = replace(row, status=Status.UNDEFINED, interval=NO_INTERVAL)
        values = {**same, "n_queries": n_queries.get(row.attack, 1), **vars(row), "status": str(row.status)}
        values |= {"access": access.get(row.attack, same["access"])}
        values |= {"lower": row.interval.lower, "upper": row.interval.upper}
        for name, column in columns.items():
            column.append(values[name])
    return pd.DataFrame({name: pd.Series(v, dtype=RESULT_DTYPES[name]) for name, v in columns.items()})

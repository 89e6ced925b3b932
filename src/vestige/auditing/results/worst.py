"""What is picked as worst, over attacks, thresholds and groups, with bounds that allow for the picking."""

from collections.abc import Iterator, Mapping

import numpy as np

from vestige.auditing.results.measures import Counts, call_rows, curve_rows, worst_row
from vestige.auditing.results.operating_points import FPRS, Rule
from vestige.auditing.results.partitions import Partition
from vestige.auditing.results.tidy import Row
from vestige.evaluation.intervals import NO_INTERVAL, bonferroni
from vestige.evaluation.roc import Roc
from vestige.evaluation.verdict import Headline

_LEVEL = 0.95  # with which all bounds behind one worst row hold together


def worst_rows(
    curves: Mapping[str, Roc],
    calls: Mapping[tuple[str, Rule], Counts],
    group_curves: Mapping[tuple[str, str], Roc],
    partitions: list[Partition],
) -> Iterator[Row]:
    """What is picked as worst, with bounds that allow for the picking."""
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
    for kind in ("worst_class", "worst_group"):
        names = {name for p in partitions if p.is_class == (kind == "worst_class") for name in p.names}
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


def _by_metric(rows: Iterator[Row]) -> list[list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.metric, []).append(row)
    return list(grouped.values())


def headline_of(worst: list[Row]) -> Headline | None:
    """The worst attack at the lowest false-positive rate that every attack's nonmembers resolve."""
    at = {row.metric: row for row in worst if row.attack == "worst" and row.group == "all" and row.usable}
    fpr = min((f for f in FPRS if f"tpr_at_fpr_{f:g}" in at), default=None)
    if fpr is None:
        return None
    row = at[f"tpr_at_fpr_{fpr:g}"]
    return Headline(fpr, row.value, row.interval.lower, row.interval.upper)


def p_value_row(p_value: float, curves: Mapping[str, Roc]) -> Row:
    """Make the row of the permutation test over all attacks."""
    most = max(curves.values(), key=lambda curve: curve.n_nonmembers)
    return Row(
        "worst", "roc", "p_value", "all", p_value, NO_INTERVAL, most.n_members, most.n_nonmembers,
        f"familywise permutation test over {len(curves)} attacks, by AUC and by the tails of one and two times the "
        "headline rate",
    )  # fmt: skip

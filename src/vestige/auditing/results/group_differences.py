"""Rows that say how much easier one group's members are to find than all others: differences with intervals."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vestige.auditing.results.inputs import AuditInputs, Scored
from vestige.auditing.results.partitions import Partition
from vestige.auditing.results.rows import Row
from vestige.core.seeds import stream
from vestige.evaluation.intervals import (
    Bounds,
    Interval,
    auc_interval,
    bonferroni,
    difference_bounds,
    is_resolvable,
    tpr_at_fpr_bounds,
)
from vestige.evaluation.preflight.records_per_subject import comparable_rows
from vestige.evaluation.roc import Roc, point_at_fpr, roc
from vestige.evaluation.verdict import Headline

_LEVEL = 0.95  # with which all intervals of one kind of groups hold together

Pair = tuple[Roc, Roc]
"""ROC of a group, and of all records outside of it."""


def difference_rows(
    audited: AuditInputs,
    parts: Sequence[tuple[Scored, Sequence[Partition]]],
    curves: Mapping[str, Roc],
    headline: Headline | None,
) -> Iterator[Row]:
    """Subtract from each group's AUC, and TPR at the headline rate, that of all other records.

    Of one attack: the one with the largest TPR at the headline rate, or else the largest AUC. Which one that is hardly
    depends on how groups differ, so the intervals do not allow for it; they allow for all classes, and for all groups
    of all columns.

    Args:
        audited: The attacks that were played, and the records they were played on.
        parts: What attacks score, and the groups of it.
        curves: The ROC of every attack.
        headline: The headline rate, None where none is resolved.
    """

    def strength(attack: str) -> float:
        curve = curves[attack]
        return curve.auc if headline is None else curve.rates_at(point_at_fpr(curve, headline.fpr))[0]

    attack = max(curves, key=strength)
    scored, partitions = next((scored, found) for scored, found in parts if attack in scored.attacks)
    scores = scored.of(audited.scores[attack])
    for is_class in (True, False):
        kind = [one for one in partitions if one.is_class is is_class]
        pairs = {name: pair for one in kind for name, pair in _pairs(audited, scored, one, scores)}
        if pairs:
            yield from differences_of(attack, pairs, None if headline is None else headline.fpr)


def _pairs(audited: AuditInputs, scored: Scored, groups: Partition, scores: np.ndarray) -> Iterator[tuple[str, Pair]]:
    """Each group that is shown, and all other records where they are as many as may be shown."""
    own = groups.curves("", scores)
    fewest = max(audited.options.min_cell, 1)
    for level, name in enumerate(groups.names):
        if ("", name) not in own:
            continue
        outside = groups.codes != level
        others = scored.units.restricted(outside)
        rng = stream(audited.options.seed, "matched people of all other groups")
        rows = comparable_rows(np.arange(others.member.size), others, rng)
        of_units, member = others.score(scores[outside])[rows], others.member[rows]
        if min(np.count_nonzero(member), np.count_nonzero(~member)) >= fewest:
            yield name, (own["", name], roc(of_units[member], of_units[~member]))


def differences_of(attack: str, pairs: Mapping[str, Pair], fpr: float | None) -> Iterator[Row]:
    """Rows of differences whose intervals hold for all groups at once.

    Args:
        attack: Its name.
        pairs: By group, its ROC and that of all others: of other units.
        fpr: The headline rate, None where none is resolved. Of groups that do not resolve it there is no row.
    """
    level = bonferroni(_LEVEL, len(pairs))
    values = {name: [curve.auc for curve in pair] for name, pair in pairs.items()}
    bounds = {name: [_as_bounds(auc_interval(curve, level)) for curve in pair] for name, pair in pairs.items()}
    yield from _rows(attack, "auc", "AUC", pairs, values, bounds)
    resolved = {
        name: pair for name, pair in pairs.items() if fpr and all(is_resolvable(fpr, c.n_nonmembers) for c in pair)
    }
    if fpr is None or not resolved:
        return
    level = bonferroni(_LEVEL, len(resolved))
    values = {name: [c.rates_at(point_at_fpr(c, fpr))[0] for c in pair] for name, pair in resolved.items()}
    curves = [curve for pair in resolved.values() for curve in pair]
    found = tpr_at_fpr_bounds(curves, [fpr] * len(curves), level)
    ends = [Bounds(lower, upper) for lower, upper in zip(found.lower, found.upper, strict=True)]
    bounds = {name: ends[2 * i : 2 * i + 2] for i, name in enumerate(resolved)}
    yield from _rows(attack, f"tpr_at_fpr_{fpr:g}", f"TPR at FPR <= {fpr:g}", resolved, values, bounds)


def _rows(
    attack: str,
    metric: str,
    words: str,
    pairs: Mapping[str, Pair],
    values: Mapping[str, list[float]],
    bounds: Mapping[str, list[Bounds]],
) -> Iterator[Row]:
    for name, (curve, others) in pairs.items():
        (own, other), (own_bounds, other_bounds) = values[name], bounds[name]
        between = difference_bounds(own, own_bounds, other, other_bounds)
        yield Row(
            attack=attack,
            threshold="roc",
            metric=f"difference_{metric}",
            group=name,
            value=own - other,
            interval=Interval(float(between.lower), float(between.upper)),
            n_members=curve.n_members,
            n_nonmembers=curve.n_nonmembers,
            definition=f"{words} of this group less that of all other records, {other:.4g} over {others.n_members:,} "
            f"members and {others.n_nonmembers:,} nonmembers, each with thresholds of its own; interval simultaneous "
            f"over {len(pairs)} groups (Bonferroni), from both intervals (Zou & Donner 2008)",
        )


def _as_bounds(interval: Interval) -> Bounds:
    return Bounds(np.asarray(interval.lower), np.asarray(interval.upper))

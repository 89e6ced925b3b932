"""Every reference model in turn as the target: what training again, on another half, does to each attack's numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.auditing.references.phi import ReferencePhi
from vestige.auditing.references.scores import (
    ReferenceScores,
    fewest_on_a_side,
    left_without,
    one_as_target,
    partners_of,
    play_attacks,
)
from vestige.auditing.results.operating_points import FPRS
from vestige.auditing.results.people import comparable_people
from vestige.core.leave_one_out import leave_one_out_per_record, leave_one_out_pooled, record_blocks
from vestige.core.likelihood_ratio import Center, LikelihoodRatio, Queries, Variance
from vestige.core.options import SubjectScore
from vestige.core.progress import Progress
from vestige.core.result import Spread, Validity
from vestige.core.seeds import stream
from vestige.evaluation.intervals import is_resolvable, mean_interval
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.evaluation.units import make_units, on_both_sides

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TargetValue:
    """One number of one attack on one reference model."""

    model: int
    attack: str
    metric: str
    value: float


_FEWEST = 2  # models on each side of every record, without the target's group: fewer say nothing of a spread
_FEWEST_TARGETS = 8
_MOST_ANSWERS = 5e7  # answers read for all targets of one attack: half a minute for all of them
_AT_CHANCE = 0.05  # distance from 0.5 of the mean AUC of a score that only counts IN models


def values_of_targets(
    references: ReferenceScores, subjects: np.ndarray | None, combine: SubjectScore, progress: Progress
) -> tuple[TargetValue, ...]:
    """Play every attack on reference models, each scored by the others without those that were drawn with it.

    Of pairs, online LiRA takes all in one reading; of the other attacks' targets there are as many as 50 million
    answers allow, and at least 8, evenly chosen, in whole groups.

    Args:
        references: What all models answered, and how the target was scored with them.
        subjects: Whose record it is, if numbers are about people.
        combine: How a subject's score is made.
        progress: Told after every model.

    Returns:
        AUC and TPR at every false-positive rate that the records resolve, per target and attack; none if too few
        models remain, or if the numbers of those that remain tell a target's members.
    """
    found = references.observed
    is_in = found.is_in
    turns = [(m, left_without(found, m)) for m in range(len(is_in)) if not np.isnan(found.shadow_phi[m]).any()]
    turns = [(m, others) for m, others in turns if _enough(is_in[others])]
    if len(turns) < 2 or not _counts_tell_nothing(is_in, turns):
        return ()
    values: list[TargetValue] = []
    attacks = [a for a in references.attacks if a.name in references.scores]
    partner = (
        partners_of(is_in, found.groups) if len(turns) == len(is_in) and _is_plain(references.likelihood) else None
    )
    if partner is not None and "lira_online" in references.scores:
        attacks = [a for a in attacks if a.name != "lira_online"]
        for model, scores in enumerate(_lira_of_all(found, partner, references.likelihood)):
            values.extend(_values(model, {"lira_online": scores}, is_in[model], subjects, combine))
    turns = _some(turns, _groups_of(found, [m for m, _ in turns]), found.shadow_phi.size)
    for done, (model, others) in enumerate(turns):
        progress("every model in turn as the target", done, len(turns))
        scores, _ = play_attacks(attacks, one_as_target(found, model, others), references.likelihood)
        values.extend(_values(model, scores, is_in[model], subjects, combine))
    return tuple(values)


def _some(
    turns: list[tuple[int, np.ndarray]], groups: Int[np.ndarray, " turn"], n_answers: int
) -> list[tuple[int, np.ndarray]]:
    """Whole groups, evenly chosen."""
    names, sizes = np.unique(groups, return_counts=True)
    size = int(sizes.max())
    n_wanted = max(-(-_FEWEST_TARGETS // size), int(_MOST_ANSWERS / n_answers / size))
    if n_wanted >= names.size:
        return turns
    chosen = names[np.linspace(0, names.size - 1, n_wanted).round().astype(int)]
    return [turn for turn, group in zip(turns, groups, strict=True) if group in chosen]


def _groups_of(found: ReferencePhi, models: list[int]) -> Int[np.ndarray, " turn"]:
    """The group of each; of models that nothing is said of, neighbours, because partners stand side by side."""
    return np.arange(len(models)) // 2 if found.groups is None else np.asarray(found.groups[models])


def _is_plain(likelihood: LikelihoodRatio) -> bool:
    """Whether LiRA is what `leave_one_out` computes."""
    plain = likelihood.center is Center.MEAN and likelihood.queries is Queries.MEAN
    return plain and likelihood.variance is not Variance.PUBLISHED_FIXED


def _lira_of_all(
    found: ReferencePhi, partner: np.ndarray, likelihood: LikelihoodRatio
) -> Float[np.ndarray, "target record"]:
    """Online LiRA with every model as the target, the mean over queries, from one reading of the answers."""
    score_all = leave_one_out_pooled if likelihood.variance is Variance.POOLED else leave_one_out_per_record
    scores, theirs, floor = np.zeros(found.is_in.shape), found.of_lira[1], likelihood.min_std
    for query in range(theirs.shape[2]):
        blocks = record_blocks(theirs[:, :, query])
        for records, of_targets in score_all(blocks, found.is_in, partner, min_std=floor):
            scores[:, records] += of_targets
    return np.asarray(scores / found.phi.shape[1])


def _enough(left: Bool[np.ndarray, "model record"]) -> bool:
    return len(left) > 0 and fewest_on_a_side(left) >= _FEWEST


def _counts_tell_nothing(is_in: np.ndarray, turns: list[tuple[int, np.ndarray]]) -> bool:
    """Whether a score that only counts IN models is at chance, as in complementary pairs and in independent draws.

    Where every record is in equally many models and no model has a partner, it is not: a member then misses one.
    """
    aucs = []
    for model, others in turns:
        counts, member = is_in[others].sum(axis=0), is_in[model]
        if member.any() and not member.all():
            aucs.append(roc(counts[member].astype(float), counts[~member].astype(float)).auc)
    return bool(aucs) and abs(float(np.mean(aucs)) - 0.5) < _AT_CHANCE


def _values(
    model: int,
    scores: Mapping[str, Float[np.ndarray, " record"]],
    member: Bool[np.ndarray, " record"],
    subjects: np.ndarray | None,
    combine: SubjectScore,
) -> Iterator[TargetValue]:
    keep = np.ones(member.size, dtype=bool) if subjects is None else ~on_both_sides(subjects, member)
    if not member[keep].any() or member[keep].all():
        return
    units = make_units(None if subjects is None else subjects[keep], member[keep], combine)
    keep, units, people = comparable_people(keep, units, stream(model, "matched people"))
    if people is not None and people.validity is Validity.CONFOUNDED:
        return
    for attack, of_records in scores.items():
        s = units.score(of_records[keep])
        curve = roc(s[units.member], s[~units.member])
        yield TargetValue(model, attack, "auc", curve.auc)
        for fpr in FPRS:
            if is_resolvable(fpr, curve.n_nonmembers):
                tpr = curve.rates_at(point_at_fpr(curve, fpr))[0]
                yield TargetValue(model, attack, f"tpr_at_fpr_{fpr:g}", tpr)


def spread_of(values: tuple[TargetValue, ...], found: ReferencePhi) -> tuple[Spread, ...]:
    """Sum the values up over targets: those whose training sets were drawn together count as one draw."""
    draw = {m: int(np.flatnonzero(~left_without(found, m))[0]) for m in {v.model for v in values}}
    spreads = []
    for attack, metric in dict.fromkeys((v.attack, v.metric) for v in values):
        chosen = [(v.model, v.value) for v in values if (v.attack, v.metric) == (attack, metric)]
        draws: dict[int, list[float]] = {}
        for model, value in chosen:
            draws.setdefault(draw[model], []).append(value)
        of_targets = np.array([value for _, value in chosen])
        interval = mean_interval(np.array([np.mean(values) for values in draws.values()]))
        spreads.append(
            Spread(
                attack,
                metric,
                len(chosen),
                float(of_targets.mean()),
                float(np.clip(interval.lower, 0.0, 1.0)),  # where no rate and no area is outside; NaN stays
                float(np.clip(interval.upper, 0.0, 1.0)),
                float(of_targets.std(ddof=1)),
                float(of_targets.min()),
                float(of_targets.max()),
            )
        )
    return tuple(spreads)


def frame_of(values: tuple[TargetValue, ...]) -> "pd.DataFrame":
    """The values as a tidy table."""
    import pandas as pd

    columns = {"model": "int64", "attack": "str", "metric": "str", "value": "float64"}
    return pd.DataFrame({c: pd.Series([getattr(v, c) for v in values], dtype=t) for c, t in columns.items()})

"""Every reference model in turn as the target: what training again, on another half, does to each attack's numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy import special

from vestige.attacks.lira import lira_online
from vestige.auditing.references.leave_one_out import leave_one_out, record_blocks
from vestige.auditing.references.phi import ReferencePhi, fewest_on_a_side, left_without
from vestige.auditing.references.scores import ReferenceScores, learnt_of, partners_of, play_attacks
from vestige.auditing.results.operating_points import FPRS
from vestige.core.attack import Attack
from vestige.core.likelihood_ratio import Center, Counts, LikelihoodRatio, Queries, Variance
from vestige.core.options import SubjectScore
from vestige.core.progress import Progress
from vestige.core.result import Spread, Validity
from vestige.core.seeds import stream
from vestige.evaluation.intervals import is_resolvable
from vestige.evaluation.preflight.records_per_subject import comparable_people
from vestige.evaluation.roc import Roc, point_at_fpr, roc
from vestige.evaluation.units import make_units, on_both_sides

Seen = Callable[[int, str, Roc], None]
"""Told the number of a model, an attack, and its ROC on the model."""


@dataclass(frozen=True)
class TargetValue:
    """One number of one attack on one reference model."""

    model: int
    attack: str
    metric: str
    value: float


@dataclass(frozen=True, kw_only=True)
class ReferenceEffect:
    """What a number of some targets changes by when a block of the other models is left out of the references.

    Attributes:
        left_out: The models of the block.
        n_draws: Draws outside of the block among the targets: those whose change could have been looked at.
        attack: Name of the attack.
        metric: `auc` or `tpr_at_fpr_...`.
        changes: Change of the number, the mean over the targets of a draw, per draw that was looked at.
    """

    left_out: tuple[int, ...]
    n_draws: int
    attack: str
    metric: str
    changes: tuple[float, ...]


_FEWEST = 2  # models on each side of every record, without the target's group: fewer say nothing of a spread
_FEWEST_TARGETS = 8
_MOST_ANSWERS = 5e7  # answers read for all targets of one attack: half a minute for all of them
_MOST_BLOCKS = 16  # left out in turn
_FEWEST_BLOCKS = 8  # where answers are many
_MOST_REPLAYS = 128  # targets scored again without a block: a second for all attacks on few records
_MOST_REPLAYED = 2e7  # answers read for them, of one attack
_AT_CHANCE = 0.05  # distance from 0.5 of the mean AUC of a score that only counts IN models


def values_of_targets(
    references: ReferenceScores,
    subjects: np.ndarray | None,
    combine: SubjectScore,
    progress: Progress,
    seen: Seen | None = None,
) -> tuple[TargetValue, ...]:
    """Play every attack on reference models, each scored by the others without those that were drawn with it.

    Of pairs, online LiRA takes all in one reading; of the other attacks' targets there are as many as 50 million
    answers allow, and at least 8, evenly chosen, in whole groups.

    Args:
        references: What all models answered, and how the target was scored with them.
        subjects: Whose record it is, if numbers are about people.
        combine: How a subject's score is made.
        progress: Told after every model.
        seen: Given the ROC of every attack on every model; nobody if omitted.

    Returns:
        AUC and TPR at every false-positive rate that the records resolve, per target and attack; none if too few
        models remain, or if the numbers of those that remain tell a target's members.
    """
    observed = references.observed
    is_in = observed.is_in
    turns = [(m, left_without(observed, m)) for m in range(len(is_in)) if not np.isnan(observed.shadow_phi[m]).any()]
    turns = [(m, others) for m, others in turns if fewest_on_a_side(is_in[others]) >= _FEWEST]
    if len(turns) < 2 or (observed.halves is None and not _counts_tell_nothing(is_in, turns)):
        return ()
    values: list[TargetValue] = []
    attacks = references.attacks.attacks
    all_alike = len(turns) == len(is_in) and observed.halves is None
    partner = partners_of(is_in, observed.groups) if all_alike else None
    if partner is not None and _is_plain(references.likelihood):
        for attack in (a for a in attacks if a.score is lira_online):
            for model, scores in enumerate(_lira_of_all(observed, partner, references.likelihood)):
                values.extend(_values(model, {attack.name: scores}, is_in[model], subjects, combine, seen))
        attacks = tuple(a for a in attacks if a.score is not lira_online)
    # Of models whose groups are not known neighbours belong together, because partners stand side by side.
    groups = np.arange(len(turns)) // 2 if observed.groups is None else observed.groups[[m for m, _ in turns]]
    turns = _some(turns, groups, observed.shadow_phi.size)
    for done, (model, others) in enumerate(turns):
        progress("every model in turn as the target", done, len(turns))
        scores, _ = play_attacks(attacks, observed.with_target(model, others), references.likelihood)
        values.extend(_values(model, scores, is_in[model], subjects, combine, seen))
    return tuple(values)


def effects_of_references(
    references: ReferenceScores,
    subjects: np.ndarray | None,
    combine: SubjectScore,
    values: tuple[TargetValue, ...],
    progress: Progress,
) -> tuple[ReferenceEffect, ...]:
    """Score targets again without some of the models that score them, block by block.

    A block is a pair, a group or a model, whatever was drawn together; of more than 16 draws there are 16 blocks of
    nearly as many. What an attack learns from the models is kept: a block changes what the scores read. For each
    block there are as many targets as 128 replays and 20 million answers in all allow, at least those of two draws.

    Args:
        references: As of `values_of_targets`.
        subjects: As of `values_of_targets`.
        combine: As of `values_of_targets`.
        values: What it returned.
        progress: Told after every block.

    Returns:
        Changes per block, attack and metric; none of an attack that the models left do not suffice for.
    """
    observed = references.observed
    attacks = references.attacks.attacks
    before = {(v.model, v.attack, v.metric): v.value for v in values}
    targets = _of_every_attack(values, attacks)
    if not targets:
        return ()
    # Which draw each model belongs to, by the first model of it.
    draw_of = np.array([int(np.flatnonzero(~left_without(observed, m))[0]) for m in range(len(observed.is_in))])
    draws = np.unique(draw_of[targets]).tolist()
    blocks = _blocks(draw_of, len(targets), observed.shadow_phi.size)
    n_replays = min(_MOST_REPLAYS, int(_MOST_REPLAYED / observed.shadow_phi.size))
    n_wanted = max(2, n_replays * len(draws) // (len(targets) * len(blocks)))
    effects: list[ReferenceEffect] = []
    learnt: dict[int, dict[str, Any]] = {}
    for number, block in enumerate(blocks):
        progress("every model in turn, without some of the others", number, len(blocks))
        left_out = tuple(np.flatnonzero(np.isin(draw_of, block)).tolist())
        outside = [d for d in draws if d not in block]
        start = int(np.searchsorted(outside, block[-1])) if outside else 0
        looked_at = (outside[start:] + outside[:start])[:n_wanted]  # each block has others
        changes: dict[tuple[str, str], dict[int, list[float]]] = {}
        for model in (m for m in targets if draw_of[m] in looked_at):
            others = left_without(observed, model) & ~np.isin(draw_of, block)
            if fewest_on_a_side(observed.is_in[others]) < 1:
                continue
            if model not in learnt:
                learnt[model] = learnt_of(attacks, observed.with_target(model, left_without(observed, model)))
            played = observed.with_target(model, others), references.likelihood, learnt[model]
            scores, _ = play_attacks(attacks, *played)
            for now in _values(model, scores, observed.is_in[model], subjects, combine):
                change = now.value - before[now.model, now.attack, now.metric]
                of_draws = changes.setdefault((now.attack, now.metric), {})
                of_draws.setdefault(int(draw_of[model]), []).append(change)
        effects += _effects(changes, left_out, len(outside))
    return tuple(effects)


def _effects(
    changes: Mapping[tuple[str, str], Mapping[int, list[float]]], left_out: tuple[int, ...], n_draws: int
) -> Iterator[ReferenceEffect]:
    """The mean change over the targets of each draw, per attack and metric."""
    for (attack, metric), of_draws in changes.items():
        means = tuple(float(np.mean(c)) for c in of_draws.values())
        yield ReferenceEffect(left_out=left_out, n_draws=n_draws, attack=attack, metric=metric, changes=means)


def _of_every_attack(values: tuple[TargetValue, ...], attacks: Sequence[Attack]) -> list[int]:
    """Models that every attack was played on; an attack without any does not count."""
    targets = {v.model for v in values}
    played_on = ({v.model for v in values if v.attack == attack.name} or targets for attack in attacks)
    return sorted(targets.intersection(*played_on))


def _blocks(draw_of: Int[np.ndarray, " model"], n_targets: int, n_answers: int) -> list[np.ndarray]:
    """Draws that are left out together."""
    draws = np.unique(draw_of)
    many = n_targets * _MOST_BLOCKS * n_answers > _MOST_REPLAYED
    return np.array_split(draws, min(draws.size, _FEWEST_BLOCKS if many else _MOST_BLOCKS))


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


def _is_plain(likelihood: LikelihoodRatio) -> bool:
    """Whether LiRA is what `leave_one_out` computes."""
    plain = likelihood.center is Center.MEAN and likelihood.queries is Queries.MEAN and likelihood.counts is Counts.ALL
    return plain and likelihood.variance is not Variance.PUBLISHED_FIXED


def _lira_of_all(
    observed: ReferencePhi, partner: np.ndarray, likelihood: LikelihoodRatio
) -> Float[np.ndarray, "target record"]:
    """Online LiRA with every model as the target, the mean over queries, from one reading of the answers."""
    scores, theirs = np.zeros(observed.is_in.shape), observed.signals["shadow_statistic"]
    variance, floor = Variance(str(likelihood.variance)), likelihood.min_std
    for query in range(theirs.shape[2]):
        blocks = record_blocks(theirs[:, :, query])
        for records, of_targets in leave_one_out(blocks, observed.is_in, partner, variance=variance, min_std=floor):
            scores[:, records] += of_targets
    return np.asarray(scores / observed.phi.shape[1])


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
    seen: Seen | None = None,
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
        if seen is not None:
            seen(model, attack, curve)
        yield TargetValue(model, attack, "auc", curve.auc)
        for fpr in FPRS:
            if is_resolvable(fpr, curve.n_nonmembers):
                tpr = curve.rates_at(point_at_fpr(curve, fpr))[0]
                yield TargetValue(model, attack, f"tpr_at_fpr_{fpr:g}", tpr)


def spread_of(
    values: tuple[TargetValue, ...], found: ReferencePhi, effects: tuple[ReferenceEffect, ...] = ()
) -> tuple[Spread, ...]:
    """Sum the values up over targets, with an interval for their mean if all models were trained again.

    The interval is for the expected mean over trainings of all models, target and references, on halves of *these*
    records that are drawn again; it says nothing about other records. Targets share the models that score them, so
    that their values vary together: the variance of the mean is a jackknife over what was drawn together, each left
    out as the target and as a reference,

        V = sum_b (own_b + ref_b)^2,   own_b = sqrt(B / (B - 1)) sum_(t in b) (T_t - T) / n,
                                       ref_b = sqrt((B - 1) / B) (R - R_b)

    with T_t the value of target t of n, T their mean, and R_b the mean change of targets outside of block b when its
    models are left out of the references, R their mean. Where not all targets were looked at, what their number adds
    to V is taken off. Student's quantile has one degree of freedom less than there are blocks with targets.

    The standard deviation is that of one target's value over trainings, sqrt(s^2 (1 - 1 / n) + V): that between the n
    targets here, s, is too small by what they share.

    Args:
        values: What `values_of_targets` returned.
        found: What all models answered.
        effects: What `effects_of_references` returned; without them of an attack it has no interval.

    Source:
        Efron & Stein 1981 (the jackknife's variance is not too small in expectation); the division is ours.
    """
    spreads = []
    for attack, metric in dict.fromkeys((v.attack, v.metric) for v in values):
        chosen = [v for v in values if (v.attack, v.metric) == (attack, metric)]
        of_targets = np.array([v.value for v in chosen])
        n, mean = of_targets.size, float(of_targets.mean())
        known = [e for e in effects if (e.attack, e.metric) == (attack, metric)]
        variance, freedom = _variance_of_mean(chosen, known, len(found.is_in))
        half = float(special.stdtrit(freedom, 0.975)) * np.sqrt(variance) if freedom > 0 else np.nan
        between = float(of_targets.var(ddof=1)) if n > 1 else np.nan
        spreads.append(
            Spread(
                attack=attack,
                metric=metric,
                n_targets=n,
                mean=mean,
                lower=float(np.clip(mean - half, 0.0, 1.0)),  # where no rate and no area is outside; NaN stays
                upper=float(np.clip(mean + half, 0.0, 1.0)),
                std=float(np.sqrt(between * (1 - 1 / n) + variance if np.isfinite(variance) else between)),
                smallest=float(of_targets.min()),
                largest=float(of_targets.max()),
            )
        )
    return tuple(spreads)


def _variance_of_mean(
    values: Sequence[TargetValue], effects: Sequence[ReferenceEffect], n_models: int
) -> tuple[float, int]:
    """Variance of the mean over targets and its degrees of freedom; NaN and 0 where it cannot be told."""
    block_of = {model: number for number, effect in enumerate(effects) for model in effect.left_out}
    with_targets = {block_of.get(v.model) for v in values}
    if len(block_of) < n_models or len(with_targets) < 2:
        return float("nan"), 0
    mean = float(np.mean([v.value for v in values]))
    own = np.zeros(len(effects))
    for v in values:
        own[block_of[v.model]] += (v.value - mean) / len(values)
    own *= np.sqrt(len(with_targets) / (len(with_targets) - 1))
    of_block = np.array([np.mean(e.changes) for e in effects])
    share = len(effects) / (len(effects) - 1)
    noise = [np.var(e.changes, ddof=1) * (1 / len(e.changes) - 1 / e.n_draws) for e in effects if len(e.changes) > 1]
    influence = own + np.sqrt(1 / share) * (of_block.mean() - of_block)
    variance = float(influence @ influence) - float(np.sum(noise)) / share
    return max(variance, float(own @ own)), len(with_targets) - 1


def table_of_targets(values: tuple[TargetValue, ...]) -> pd.DataFrame:
    """The values as a tidy table."""
    columns = {"model": "int64", "attack": "str", "metric": "str", "value": "float64"}
    return pd.DataFrame({c: pd.Series([getattr(v, c) for v in values], dtype=t) for c, t in columns.items()})

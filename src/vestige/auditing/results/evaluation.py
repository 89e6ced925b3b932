"""The evaluation of an audit: from scores to the result table, the finding and everything around them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from vestige.auditing.finished import FinishedAudit
from vestige.auditing.references.scores import ReferenceScores
from vestige.auditing.results.answers import (
    adversary_of,
    checks_of,
    not_run_of,
    not_tested_of,
    promised_in_turn,
    provenance_of,
    threat_models_of,
)
from vestige.auditing.results.every_target import (
    TargetValue,
    effects_of_references,
    spread_of,
    table_of_targets,
    values_of_targets,
)
from vestige.auditing.results.group_differences import difference_rows
from vestige.auditing.results.inputs import AuditInputs, Scored
from vestige.auditing.results.operating_points import OperatingPoint, Rule, natural_point, operating_points
from vestige.auditing.results.partitions import Partition, partitions_of
from vestige.auditing.results.risk_of_records import reliability_of_learnt, risk_of
from vestige.auditing.results.rows import (
    Counts,
    Row,
    call_rows,
    count_calls,
    curve_rows,
    frame_of,
    headline_of,
    oracle_rows,
    p_value_row,
    worst_rows,
)
from vestige.core.curves import RocBand, ScoreHistogram
from vestige.core.names import encodable, harmless, harmless_names
from vestige.core.progress import Progress
from vestige.core.result import Check, Power, Preflight, Queries, Spread, Validity
from vestige.core.seeds import stream
from vestige.evaluation.histograms import histogram_of
from vestige.evaluation.intervals import tpr_at_fpr_bounds
from vestige.evaluation.permutation import familywise_test
from vestige.evaluation.record_numbers import comparable_scores
from vestige.evaluation.roc import Roc, best_point, point_at_fpr, roc
from vestige.evaluation.thresholds import decide
from vestige.evaluation.verdict import find, tail_fpr

_CURVE_POINTS = 80


def evaluate(
    audited: AuditInputs,
    progress: Progress,
    *,
    checks: Sequence[Check] = (),
    queries: Queries | None = None,
    in_turn: ReferenceScores | None = None,
) -> FinishedAudit:
    """Turn all that was played into a result.

    Args:
        audited: The attacks that were played, and the records they were played on.
        progress: Told how far long steps are.
        checks: What is known of how the model was asked.
        queries: What asking it cost; None of a table, which is not asked.
        in_turn: The models that are the target in turn; those of the references if omitted.
    """
    units, options = audited.units, audited.options
    curves = _curves(audited)
    parts = [(scored, partitions_of(audited, scored)) for scored in audited.scored]
    rows, worst = _rows(audited, parts, curves, progress)
    progress("testing all attacks together", 0, 1)
    headline = headline_of(worst, options.headline_fpr)
    between = difference_rows(audited, parts, curves, headline)
    alike, n_records = comparable_scores(
        units, list(audited.scores.values()), stream(options.seed, "equal numbers of records")
    )
    test = familywise_test(alike, units.member, tail_fpr(headline), stream(options.seed, "relabel"), strata=n_records)
    of_targets, spread, promised = _of_targets(audited, in_turn or audited.references, progress)
    (risk, summary, of_risk), learnt = risk_of(audited), reliability_of_learnt(audited)
    progress("checking the test itself", 0, 1)
    every_check = (*checks_of(audited, curves), *promised, *checks)
    inverted = any(c.name == "inverted_scores" and c.validity is not Validity.VALID for c in every_check)
    fewest = min(curves.values(), key=lambda curve: curve.n_nonmembers)
    finding = find(
        headline, test, (fewest.n_members, fewest.n_nonmembers), units.name, not_tested_of(audited), inverted=inverted,
        share=fewest.n_nonmembers / units.n_nonmembers, auc=max(curve.auc for curve in curves.values()),
    )  # fmt: skip
    return FinishedAudit(
        preflight=Preflight(every_check),
        adversary=adversary_of(audited),
        threat_models=threat_models_of(audited),
        queries=queries,
        finding=finding,
        results=_table(audited, [*rows, *worst, p_value_row(test.p_value, curves), *of_risk, *learnt, *between]),
        records=_records(audited, risk),
        rocs=_bands(curves),
        targets=table_of_targets(of_targets),
        spread=spread,
        power=_power_of(audited),
        risk=summary,
        not_run=not_run_of(audited),
        provenance=provenance_of(audited),
        histograms=_histograms(curves, max(options.min_cell, 1)),
    )


def _table(audited: AuditInputs, rows: Sequence[Row]) -> pd.DataFrame:
    """The result table."""
    same = {"unit": audited.units.name, "target": harmless(audited.options.name), "defence": "none stated"}
    access = {attack.name: attack.access for attack in audited.selection.attacks}
    n_queries = {"worst": audited.n_queries} | {one.attack.name: one.n_queries for one in audited.attacks.played}
    same_numbers = {"access": audited.access, "n_references": audited.n_references}
    return frame_of(rows, same | same_numbers, access, n_queries)


def _of_targets(
    audited: AuditInputs, models: ReferenceScores | None, progress: Progress
) -> tuple[tuple[TargetValue, ...], tuple[Spread, ...], list[Check]]:
    """Every reference model in turn as the target, and whether all of them keep what their training promises."""
    if models is None:
        return (), (), []
    how = audited.target.predictions.subjects, audited.options.subject_score
    groups = models.observed.groups
    draws = np.arange(len(models.observed.is_in)) // 2 if groups is None else groups  # neighbours are partners
    of_draws: dict[str, dict[int, Roc]] = {}

    def seen(model: int, attack: str, curve: Roc) -> None:
        of_draws.setdefault(attack, {}).setdefault(int(draws[model]), curve)

    values = values_of_targets(models, *how, progress, None if audited.privacy is None else seen)
    promised = promised_in_turn(audited, of_draws) if of_draws else None
    # Without a block of exact halves the counts of what remains would tell: such spreads have no interval.
    exact = models.observed.halves is not None
    effects = () if exact else effects_of_references(models, *how, values, progress)
    return values, spread_of(values, models.observed, effects), [] if promised is None else [promised]


def _rows(
    audited: AuditInputs,
    parts: Sequence[tuple[Scored, Sequence[Partition]]],
    curves: Mapping[str, Roc],
    progress: Progress,
) -> tuple[list[Row], list[Row]]:
    """Every row of every attack and group, and the rows of what is worst."""
    rows: list[Row] = []
    hidden: list[Row] = []
    group_curves: dict[tuple[str, str], Roc] = {}
    calls: dict[tuple[str, Rule], Counts] = {}
    groups: dict[str, set[str]] = {"worst_class": set(), "worst_group": set()}
    for scored, partitions in parts:
        for attack in scored.attacks:
            progress("setting thresholds", list(curves).index(attack), len(curves))
            scores = scored.of(audited.scores[attack])
            for point in _operating_points(audited, scored, attack):
                counts = count_calls(decide(scored.units, scores, point.values, point.strict), scored.units.member)
                if not (attack == "correctness" and point.rule.kind in ("per_class", "strict")):
                    calls[attack, point.rule] = counts  # correctness has no threshold: one rule by three names
                rows.extend(call_rows(attack, "all", point.rule, counts))
                if point.rule.kind in ("global", "per_class"):
                    rows.extend(row for partition in partitions for row in partition.call_rows(attack, scores, point))
            rows.extend(oracle_rows(attack, curves[attack]))
            for partition in partitions:
                group_curves |= partition.curves(attack, scores)
        for partition in partitions:
            hidden.extend(partition.hidden_rows(scored.attacks))
            groups["worst_class" if partition.is_class else "worst_group"].update(partition.names)
    progress("computing intervals", 0, 1)
    rows.extend(curve_rows({(attack, "all"): curve for attack, curve in curves.items()}))
    return [*rows, *curve_rows(group_curves), *hidden], list(worst_rows(curves, calls, group_curves, groups))


def _curves(audited: AuditInputs) -> dict[str, Roc]:
    """The ROC of every attack, over the units that it scores."""
    curves = {}
    for scored in audited.scored:
        member = scored.units.member
        for attack in scored.attacks:
            of_units = scored.units.score(scored.of(audited.scores[attack]))
            curves[attack] = roc(of_units[member], of_units[~member])
    return curves


def _operating_points(audited: AuditInputs, scored: Scored, attack: str) -> Iterator[OperatingPoint]:
    """Every rule's threshold, for the records that the attack scores."""
    natural = audited.selection.natural_threshold(attack)
    if natural is not None:
        yield natural_point(natural, scored.labels.size)
    known = tuple(part for part in audited.known if (part.attacked & scored.records).any())
    if attack not in audited.known_scores or not known:
        return
    scores = audited.known_scores[attack]
    asked = ~np.isnan(scores)
    if audited.shadow is not None and not asked.all():  # of a source model that was asked about some of its records
        known = tuple(part.among(asked) for part in known)
    for point in operating_points(
        attack,
        audited.source,
        known,
        scores,
        audited.target.labels,
        audited.target.predictions.n_classes,
        audited.options.arithmetic,
    ):
        yield replace(point, values=scored.of(point.values))


def _bands(curves: Mapping[str, Roc]) -> tuple[RocBand, ...]:
    """Each ROC at log-spaced false-positive rates, with its pointwise band."""
    bands = []
    for attack, curve in curves.items():
        fprs = np.geomspace(max(1e-5, 1 / curve.n_nonmembers), 1.0, _CURVE_POINTS)
        fprs[-1] = 1.0
        tpr = [curve.rates_at(point_at_fpr(curve, f))[0] for f in fprs]
        bounds = tpr_at_fpr_bounds([curve] * fprs.size, fprs.tolist())
        bands.append(
            RocBand(
                attack=attack,
                fpr=tuple(fprs.tolist()),
                tpr=tuple(tpr),
                lower=tuple(bounds.lower.tolist()),
                upper=tuple(bounds.upper.tolist()),
                best_fpr=curve.rates_at(best_point(curve))[1],
                best_tpr=curve.rates_at(best_point(curve))[0],
            )
        )
    return tuple(bands)


def _histograms(curves: Mapping[str, Roc], fewest: int) -> tuple[ScoreHistogram, ...]:
    """Each attack's scores in bins of so many units at least."""
    found = {attack: histogram_of(curve, fewest=fewest) for attack, curve in curves.items()}
    return tuple(
        ScoreHistogram(
            attack=attack,
            edges=tuple(of_attack.edges.tolist()),
            members=tuple(of_attack.members.tolist()),
            nonmembers=tuple(of_attack.nonmembers.tolist()),
        )
        for attack, of_attack in found.items()
    )


def _records(audited: AuditInputs, risk: np.ndarray | None) -> pd.DataFrame:
    target, keep = audited.target.predictions, audited.target.keep
    columns: dict[str, object] = {"id": np.flatnonzero(keep) if target.ids is None else encodable(target.ids[keep])}
    if target.subjects is not None:
        columns["subject"] = encodable(target.subjects[keep])
    if audited.target.label_values is not None:
        columns["label"] = audited.target.label_values[audited.target.labels]
    elif target.classes is None:
        columns["label"] = audited.target.labels
    else:
        classes = pd.Index(encodable(np.asarray(target.classes)))
        columns["label"] = pd.Categorical.from_codes(audited.target.labels, categories=classes)
    names = harmless_names(target.groups)
    columns |= {name: encodable(values[keep]) for name, values in zip(names, target.groups.values(), strict=True)}
    columns["member"] = audited.target.member
    columns |= audited.scores
    if risk is not None:
        columns["risk"] = risk
    if audited.references is not None and (score := audited.references.privacy_score) is not None:
        columns["privacy_score"] = score[keep]
    return pd.DataFrame(columns)


def _power_of(audited: AuditInputs) -> tuple[Power, ...]:
    """Return AUC and TPR of every label-only attack after as many queries as were noted, where records resolve them."""
    curves = {}
    for one in audited.attacks.played:
        budgets, scores = one.by_budget or ((), np.empty((0, 0)))
        for n_queries, of_records in zip(budgets, scores.T, strict=True):
            of_units = audited.units.score(of_records)
            curves[one.attack.name, str(n_queries)] = roc(
                of_units[audited.units.member], of_units[~audited.units.member]
            )
    return tuple(
        Power(
            attack=row.attack,
            n_queries=int(row.group),
            metric=row.metric,
            value=row.value,
            lower=row.interval.lower,
            upper=row.interval.upper,
        )
        for row in (curve_rows(curves) if curves else ())
        if row.usable
    )

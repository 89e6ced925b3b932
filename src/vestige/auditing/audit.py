"""`vestige.audit`: the order of an audit from predictions. No other room knows it."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vestige.auditing.measures import (
    Counts,
    call_rows,
    curve_rows,
    oracle_rows,
    simultaneous_level,
    worst_row,
)
from vestige.auditing.operating_points import (
    FPRS,
    Known,
    OperatingPoint,
    Rule,
    known_halves,
    known_shadow,
    operating_points,
)
from vestige.auditing.scoring import Observed, access_of, observe
from vestige.auditing.tidy import NAN, Common, Row, Table, suppressed, too_small
from vestige.core.errors import InputError
from vestige.core.options import Arithmetic, SubjectScore
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress, silent
from vestige.core.result import (
    Adversary,
    AuditResult,
    Check,
    Finding,
    NotRun,
    Preflight,
    Provenance,
    RiskSummary,
    RocBand,
)
from vestige.core.seeds import stream
from vestige.evaluation import preflight
from vestige.evaluation.intervals import is_resolvable, tpr_at_fpr_bounds
from vestige.evaluation.permutation import familywise_test
from vestige.evaluation.risk import RiskTable, fit_risk, reliability, risk_scores
from vestige.evaluation.roc import Roc, point_at_fpr, roc
from vestige.evaluation.thresholds import decide
from vestige.evaluation.units import Units, halves, make_units, on_both_sides, rows_of_levels
from vestige.evaluation.verdict import Headline, find

if TYPE_CHECKING:
    import pandas as pd

NOT_TESTED = "attackers with reference models"
_CURVE_POINTS = 120
_RISK_THRESHOLDS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True)
class Options:
    """Everything that can change a number, with its default; recorded in every result.

    Attributes:
        arithmetic: float64 from logits (default), or P1's published script to the digit.
        subject_score: A subject's score is the mean (default) or the maximum of its records'.
        risk_prior: Prior probability of membership in the privacy risk score.
        risk_bins: Histogram bins of the privacy risk score per class.
        min_cell: Groups with fewer members or nonmembers are hidden in the release-safe outputs; 0 shows all.
        seed: Seed of the known halves, the folds and the relabellings.
        name: What the results call the target.
    """

    arithmetic: Arithmetic = Arithmetic.STABLE
    subject_score: SubjectScore = SubjectScore.MEAN
    risk_prior: float = 0.5
    risk_bins: int = 5
    min_cell: int = 10
    seed: int = 0
    name: str = "target"

    def __post_init__(self) -> None:
        if not 0 < self.risk_prior < 1:
            raise InputError(f"Expected a risk prior between 0 and 1, found {self.risk_prior}.")
        if self.risk_bins < 1:
            raise InputError(f"Expected at least 1 risk bin, found {self.risk_bins}.")


def audit(
    target: Predictions,
    shadow: Predictions | None = None,
    *,
    run: str | Path | None = None,
    options: Options | None = None,
    progress: Progress = silent,
) -> AuditResult:
    """Play the metric-based membership-inference attacks on a table of predictions.

    Args:
        target: The audited model's answers for members and nonmembers.
        shadow: The answers of one model trained like the target on records of its own; thresholds and the privacy
            risk score are then learned there. Without it, the adversary knows half of the target's own records.
        run: Folder to write the run to; nothing is written if omitted.
        options: What could change a number; the defaults if omitted.
        progress: Told how far long steps are.

    Returns:
        Three answers, a tidy table and a disclosive table of records.

    Raises:
        InputError: The predictions cannot be audited.
        RunFolderError: `run` holds another audit.
        OutputError: `run` cannot be written.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> member = np.arange(2000) < 1000
        >>> p = np.clip(rng.beta(2, 2, 2000) + 0.2 * member, 0.01, 0.99)
        >>> result = audit(Predictions(np.column_stack([p, 1 - p]), np.zeros(2000, dtype=int), member))
        >>> str(result.finding.state)
        'LEAK SHOWN'

    Source:
        Song & Mittal 2021; Choquette-Choo et al. 2021 (strict thresholds, gap attack).
    """
    options = options or Options()
    if run is not None:
        from vestige.auditing.run_folder import prepare, write

        prepare(Path(run))
    case = _prepare(target, shadow, options, progress)
    result = _evaluate(case, progress)
    if run is not None:
        write(result, Path(run))
    return result


@dataclass(frozen=True, eq=False)
class _Case:
    """The target's records as they are evaluated, after one pass over the outputs of both models."""

    options: Options
    target: Predictions
    keep: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    units: Units
    scores: Mapping[str, np.ndarray]
    observed: Observed
    source: str
    known: tuple[Known, ...]
    known_scores: Mapping[str, np.ndarray]
    shadow: Predictions | None
    shadow_digest: str


def _prepare(target: Predictions, shadow: Predictions | None, options: Options, progress: Progress) -> _Case:
    observed = observe(target, options.arithmetic, progress, "scoring the target")
    if not observed.scores:
        raise InputError("Expected outputs that some attack can read, found none; give probabilities or logits.")
    if target.subjects is None:
        keep = np.ones(target.n_records, dtype=bool)
    else:
        keep = ~on_both_sides(target.subjects, target.member)
    member, labels = target.member[keep], target.labels[keep]
    if not member.any() or member.all():
        raise InputError(
            "Expected subjects on each side, found none left on one after leaving out those that are on both; "
            "check the subject column."
        )
    subjects = None if target.subjects is None else target.subjects[keep]
    units = make_units(subjects, member, options.subject_score)
    scores = {name: values[keep] for name, values in observed.scores.items()}
    if shadow is None:
        first = halves(units, stream(options.seed, "known halves"))
        both = min(units.n_members, units.n_nonmembers) >= 2
        return _Case(
            options, target, keep, labels, member, units, scores, observed,
            "known_half", known_halves(units, labels, first) if both else (), scores, None, "",
        )  # fmt: skip
    shadow_labels = _recoded(shadow, target)
    if (shadow.subjects is None) != (target.subjects is None):
        raise InputError(
            "Expected subjects for both models or for neither, found them for one; a threshold set on records does "
            "not fit people's mean scores. Give shadow_subjects (--subject names the column in both files)."
        )
    seen = observe(shadow, options.arithmetic, progress, "scoring the shadow")
    shadow_keep = (
        np.ones(shadow.n_records, dtype=bool)
        if shadow.subjects is None
        else ~on_both_sides(shadow.subjects, shadow.member)
    )
    shadow_member = shadow.member[shadow_keep]
    if not shadow_member.any() or shadow_member.all():
        raise InputError("Expected shadow subjects on each side, found none left on one; check the subject column.")
    shadow_units = make_units(
        None if shadow.subjects is None else shadow.subjects[shadow_keep], shadow_member, options.subject_score
    )
    return _Case(
        options, target, keep, labels, member, units, scores, observed,
        "shadow", known_shadow(shadow_units, shadow_labels[shadow_keep], labels.size),
        {name: values[shadow_keep] for name, values in seen.scores.items()}, shadow, seen.digest,
    )  # fmt: skip


def _recoded(shadow: Predictions, target: Predictions) -> np.ndarray:
    """The shadow's labels in the target's coding: classes are matched by name."""
    if shadow.n_classes != target.n_classes and (shadow.classes is None or target.classes is None):
        # Without names a table of losses shows only the classes that occur; columns must agree.
        if any(o.n_axes == 2 for o in (*shadow.outputs, *target.outputs)):
            raise InputError(
                f"Expected the shadow to have the target's {target.n_classes} classes, found {shadow.n_classes}; "
                "give a model trained for the same task."
            )
        return np.asarray(shadow.labels)
    names = {target.class_name(code): code for code in range(target.n_classes)}
    unknown = [n for n in map(shadow.class_name, range(shadow.n_classes)) if n not in names]
    if unknown:
        raise InputError(
            f"Expected the shadow to have the target's classes, found {', '.join(unknown[:5])}, which the target does "
            "not have; give a model trained for the same task."
        )
    codes = np.array([names[shadow.class_name(code)] for code in range(shadow.n_classes)])
    return np.asarray(codes[shadow.labels])


def _evaluate(case: _Case, progress: Progress) -> AuditResult:
    steps = len(case.scores) + 4
    done = 0

    def step(name: str) -> None:
        nonlocal done
        done += 1
        progress(name, done, steps)

    units, options = case.units, case.options
    access = access_of(case.scores)
    table = Table(Common(units.name, options.name, access))
    partitions = _partitions(case)
    unit_scores = {name: units.score(values) for name, values in case.scores.items()}
    curves: dict[str, Roc] = {}
    group_curves: dict[tuple[str, str], Roc] = {}
    call_candidates: list[tuple[str, Rule, Counts]] = []
    for attack, scores in case.scores.items():
        curves[attack] = roc(unit_scores[attack][units.member], unit_scores[attack][~units.member])
        for partition in partitions:
            group_curves |= partition.curves(attack, scores)
        for point in _operating_points(case, attack):
            counts = _counts(decide(units, scores, point.values, point.strict), units.member)
            call_candidates.append((attack, point.rule, counts))
            for row in call_rows(attack, "all", point.rule, counts):
                table.add(row)
            if point.rule.threshold.endswith(("_global", "_per_class")):
                for partition in partitions:
                    for row in partition.call_rows(attack, scores, point):
                        table.add(row)
        for row in oracle_rows(attack, "all", curves[attack]):
            table.add(row)
        step(f"attack {attack}")
    rows = list(curve_rows({(a, "all"): c for a, c in curves.items()}))
    for row in [*rows, *curve_rows(group_curves)]:
        table.add(row)
    for partition in partitions:
        for row in partition.hidden_rows(tuple(curves)):
            table.add(row)
    worst = list(_worst_rows(curves, call_candidates, group_curves, partitions))
    for row in worst:
        table.add(row)
    step("intervals")
    headline = _headline(worst, units)
    test = familywise_test(
        list(unit_scores.values()), units.member, headline.fpr if headline else FPRS[0], stream(options.seed, "relabel")
    )
    table.add(_p_value_row(test.p_value, len(curves), units))
    finding = find(headline, test, units.n_members, units.n_nonmembers, units.name, NOT_TESTED)
    step("permutation test")
    risk, summary = _risk(case)
    step("privacy risk score")
    checks = _checks(case, curves)
    step("preflight")
    return AuditResult(
        preflight=Preflight(tuple(checks)),
        adversary=_adversary(case, access),
        finding=finding,
        results=table.frame(),
        records=_records(case, risk),
        rocs=_bands(curves),
        risk=summary,
        not_run=_not_run(case),
        provenance=_provenance(case),
    )


def _operating_points(case: _Case, attack: str) -> Iterator[OperatingPoint]:
    if attack not in case.known_scores or not case.known:
        return iter(())
    return operating_points(
        attack,
        case.source,
        case.known,
        case.known_scores[attack],
        case.labels,
        case.target.n_classes,
        case.options.arithmetic,
    )


def _counts(called: np.ndarray, member: np.ndarray) -> Counts:
    true_positives = int(np.count_nonzero(called & member))
    n_members = int(np.count_nonzero(member))
    return Counts(true_positives, n_members, int(np.count_nonzero(called)) - true_positives, member.size - n_members)


@dataclass(frozen=True, eq=False)
class _Partition:
    """The units taken apart by class or by a group column."""

    names: tuple[str, ...]
    units: Units
    codes: np.ndarray
    rows: list[np.ndarray]
    hidden: np.ndarray
    min_cell: int
    worst_name: str

    def _shown(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, rows, hidden in zip(self.names, self.rows, self.hidden, strict=True):
            if not hidden and self.units.member[rows].any() and not self.units.member[rows].all():
                yield name, rows

    def curves(self, attack: str, scores: np.ndarray) -> dict[tuple[str, str], Roc]:
        """A ROC per group that is shown and has both sides."""
        unit_scores = self.units.score(scores)
        found = {}
        for name, rows in self._shown():
            member = self.units.member[rows]
            found[attack, name] = roc(unit_scores[rows][member], unit_scores[rows][~member])
        return found

    def call_rows(self, attack: str, scores: np.ndarray, point: OperatingPoint) -> Iterator[Row]:
        """Balanced accuracy of the calls within each group."""
        called = decide(self.units, scores, point.values, point.strict)
        for name, rows in self._shown():
            counts = _counts(called[rows], self.units.member[rows])
            yield from call_rows(attack, name, point.rule, counts, only=("balanced_accuracy",))

    def hidden_rows(self, attacks: tuple[str, ...]) -> Iterator[Row]:
        """A row without numbers for each hidden group."""
        for name, hidden in zip(self.names, self.hidden, strict=True):
            if hidden:
                for attack in attacks:
                    yield from suppressed(attack, name, self.min_cell)


def _partitions(case: _Case) -> list[_Partition]:
    groupings = [("class", case.labels, [case.target.class_name(c) for c in range(case.target.n_classes)])]
    for name, values in case.target.groups.items():
        levels, codes = np.unique(values[case.keep], return_inverse=True)
        groupings.append((name, codes, [str(level) for level in levels]))
    partitions = []
    for name, codes, levels in groupings:
        units, unit_codes = case.units.within(codes)
        rows = rows_of_levels(unit_codes, len(levels))
        n_members = np.array([np.count_nonzero(units.member[r]) for r in rows])
        n_nonmembers = np.array([r.size for r in rows]) - n_members
        partitions.append(
            _Partition(
                names=tuple(f"{name}={level}" for level in levels),
                units=units,
                codes=unit_codes,
                rows=rows,
                hidden=too_small(n_members, n_nonmembers, case.options.min_cell),
                min_cell=case.options.min_cell,
                worst_name="worst_class" if name == "class" else "worst_group",
            )
        )
    return partitions


def _worst_rows(
    curves: Mapping[str, Roc],
    calls: list[tuple[str, Rule, Counts]],
    group_curves: Mapping[tuple[str, str], Roc],
    partitions: list[_Partition],
) -> Iterator[Row]:
    """What is picked as worst, with bounds that allow for the picking."""
    level = simultaneous_level(len(curves))
    for rows in _by_metric(curve_rows({(a, "all"): c for a, c in curves.items()}, level)):
        yield worst_row(rows, "all", f"{len(curves)} attacks", "roc")
    if calls:
        level = simultaneous_level(len(calls))
        rows_of_calls = (r for attack, rule, counts in calls for r in call_rows(attack, "all", rule, counts, level))
        for rows in _by_metric(r for r in rows_of_calls if r.metric not in ("fpr", "tpr")):
            usable = [r for r in rows if not np.isnan(r.value)]
            if usable:
                yield worst_row(usable, "all", f"{len(calls)} attacks and thresholds", "any")
    for kind in ("worst_class", "worst_group"):
        names = {name for p in partitions if p.worst_name == kind for name in p.names}
        chosen = {key: curve for key, curve in group_curves.items() if key[1] in names}
        if len({name for _, name in chosen}) > 1:
            what = f"{len(curves)} attacks and {len({name for _, name in chosen})} groups"
            for rows in _by_metric(curve_rows(chosen, simultaneous_level(len(chosen)))):
                if any(row.usable for row in rows):
                    yield worst_row(rows, kind, what, "roc")


def _by_metric(rows: Iterator[Row]) -> list[list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.metric, []).append(row)
    return list(grouped.values())


def _headline(worst: list[Row], units: Units) -> Headline | None:
    """The worst attack at the lowest false-positive rate that the nonmembers resolve."""
    fpr = min((f for f in FPRS if is_resolvable(f, units.n_nonmembers)), default=None)
    if fpr is None:
        return None
    row = next(r for r in worst if r.group == "all" and r.metric == f"tpr_at_fpr_{fpr:g}")
    return Headline(fpr, row.value, row.interval.lower, row.interval.upper)


def _p_value_row(p_value: float, n_attacks: int, units: Units) -> Row:
    from vestige.evaluation.intervals import NO_INTERVAL

    return Row(
        "worst", "roc", "p_value", "all", p_value, NO_INTERVAL, units.n_members, units.n_nonmembers,
        f"familywise permutation test over {n_attacks} attacks, by AUC and by the tail at the headline rate",
    )  # fmt: skip


def _bands(curves: Mapping[str, Roc]) -> tuple[RocBand, ...]:
    """Each ROC at log-spaced false-positive rates, with its pointwise band."""
    bands = []
    for attack, curve in curves.items():
        fprs = np.geomspace(max(1e-5, 1 / curve.n_nonmembers), 1.0, _CURVE_POINTS)
        fprs[-1] = 1.0
        tpr = [float(curve.tpr[point_at_fpr(curve, f)]) for f in fprs]
        bounds = tpr_at_fpr_bounds([curve] * fprs.size, fprs.tolist())
        bands.append(
            RocBand(
                attack, tuple(fprs.tolist()), tuple(tpr), tuple(bounds.lower.tolist()), tuple(bounds.upper.tolist())
            )
        )
    return tuple(bands)


def _risk(case: _Case) -> tuple[np.ndarray | None, RiskSummary | None]:
    """The privacy risk score of every record and its summary over units."""
    name = "modified_entropy"
    if name not in case.scores or name not in case.known_scores or not case.known:
        return None, None
    options = case.options
    entropy = -case.scores[name]
    risk = np.empty(entropy.size)
    for part in case.known:
        table = _risk_table(case, part, -part.of(case.known_scores[name]))
        risk[part.attacked] = risk_scores(table, entropy[part.attacked], case.labels[part.attacked], options.risk_prior)
    units = case.units
    unit_risk = units.score(risk)
    fit = reliability(unit_risk, units.member, options.risk_prior)
    inside, outside = unit_risk[units.member], unit_risk[~units.member]
    levels = np.linspace(0, 1, 101)
    at_or_below = np.searchsorted(np.sort(inside), levels + 1e-12, side="right")
    too_few = np.minimum(at_or_below, inside.size - at_or_below) < options.min_cell
    cdf = np.where(too_few & (at_or_below > 0) & (at_or_below < inside.size), NAN, at_or_below / inside.size)
    chosen = [(inside >= t - 1e-12, outside >= t - 1e-12) for t in _RISK_THRESHOLDS]
    prior = options.risk_prior
    recall = [float(i.mean()) for i, _ in chosen]
    accused = [prior * i.mean() + (1 - prior) * o.mean() for i, o in chosen]
    return risk, RiskSummary(
        prior=prior,
        source=case.source,
        cdf_risk=tuple(levels.tolist()),
        cdf_members=tuple(cdf.tolist()),
        bin_risk=fit.risk,
        bin_member_fraction=fit.member_fraction,
        rmse=fit.rmse,
        rmse_weighted=fit.rmse_weighted,
        thresholds=_RISK_THRESHOLDS,
        precision=tuple(float(prior * r / a) if a else NAN for r, a in zip(recall, accused, strict=True)),
        recall=tuple(recall),
    )


def _risk_table(case: _Case, part: Known, entropy: np.ndarray) -> RiskTable:
    member = np.asarray(part.units.of(part.units.member))
    return fit_risk(
        entropy,
        part.labels,
        member,
        case.target.n_classes,
        n_bins=case.options.risk_bins,
        published_edges=case.options.arithmetic is Arithmetic.PUBLISHED,
    )


def _checks(case: _Case, curves: Mapping[str, Roc]) -> list[Check]:
    """All preflight checks that the given columns allow."""
    target, keep, units = case.target, case.keep, case.units
    of_record, member = units.of_record, case.member
    checks: list[Check | None] = [preflight.sizes(units.n_members, units.n_nonmembers, units.name)]
    checks.append(preflight.blind_labels(case.labels, member, of_record))
    if target.inputs is not None:
        inputs = target.inputs[keep] if not hasattr(target.inputs, "loc") else target.inputs.loc[keep]
        checks.append(preflight.blind_inputs(inputs, case.labels, member, of_record, case.options.seed))
        checks.extend(preflight.duplicates(inputs, member, of_record))
    checks.extend(preflight.blind_order({k: v[keep] for k, v in target.order.items()}, member, of_record))
    checks.append(preflight.inverted_scores(curves))
    if case.observed.predicted is not None:
        predicted = case.observed.predicted[keep]
        checks.append(preflight.accuracy_below_chance(predicted, case.labels, member, of_record, target.n_classes))
    if case.observed.row_hashes is not None:
        checks.append(preflight.equal_predictions(case.observed.row_hashes[keep], member))
    checks.append(preflight.rounded_probabilities(case.observed.decimals))
    left_out = int(np.count_nonzero(~keep))
    n_subjects = 0 if target.subjects is None or not left_out else np.unique(target.subjects[~keep]).size
    checks.append(preflight.subjects_on_both_sides(n_subjects, left_out))
    if case.shadow is not None:
        checks.append(preflight.shadow_overlap(_as_text(target.ids), _as_text(case.shadow.ids)))
    return [check for check in checks if check is not None]


def _as_text(ids: np.ndarray | None) -> np.ndarray | None:
    """Ids to compare between files: one may hold them as numbers, the other as text."""
    return None if ids is None else ids.astype(np.str_)


def _adversary(case: _Case, access: str) -> Adversary:
    answers = {
        "confidence": "the probabilities of every class",
        "loss": "the loss of the true class",
        "label": "the predicted class only",
    }[access]
    if case.source == "shadow":
        knowledge, words = "one shadow model", "has trained one shadow model on records of its own"
    else:
        knowledge, words = "known half", "knows the membership of half of the records and attacks the other half"
    sentence = f"Sees {answers}, one answer a record, and {words}; {NOT_TESTED} were not tested."
    return Adversary(access, knowledge, 0, sentence)


def _not_run(case: _Case) -> tuple[NotRun, ...]:
    missing = list(case.observed.not_run)
    if "modified_entropy" not in case.scores:
        missing.append(NotRun("privacy_risk_score", "probabilities or logits of every class"))
    without = [name for name in case.scores if name not in case.known_scores]
    missing += [NotRun(f"{name} (thresholds)", "the same outputs from the shadow model") for name in without]
    if not case.known:
        missing.append(NotRun("thresholds", f"a shadow model, or at least 2 {case.units.name}s on each side"))
    return tuple(missing)


def _records(case: _Case, risk: np.ndarray | None) -> "pd.DataFrame":
    import pandas as pd

    target, keep = case.target, case.keep
    columns: dict[str, object] = {"id": np.flatnonzero(keep) if target.ids is None else target.ids[keep]}
    if target.subjects is not None:
        columns["subject"] = target.subjects[keep]
    columns["label"] = (
        case.labels
        if target.classes is None
        else pd.Categorical.from_codes(case.labels, categories=pd.Index(target.classes))
    )
    columns |= {name: values[keep] for name, values in target.groups.items()}
    columns["member"] = case.member
    columns |= case.scores
    if risk is not None:
        columns["risk"] = risk
    return pd.DataFrame(columns)


def _provenance(case: _Case) -> Provenance:
    options = case.options
    return Provenance(
        vestige_version=metadata.version("vestige"),
        versions={
            "python": sys.version.split()[0],
            **{name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow")},
        },
        seed=options.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target_digest=case.observed.digest,
        shadow_digest=case.shadow_digest,
        n_records=case.target.n_records,
        n_left_out=int(np.count_nonzero(~case.keep)),
        options={name: str(getattr(options, name)) for name in Options.__dataclass_fields__},
        definitions=_DEFINITIONS,
    )


_DEFINITIONS: Mapping[str, str] = {
    "score": "higher = more likely a member, for every attack",
    "interval": "95 %, for this model over records or subjects; not over training runs",
    "auc": "P(member scores higher than nonmember) + P(tie)/2; DeLong on the logit scale",
    "tpr_at_fpr": "last point of the tie-safe ROC with FPR <= f, no interpolation; the threshold's uncertainty inside",
    "resolution": "a rate f needs at least 10 expected false positives, n_nonmembers * f >= 10",
    "balanced_accuracy": "(TPR + TNR) / 2, sides normalised separately",
    "global and per_class": "P1: first observed known score with the best balanced accuracy, member iff score >= t",
    "strict": "P3: highest distinct known score with the best balanced accuracy, member iff score > t",
    "known_half": "random halves of the units, stratified by membership; each is known while the other is attacked",
    "oracle": "best threshold on the target itself: optimistic, no interval; p-value of Kolmogorov-Smirnov",
    "worst": "largest over attacks (thresholds, groups), bounds simultaneous by Bonferroni",
    "p_value": "max-T permutation of units over all attacks, by AUC and by members among the top share of all units",
    "risk": "P1: prior * h_in / (prior * h_in + (1 - prior) * h_out) of modified entropy in log bins per class",
    "subject": "its records' mean (or maximum) score; class thresholds: against the mean of its records' thresholds",
    "leak shown": "familywise p <= 0.05",
    "no leak shown": "not shown, FPR 0.01 resolvable, and the worst attack's upper bound there at most 5 %",
}

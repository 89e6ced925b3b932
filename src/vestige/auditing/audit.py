"""`vestige.audit`: the order of an audit from predictions. No other room knows it."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vestige.auditing.querying.settings import Querying
from vestige.auditing.references.phi import asked_alike
from vestige.auditing.results.answers import (
    adversary_of,
    checks_of,
    n_queries_of,
    not_run_of,
    not_tested_of,
    options_as_text,
    provenance_of,
    threat_models_of,
)
from vestige.auditing.results.case import Case, Scored, prepare_case
from vestige.auditing.results.every_target import (
    TargetValue,
    effects_of_references,
    frame_of,
    spread_of,
    values_of_targets,
)
from vestige.auditing.results.measures import Counts, call_rows, count_calls, curve_rows, oracle_rows
from vestige.auditing.results.operating_points import OperatingPoint, Rule, natural_point, operating_points
from vestige.auditing.results.partitions import Partition, partitions_of
from vestige.auditing.results.power import power_of
from vestige.auditing.results.risk_of_records import risk_of
from vestige.auditing.results.tidy import Common, Row, Table
from vestige.auditing.results.worst import headline_of, p_value_row, worst_rows
from vestige.auditing.run_folder import MANIFEST, attacks_and_options, refuse_another
from vestige.auditing.scoring.observation import digest_of
from vestige.auditing.selection import ALL, Selection, select
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.messages import few
from vestige.core.names import encodable, harmless, harmless_names
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress, silent
from vestige.core.records import Records
from vestige.core.references import References
from vestige.core.result import AuditResult, Preflight, RocBand, Spread, Validity
from vestige.core.seeds import stream
from vestige.core.targets import Access
from vestige.evaluation.intervals import tpr_at_fpr_bounds
from vestige.evaluation.permutation import familywise_test
from vestige.evaluation.record_numbers import comparable_scores
from vestige.evaluation.roc import Roc, point_at_fpr, roc
from vestige.evaluation.thresholds import decide
from vestige.evaluation.verdict import find, tail_fpr

if TYPE_CHECKING:
    import pandas as pd

    from vestige.auditing.querying.asking import Asked
    from vestige.auditing.references.scores import ReferenceScores

_CURVE_POINTS = 80


def audit(
    target: Any,
    shadow: Predictions | None = None,
    *,
    references: References | None = None,
    members: Records | None = None,
    nonmembers: Records | None = None,
    querying: Querying | None = None,
    training: ShadowTraining | None = None,
    likelihood: LikelihoodRatio | None = None,
    attacks: Sequence[str | Attack | Callable[..., Any]] = (ALL,),
    run: str | Path | None = None,
    options: Options | None = None,
    progress: Progress = silent,
) -> AuditResult:
    """Play the membership-inference attacks that what is given allows.

    Args:
        target: The audited model's answers for members and nonmembers (`Predictions`); or, with `members` and
            `nonmembers`, the model itself: a torch module, a fitted estimator, a function from inputs to probabilities
            (or to `Logits` or `PredictedLabels`), a `ModelFile`, an `Endpoint`, or `Predictions` with ids.
        shadow: The answers of one model trained like the target on records of its own; thresholds and the privacy
            risk score are then learned there. Without it, the adversary knows half of the target's own records.
        references: The answers of many models about the same records, each with its training set: thresholds and the
            attacks with reference models come from them, and nothing is trained.
        members: Records the model was trained on; with a model as target.
        nonmembers: Records it was not trained on, alike in everything else.
        querying: How the model may be asked: access, input ranges, budget, price. Confidences without a limit if
            omitted.
        training: How to train shadow models like the target on random parts of all these records; they set the
            thresholds and play the likelihood-ratio attack. Without it only the model itself is asked.
        likelihood: How the likelihood-ratio attacks are played: statistic, centre, variance, several queries. The
            defaults if omitted.
        attacks: What is played: `all` of ours that can be, names of ours, own attacks as functions from signals to
            scores, as `Attack` values or as `module:function`. `["all", f]` plays f beside ours, `[f]` alone. What an
            own one reads are the names of its parameters: `labels`, `predicted`, `losses`, `p_true`, `phi`,
            `probabilities` (a plain array), `gradient_norms`; or `phi`, `shadow_phi` and `is_in`.
        run: Folder to write the run to; nothing is written if omitted.
        options: What could change a number; the defaults if omitted.
        progress: Told how far long steps are.

    Returns:
        Three answers, a tidy table and a disclosive table of records.

    Raises:
        InputError: What was given cannot be audited.
        UnsupportedModelError: The target is no classifier that could be asked.
        TrainingError: No shadow model could be trained.
        TargetError: The model does not answer, or not with what it was said to answer with.
        ArtefactError: Something stored is damaged or foreign.
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
        Song & Mittal 2021; Choquette-Choo et al. 2021 (strict thresholds, gap attack); Carlini et al. 2022 (online
        likelihood ratio).
    """
    selection = select(attacks)
    if run is not None:
        from vestige.auditing.run_folder import prepare, write

        prepare(Path(run))
    folder = None if run is None else Path(run)
    result = play(
        target, shadow, references=references, members=members, nonmembers=nonmembers, querying=querying,
        training=training, likelihood=likelihood, selection=selection, folder=folder, options=options or Options(),
        progress=progress,
    )  # fmt: skip
    if run is not None:
        write(result, Path(run))
    return result


def play(
    target: Any,
    shadow: Predictions | None,
    *,
    references: References | None,
    members: Records | None,
    nonmembers: Records | None,
    querying: Querying | None,
    training: ShadowTraining | None,
    likelihood: LikelihoodRatio | None,
    selection: Selection,
    folder: Path | None,
    options: Options,
    progress: Progress,
) -> AuditResult:
    """Audit as `audit` does, and write no result; `folder` gets what training shadow models leaves."""
    _refuse_mixtures(target, shadow, references, members, nonmembers, querying, training)
    _refuse_unplayable(selection, training, references)
    _refuse_without_shadows(training, references, querying, likelihood)
    refuse_another(folder, **attacks_and_options(selection.asked, options_as_text(options)))
    if members is None and isinstance(target, Predictions):
        _refuse_others_predictions(folder, target, shadow)
    querying = querying or Querying()
    scored, asked, labels = None, None, None
    model = target
    if members is not None and nonmembers is not None:
        from vestige.auditing.label_only.probes import played_with
        from vestige.auditing.label_only_audit import play_label_only
        from vestige.auditing.model_audit import refuse_recipe, train_references
        from vestige.auditing.querying.asking import ask

        trained = None
        if training is not None:
            refuse_recipe(target, training, querying)
        with _ledger_folder(folder, querying) as place:
            n_shadows = 0 if training is None else training.n_models
            asked = ask(
                model, members, nonmembers, querying, place, options.seed, progress,
                last_layer=selection.reads("gradients"), wanted=played_with(selection.attacks, n_shadows),
            )  # fmt: skip
            target = asked.predictions
            _refuse_others_predictions(folder, target)
            if training is not None:
                trained = train_references(
                    asked, training, folder, options.seed, progress, selection.attacks, querying.views, likelihood
                )
                scored, shadow = trained.scores, trained.shadow
            if querying.label_only and place is not None:
                asked, labels = play_label_only(
                    model, asked, querying, trained, selection, place, options.seed, progress
                )
    if references is not None:
        from vestige.auditing.references.scores import score_with

        progress("scoring with reference models", 0, 1)
        if asked is not None and asked.views is not None:
            references = asked_alike(references, target, asked.views)
        scored = score_with(references, target, selection.attacks, likelihood=likelihood)
        if scored.not_run and not scored.scores:
            raise InputError(
                f"Expected reference models that some attack can use, found {scored.n_models} of no use: "
                f"they lack {scored.not_run[0].needs}. Most attacks need 2 models that were trained on each record and "
                "2 that were not."
            )
        refuse_another(folder, inputs={"references": scored.digest})
        shadow = scored.shadow
    case = prepare_case(target, shadow, selection, options, progress, scored, labels)
    return evaluate(case, asked, progress)


def _refuse_others_predictions(folder: Path | None, target: Predictions, shadow: Predictions | None = None) -> None:
    """Refuse the run of an audit of other answers, before they are looked at."""
    if folder is None or not (folder / MANIFEST).is_file():
        return
    refuse_another(folder, inputs={"target": digest_of(target)})
    if shadow is not None:
        refuse_another(folder, inputs={"shadow": digest_of(shadow)})


@contextmanager
def _ledger_folder(folder: Path | None, querying: Querying) -> Iterator[Path | None]:
    """Where the ledger is kept: a model that is asked twice, as it is and by labels, has one ledger for both."""
    if folder is not None or not querying.label_only:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="vestige-") as place:
        yield Path(place)


def _refuse_mixtures(
    target: Any,
    shadow: Predictions | None,
    references: References | None,
    members: Records | None,
    nonmembers: Records | None,
    querying: Querying | None,
    training: ShadowTraining | None,
) -> None:
    """Refuse what does not belong together, before anything is asked."""
    for name, other in (("a shadow", shadow), ("training", training)):
        if references is not None and other is not None:
            raise InputError(
                f"Expected references or {name}, found both; leave one out: references set the thresholds too."
            )
    if references is not None and querying is not None and querying.access is Access.LABEL:
        raise InputError(
            "Expected access to confidences beside references, found access to labels only; leave out the references."
        )
    if not isinstance(target, Predictions) and (members is None or nonmembers is None):
        raise InputError(
            f"Expected members and nonmembers beside a model ({type(target).__name__}), found one side or none; give "
            "both as Records, or Predictions as target."
        )
    for name, side in (("members", members), ("nonmembers", nonmembers)):
        if side is not None and not isinstance(side, Records):
            raise InputError(
                f"Expected Records as {name}, found {type(side).__name__}; give vestige.Records(inputs, labels), or "
                "read files with vestige.data.read_two_records."
            )
    if (members is None) != (nonmembers is None):
        raise InputError("Expected members and nonmembers beside predictions, found one side only; give both or none.")
    if members is None and (training is not None or querying is not None):
        found = "querying" if training is None else "training"
        raise InputError(
            f"Expected members and nonmembers beside {found}, found predictions alone; give the records, or leave it "
            "out."
        )
    if querying is not None and querying.label_only and isinstance(target, Predictions):
        raise InputError(
            "Expected a model for label-only queries, found a table of predictions; leave the queries out."
        )
    if members is not None and shadow is not None:
        raise InputError("Expected a shadow's predictions beside the target's, found records as well; give training.")
    if training is not None and querying is not None and querying.access is Access.LABEL and not querying.label_only:
        raise InputError(
            "Expected label-only queries for shadow models with access to labels only, found none; give some "
            "(label_only=(vestige.NoisyCopies(),), or [label_only] in an AUDIT.toml), or leave out the training."
        )


def _refuse_unplayable(selection: Selection, training: ShadowTraining | None, references: References | None) -> None:
    """Refuse attacks that all need shadow models where there are none, before anything is asked."""
    if training is None and references is None and all(attack.needs_references for attack in selection.attacks):
        raise InputError(
            f"Expected shadow models for {few([attack.name for attack in selection.attacks])}, found no training; give "
            "it ([recipe] in an AUDIT.toml), or references, or other attacks beside."
        )


def _refuse_without_shadows(
    training: ShadowTraining | None,
    references: References | None,
    querying: Querying | None,
    likelihood: LikelihoodRatio | None,
) -> None:
    """Refuse what does nothing without shadow models."""
    if querying is not None and querying.views is not None and training is None and references is None:
        raise InputError(
            "Expected training or references beside several views of a record, found neither; no attack reads them "
            "without models that were asked the same: give one ([recipe] or [reference] in an AUDIT.toml), or leave "
            "out the views."
        )
    if likelihood is not None and training is None and references is None:
        raise InputError(
            "Expected training or references beside a likelihood ratio, found neither; give one of them "
            "([recipe] or [reference] in an AUDIT.toml), or leave it out."
        )


def evaluate(
    case: Case, asked: "Asked | None", progress: Progress, everyone: "ReferenceScores | None" = None
) -> AuditResult:
    """Turn an audit's material into its result.

    Args:
        case: The material.
        asked: What asking a model gave, if one was asked.
        progress: Told how far long steps are.
        everyone: The models that are the target in turn; those of the case if omitted.
    """
    units, access = case.units, case.selection.access_of(case.scores)
    curves = _curves(case)
    fewest = min(curves.values(), key=lambda curve: curve.n_nonmembers)
    n_references = case.n_references
    with_references = [attack.name for attack in case.selection.attacks if attack.needs_references]
    common = Common(
        units.name,
        harmless(case.options.name),
        access,
        {attack.name: attack.access for attack in case.selection.attacks},
        {**dict.fromkeys(["worst", *with_references], n_queries_of(case)), **case.labels_asked.n_queries},
        n_references=n_references,
    )
    table = Table(common)
    worst = _tabulate(case, curves, table, progress)
    progress("testing all attacks together", 0, 1)
    headline = headline_of(worst)
    alike, n_records = comparable_scores(
        units, list(case.scores.values()), stream(case.options.seed, "equal numbers of records")
    )
    test = familywise_test(
        alike, units.member, tail_fpr(headline), stream(case.options.seed, "relabel"), strata=n_records
    )
    table.extend([p_value_row(test.p_value, curves)])
    in_turn: tuple[TargetValue, ...] = ()
    spread: tuple[Spread, ...] = ()
    everyone = everyone or case.references
    if everyone is not None:
        how = case.target.subjects, case.options.subject_score
        in_turn = values_of_targets(everyone, *how, progress)
        spread = spread_of(in_turn, everyone.observed, effects_of_references(everyone, *how, in_turn, progress))
    risk, summary, rows = risk_of(case)
    table.extend(rows)
    progress("checking the test itself", 0, 1)
    checks = tuple(checks_of(case, curves)) + (() if asked is None else asked.checks)
    inverted = any(c.name == "inverted_scores" and c.validity is not Validity.VALID for c in checks)
    return AuditResult(
        preflight=Preflight(checks),
        adversary=adversary_of(case, access),
        threat_models=threat_models_of(case),
        queries=None if asked is None else asked.queries,
        finding=find(
            headline,
            test,
            fewest.n_members,
            fewest.n_nonmembers,
            units.name,
            not_tested_of(case),
            inverted,
            share=fewest.n_nonmembers / units.n_nonmembers,
        ),
        results=table.frame(),
        records=_records(case, risk),
        rocs=_bands(curves),
        targets=frame_of(in_turn),
        spread=spread,
        power=power_of(case),
        risk=summary,
        not_run=not_run_of(case),
        provenance=provenance_of(case),
    )


def _tabulate(case: Case, curves: Mapping[str, Roc], table: Table, progress: Progress) -> list[Row]:
    """Fill the table, attack by attack and group by group; return the rows of what is worst."""
    group_curves: dict[tuple[str, str], Roc] = {}
    calls: dict[tuple[str, Rule], Counts] = {}
    hidden: list[Row] = []
    every_partition: list[Partition] = []
    for scored in case.scored:
        partitions = partitions_of(case, scored)
        for attack in scored.attacks:
            progress("setting thresholds", list(curves).index(attack), len(curves))
            scores = scored.of(case.scores[attack])
            for point in _operating_points(case, scored, attack):
                counts = count_calls(decide(scored.units, scores, point.values, point.strict), scored.units.member)
                if not (attack == "correctness" and point.rule.kind in ("per_class", "strict")):
                    calls[attack, point.rule] = counts  # correctness has no threshold: one rule by three names
                table.extend(call_rows(attack, "all", point.rule, counts))
                if point.rule.kind in ("global", "per_class"):
                    for partition in partitions:
                        table.extend(partition.call_rows(attack, scores, point))
            table.extend(oracle_rows(attack, curves[attack]))
            for partition in partitions:
                group_curves |= partition.curves(attack, scores)
        hidden.extend(row for partition in partitions for row in partition.hidden_rows(scored.attacks))
        every_partition += partitions
    progress("computing intervals", 0, 1)
    table.extend(curve_rows({(attack, "all"): curve for attack, curve in curves.items()}))
    table.extend(curve_rows(group_curves))
    table.extend(hidden)
    worst = list(worst_rows(curves, calls, group_curves, every_partition))
    table.extend(worst)
    return worst


def _curves(case: Case) -> dict[str, Roc]:
    """The ROC of every attack, over the units that it scores."""
    curves = {}
    for scored in case.scored:
        member = scored.units.member
        for attack in scored.attacks:
            of_units = scored.units.score(scored.of(case.scores[attack]))
            curves[attack] = roc(of_units[member], of_units[~member])
    return curves


def _operating_points(case: Case, scored: Scored, attack: str) -> Iterator[OperatingPoint]:
    """Every rule's threshold, for the records that the attack scores."""
    natural = case.selection.natural_threshold(attack)
    if natural is not None:
        yield natural_point(natural, scored.labels.size)
    known = tuple(part for part in case.known if (part.attacked & scored.records).any())
    if attack not in case.known_scores or not known:
        return
    for point in operating_points(
        attack,
        case.source,
        known,
        case.known_scores[attack],
        case.labels,
        case.target.n_classes,
        case.options.arithmetic,
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
                attack, tuple(fprs.tolist()), tuple(tpr), tuple(bounds.lower.tolist()), tuple(bounds.upper.tolist())
            )
        )
    return tuple(bands)


def _records(case: Case, risk: np.ndarray | None) -> "pd.DataFrame":
    import pandas as pd

    target, keep = case.target, case.keep
    columns: dict[str, object] = {"id": np.flatnonzero(keep) if target.ids is None else encodable(target.ids[keep])}
    if target.subjects is not None:
        columns["subject"] = encodable(target.subjects[keep])
    if case.label_values is not None:
        columns["label"] = case.label_values[case.labels]
    elif target.classes is None:
        columns["label"] = case.labels
    else:
        classes = pd.Index(encodable(np.asarray(target.classes)))
        columns["label"] = pd.Categorical.from_codes(case.labels, categories=classes)
    names = harmless_names(target.groups)
    columns |= {name: encodable(values[keep]) for name, values in zip(names, target.groups.values(), strict=True)}
    columns["member"] = case.member
    columns |= case.scores
    if risk is not None:
        columns["risk"] = risk
    if case.references is not None and (score := case.references.privacy_score) is not None:
        columns["privacy_score"] = score[keep]
    return pd.DataFrame(columns)

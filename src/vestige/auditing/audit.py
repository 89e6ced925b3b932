"""`vestige.audit`: the order of an audit. No other room knows it."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import fields, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from vestige.auditing.adversary import AdversaryModels, adversary_models
from vestige.auditing.finished import FinishedAudit
from vestige.auditing.label_only.probe import label_results, played_with
from vestige.auditing.label_only.question import LabelQuestion, LabelResults
from vestige.auditing.plan import COLUMNS, Adversary, Attacks, AuditPlan, plan_of, read_tables, refuse_other_predictions
from vestige.auditing.querying.session import TargetAnswers, TargetSession, table_answers
from vestige.auditing.querying.settings import Querying
from vestige.auditing.results.evaluation import evaluate
from vestige.auditing.results.inputs import audit_inputs
from vestige.auditing.run_folder import refuse_another
from vestige.auditing.selection import ALL
from vestige.auditing.shadows.cost import promised_by
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.trained_models import refuse_recipe
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.messages import nearest
from vestige.core.options import Options
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.targets import Access, EmbeddingModel
from vestige.report.progress import progress_bar
from vestige.targets.access import embeddings_of
from vestige.training.accounting import Privacy

ELSEWHERE = {
    "shadow": "adversary=vestige.Shadow(predictions)",
    "references": "adversary=vestige.References(...)",
    "training": "adversary=vestige.ShadowTraining(recipe, n_models=...)",
    **{option.name: f"options=vestige.Options({option.name}=...)" for option in fields(Options)},
}
"""What is no argument of its own: arguments of versions before this one, and options; and what to write."""


def audit(
    target: Any,
    members: Any = None,
    nonmembers: Any = None,
    *,
    adversary: Adversary | None = None,
    attacks: Attacks = ALL,
    querying: Querying | None = None,
    likelihood: LikelihoodRatio | None = None,
    run: str | Path | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
    **columns: Any,
) -> FinishedAudit:
    """Play the membership-inference attacks that what is given allows.

    Args:
        target: The audited model's answers for members and nonmembers: `Predictions`, or a frame of pandas, polars
            or Arrow, or the path of a file, which `vestige.data.read_predictions` reads alike; or, with `members` and
            `nonmembers`, the model itself: a torch module, a fitted estimator, a function from inputs to probabilities
            (or to `Logits` or `PredictedLabels`), a `ModelFile`, an `Endpoint`, or `Predictions` with ids.
        members: Records the model was trained on, as `Records`, `(inputs, labels)`, or a frame or path, read as
            `vestige.data.read_two_records` reads files; with a model as target.
        nonmembers: Records it was not trained on, alike in everything else.
        adversary: What the adversary has beside the model. `Shadow`: the answers of one model trained like the target
            on records of its own. `References`: the answers of many models about the same records, each with its
            training set. `ShadowTraining`: how to train models like the target on random halves of all these records.
            Thresholds are set on these models, and the likelihood ratios read the latter two. If omitted, the adversary
            knows half of the target's own records.
        attacks: What is played: `all` of ours that can be, names of ours, custom attacks as functions from signals to
            scores, as `Attack` values or as `module:function`. `["all", f]` plays f beside ours, `[f]` alone. What a
            custom one reads are the names of its parameters: `labels`, `predicted`, `losses`, `p_true`, `phi`,
            `probabilities` (a plain array), `gradient_norms`; or `phi`, `shadow_phi` and `is_in`.
        querying: How the model may be asked: access, input ranges, budget, price. Confidences without a limit if
            omitted.
        likelihood: How the likelihood-ratio attacks are played: statistic, centre, variance, several queries. The
            defaults if omitted.
        run: Folder to write the run to; nothing is written if omitted.
        options: What could change a number; the defaults if omitted.
        progress: Told how far long steps are; a bar on a terminal and a line in a notebook if omitted. `vestige.silent`
            keeps it quiet.
        columns: What the columns of frames and files are called, as `vestige.data.Columns` or, of records,
            `RecordColumns` have it: `label="outcome", member="was_trained_on"`. Anything else is refused.

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
        >>> import numpy as np
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
    for name in columns.keys() - COLUMNS:
        known = [*signature(audit).parameters, *COLUMNS]
        cure = f"write {ELSEWHERE[name]}" if name in ELSEWHERE else nearest(name, known)
        raise InputError(f"Expected an argument that audit has, found {name}; {cure}.")
    if run is not None:
        from vestige.auditing.run_folder import prepare

        prepare(Path(run))
    with progress_bar() if progress is None else nullcontext(progress) as shown:
        target, members, nonmembers, adversary = read_tables(target, members, nonmembers, adversary, columns)
        plan = plan_of(
            target, members, nonmembers, adversary=adversary, attacks=attacks, querying=querying,
            likelihood=likelihood, run=run, options=options, progress=shown,
        )  # fmt: skip
        result = play(plan)
    if run is not None:
        from vestige.auditing.run_folder import write

        write(result, Path(run))
    return result


def play(plan: AuditPlan) -> FinishedAudit:
    """Audit as `audit` does, and write no result; the run's folder gets what training shadow models leaves."""
    with _opened(plan) as model:
        answers = _answers(plan, model)
        models = adversary_models(plan, answers)
        labels = None if model is None else _labels(plan, model, answers, models)
        queries = None if model is None else model.queries
    inputs = audit_inputs(
        answers.predictions,
        models.shadow,
        plan.selection,
        plan.options,
        plan.progress,
        models.scores,
        labels,
        models.n_sources,
    )
    inputs = replace(inputs, privacy=_promised(plan))
    result = evaluate(inputs, plan.progress, checks=(*answers.checks, *models.checks), queries=queries)
    if answers.defence is not None:
        provenance = replace(result.provenance, defence=answers.defence.identity)
        table = result.results.assign(defence=answers.defence.name).astype({"defence": "str"})
        result = replace(result, provenance=provenance, results=table)
    return replace(result, embeddings=models.embeddings or _own_embeddings(plan, model))


def _own_embeddings(plan: AuditPlan, model: TargetSession | None) -> Callable[[], tuple[np.ndarray, np.ndarray]] | None:
    """What asks the target for its last layer's inputs, where the adversary may know its parameters."""
    if model is None or plan.querying.access is not Access.GRADIENTS or not isinstance(model.model, EmbeddingModel):
        return None
    return partial(embeddings_of, model.model, model.pool)


def _opened(plan: AuditPlan) -> Any:
    """The model, if there is one to be asked."""
    if plan.records is None or isinstance(plan.target, Predictions):
        return nullcontext()
    if isinstance(plan.adversary, ShadowTraining):
        refuse_recipe(plan.target, plan.adversary, plan.querying)
    return TargetSession.open(plan.target, *plan.records, plan.querying, plan.folder, plan.progress)


def _answers(plan: AuditPlan, model: TargetSession | None) -> TargetAnswers:
    """What the model answers about its records, or a table of its predictions has."""
    if plan.records is None:
        return TargetAnswers(predictions=plan.target)
    members, nonmembers = plan.records
    if model is None:
        answers = table_answers(plan.target, members, nonmembers, plan.querying)
    else:
        answers = model.answers(
            members.n_records,
            plan.options.seed,
            last_layer=plan.selection.reads("gradients"),
            wanted=played_with(plan.selection.attacks, plan.n_trained),
        )
    refuse_another(plan.folder, defence={} if answers.defence is None else answers.defence.identity)
    refuse_other_predictions(plan.folder, answers.predictions)
    return answers


def _promised(plan: AuditPlan) -> Privacy | None:
    """What the recipe promises of the model, as one of so many members; None without one, or if none can be so."""
    if plan.records is None or not isinstance(plan.adversary, ShadowTraining):
        return None
    with suppress(InputError):
        return promised_by(plan.adversary.recipe, plan.records[0].n_records)
    return None


def _labels(
    plan: AuditPlan, model: TargetSession, answers: TargetAnswers, models: AdversaryModels
) -> LabelResults | None:
    """The label-only attacks, with strengths that are chosen on shadow models; None if none is asked for."""
    if not plan.querying.label_only:
        return None
    imitates = models.labels is not None and models.labels.imitators is not None
    question = LabelQuestion(
        target=model.labels,
        predicted=answers.predicted,
        pool=model.pool,
        space=plan.querying.inputs,
        shadows=models.labels,
        wanted={
            attack.name: attack
            for attack in plan.selection.attacks
            if attack.asks_copies and (imitates or "imitator_agreement" not in attack.reads)
        },
        seed=plan.options.seed,
        progress=plan.progress,
        margins=model.margins if plan.querying.access is Access.GRADIENTS else None,
    )
    return label_results(plan.querying.label_only, question)

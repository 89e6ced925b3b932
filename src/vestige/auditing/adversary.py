"""The adversary's models: one shadow model, given reference models, trained ones, or none."""

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vestige.auditing.label_only.question import LabelImitators, ShadowLabels
from vestige.auditing.plan import AuditPlan
from vestige.auditing.querying.defended import KnowsDefence
from vestige.auditing.querying.session import TargetAnswers
from vestige.auditing.references.phi import Imitated, asked_alike
from vestige.auditing.references.scores import ReferenceScores, score_with
from vestige.auditing.run_folder import refuse_another
from vestige.auditing.shadow import Shadow
from vestige.auditing.shadows.answers import (
    defences_of,
    embeddings_of_first,
    labels_of_references,
    labels_of_shadows,
    pooled_answers,
    pooled_labels,
    references_of,
    references_of_sources,
    with_earlier_copies,
)
from vestige.auditing.shadows.checks import checks_of_training, mismatched_recipe
from vestige.auditing.shadows.defending import behind
from vestige.auditing.shadows.reference_training import ReferenceTraining
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.shadows.sources import records_to_train_on
from vestige.auditing.shadows.training import Shadows
from vestige.auditing.trained_models import trained
from vestige.core.answer_defence import AnswerDefence
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.outputs import GradientNorms, Logits, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.references import References
from vestige.core.result import Check, Validity
from vestige.training.bank import Bank


@dataclass(frozen=True, kw_only=True, eq=False)
class AdversaryModels:
    """The adversary's models, after the audited one was asked.

    Attributes:
        shadow: The answers of one of them, on which thresholds are set; None if the adversary has no model.
        scores: Scores of attacks with reference models; None without such models, or if only their labels are seen.
        labels: Models that were trained for this audit, to be asked for labels.
        embeddings: Asks the first of these for its last layer's inputs: ids and features of the audited records.
        n_sources: Models that the shadow's answers are of.
        checks: Checks of them that are not among those of the scores.
    """

    shadow: Predictions | None = None
    scores: ReferenceScores | None = None
    labels: ShadowLabels | None = None
    embeddings: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    n_sources: int = 1
    checks: tuple[Check, ...] = ()


def adversary_models(plan: AuditPlan, answers: TargetAnswers) -> AdversaryModels:
    """Return the adversary's models; they are trained if that is asked for.

    Raises:
        InputError: They do not fit the target, or no attack can use them.
        TrainingError: None could be trained.
        RunFolderError: The run holds others.
        ArtefactError: Something stored is damaged or foreign.
        OutputError: Bank or run cannot be written.
    """
    if isinstance(plan.adversary, Shadow):
        return AdversaryModels(shadow=plan.adversary.predictions)
    if isinstance(plan.adversary, References):
        return _given(plan, plan.adversary, answers)
    if isinstance(plan.adversary, ReferenceTraining):
        return _given(plan, _references(plan, plan.adversary, answers), answers)
    if isinstance(plan.adversary, ShadowTraining):
        return _trained(plan, plan.adversary, answers)
    return AdversaryModels()


def _references(plan: AuditPlan, training: ReferenceTraining, answers: TargetAnswers) -> References:
    """Reference models that are trained for this audit."""
    assert plan.records is not None
    wanted = any("shadow_gradient_norms" in a.reads or _calibrates_gradients(a) for a in plan.selection.attacks)
    return training.trained(
        plan.target,
        plan.records,
        gradient_norms=wanted and answers.predictions.output(GradientNorms) is not None,
        views=plan.querying.views,
        seed=plan.options.seed,
        progress=plan.progress,
    )


def _calibrates_gradients(attack: Attack) -> bool:
    return attack.calibrates is not None and "gradient_norms" in attack.calibrates.reads


def _given(plan: AuditPlan, references: References, answers: TargetAnswers) -> AdversaryModels:
    target, pool, front = answers.predictions, answers.pool, answers.defence
    defence = None if front is None or front.known is KnowsDefence.UNAWARE else front.defence
    labels = None
    if plan.querying.label_only and pool is not None:
        labels = labels_of_references(references, target, pool, defence)
    if target.output(PredictedLabels) is not None:  # a label-only adversary: the target's confidence is not seen
        return AdversaryModels(labels=labels)
    plan.progress("scoring with reference models", 0, 1)
    if answers.views is not None:
        references = asked_alike(references, target, answers.views)
    if defence is not None:
        references = behind(references, [defence] * references.n_models)
    scores = score_with(references, target, plan.selection.attacks, likelihood=plan.likelihood)
    if scores.attacks.not_run and not scores.attacks.played:
        raise InputError(
            f"Expected reference models that some attack can use, found {scores.n_models} of no use: "
            f"they lack {scores.attacks.not_run[0].needs}. Most attacks need 2 models that were trained on each record "
            "and 2 that were not."
        )
    refuse_another(plan.folder, inputs={"references": scores.digest})
    return AdversaryModels(shadow=scores.shadow, scores=scores, labels=labels)


def _trained(plan: AuditPlan, training: ShadowTraining, answers: TargetAnswers) -> AdversaryModels:
    """Train shadow models, or take them from the run or the bank, and score with them."""
    recipe, audited, predictions = training.recipe_like(answers.classifier), answers.pool, answers.predictions
    assert audited is not None  # the plan has records
    pool, bank = records_to_train_on(training, audited), Bank(training.bank)
    sees_labels_alone = predictions.output(PredictedLabels) is not None
    if training.earlier and (answers.views is not None or answers.defence is not None or sees_labels_alone):
        raise InputError(
            "Expected no views, no defence and more than labels beside earlier copies of the target, found otherwise; "
            "leave out the copies or those."
        )
    run, seed, begun = plan.folder, plan.options.seed, time.monotonic()
    with nullcontext(run) if run is not None else tempfile.TemporaryDirectory(prefix="vestige-") as folder:
        signal = "gradient_norms" if training.has_sources else "shadow_gradient_norms"
        with_gradients = _reads(signal, recipe, predictions, plan.selection.attacks)
        shadows = trained(
            recipe, pool, training, Path(folder), seed, plan.progress, plan.querying.views,
            with_gradients=with_gradients,
        )  # fmt: skip
        checks = (*checks_of_training(shadows), *mismatched_recipe(answers.classifier, recipe))
        embeddings = partial(embeddings_of_first, shadows, bank, audited)
        defences = defences_of(shadows, bank, answers.defence, labels_only=sees_labels_alone)
        if training.has_sources:
            shadow = pooled_answers(shadows, labels_only=sees_labels_alone, defences=defences)
            labels = pooled_labels(shadows, bank, defences, n_asked_about=training.n_asked_about)
            found = AdversaryModels(shadow=shadow, labels=labels, checks=checks, embeddings=embeddings)
            scores = None if sees_labels_alone else _scores_of_sources(plan, shadows, bank, answers, defences)
            return replace(found, scores=scores, n_sources=len(shadows.member))
        if predictions.ids is None:
            predictions = replace(predictions, ids=np.arange(pool.n_records))  # the order of the pool
        labels = labels_of_shadows(shadows, bank, defences)
        if sees_labels_alone:  # phi of the target is not seen
            shadow = pooled_answers(shadows, labels_only=True, n_models=1, defences=defences)
            shadow = replace(shadow, ids=predictions.ids)
            if training.imitators is not None:
                labels = replace(labels, imitators=_label_imitators(shadows, training, run, begun, plan.progress))
            return AdversaryModels(shadow=shadow, labels=labels, checks=checks, embeddings=embeddings)
        references, imitators = references_of(shadows, answers.views), None
        if training.earlier:
            references = with_earlier_copies(shadows, predictions, training.earlier)
            checks = (*checks, _read_with_earlier(training))
        if defences is not None:
            references = behind(references, defences)
        if training.imitators is not None:
            imitators, said = _imitated(shadows, predictions, training, Path(folder), begun, plan.progress)
            checks = (*checks, *said)
        scores = score_with(references, predictions, plan.selection.attacks, checks, plan.likelihood, imitators)
        if _votes(answers.classifier):  # their answers of exactly 0 and 1 are ordinary
            noted = tuple(
                replace(check, validity=Validity.VALID, remedy="") if check.name == "saturated_answers" else check
                for check in scores.attacks.checks
            )
            scores = replace(scores, attacks=replace(scores.attacks, checks=noted))
        return AdversaryModels(shadow=scores.shadow, scores=scores, labels=labels, embeddings=embeddings)


def _scores_of_sources(
    plan: AuditPlan, shadows: Shadows, bank: Bank, answers: TargetAnswers, defences: Sequence[AnswerDefence] | None
) -> ReferenceScores | None:
    """Scores by source models, none of which was trained on an audited record; None with one, which tells nothing."""
    assert answers.pool is not None
    references = references_of_sources(shadows, bank, answers.pool) if len(shadows.member) > 1 else None
    if references is None:
        return None
    if defences is not None:
        references = behind(references, defences)
    target = replace(answers.predictions, ids=np.arange(answers.pool.n_records))
    return score_with(references, target, plan.selection.attacks, likelihood=plan.likelihood)


def _read_with_earlier(training: ShadowTraining) -> Check:
    epochs = few([str(epoch) for epoch in training.checkpoints], 20)
    message = (
        f"The adversary has copies of the target after epochs {epochs} too: attacks with shadow models read each "
        "record's answers at the end and at these epochs."
    )
    return Check("earlier_copies", Validity.VALID, message)


def _imitated(
    shadows: Shadows, predictions: Predictions, training: ShadowTraining, run: Path, begun: float, progress: Progress
) -> tuple[Imitated | None, list[Check]]:
    """Imitators, which only torch recipes train."""
    from vestige.auditing.shadows.imitators import imitated

    answers = predictions.output(Logits) or predictions.output(Probabilities)
    assert answers is not None  # a model answers class by class unless only its labels are seen
    return imitated(shadows, answers, training, run, begun + training.seconds, progress)


def _label_imitators(
    shadows: Shadows, training: ShadowTraining, run: Path | None, begun: float, progress: Progress
) -> LabelImitators:
    """Imitators of a model of which only labels are seen, in the time that training left."""
    from vestige.auditing.shadows.imitators import label_imitators

    return label_imitators(shadows, training, run, begun + training.seconds - time.monotonic(), progress)


def _votes(classifier: object) -> bool:
    """Whether an estimator, or the last of a Pipeline, answers with shares of votes: a tree, a forest, neighbours."""
    last = getattr(classifier, "steps", [("", classifier)])[-1][1]
    boosted = hasattr(last, "staged_predict_proba")
    return not boosted and any(hasattr(last, name) for name in ("estimators_", "tree_", "n_neighbors"))


def _reads(signal: str, recipe: Recipe, predictions: Predictions, attacks: Iterable[Attack]) -> bool:
    """Whether shadow models are to be asked for gradients: the target was, they have some, and an attack reads them."""
    wanted = any(signal in attack.reads for attack in attacks)
    has_some = recipe.identity().get("recipe") == "torch"
    return wanted and has_some and predictions.output(GradientNorms) is not None

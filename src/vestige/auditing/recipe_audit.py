"""`vestige.audit_recipe`: audits a way of training where there is no model, or there are no nonmembers."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vestige.auditing.finished import FinishedAudit
from vestige.auditing.querying.session import predictions_of
from vestige.auditing.references.phi import left_without, reference_phi
from vestige.auditing.references.scores import as_shadow, score_observed
from vestige.auditing.results.evaluation import evaluate
from vestige.auditing.results.inputs import audit_inputs
from vestige.auditing.run_folder import attacks_and_options, refuse_another
from vestige.auditing.selection import ALL, Selection, select
from vestige.auditing.shadows.answers import references_of
from vestige.auditing.shadows.checks import checks_of_training
from vestige.auditing.shadows.cost import Estimate, promised_by
from vestige.auditing.shadows.settings import SAME, ShadowTraining
from vestige.auditing.trained_models import cost_of_training, trained
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import LikelihoodRatio, Statistic
from vestige.core.options import Options
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.result import Check, Validity
from vestige.report.progress import progress_bar
from vestige.training.bank import Bank

_FEWEST = 4  # one target, its partner, and a model on each side


def audit_recipe(
    records: Records,
    training: ShadowTraining,
    *,
    attacks: Sequence[str | Attack | Callable[..., Any]] = (ALL,),
    likelihood: LikelihoodRatio | None = None,
    run: str | Path | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> FinishedAudit:
    """Audit a way of training: models on random halves of the records, each in turn the target.

    For a model that was trained on all records, and for a test set that differs from the training set: within the pool
    only training makes a difference between a model's members and its nonmembers. The verdict is about the first model;
    `spread` and `targets` of the result are about all of them. Each model is trained on half of the records only: one
    trained on all of them usually remembers each a little less.

    Args:
        records: All records; random halves of them are exchangeable.
        training: The recipe and how many models; `same` needs a model to clone and is refused.
        attacks: As of `audit`.
        likelihood: As of `audit`.
        run: Folder to write the run to; nothing is written if omitted.
        options: What could change a number; the defaults if omitted.
        progress: As of `audit`.

    Returns:
        As `audit`.

    Raises:
        InputError: The recipe cannot use the records, or fewer than 4 models were asked for.
        TrainingError: No model could be trained, or too few.
        ArtefactError: Something stored is damaged or foreign.
        RunFolderError: `run` holds another audit.
        OutputError: `run` cannot be written.

    Source:
        Carlini et al. 2022, section V-A: every model in turn as the target.
    """
    if run is not None:
        from vestige.auditing.run_folder import prepare, write

        prepare(Path(run))
    folder = None if run is None else Path(run)
    with progress_bar() if progress is None else nullcontext(progress) as shown:
        result = play_recipe(records, training, select(attacks), folder, options or Options(), shown, likelihood)
    if run is not None:
        write(result, Path(run))
    return result


def play_recipe(
    records: Records,
    training: ShadowTraining,
    selection: Selection,
    folder: Path | None,
    options: Options,
    progress: Progress,
    likelihood: LikelihoodRatio | None = None,
) -> FinishedAudit:
    """Audit as `audit_recipe` does, and write no result; `folder` gets what training leaves."""
    recipe = refuse_recipe_without_model(training)
    refuse_another(folder, **attacks_and_options(selection.asked, options.as_text()))
    with nullcontext(folder) if folder is not None else tempfile.TemporaryDirectory(prefix="vestige-") as place:
        shadows = trained(recipe, records, training, Path(place), options.seed, progress, None)
        references = references_of(shadows, None)
        if references.n_models < _FEWEST:
            raise InputError(
                f"Expected at least {_FEWEST} models for the audit of a recipe, found {references.n_models}; give it "
                "more time or more models."
            )
        answers = next(references.models())
        target = replace(predictions_of([references.kind(answers)], records, references.member[0]), ids=references.ids)
        found = reference_phi(references, target, Statistic((likelihood or LikelihoodRatio()).statistic))
        others = left_without(found, 0)
        rest = np.flatnonzero(others)
        scored = score_observed(
            found.with_target(0, others),
            lambda model: as_shadow(references, found, target, int(rest[model])),
            selection.attacks,
            (_said(references.n_models, records.n_records, training), *checks_of_training(shadows)),
            likelihood,
        )
    inputs = audit_inputs(target, scored.shadow, selection, options, progress, scored)
    inputs = replace(inputs, privacy=promised_by(recipe, int(shadows.member[0].sum())))
    return evaluate(inputs, progress, in_turn=replace(scored, observed=found))


def cost_of_recipe(records: Records, training: ShadowTraining, seed: int) -> Estimate:
    """Measure what the models of a recipe's audit will cost; errors as `audit_recipe`."""
    return cost_of_training(refuse_recipe_without_model(training), records, training, seed, Bank(training.bank), None)


def refuse_recipe_without_model(training: ShadowTraining) -> Recipe:
    """Return the recipe.

    Raises:
        InputError: It is the word `same`, or there are too few models.
    """
    if training.recipe == SAME or not isinstance(training.recipe, Recipe):
        raise InputError(
            "Expected a recipe for the audit of a recipe, found the word same, which needs a model to clone; give "
            "one, such as vestige.SklearnRecipe(estimator)."
        )
    if training.imitators is not None:
        raise InputError(
            "Expected no imitators for the audit of a recipe, found some; they are of a given model: leave them out."
        )
    if training.has_sources:
        raise InputError(
            "Expected no records of source models for the audit of a recipe, found some; its models are trained on "
            "halves of the audited records, so leave them out."
        )
    if training.n_models < _FEWEST:
        raise InputError(
            f"Expected at least {_FEWEST} models for the audit of a recipe, found {training.n_models}; give more."
        )
    return training.recipe


def _said(n_models: int, n_records: int, training: ShadowTraining) -> Check:
    sets = "random halves" if training.fraction == Fraction(1, 2) else f"sets of {training.fraction}"
    return Check(
        "recipe_audit",
        Validity.VALID,
        f"No given model was audited but its recipe: {n_models} models were trained on {sets} of the "
        f"{n_records:,} records, the first of them is the target, and all of them are in turn under Training again. A "
        f"model trained on all {n_records:,} records usually remembers each of them less than these do; it may have "
        "other leaks.",
    )

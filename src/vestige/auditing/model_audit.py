"""Shadow models for the audit of a fitted model: who is in which training set, what they cost, and training them."""

import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.attacks import CATALOGUE
from vestige.auditing.asking import classifier_behind
from vestige.auditing.planning import Estimate, estimate
from vestige.auditing.querying import Querying
from vestige.auditing.references import ReferenceScores, score_with
from vestige.auditing.run_folder import alone
from vestige.auditing.shadow_plan import ShadowPlan, planned
from vestige.auditing.shadow_references import checks_of_training, references_of
from vestige.auditing.shadow_training import SAME, ShadowTraining
from vestige.auditing.shadows import Shadows, train_shadows
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.outputs import GradientNorms
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records, joined
from vestige.core.targets import Door
from vestige.data.designs import complementary_pairs
from vestige.targets.opening import open_target
from vestige.training.bank import Bank
from vestige.training.strategies import Strategy, groups_of


def train_references(
    target: Any,
    predictions: Predictions,
    pool: Records,
    training: ShadowTraining,
    run: Path | None,
    seed: int,
    progress: Progress,
    attacks: tuple[Attack, ...] = CATALOGUE,
) -> ReferenceScores:
    """Train the shadow models of an audit, or take them from the run or the bank, and score with them.

    Raises:
        InputError: The recipe cannot use the records, or the time is too short.
        TrainingError: A model failed and the audit is to stop then, or all of them did.
        RunFolderError: The run holds other shadow models.
        ArtefactError: Something stored is damaged or foreign.
        OutputError: Bank or run cannot be written.
    """
    recipe = training.recipe_like(target)
    with nullcontext(run) if run is not None else tempfile.TemporaryDirectory(prefix="vestige-") as folder:
        with_gradients = _reads_gradients(recipe, predictions, attacks)
        shadows = _trained(recipe, pool, training, Path(folder), seed, progress, with_gradients)
        if predictions.ids is None:
            predictions = replace(predictions, ids=np.arange(pool.n_records))  # the order of the pool
        return score_with(references_of(shadows), predictions, attacks, checks_of_training(shadows))


def refuse_recipe(target: Any, training: ShadowTraining, querying: Querying) -> None:
    """Refuse a recipe that cannot be, before the model is asked.

    Raises:
        InputError: The recipe is `same`, and the target is nothing that could be cloned; or inputs were declared to be
            encoded, normalised, cast or turned, on which its clones would not be trained.
    """
    if training.recipe == SAME and not querying.inputs.changes_nothing:
        raise InputError(
            "Expected a recipe beside inputs that are prepared for the model, found the word same: its clones would be "
            "trained on unprepared ones; give a recipe that prepares them, such as SklearnRecipe of a Pipeline."
        )
    if not isinstance(target, Door):  # what is behind a door is seen when it is opened
        training.recipe_like(target)


def cost_of(
    target: Any,
    members: Records,
    nonmembers: Records,
    training: ShadowTraining,
    seed: int,
    querying: Querying,
) -> Estimate:
    """Measure what the shadow models of an audit will cost; errors as `train_references`."""
    refuse_recipe(target, training, querying)
    pool = joined(members, nonmembers)
    if training.recipe == SAME:
        target = classifier_behind(target, open_target(target, pool.n_classes, pool.classes), querying)
    return _cost(training.recipe_like(target), pool, training, seed, Bank(training.bank))


def _cost(recipe: Recipe, pool: Records, training: ShadowTraining, seed: int, bank: Bank) -> Estimate:
    member = design(training.n_models, pool, seed)
    executor, within = training.executor, training.seconds
    return estimate(recipe, pool, member, seed=seed, bank=bank, executor=executor, within=within)


def design(n_models: int, pool: Records, seed: int) -> Bool[np.ndarray, "model record"]:
    """Return who is in the training set of which shadow model: random halves and what they leave out, in pairs."""
    return complementary_pairs(n_models, pool.n_records, seed=seed, subjects=pool.subjects)


def _trained(
    recipe: Recipe,
    pool: Records,
    training: ShadowTraining,
    run: Path,
    seed: int,
    progress: Progress,
    with_gradients: bool,
) -> Shadows:
    begun = time.monotonic()
    bank = Bank(training.bank)
    found: list[Estimate] = []

    def choose() -> Strategy:
        progress("measuring how fast models can be trained", 0, 1)
        found.append(_cost(recipe, pool, training, seed, bank))
        return found[0].strategy

    def plan_of(strategy: Strategy, groups: list[list[int]] | None) -> ShadowPlan:
        n_models = sum(map(len, groups)) if groups else found[0].n_models
        member = design(n_models, pool, seed)
        n_workers = strategy.n_processes if training.executor is None else training.executor.n_workers
        groups = groups or groups_of(recipe, member, strategy, n_workers)
        return ShadowPlan(
            recipe, pool, member, seed, strategy, groups, training.n_models, gradient_norms=with_gradients
        )

    with alone(run):
        plan = planned(run, plan_of, choose)
        return train_shadows(
            plan,
            run,
            bank,
            executor=training.executor,
            until=begun + training.seconds,
            stop_at_failure=training.stop_at_failure,
            progress=_named(progress, found[0] if found else None),
        )


def _reads_gradients(recipe: Recipe, predictions: Predictions, attacks: tuple[Attack, ...]) -> bool:
    """Whether shadow models are to be asked for gradients: the target was, they have some, and an attack reads them."""
    wanted = any("shadow_gradient_norms" in attack.reads for attack in attacks)
    has_some = recipe.identity().get("recipe") == "torch"
    return wanted and has_some and predictions.output(GradientNorms) is not None


def _named(progress: Progress, cost: Estimate | None) -> Progress:
    """Progress that says what was picked."""
    if cost is None:
        return progress

    def tell(step: str, done: int, total: int) -> None:
        progress(f"{step} ({cost.strategy})", done, total)

    return tell

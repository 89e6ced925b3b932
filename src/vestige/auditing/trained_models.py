"""Shadow models for the audit of a fitted model: who is in which training set, what they cost, and training them."""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.auditing.querying.session import classifier_behind
from vestige.auditing.querying.settings import Querying
from vestige.auditing.run_folder import PLAN, alone, refuse_without
from vestige.auditing.shadows.cost import Estimate, estimate
from vestige.auditing.shadows.plan import ShadowPlan, planned
from vestige.auditing.shadows.settings import HALF, SAME, ShadowTraining
from vestige.auditing.shadows.sources import records_to_train_on
from vestige.auditing.shadows.training import Shadows, train_shadows
from vestige.core.errors import InputError
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records, joined
from vestige.core.targets import ModelSource
from vestige.core.views import MirrorAndShifts
from vestige.data.sets.designs import balanced_groups
from vestige.targets.opening import open_target
from vestige.training.bank import Bank
from vestige.training.strategies import Strategy, groups_of


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
    if not isinstance(target, ModelSource):  # what is behind a door is seen when it is opened
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
    own = records_to_train_on(training, pool)
    if training.recipe == SAME:
        target = classifier_behind(target, open_target(target, pool.n_classes, pool.classes), querying)
    return cost_of_training(training.recipe_like(target), own, training, seed, Bank(training.bank), querying.views)


def cost_of_training(
    recipe: Recipe, pool: Records, training: ShadowTraining, seed: int, bank: Bank, views: MirrorAndShifts | None
) -> Estimate:
    """Measure what training the shadow models of a pool will cost; errors as `train_references`."""
    plan = _plan(recipe, pool, training, seed, Strategy(), [], training.n_models, views=views)
    return estimate(plan, bank, executor=training.executor, within=training.seconds)


def design(n_models: int, pool: Records, seed: int, share: Fraction = HALF) -> Bool[np.ndarray, "model record"]:
    """Return who is in the training set of which shadow model, every record equally often in each group of models.

    Of a share of 1/2 a group is a pair: a random half, and what it leaves out.
    """
    return balanced_groups(n_models, pool.n_records, share=share, seed=seed, subjects=pool.subjects)


def _member(n_models: int, pool: Records, training: ShadowTraining, seed: int) -> np.ndarray:
    """The training sets; of source models the first so many of whole groups."""
    in_groups = -(-n_models // training.fraction.denominator) * training.fraction.denominator
    return design(in_groups, pool, seed, training.fraction)[:n_models]


def _plan(
    recipe: Recipe,
    pool: Records,
    training: ShadowTraining,
    seed: int,
    strategy: Strategy,
    groups: list[list[int]],
    n_models: int,
    **observed: Any,
) -> ShadowPlan:
    return ShadowPlan(
        recipe, pool, _member(n_models, pool, training, seed), seed, strategy, groups, training.n_models,
        checkpoints=tuple(training.checkpoints), share=training.fraction, epoch=training.epoch,
        sources=training.has_sources, **observed,
    )  # fmt: skip


def trained(
    recipe: Recipe,
    pool: Records,
    training: ShadowTraining,
    run: Path,
    seed: int,
    progress: Progress,
    views: MirrorAndShifts | None,
    *,
    with_gradients: bool = False,
) -> Shadows:
    """Train the shadow models of a pool, or take them from the run or the bank; errors as `train_references`."""
    begun = time.monotonic()
    refuse_without(run, PLAN)
    bank = Bank(training.bank)
    found: list[Estimate] = []

    def choose() -> Strategy:
        progress("measuring how fast models can be trained", 0, 1)
        found.append(cost_of_training(recipe, pool, training, seed, bank, views))
        return found[0].strategy

    def plan_of(strategy: Strategy, groups: list[list[int]] | None) -> ShadowPlan:
        n_models = sum(map(len, groups)) if groups else found[0].n_models
        n_models -= n_models % training.group_size  # of a run with another share, which is refused when compared
        n_models = max(n_models, training.group_size)
        member = _member(n_models, pool, training, seed)
        n_workers = strategy.n_processes if training.executor is None else training.executor.n_workers
        groups = groups or groups_of(recipe, member, strategy, n_workers)
        return _plan(
            recipe, pool, training, seed, strategy, groups, n_models, views=views, gradient_norms=with_gradients
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


def _named(progress: Progress, cost: Estimate | None) -> Progress:
    """Progress that says what was picked."""
    if cost is None:
        return progress

    def tell(step: str, done: int, total: int) -> None:
        progress(f"{step} ({cost.strategy})", done, total)

    return tell

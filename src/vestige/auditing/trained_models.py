"""Shadow models for an audit: who is in which training set, what training them costs, and training them."""

import time
from dataclasses import replace
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
from vestige.auditing.shadows.sources import records_to_train_on, refuse_audited_reference
from vestige.auditing.shadows.training import Shadows, train_shadows
from vestige.core.errors import InputError
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records, joined
from vestige.core.targets import ModelSource
from vestige.core.views import Views
from vestige.data.sets.designs import balanced_groups, fixed_size_subsets
from vestige.targets.opening import open_target
from vestige.training.bank import Bank
from vestige.training.strategies import Strategy, groups_of


def refuse_recipe(target: Any, training: ShadowTraining, querying: Querying) -> None:
    """Refuse a recipe that cannot work, before the model is asked.

    Raises:
        InputError: The recipe is `same`, and the target cannot be cloned; or inputs are declared to be encoded,
            normalised, cast or turned, and clones would be trained on inputs as they were before.
    """
    if training.recipe == SAME and not querying.inputs.changes_nothing:
        raise InputError(
            "Expected a recipe beside inputs that are prepared for the model, found the word same: its clones would be "
            "trained on unprepared ones; give a recipe that prepares them, such as SklearnRecipe of a Pipeline."
        )
    if not isinstance(target, ModelSource):  # the model in a file is seen when the file is opened
        training.recipe_like(target)


def cost_of(
    target: Any, members: Records, nonmembers: Records, training: ShadowTraining, seed: int, querying: Querying
) -> Estimate:
    """Measure what the shadow models of an audit will cost.

    Raises:
        InputError: The recipe or the source models' records do not fit, or the time does not suffice.
        TrainingError: A model that was to be measured failed.
    """
    refuse_recipe(target, training, querying)
    audited = joined(members, nonmembers)
    pool = records_to_train_on(training, audited)
    if training.recipe == SAME:
        target = classifier_behind(target, open_target(target, audited.n_classes, audited.classes), querying)
    return cost_of_training(training.recipe_like(target), pool, training, seed, Bank(training.bank), querying.views)


def cost_of_training(
    recipe: Recipe, pool: Records, training: ShadowTraining, seed: int, bank: Bank, views: Views | None
) -> Estimate:
    """Measure what training shadow models on a pool of records will cost; errors as `cost_of`."""
    plan = _plan(recipe, pool, training, seed, Strategy(), training.n_models, views=views)
    n_imitators = training.n_imitators
    return estimate(plan, bank, executor=training.executor, within=training.seconds, n_imitators=n_imitators)


def design(
    n_models: int, pool: Records, seed: int, share: Fraction = HALF, *, alone: bool = False
) -> Bool[np.ndarray, "model record"]:
    """Return who is in the training set of which shadow model, every record equally often in each group of models.

    With a share of 1/2 a group is a pair: a random half, and the other half. `alone` draws each set on its own.
    """
    if alone:
        return fixed_size_subsets(
            n_models, pool.n_records, fraction=float(share), seed=seed, subjects=pool.subjects
        )  # fmt: skip
    n_drawn = -(-n_models // share.denominator) * share.denominator  # sources may end in a group
    return balanced_groups(n_drawn, pool.n_records, share=share, seed=seed, subjects=pool.subjects)[:n_models]


def _plan(
    recipe: Recipe,
    pool: Records,
    training: ShadowTraining,
    seed: int,
    strategy: Strategy,
    n_models: int,
    **observed: Any,
) -> ShadowPlan:
    """The plan of so many models, without groups."""
    refuse_audited_reference(recipe, pool)
    member = design(n_models, pool, seed, training.fraction, alone=training.drawn_alone)
    return ShadowPlan(
        recipe=recipe,
        records=pool,
        member=member,
        seed=seed,
        strategy=strategy,
        groups=[],
        n_asked=training.n_models,
        checkpoints=tuple(training.checkpoints),
        share=training.fraction,
        epoch=training.epoch,
        sources=training.has_sources,
        drawn_alone=training.drawn_alone,
        **observed,
    )


def trained(
    recipe: Recipe,
    pool: Records,
    training: ShadowTraining,
    run: Path,
    seed: int,
    progress: Progress,
    views: Views | None,
    *,
    with_gradients: bool = False,
) -> Shadows:
    """Train the shadow models of a pool, or take them from the run or the bank.

    Raises:
        InputError: The recipe cannot use the records, or the time does not suffice.
        TrainingError: No model could be trained, or one failed that ends the audit.
        RunFolderError: The run holds other models.
        ArtefactError: Something stored is damaged or foreign.
        OutputError: Bank or run cannot be written.
    """
    begun = time.monotonic()
    refuse_without(run, PLAN)
    bank = Bank(training.bank)
    n_models = training.n_models

    def choose() -> Strategy:
        nonlocal n_models
        progress("measuring how fast models can be trained", 0, 1)
        cost = cost_of_training(recipe, pool, training, seed, bank, views)
        n_models = cost.n_models
        return cost.strategy

    def plan_of(strategy: Strategy, groups: list[list[int]] | None) -> ShadowPlan:
        n = sum(map(len, groups)) if groups else n_models
        n = max(n - n % training.group_size, training.group_size)  # another share is refused when plans are compared
        plan = _plan(recipe, pool, training, seed, strategy, n, views=views, gradient_norms=with_gradients)
        n_workers = strategy.n_processes if training.executor is None else training.executor.n_workers
        return replace(plan, groups=groups or groups_of(recipe, plan.member, strategy, n_workers))

    with alone(run):
        plan = planned(run, plan_of, choose)
        return train_shadows(
            plan,
            run,
            bank,
            executor=training.executor,
            until=begun + training.seconds,
            stop_at_failure=training.stop_at_failure,
            progress=progress,
        )

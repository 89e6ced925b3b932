"""One training job: train models or load them, and ask them about the records. Runs on any worker."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from vestige.auditing.shadows.plan import ShadowPlan
from vestige.core.errors import TrainingError, UnsupportedModelError, VestigeError
from vestige.core.outputs import Logits
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.core.targets import GradientModel
from vestige.core.views import Views, with_views
from vestige.targets.opening import open_target
from vestige.training.strategies import train_group

LOGITS, PROBABILITIES, GRADIENT_NORMS = "logits", "probabilities", "gradient_norms"


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """Models that are trained together.

    Attributes:
        wanted: Numbers of the models whose answers are wanted.
        stored: Files of those that are in the bank already, by number: these are only asked.
        models: Numbers of those to train. Some may not be wanted: without them the last bits of the other models of
            their stack would change.
        member: Rows of the membership matrix of those to train, as bits, a row of bytes each.
        seeds: Their seeds.
    """

    wanted: tuple[int, ...]
    stored: Mapping[int, Mapping[str, bytes]]
    models: tuple[int, ...]
    member: np.ndarray
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """The result of a job for one model.

    Attributes:
        model: Its number.
        files: Its files for the bank; None if it is from the bank or cannot be stored.
        rows: Its answers by variable, at each checkpoint and at the end; empty if it failed.
        seconds: Its share of the job's wall time for training.
        error: Why it failed; empty if it did not.
    """

    model: int
    files: Mapping[str, bytes] | None
    rows: tuple[Mapping[str, np.ndarray], ...]
    seconds: float
    error: str = ""


def train_and_observe(plan: ShadowPlan, task: Task) -> list[Trained]:
    """Run one task of a plan. The plan's membership matrix and groups are not read, so they need not be sent."""
    done = [_observed(plan, i, partial(plan.recipe.load, files), None, 0.0) for i, files in task.stored.items()]
    if not task.models:
        return done
    member = np.unpackbits(task.member, axis=1, count=plan.records.n_records).astype(bool)
    begun = time.perf_counter()
    models = list(train_group(plan.recipe, plan.records, member, task.seeds, plan.strategy, plan.checkpoints))
    seconds = (time.perf_counter() - begun) / len(models)
    for i, model in zip(task.models, models, strict=True):
        if i in task.wanted:
            done.append(_observed(plan, i, partial(_usable, model), plan.recipe, seconds))
    return done


def _usable(model: Model | Exception) -> Model:
    if isinstance(model, Exception):
        raise model
    return model


def _observed(plan: ShadowPlan, number: int, get: Callable[[], Model], dump: Recipe | None, seconds: float) -> Trained:
    """Ask a model about all records, and dump it if it is new. Its errors are returned, and stop no other model."""
    try:
        model = get()
        copies = {copy.epoch: copy for copy in (*model.checkpoints, model)}
        there = [copies[epoch] for epoch in plan.checkpoints if epoch in copies]
        if len(there) != len(plan.checkpoints):
            raise TrainingError(
                f"Expected copies after the epochs {list(plan.checkpoints)}, found {len(there)}; training ended "
                "before one of them."
            )
        rows = tuple(
            answers_of(copy, plan.records, plan.views, gradient_norms=plan.gradient_norms) for copy in (*there, model)
        )
        return Trained(model=number, files=None if dump is None else _files(dump, model), rows=rows, seconds=seconds)
    except VestigeError as error:
        return Trained(model=number, files=None, rows=(), seconds=seconds, error=str(error))
    except Exception as error:  # a user's own model may raise anything
        return Trained(model=number, files=None, rows=(), seconds=seconds, error=f"{type(error).__name__}: {error}")


def answers_of(
    model: Model, records: Records, views: Views | None = None, *, gradient_norms: bool = False
) -> dict[str, np.ndarray]:
    """Return what a trained model answers about records, by variable of the store.

    Raises:
        UnsupportedModelError: Gradients are asked of a model that has none.
    """
    target = open_target(model.classifier, records.n_classes)
    answers = target.answers(records.inputs)
    kind = LOGITS if isinstance(answers, Logits) else PROBABILITIES
    table = answers.whole()
    if views is not None:
        others = (target.answers(view).whole() for view in views.others(records.inputs))
        table = with_views(table, others, views.n_views)
    if not gradient_norms:
        return {kind: table}
    if not isinstance(target, GradientModel):
        raise UnsupportedModelError(
            f"Expected a torch module for gradient norms, found {type(model.classifier).__name__}; train with a torch "
            "recipe, or leave them out."
        )
    return {kind: table, GRADIENT_NORMS: target.gradient_norms(records.inputs, records.labels)}


def _files(recipe: Recipe, model: Model) -> Mapping[str, bytes] | None:
    with suppress(UnsupportedModelError):
        return recipe.dump(model)
    return None

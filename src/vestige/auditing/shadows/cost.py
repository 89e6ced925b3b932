"""Estimates what training shadow models costs, and how many of them a time limit allows."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vestige.auditing.shadows.plan import ShadowPlan
from vestige.auditing.shadows.settings import N_PLAYERS
from vestige.auditing.shadows.training import train_shadows
from vestige.core.errors import InputError, TrainingError
from vestige.core.jobs import Executor
from vestige.core.messages import duration, in_seconds
from vestige.training.accounting import Privacy
from vestige.training.bank import Bank
from vestige.training.executors.in_process import InProcess, n_cpus
from vestige.training.executors.processes import Processes
from vestige.training.identity import is_reusable
from vestige.training.model_key import key_of
from vestige.training.strategies import Measured, StackedRecipe, Strategy, measure_torch

_SHARE_OF_TIME = 0.9  # of the limit; the rest is for the audit itself
_WORTH_PROCESSES = 30.0  # seconds of all models from which on several processes are measured too
_TRIES = 3  # models that are tried until one can be measured


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The cost of training shadow models.

    Attributes:
        n_models: Models.
        n_asked: Models that were asked for; more than `n_models` if the time does not allow them.
        n_stored: Those of `n_models` that are in the bank already and take no time.
        epochs: Epochs of each; 0 if the recipe counts none.
        measured: Every strategy that was measured, the fastest first.
        seconds: Wall time of all `n_models` that are not stored, by the fastest way.
        disk: Bytes of their signals in the run.
        memory: Bytes of one model's signals and of the records, which are held at the same time.
        share: Share of the records that each is trained on.
        n_views: Queries about each record that every model answers.
        sources: Whether they are source models, trained on records of their own.
        n_imitators: Models that imitate the target and some shadow models, beside `n_models`; as long as one of these.
        remarks: What else the recipe says: why models are not stacked, and what its DP-SGD promises.
    """

    n_models: int
    n_asked: int
    n_stored: int
    epochs: int
    measured: tuple[Measured, ...]
    seconds: float
    disk: int
    memory: int
    share: Fraction = Fraction(1, 2)
    n_views: int = 1
    sources: bool = False
    n_imitators: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def strategy(self) -> Strategy:
        """The fastest strategy."""
        return self.measured[0].strategy

    def lines(self) -> list[str]:
        """The estimate in words, a line each."""
        first = self.measured[0]
        epochs = f" x {self.epochs} epochs" if self.epochs else ""
        kind = "source models" if self.sources else "shadow models"
        others = [f"{in_seconds(m.seconds_per_model)} as {m.strategy}" for m in self.measured[1:4]]
        cost = what_is_given_up(self.n_models, self.n_asked, None if self.sources else self.share)
        lines = {
            f"{self.n_stored} of {self.n_models} {kind} are in the bank": self.n_stored,
            f"{self.n_models - self.n_stored} {kind}{epochs} x {in_seconds(first.seconds_per_model)} each = "
            f"{duration(self.seconds)}, as {first.strategy}": True,
            f"{self.n_imitators} imitators, of the target and of {N_PLAYERS} shadow models, about as long each: "
            f"{duration(first.seconds_per_model * self.n_imitators)}; those of the target anew for every target": (
                self.n_imitators
            ),
            f"{_size(self.disk)} of signals on disk, {_size(self.memory)} in memory at a time": True,
            f"measured as well: {'; '.join(others)}": others,
            f"each is asked {self.n_views} views of every record, which takes time that was not measured": (
                self.n_views > 1
            ),
            f"{self.n_models} instead of {self.n_asked} models fit the time: {cost}": self.n_models < self.n_asked,
        }
        return [line for line, is_said in lines.items() if is_said] + list(self.remarks)


def what_is_given_up(n_models: int, n_asked: int, share: Fraction | None = Fraction(1, 2)) -> str:
    """Say what fewer models than were asked for mean: a mean of n models is known to 1/sqrt(n) of their spread.

    Of the two means of a record, that of fewer models is meant. Without a share they are source models.

    Example:
        >>> what_is_given_up(8, 32)[:66]
        "each record's mean with and without it is known to 0.50 instead of"
    """
    if share is None:
        return "thresholds are set on the answers of fewer models"
    now, asked = (1 / math.sqrt(n * min(share, 1 - share)) for n in (n_models, n_asked))
    return (
        f"each record's mean with and without it is known to {now:.2f} instead of {asked:.2f} standard deviations, and "
        "fewer members are recognised at low false-positive rates"
    )


def estimate(
    plan: ShadowPlan,
    bank: Bank,
    *,
    executor: Executor | None = None,
    within: float = math.inf,
    n_imitators: int = 0,
) -> Estimate:
    """Measure the cost of a model, and estimate that of all.

    With a torch recipe a few steps are timed, in every way that it can be trained. With any other recipe a few models
    are trained; they stay in the bank if models of the recipe can be stored.

    Args:
        plan: Which models, and of what recipe; its strategy and groups are not looked at.
        bank: Where trained models are kept.
        executor: Backend that will run the jobs; this machine if omitted.
        within: Time limit [s].
        n_imitators: Imitators that are trained after these models.

    Raises:
        InputError: Not even two models, or one group, fit.
        TrainingError: A model that was to be measured failed.
    """
    measured = _measured(plan, bank, executor)
    stored = np.zeros(plan.n_models, dtype=bool)
    if is_reusable(plan.identity):
        stored = np.array([bank.has(key_of(plan.model_key(i))) for i in range(plan.n_models)])
    size = plan.group_size
    seconds = measured[0].seconds_per_model * np.cumsum(~stored)[size - 1 :: size]  # of 2, 4, 6 ... models
    of_imitators = measured[0].seconds_per_model * n_imitators
    n_fit = size * int(np.count_nonzero(seconds + of_imitators <= within * _SHARE_OF_TIME))
    if n_fit < size:
        more = f" and {n_imitators} imitators" if n_imitators else ""
        raise InputError(
            f"Expected time for {size} shadow models{more}, about "
            f"{duration((seconds[0] + of_imitators) / _SHARE_OF_TIME)}, found "
            f"{duration(within)}; give more with --within."
        )
    records, n_views = plan.records, 1 if plan.views is None else plan.views.n_views
    n_answers = n_views * records.n_records * records.n_classes * (4 if hasattr(plan.recipe, "epochs") else 8)
    per_row = n_answers * (len(plan.checkpoints) + 1)
    return Estimate(
        n_models=n_fit,
        n_asked=plan.n_models,
        n_stored=int(np.count_nonzero(stored[:n_fit])),
        epochs=int(getattr(plan.recipe, "epochs", 0)),
        measured=tuple(measured),
        seconds=float(seconds[n_fit // size - 1]),
        disk=per_row * n_fit + n_answers * n_imitators,
        memory=_size_of(records.inputs) + per_row,
        share=plan.share,
        n_views=n_views,
        sources=plan.sources,
        n_imitators=n_imitators,
        remarks=_remarks(plan),
    )


def _remarks(plan: ShadowPlan) -> tuple[str, ...]:
    promised = (f"each is trained with {what}" for what in privacy_of(plan))
    return (*_reason_against_stacks(plan), *promised, *getattr(plan.recipe, "remarks", ()))


def privacy_of(plan: ShadowPlan) -> tuple[str, ...]:
    """Say what the recipe's DP-SGD promises of a model of middling size; nothing without it."""
    promised = promised_by(plan.recipe, int(np.median(plan.member.sum(axis=1))))
    return () if promised is None else (str(promised),)


def promised_by(recipe: Any, n_records: int) -> Privacy | None:
    """Return what a recipe's DP-SGD promises of a model of so many records; None without it.

    Raises:
        InputError: Its epsilon cannot be reached.
    """
    of = getattr(recipe, "privacy", None)
    found: Privacy | None = None if of is None else of(n_records)
    return found


def _reason_against_stacks(plan: ShadowPlan) -> tuple[str, ...]:
    reason = plan.recipe.reason_against_stacks() if isinstance(plan.recipe, StackedRecipe) else ""
    return (f"models are not trained in stacks, because {reason}",) if reason else ()


def _size_of(inputs: Any) -> int:
    return int(inputs.memory_usage(deep=True).sum() if hasattr(inputs, "columns") else inputs.nbytes)


def _measured(plan: ShadowPlan, bank: Bank, executor: Executor | None) -> Sequence[Measured]:
    if isinstance(plan.recipe, StackedRecipe):
        processes, threads = (Processes, None) if executor is None else (None, executor.threads_each)
        found = measure_torch(plan.recipe, plan.records, plan.member, processes, n_threads=threads)
        n_workers = 1 if executor is None else executor.n_workers
        return [Measured(m.strategy, m.seconds_per_model / n_workers) for m in found]
    return _measured_by_training(plan, bank, executor)


def _measured_by_training(plan: ShadowPlan, bank: Bank, executor: Executor | None) -> list[Measured]:
    """Train a model with all processors, then one model on each, and compare."""
    cpus = n_cpus()

    def seconds(strategy: Strategy, models: Sequence[int]) -> float:
        part = replace(plan, strategy=strategy, groups=[[i] for i in models], n_asked=len(models), views=None)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            train_shadows(part, Path(folder), bank, stop_at_failure=True)
            elapsed = time.monotonic() - begun
        noted = [bank.how(key_of(model_key), model_key) for model_key in map(plan.model_key, models)]
        return max(float(how["seconds"]) for how in noted if how) if any(noted) else elapsed

    together = Strategy(threads=(executor or InProcess()).threads_each)
    first, of_one = _first_that_works(lambda model: seconds(together, [model]), min(_TRIES, plan.n_models))
    if executor is not None:
        return [Measured(together, of_one / executor.n_workers)]
    found, others = [Measured(together, of_one)], list(range(first + 1, plan.n_models))[:cpus]
    if cpus > 1 and of_one * plan.n_models > _WORTH_PROCESSES and len(others) == cpus:
        apart = Strategy(n_processes=cpus, threads=1)
        with suppress(TrainingError):
            found.append(Measured(apart, seconds(apart, others) / cpus))
    return sorted(found, key=lambda m: m.seconds_per_model)


def _first_that_works(seconds: Callable[[int], float], n_tries: int) -> tuple[int, float]:
    """The first model that can be trained and its time; those that fail are reported when all are trained."""
    for model in range(n_tries - 1):
        with suppress(TrainingError):
            return model, seconds(model)
    return n_tries - 1, seconds(n_tries - 1)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(n_bytes, 1e5) / 1e6:.1f} MB"

"""Measures for a few seconds which way of training many models is the fastest on this machine."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int

from vestige.core.errors import TrainingError
from vestige.core.jobs import Executor
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.training.executors.in_process import InProcess, n_cpus

if TYPE_CHECKING:
    from vestige.training.torch_recipe import TorchRecipe

_STACKS = (4, 8, 16, 32)
_STACKS_ON_CUDA = (64, 128, 256)  # a card has more units than small models of fewer can use
_MOST_STACKED_BYTES = 2 << 30  # weights, gradients and two moments of a stack
_MOST_ANSWER_BYTES = 256 << 20  # answers of a stack about all records, held until they are written
_SECONDS_EACH = 0.25  # for every candidate, after a warm-up
_ENOUGH_TO_START_PROCESSES = 30.0  # seconds of work from which on processes are tried


@dataclass(frozen=True)
class Strategy:
    """A way of training; recorded, because it decides the last bits of the weights.

    Attributes:
        n_processes: Processes of this machine that train at once.
        threads: Threads of numerical libraries in each.
        stack: Models trained as one; 1 trains them one after the other.
        bfloat16: Whether in bfloat16 and channels-last.
    """

    n_processes: int = 1
    threads: int = 1
    stack: int = 1
    bfloat16: bool = False

    def __str__(self) -> str:
        """In words."""
        how = f"stacks of {self.stack}" if self.stack > 1 else "one model at a time"
        where = f"{self.n_processes} processes" if self.n_processes > 1 else "this process"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{how} in {where} with {threads}{' each' if self.n_processes > 1 else ''}" + (
            ", in bfloat16" if self.bfloat16 else ""
        )


@dataclass(frozen=True)
class Measured:
    """The measured cost of a strategy.

    Attributes:
        strategy: The strategy.
        seconds_per_model: Wall time of each model [s], when all processes are busy.
    """

    strategy: Strategy
    seconds_per_model: float


def has_bfloat16() -> bool:
    """Whether what models are trained on has units for bfloat16; without them it is slower than float32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


@runtime_checkable
class StackedRecipe(Recipe, Protocol):
    """A recipe of torch networks, several of which can be trained as one; `TorchRecipe` says what each name is."""

    @property
    def base(self) -> "TorchRecipe":
        """How the classifier is trained."""

    @property
    def epochs(self) -> int:
        """Epochs of a training."""

    @property
    def bfloat16(self) -> bool:
        """Whether one model may be trained in bfloat16."""

    def n_steps(self, n_records: int) -> int:
        """Return the steps of an epoch on so many records."""

    def n_weights(self, n_classes: int) -> int:
        """Return how many numbers are trained."""

    def settled(self, n_records: int) -> "StackedRecipe":
        """Return the recipe as it trains on so many records."""

    def shortened(self, n_records: int, epochs: int) -> "StackedRecipe":
        """Return a recipe of so many epochs, whose steps take as long as those of a training."""

    def reason_against_stacks(self) -> str:
        """Return why several cannot be trained as one; empty if they can."""

    def fit_stack(
        self,
        records: Records,
        member: Bool[np.ndarray, "model record"],
        *,
        seeds: Sequence[int],
        checkpoints: Sequence[int] = (),
    ) -> Sequence[Model | TrainingError]:
        """Train a model on each row, all at once."""


def measure_torch(
    recipe: StackedRecipe,
    records: Records,
    member: Bool[np.ndarray, "model record"],
    processes: Callable[[int, int], Executor] | None,
    *,
    n_threads: int | None = None,
) -> list[Measured]:
    """Measure the ways to train a torch recipe on a few steps of its own work, in seconds.

    Args:
        recipe: How models are trained.
        records: The pool.
        member: Membership of every model.
        processes: Makes an executor of so many processes with so many threads each; None if there is to be one
            process. It is tried only if the work is long enough to be worth starting them.
        n_threads: Threads in this process; those of `InProcess` if omitted.

    Returns:
        Every way that works, the fastest first. Nothing is kept of the models.
    """
    from vestige.training.classifier import device_of

    cpus = n_cpus() if device_of(None) == "cpu" else 1  # processes would share one card, and its memory
    # With the noise and the epochs of whole trainings: on the few records of a probe they would be others.
    probe = _Probe(recipe.settled(int(np.median(member.sum(axis=1)))), records, member)
    found = _timed(probe, list(_candidates(probe, n_threads or InProcess().threads_each)))
    best = min(m.seconds_per_model for m in found)
    if processes is not None and cpus > 1 and best * len(member) > _ENOUGH_TO_START_PROCESSES:
        alone = _candidates(probe, 1)
        outcomes = processes(cpus, 1).run(_timed, probe, [list(alone)] * cpus)
        sides = [outcome.result for outcome in outcomes if not outcome.error]
        for timings in zip(*sides, strict=True):  # all processes measured at once, in each other's way
            seconds = max(m.seconds_per_model for m in timings) / cpus
            found.append(Measured(replace(timings[0].strategy, n_processes=cpus), seconds))
    return sorted(found, key=lambda m: m.seconds_per_model)


def groups_of(
    recipe: Recipe, member: Bool[np.ndarray, "model record"], strategy: Strategy, n_workers: int = 1
) -> list[list[int]]:
    """Return which models are trained together: those of a stack take the same number of steps per epoch.

    Models with as many records stand together as far as possible, because networks with batch normalisation need it.
    Stacks are smaller where there would be fewer of them than workers.
    """
    if strategy.stack == 1:
        return [[i] for i in range(len(member))]
    size = min(strategy.stack, -(-len(member) // n_workers))
    counts = member.sum(axis=1)
    steps = np.array([recipe.n_steps(int(n)) for n in counts])  # type: ignore[attr-defined]
    alike = [np.flatnonzero(steps == n) for n in np.unique(steps)]
    by_size = [models[np.argsort(counts[models], kind="stable")] for models in alike]
    return sorted(part.tolist() for models in by_size for part in np.array_split(models, -(-models.size // size)))


def train_group(
    recipe: Recipe,
    records: Records,
    member: Bool[np.ndarray, "model record"],
    seeds: Sequence[int],
    strategy: Strategy,
    checkpoints: Sequence[int] = (),
) -> Iterator[Model | Exception]:
    """Train the models of one group; yield each, or its error, in their order.

    A single model is trained by the recipe itself, several as a stack. If the stack fails, one model may be the cause:
    each is then trained alone, so that only that one fails.
    """
    with threads(strategy.threads):
        models: Sequence[Model | Exception] = ()
        if len(seeds) > 1:
            with suppress(Exception):
                models = recipe.fit_stack(records, member, seeds=seeds, checkpoints=checkpoints)  # type: ignore[attr-defined]
        if models:
            yield from models
            return
        for row, seed in zip(member, seeds, strict=True):
            try:
                yield _one(recipe, records.take(row), seed, strategy, checkpoints)
            except Exception as error:  # a user's recipe may raise anything
                yield error


def _one(recipe: Recipe, records: Records, seed: int, strategy: Strategy, checkpoints: Sequence[int]) -> Model:
    if strategy.bfloat16:
        from vestige.training.plain import train

        return train(recipe, records, seed=seed, checkpoints=checkpoints, low_precision=True)  # type: ignore[arg-type]
    return recipe.fit(records, seed=seed, checkpoints=checkpoints)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let numerical libraries use `n` threads."""
    from threadpoolctl import threadpool_limits

    torch: Any = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    try:
        with threadpool_limits(n):
            if torch is not None:
                torch.set_num_threads(n)
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


@dataclass(frozen=True, eq=False)
class _Probe:
    """A recipe cut to a few steps, and the whole training that they stand for."""

    recipe: StackedRecipe
    records: Records
    member: Bool[np.ndarray, "model record"]

    def rows(self, n_steps: int) -> Int[np.ndarray, " record"]:
        """Records of the first model for so many steps at most, of full batches if there is one."""
        mine, base = np.flatnonzero(self.member[0]), self.recipe.base
        size, n_copies = base.batch_size, base.n_copies
        n_inputs = min(n_steps, mine.size * n_copies // size) * size or mine.size * n_copies
        return mine[: -(-n_inputs // n_copies)]

    def elapsed(self, strategy: Strategy, n_steps: int) -> tuple[float, int]:
        """Time about `n_steps` steps of a strategy; return the seconds, and how many steps they were."""
        rows = self.rows(n_steps)
        steps = self.recipe.n_steps(rows.size)
        recipe = self.recipe.shortened(self.n_records, max(1, min(self.recipe.epochs, n_steps // steps)))
        part = self.records.take(rows)
        member = np.ones((strategy.stack, rows.size), dtype=bool)
        if self.uneven and not recipe.base.full_batches and recipe.n_steps(rows.size - 1) == steps:
            member[-1, -1] = False
        begun = time.perf_counter()
        with threads(strategy.threads):
            if strategy.stack > 1:
                recipe.fit_stack(part, member, seeds=range(strategy.stack))
            else:
                _one(recipe, part, 0, strategy, ())
        return time.perf_counter() - begun, steps * recipe.epochs

    @property
    def uneven(self) -> bool:
        """Whether stacks will hold models with different numbers of records: more than the two of one pair."""
        return np.unique(self.member.sum(axis=1)).size > 2

    @property
    def steps_per_model(self) -> int:
        """Steps of a whole training, of a model of middling size."""
        return self.recipe.n_steps(self.n_records) * self.recipe.epochs

    @property
    def n_records(self) -> int:
        """Of a model of middling size."""
        return int(np.median(self.member.sum(axis=1)))


def _candidates(probe: _Probe, n_threads: int) -> Iterator[Strategy]:
    import torch

    yield Strategy(threads=n_threads)
    if probe.recipe.bfloat16 and has_bfloat16():
        yield Strategy(threads=n_threads, bfloat16=True)
    if probe.recipe.reason_against_stacks():
        return
    n_bytes = 16 * probe.recipe.n_weights(probe.records.n_classes)
    answers = 4 * probe.records.n_records * probe.records.n_classes
    most = min(len(probe.member), _MOST_STACKED_BYTES // max(1, n_bytes), _MOST_ANSWER_BYTES // answers)
    for stack in _STACKS + (_STACKS_ON_CUDA if torch.cuda.is_available() else ()):
        if stack <= most:
            yield Strategy(threads=n_threads, stack=stack)


def _timed(probe: _Probe, candidates: Sequence[Strategy]) -> list[Measured]:
    """Time every candidate that works, after a warm-up that shows how many steps fit in the time."""
    found: list[Measured] = []
    for strategy in candidates:
        try:
            probe.elapsed(strategy, 1)  # loads and allocates what later runs reuse
            start, one = probe.elapsed(strategy, 1)
            whole, many = min(probe.elapsed(strategy, int(np.clip(_SECONDS_EACH / start, 3, 200))) for _ in range(2))
            # A whole training starts once: the time of the start cancels out.
            seconds = (max(whole - start, whole / 2) / (many - one) if many > one else whole / many) / strategy.stack
        except Exception:  # another way may work; the first, plainest one must
            if not found:
                raise
            continue
        found.append(Measured(strategy, seconds * probe.steps_per_model))
    return found

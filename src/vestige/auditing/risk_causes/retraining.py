"""Trains a model again without each of some records, and asks each about the record that it lacks."""

import io
import math
import time
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vestige.attacks.modified_entropy import modified_entropy
from vestige.auditing.shadows.job import LOGITS, PROBABILITIES, answers_of
from vestige.core.errors import InputError, TrainingError
from vestige.core.ids import id_texts
from vestige.core.jobs import Executor
from vestige.core.messages import duration
from vestige.core.probabilities import from_logits, from_probabilities
from vestige.core.progress import Progress
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.training.bank import Bank
from vestige.training.executors.in_process import InProcess, n_cpus
from vestige.training.executors.processes import Processes
from vestige.training.identity import is_reusable
from vestige.training.leave_one_out import NOTHING, key_without, train_without
from vestige.training.model_key import key_of
from vestige.training.strategies import Strategy, measure_torch

_WORTH_PROCESSES = 30.0  # seconds of all models
_FILES = {f"{kind}.npy": read for kind, read in ((LOGITS, from_logits), (PROBABILITIES, from_probabilities))}


@dataclass(frozen=True)
class Retraining:
    """How a model is trained again without a record.

    Attributes:
        recipe: How the audited model was trained.
        seed: Of all trainings; that of the audited model, if this recipe trained it, compares that model itself.
        n_records: Training records to leave out, each from a model of its own; all if there are fewer.
        bank: Folder where answers are kept, so that what was stopped goes on; the usual one if omitted. The answers
            are disclosive.
        executor: Backend that trains; this machine if omitted.

    Raises:
        InputError: It is no recipe, or there is no record to leave out.
    """

    recipe: Any
    _: KW_ONLY
    seed: int = 0
    n_records: int = 200
    bank: str | Path | None = None
    executor: Executor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise InputError(
                f"Expected a recipe to retrain with, found {type(self.recipe).__name__}; give one, such as "
                "vestige.TorchRecipe(network, epochs=30)."
            )
        if self.n_records < 1:
            raise InputError(f"Expected a record to leave out, found {self.n_records}; give a few hundred.")


@dataclass(frozen=True)
class RetrainingCost:
    """What training again costs.

    Attributes:
        n_models: Models to train: one of all records, and one without each.
        n_stored: Those whose answers are in the bank.
        seconds: Wall time of the others.
        strategy: How they are trained.
    """

    n_models: int
    n_stored: int
    seconds: float
    strategy: Strategy

    def __str__(self) -> str:
        """In words."""
        return (
            f"{self.n_models - self.n_stored} models, {self.n_stored} stored: {duration(self.seconds)}, as "
            f"{self.strategy}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Retrained:
    """What models answer about records that they were, and were not, trained on.

    Attributes:
        rows: Rows of these records among all that were trained on, rising.
        without: Modified entropy of each, by the model without it [nats].
        trained: By the model of all records [nats].
        failures: Why models failed, by row; these rows are not among the others.
    """

    rows: Int[np.ndarray, " record"]
    without: Float[np.ndarray, " record"]
    trained: Float[np.ndarray, " record"]
    failures: dict[int, str]


def cost_of_retraining(members: Records, retraining: Retraining, seed: int = 0) -> RetrainingCost:
    """Measure what training again costs, in seconds; with other recipes than torch a model is trained for it, and kept.

    Args:
        members: What the model is trained on.
        retraining: How.
        seed: Of the sample of records, as of `why_at_risk`.

    Raises:
        TrainingError: The model that was to be measured failed.
    """
    return _Trainer(members, retraining, seed).cost()


def retrained(members: Records, retraining: Retraining, seed: int, progress: Progress) -> Retrained:
    """Train without each of some records, or take what was answered from the bank.

    Raises:
        TrainingError: The model of all records failed, or all others did; of a defence that reads records beside its
            batches all do.
        ArtefactError: Something stored is damaged or foreign.
        OutputError: The bank cannot be written.
    """
    trainer = _Trainer(members, retraining, seed)
    progress("measuring how fast models can be trained", 0, 1)
    trainer.train(trainer.cost().strategy, progress)
    return trainer.found()


@dataclass(frozen=True, eq=False)
class _Work:
    """What every task needs."""

    recipe: Recipe
    records: Records
    seed: int
    strategy: Strategy


def _answered(work: _Work, left_out: tuple[int, ...]) -> list[tuple[int, dict[str, np.ndarray], str]]:
    """Train without each of some records; return each row, what its model answers about it, and why there is none."""
    models = train_without(work.recipe, work.records, left_out, work.seed, work.strategy)
    done: list[tuple[int, dict[str, np.ndarray], str]] = []
    for row, model in zip(left_out, models, strict=True):
        try:
            if isinstance(model, Exception):
                raise model
            done.append((row, answers_of(model, work.records if row == NOTHING else work.records.take([row])), ""))
        except Exception as error:  # a user's own model may raise anything
            done.append((row, {}, f"{type(error).__name__}: {error}"))
    return done


class _Trainer:
    """Keeps track of which models answered."""

    def __init__(self, members: Records, retraining: Retraining, seed: int) -> None:
        self.members, self.how, self.bank = members, retraining, Bank(retraining.bank)
        self.rows = (NOTHING, *_sampled(members, retraining.n_records, seed).tolist())
        self.keys = {row: key_without(retraining.recipe, members, row, self.how.seed) for row in self.rows}
        self.is_kept = is_reusable(retraining.recipe.identity())
        self.answers: dict[int, np.ndarray] = {}
        self.failures: dict[int, str] = {}
        for row in self.rows:
            files = self.bank.get(key_of(self.keys[row]), self.keys[row]) if self.is_kept else None
            if files is not None:
                self._enter(row, files)

    @property
    def missing(self) -> list[int]:
        """Rows without an answer."""
        return [row for row in self.rows if row not in self.answers and row not in self.failures]

    def cost(self) -> RetrainingCost:
        """Measure a model, and estimate the cost of those that are missing."""
        n_stored, cpus, strategy = len(self.answers), n_cpus(), Strategy(threads=InProcess().threads_each)
        if len(self.missing) < 2:
            return RetrainingCost(len(self.rows), n_stored, 0.0, strategy)
        recipe, executor = self.how.recipe, self.how.executor
        if hasattr(recipe, "network"):
            member = np.ones((len(self.missing), self.members.n_records), dtype=bool)
            processes, n_threads = (Processes, None) if executor is None else (None, executor.threads_each)
            ways = measure_torch(recipe, self.members, member, processes, n_threads=n_threads)
            best = next(way for way in ways if not way.strategy.bfloat16)  # whose rounding would hide one record
            strategy, each = best.strategy, best.seconds_per_model / (1 if executor is None else executor.n_workers)
        else:
            begun, first = time.perf_counter(), NOTHING if NOTHING in self.missing else self.missing[0]
            self._note(_answered(_Work(recipe, self.members, self.how.seed, strategy), (first,)))
            self._refuse_failures()
            each = time.perf_counter() - begun
            if executor is None and cpus > 1 and each * len(self.missing) > _WORTH_PROCESSES:
                strategy, each = Strategy(n_processes=cpus), each / cpus
        return RetrainingCost(len(self.rows), n_stored, each * len(self.missing), strategy)

    def train(self, strategy: Strategy, progress: Progress) -> None:
        """Train what is missing."""
        own = InProcess() if strategy.n_processes == 1 else Processes(strategy.n_processes, strategy.threads)
        workers: Executor = self.how.executor or own
        work = _Work(self.how.recipe, self.members, self.how.seed, strategy)
        size = max(1, min(strategy.stack, -(-len(self.missing) // workers.n_workers)))
        step = f"retraining without a record ({strategy})"
        progress(step, len(self.rows) - len(self.missing), len(self.rows))
        for outcome in workers.run(_answered, work, list(_parts(self.missing, size))):
            self._note(outcome.result or [(row, {}, outcome.error) for row in outcome.task])
            progress(step, len(self.rows) - len(self.missing), len(self.rows))

    def found(self) -> Retrained:
        """What was answered, as modified entropies."""
        self._refuse_failures()
        rows = np.array([row for row in self.rows[1:] if row in self.answers], dtype=np.int64)
        labels = self.members.labels[rows]
        return Retrained(
            rows=rows,
            without=np.concatenate([self._entropies(int(row), labels[i : i + 1]) for i, row in enumerate(rows)]),
            trained=self._entropies(NOTHING, self.members.labels)[rows],
            failures={row: self.failures[row] for row in sorted(self.failures)},
        )

    def _refuse_failures(self) -> None:
        """Refuse to go on without the model of all records, or without any other."""
        others = [row for row in self.rows[1:] if row not in self.failures]
        if NOTHING in self.failures or not others:
            reason = self.failures.get(NOTHING) or next(iter(self.failures.values()))
            raise TrainingError(f"Expected models with and without some records, found that training failed: {reason}")

    def _note(self, answered: list[tuple[int, dict[str, np.ndarray], str]]) -> None:
        self.failures |= {row: error for row, _, error in answered if error}
        new = {row: {f"{kind}.npy": _bytes_of(table) for kind, table in tables.items()} for row, tables, _ in answered}
        new = {row: files for row, files in new.items() if files}
        if self.is_kept and new:
            self.bank.put_all({key_of(self.keys[row]): (self.keys[row], files, {}) for row, files in new.items()})
        for row, files in new.items():
            self._enter(row, files)

    def _enter(self, row: int, files: Any) -> None:
        [(name, data)] = files.items()
        self.kind = name
        self.answers[row] = np.load(io.BytesIO(data), allow_pickle=False)

    def _entropies(self, row: int, labels: np.ndarray) -> np.ndarray:
        return -modified_entropy(_FILES[self.kind](self.answers[row]), labels)


def _parts(rows: list[int], size: int) -> Iterator[tuple[int, ...]]:
    """Rows that are trained together, as many in each part as can be."""
    for part in np.array_split(rows, max(1, math.ceil(len(rows) / size))):
        if part.size:
            yield tuple(part.tolist())


def _bytes_of(table: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, table, allow_pickle=False)
    return file.getvalue()


def _sampled(members: Records, n: int, seed: int) -> Int[np.ndarray, " record"]:
    """Rows of some records, the same ones in whatever order records with ids come."""
    every = members.n_records
    order = np.arange(every) if members.ids is None else np.argsort(id_texts(members.ids), kind="stable")
    drawn = stream(seed, "records to leave out").choice(every, min(n, every), replace=False)
    return np.sort(order[drawn])

"""Trains the shadow models of an audit and stores their answers; can be stopped and resumed at any time."""

import json
import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vestige.auditing.run_folder import FAILURES, STORE
from vestige.auditing.shadows.job import GRADIENT_NORMS, LOGITS, PROBABILITIES, Task, Trained, train_and_observe
from vestige.auditing.shadows.plan import ShadowPlan
from vestige.core.digests import digest_of_columns
from vestige.core.errors import InputError, TrainingError
from vestige.core.half_written import writable
from vestige.core.jobs import Executor, Outcome
from vestige.core.outputs import Logits, Probabilities
from vestige.core.progress import Progress, silent
from vestige.data.signals.layout import DRAWN_TOGETHER, MEMBER, SignalLayout, VariableSpec
from vestige.data.signals.store import SignalStore
from vestige.training.bank import Bank
from vestige.training.executors.in_process import InProcess
from vestige.training.executors.processes import Processes
from vestige.training.identity import is_reusable
from vestige.training.model_key import key_of
from vestige.training.strategies import Strategy


@dataclass(frozen=True, kw_only=True, eq=False)
class Shadows:
    """Shadow models that are trained and asked.

    Attributes:
        plan: The plan.
        store: Their answers; only rows of `done` models are complete.
        done: Which models are done.
        failures: Why others failed, by number; models in neither were left out for lack of time.
        mended: Stored signals that were damaged and computed again, in words.
        n_trained: Models that were trained by this call; the others were stored.
        seconds: Wall time of this run.
    """

    plan: ShadowPlan
    store: SignalStore
    done: Bool[np.ndarray, " model"]
    failures: Mapping[int, str]
    n_trained: int
    seconds: float
    mended: tuple[str, ...] = ()

    @property
    def member(self) -> Bool[np.ndarray, "model record"]:
        """Membership of the models that are done."""
        rows: np.ndarray = self.plan.member[self.done]
        return rows

    @property
    def kind(self) -> str:
        """`logits` or `probabilities`."""
        return LOGITS if LOGITS in self.store.variables else PROBABILITIES

    @property
    def output(self) -> type[Logits | Probabilities]:
        """The same as the type of an answer."""
        return Logits if self.kind == LOGITS else Probabilities

    def rows_read(self) -> list[int]:
        """Rows of the store that attacks read, of the models that are done."""
        return [self.plan.row_read(int(i)) for i in np.flatnonzero(self.done)]


def train_shadows(
    plan: ShadowPlan,
    folder: Path,
    bank: Bank,
    *,
    executor: Executor | None = None,
    until: float = math.inf,
    stop_at_failure: bool = False,
    progress: Progress = silent,
    what: str = "shadow model",
) -> Shadows:
    """Train the models that are in neither the run nor the bank, ask those that the run lacks, and write both.

    Args:
        plan: Which models, and how.
        folder: The run; signals that it has are kept.
        bank: Where models are kept.
        executor: Backend that runs the jobs; if omitted, processes of this machine, as the strategy says.
        until: Value of `time.monotonic()` by which to end: no job is begun that would take longer, if it takes as long
            as the longest one so far.
        stop_at_failure: Whether the first model that fails ends the run, instead of being reported.
        progress: Told after every model.
        what: What one of these models is called.

    Raises:
        TrainingError: All models failed, or one did and `stop_at_failure`, or there was time for none.
        ArtefactError: A stored model is damaged or foreign, or the run's signals are of something else.
        OutputError: The bank or the run cannot be written; what is there stays whole.
    """
    begun = time.monotonic()
    books = _Bookkeeping(plan, folder, bank, until)
    step = f"training {what}s ({plan.strategy})"
    progress(step, books.n_through, plan.n_models)
    shared = replace(plan, member=plan.member[:0], groups=[])  # each task has its rows
    workers = executor or _executor_of(plan.strategy)
    while books.waiting:
        with ExitStack() as claims, closing(_outcomes(workers, shared, books.tasks(claims))) as outcomes:
            for outcome in outcomes:
                books.enter(outcome)
                if books.failures and stop_at_failure:
                    raise books.first_failure()
                progress(step, books.n_through, plan.n_models)
        books.wait()
    _note(folder / FAILURES, books.failures)
    if books.failures and not books.done.any():
        raise books.first_failure()
    if books.store is None or not books.done.any():
        raise TrainingError(f"Expected at least one {what} in the time there was, found none; give it more time.")
    seconds = time.monotonic() - begun
    return Shadows(
        plan=plan,
        store=books.store,
        done=books.done,
        failures=books.failures,
        n_trained=books.n_trained,
        seconds=seconds,
        mended=books.mended,
    )


def _outcomes(workers: Executor, plan: ShadowPlan, tasks: Iterator[Task]) -> Generator[Outcome, None, None]:
    """Outcomes of the tasks; closing it early cancels the tasks that still run."""
    yield from workers.run(train_and_observe, plan, tasks)


def _note(path: Path, failures: Mapping[int, str]) -> None:
    """Write why models failed: an error may quote records, so it is no part of a report."""
    with writable(path.parent.name, path.name):
        path.unlink(missing_ok=True)
        if failures:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps({f"model {i}": failures[i] for i in sorted(failures)}, indent=1) + "\n")


def _executor_of(strategy: Strategy) -> Executor:
    return InProcess() if strategy.n_processes == 1 else Processes(strategy.n_processes, strategy.threads)


class _Bookkeeping:
    """Keeps track of which models are stored, claimed and done; makes tasks and writes their results.

    A process never waits for another one's models while it holds claims of its own, or both could wait for ever:
    `tasks` ends first, all results are written and the claims end; only then `wait` waits.
    """

    def __init__(self, plan: ShadowPlan, folder: Path, bank: Bank, until: float) -> None:
        self.plan, self.path, self.bank, self.until = plan, folder / STORE, bank, until
        self.model_keys = [plan.model_key(i) for i in range(plan.n_models)]
        self.keys = [key_of(model_key) for model_key in self.model_keys]
        self.reusable = is_reusable(plan.identity)
        self.store: SignalStore | None = None
        self.mended: tuple[str, ...] = ()
        complete = np.zeros(len(plan.table()), dtype=bool)
        if self.path.exists():
            variables = SignalStore.open(self.path).variables
            layout = self._layout({name: spec for name, spec in variables.items() if name != MEMBER})
            self.store = SignalStore.open(self.path, layout)
            if self.reusable:  # else the recipe may have been another one
                complete = self._undamaged(self.store)
        self.done = np.array([complete[list(plan.rows_of(i))].all() for i in range(plan.n_models)])
        self.failures: dict[int, str] = {}
        self.n_trained = 0
        self.waiting = [tuple(group) for group in plan.groups if not self.done[group].all()]
        self.claims: dict[tuple[int, ...], ExitStack] = {}
        self.longest = 0.0  # seconds that a job has taken

    @property
    def n_through(self) -> int:
        """Models that are done or have failed."""
        return int(self.done.sum()) + len(self.failures)

    def first_failure(self) -> TrainingError:
        """The error of the first model that failed."""
        first = min(self.failures)
        return TrainingError(f"Shadow model {first}: {self.failures[first]}")

    def _undamaged(self, store: SignalStore) -> np.ndarray:
        """Rows that are complete and undamaged: others are computed again."""
        complete, damages = store.complete(), store.verify()
        complete[[damage.row for damage in damages]] = False
        self.mended = tuple(dict.fromkeys(f"{d.variable} of {store.models.named(d.row)}" for d in damages))
        return complete

    def _layout(self, variables: Mapping[str, VariableSpec]) -> SignalLayout:
        plan = self.plan
        member = np.repeat(plan.member, len(plan.checkpoints) + 1, axis=0)
        made_from = {"data": plan.records.digest, "models": digest_of_columns({"keys": np.array(self.keys)})}
        if plan.n_together != 2:  # of pairs, partners are told by their training sets
            made_from[DRAWN_TOGETHER] = str(plan.n_together)
        return SignalLayout(plan.table(), member, variables, ids=plan.records.ids, made_from=made_from)

    def tasks(self, claims: ExitStack) -> Iterator[Task]:
        """Yield a task for every waiting group; groups that another process trains stay waiting."""
        groups, self.waiting = self.waiting, []
        for group in groups:
            if time.monotonic() + self.longest > self.until:
                self.waiting = []
                return
            task = self._task(group, claims)
            if task is None:
                self.waiting.append(group)
            elif task.wanted:
                yield task

    def wait(self) -> None:
        """Wait until another process has finished the first of the waiting groups."""
        if self.waiting:
            self.bank.wait_for([self.keys[i] for i in self.waiting[0]], self.until)

    def _task(self, group: tuple[int, ...], claims: ExitStack) -> Task | None:
        """The task of a group; None if another process is training one of its models."""
        wanted = tuple(i for i in group if not self.done[i])
        missing = [i for i in wanted if not self._in_bank(i)]
        if missing and self.reusable:
            claim = self.bank.claim([self.keys[i] for i in missing])
            if claim is None:
                return None
            self.claims[wanted] = claims.enter_context(claim)
        stored = {}
        for i in filter(self._in_bank, wanted):
            files = self.bank.get(self.keys[i], self.model_keys[i])
            if files is not None:
                stored[i] = files
        models = tuple(i for i in group if len(stored) < len(wanted) and not self._in_bank(i))
        rows = np.packbits(self.plan.member[list(models)], axis=1)
        return Task(
            wanted=wanted, stored=stored, models=models, member=rows, seeds=tuple(map(self.plan.seed_of, models))
        )

    def _in_bank(self, model: int) -> bool:
        return self.reusable and self.bank.has(self.keys[model])

    def enter(self, outcome: Outcome) -> None:
        """Write the results of a job: models to the bank first, then signals to the run."""
        task: Task = outcome.task
        if outcome.error:
            self.failures |= dict.fromkeys(task.wanted, outcome.error)
        trained: Sequence[Trained] = outcome.result or ()
        self.failures |= {t.model: t.error for t in trained if t.error}
        good = [t for t in trained if not t.error]
        strategy = asdict(self.plan.strategy)
        entries = {
            self.keys[t.model]: (
                self.model_keys[t.model],
                t.files,
                {"strategy": strategy, "seconds": round(t.seconds, 3)},
            )
            for t in good
            if self.reusable and t.files is not None
        }
        if entries:
            self.bank.put_all(entries)
        for t in good:
            try:
                self._write(t)
                self.n_trained += t.model not in task.stored
            except InputError as error:  # such as probabilities where the others gave logits
                self.failures[t.model] = str(error)
        self.longest = max(self.longest, sum(t.seconds for t in trained))
        if task.wanted in self.claims:
            self.claims.pop(task.wanted).close()

    def _write(self, trained: Trained) -> None:
        if self.store is None:
            specs = {name: _spec(name, values) for name, values in trained.rows[0].items()}
            self.store = SignalStore.create(self.path, self._layout(specs))
        for row, values in zip(self.plan.rows_of(trained.model), trained.rows, strict=True):
            self.store.write_row(row, values)
        self.done[trained.model] = True


def _spec(name: str, values: np.ndarray) -> VariableSpec:
    n_classes = None if name == GRADIENT_NORMS else values.shape[-1]
    return VariableSpec(str(values.dtype), n_queries=values.shape[1] if values.ndim == 3 else None, n_classes=n_classes)

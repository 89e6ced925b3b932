"""Shadow models of an audit: planned, trained once, observed, and all of it resumable."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from vestige.auditing.run_folder import PARTIAL_PLAN, PLAN, STORE
from vestige.auditing.shadow_work import (
    GRADIENT_NORMS,
    LOGITS,
    PROBABILITIES,
    Shared,
    Task,
    Trained,
    train_and_observe,
)
from vestige.core.digests import digest_of_columns
from vestige.core.errors import RunFolderError, TrainingError
from vestige.core.jobs import Executor, Outcome
from vestige.core.progress import Progress, silent
from vestige.core.recipe import Recipe
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.core.signal_store import SignalStore
from vestige.core.signals import ModelTable, SignalLayout, VariableSpec
from vestige.training.bank import Bank
from vestige.training.executors.in_process import InProcess
from vestige.training.executors.processes import Processes
from vestige.training.facts import Facts, key_of
from vestige.training.identity import is_reusable
from vestige.training.strategies import Strategy

_FORMAT = 1
AT_THE_END = 0
"""Epoch of a row of the store that was observed when training had ended."""


@dataclass(frozen=True, eq=False)
class ShadowPlan:
    """Which models to train, and how.

    Attributes:
        recipe: How each is trained.
        records: The pool; every model is asked about all of it.
        member: Which record each is trained on.
        seed: The models' seeds are drawn from it, each from its number alone.
        strategy: The way they are trained.
        groups: Models that are trained together.
        n_asked: Models that were asked for, before the time was looked at.
        checkpoints: Epochs after which they are observed as well.
        gradient_norms: Whether to observe the gradient of every record.
    """

    recipe: Recipe
    records: Records
    member: Bool[np.ndarray, "model record"]
    seed: int
    strategy: Strategy
    groups: list[list[int]]
    n_asked: int
    checkpoints: tuple[int, ...] = ()
    gradient_norms: bool = False

    @property
    def n_models(self) -> int:
        """Number of models."""
        return len(self.member)

    def seed_of(self, model: int) -> int:
        """Seed of a model's training."""
        return int(stream(self.seed, f"shadow model {model}").integers(2**31))

    def facts(self, model: int) -> Facts:
        """What decides a model."""
        row = digest_of_columns({"member": self.member[model]})
        identity = dict(self.recipe.identity())
        return Facts(self.records.digest, row, identity, self.seed_of(model), self.checkpoints)

    def table(self) -> ModelTable:
        """The model axis of the store: every model at its checkpoints, then at the end."""
        epochs = (*self.checkpoints, AT_THE_END)
        models = np.repeat(np.arange(self.n_models), len(epochs))
        return ModelTable(models, np.tile(epochs, self.n_models), [self.seed_of(int(i)) for i in models])

    def rows_of(self, model: int) -> range:
        """Rows of the store that are a model's."""
        n = len(self.checkpoints) + 1
        return range(model * n, (model + 1) * n)

    def as_text(self) -> dict[str, Any]:
        """What a resumed run must share."""
        return {
            "data": self.records.digest,
            "recipe": dict(self.recipe.identity()),
            "n_asked": self.n_asked,
            "member": digest_of_columns({"member": self.member}),
            "seed": self.seed,
            "checkpoints": list(self.checkpoints),
            "gradient_norms": self.gradient_norms,
        }


@dataclass(frozen=True, eq=False)
class Shadows:
    """Shadow models that have been observed.

    Attributes:
        plan: What was asked.
        store: What they answered; only rows of `done` models are complete.
        done: Which models are.
        failures: Why others are not, by number; those that are in neither were left out for lack of time.
        n_trained: Models trained in this run; the others were there.
        seconds: Wall time of this run.
    """

    plan: ShadowPlan
    store: SignalStore
    done: Bool[np.ndarray, " model"]
    failures: Mapping[int, str]
    n_trained: int
    seconds: float

    @property
    def member(self) -> Bool[np.ndarray, "model record"]:
        """Membership of the models that are done."""
        rows: np.ndarray = self.plan.member[self.done]
        return rows

    @property
    def kind(self) -> str:
        """`logits` or `probabilities`."""
        return LOGITS if LOGITS in self.store.variables else PROBABILITIES

    def final_rows(self) -> list[int]:
        """Rows of the store at the end of training, of the models that are done."""
        return [self.plan.rows_of(int(i))[-1] for i in np.flatnonzero(self.done)]


def planned(
    folder: Path, plan_of: Callable[[Strategy, list[list[int]] | None], ShadowPlan], choose: Callable[[], Strategy]
) -> ShadowPlan:
    """Return the plan that a run has, or make it one: strategy and groups are kept, so that a resumed run ends alike.

    Args:
        folder: The run.
        plan_of: Makes a plan of a strategy and of groups, or of its own groups.
        choose: Measures and picks a strategy; called only if the run has none yet.

    Raises:
        RunFolderError: The folder holds a plan of other models, both sides named.
    """
    path = folder / PLAN
    if path.exists():
        try:
            there = json.loads(path.read_text())
            strategy, groups = Strategy(**there["strategy"]), there["groups"]
            asked = there["asked"]
        except (OSError, ValueError, KeyError, TypeError):
            raise RunFolderError(
                f"Expected the plan of shadow models in {path.name}, found it damaged; remove the folder {folder.name} "
                "or name another with --out. Trained models stay in the bank."
            ) from None
        plan = plan_of(strategy, groups)
        _same(folder, asked, json.loads(json.dumps(plan.as_text())))
        return plan
    plan = plan_of(choose(), None)
    folder.mkdir(parents=True, exist_ok=True)
    text = {"format": _FORMAT, "strategy": asdict(plan.strategy), "groups": plan.groups, "asked": plan.as_text()}
    partial = folder / PARTIAL_PLAN
    partial.write_text(json.dumps(text, indent=1) + "\n")
    partial.replace(path)
    return plan


def _same(folder: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    for name, value in asked.items():
        if there.get(name) != value:
            raise RunFolderError(
                f"Expected {folder.name} to hold shadow models of the same {name}, found {_brief(there.get(name))} "
                f"there and {_brief(value)} here; name another folder with --out. Trained models are shared by the "
                "bank."
            )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({digest_of_columns({'text': np.array([text])})[:8]})"


@dataclass
class _Ledger:
    """What is known of the models during a run."""

    done: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
    n_trained: int = 0


def train_shadows(
    plan: ShadowPlan,
    folder: Path,
    bank: Bank,
    *,
    executor: Executor | None = None,
    until: float = math.inf,
    stop_at_failure: bool = False,
    progress: Progress = silent,
) -> Shadows:
    """Train what is in neither the run nor the bank, observe what the run lacks, and write both.

    Args:
        plan: Which models, and how.
        folder: The run; what it has is kept.
        bank: Where models are kept.
        executor: Who works; this process or several of this machine, as the strategy says, if omitted.
        until: Value of `time.monotonic()` after which no further job is begun.
        stop_at_failure: Whether the first model that fails ends the run, instead of being reported.
        progress: Told after every model.

    Raises:
        TrainingError: All models failed, or one did and `stop_at_failure`.
        ArtefactError: A stored model is damaged or foreign, or the run's signals are of something else.
        OutputError: The bank or the run cannot be written; what is there stays whole.
    """
    begun = time.monotonic()
    books = _Books(plan, folder, bank, until)
    progress("training shadow models", int(books.ledger.done.sum()), plan.n_models)
    shared = Shared(plan.recipe, plan.records, plan.strategy, plan.checkpoints, plan.gradient_norms)
    with ExitStack() as claims:
        for outcome in (executor or _executor_of(plan.strategy)).run(train_and_observe, shared, books.tasks(claims)):
            books.enter(outcome)
            failures = books.ledger.failures
            if failures and (stop_at_failure or len(failures) == plan.n_models):
                first = min(failures)
                raise TrainingError(f"Shadow model {first}: {failures[first]}")
            progress("training shadow models", int(books.ledger.done.sum()) + len(failures), plan.n_models)
    if books.store is None:
        raise TrainingError("Expected at least one shadow model in the time there was, found none; give it more time.")
    ledger = books.ledger
    return Shadows(plan, books.store, ledger.done, ledger.failures, ledger.n_trained, time.monotonic() - begun)


def _executor_of(strategy: Strategy) -> Executor:
    return InProcess() if strategy.n_processes == 1 else Processes(strategy.n_processes, strategy.threads)


class _Books:
    """Which models are where; gives out tasks and enters what comes back."""

    def __init__(self, plan: ShadowPlan, folder: Path, bank: Bank, until: float) -> None:
        self.plan, self.path, self.bank, self.until = plan, folder / STORE, bank, until
        self.facts = [plan.facts(i) for i in range(plan.n_models)]
        self.keys = [key_of(facts) for facts in self.facts]
        self.reusable = is_reusable(plan.recipe.identity())
        self.store = SignalStore.open(self.path, self._layout(None)) if self.path.exists() else None
        complete = np.zeros(len(plan.table()), dtype=bool) if self.store is None else self._undamaged(self.store)
        done = np.array([complete[list(plan.rows_of(i))].all() for i in range(plan.n_models)])
        self.ledger = _Ledger(done)
        self.claims: dict[tuple[int, ...], ExitStack] = {}

    def _undamaged(self, store: SignalStore) -> np.ndarray:
        """Rows that are complete and as they were written: others are computed again."""
        complete = store.complete()
        complete[[damage.row for damage in store.verify()]] = False
        return complete

    def _layout(self, variables: Mapping[str, VariableSpec] | None) -> SignalLayout:
        plan = self.plan
        if variables is None:
            variables = {n: s for n, s in SignalStore.open(self.path).variables.items() if n != "member"}
        member = np.repeat(plan.member, len(plan.checkpoints) + 1, axis=0)
        made_from = {"data": plan.records.digest, "models": digest_of_columns({"keys": np.array(self.keys)})}
        return SignalLayout(plan.table(), member, variables, ids=plan.records.ids, made_from=made_from)

    def tasks(self, claims: ExitStack) -> Iterator[Task]:
        """Give out groups; of those that another process is at, when it is through with them."""
        waiting = [tuple(group) for group in self.plan.groups]
        while waiting:
            later = []
            for group in waiting:
                if time.monotonic() > self.until:
                    return
                task = self._task(group, claims)
                if task is None:
                    later.append(group)
                elif task.wanted:
                    yield task
            if later:
                self.bank.wait_for([self.keys[i] for i in later[0]])
            waiting = later

    def _task(self, group: tuple[int, ...], claims: ExitStack) -> Task | None:
        """The task of a group; None if another process is training one of its models."""
        wanted = tuple(i for i in group if not self.ledger.done[i])
        missing = [i for i in wanted if not self._in_bank(i)]
        if missing and self.reusable:
            claim = self.bank.claim([self.keys[i] for i in missing])
            if claim is None:
                return None
            self.claims[group] = claims.enter_context(ExitStack())
            self.claims[group].enter_context(claim)
        stored = {i: files for i in wanted if (files := self._stored(i)) is not None}
        rows = np.packbits(self.plan.member[list(group)], axis=1)
        return Task(group, rows, tuple(self.plan.seed_of(i) for i in group), stored, wanted)

    def _in_bank(self, model: int) -> bool:
        return self.reusable and self.bank.has(self.keys[model])

    def _stored(self, model: int) -> Mapping[str, bytes] | None:
        return self.bank.get(self.keys[model], self.facts[model]) if self.reusable else None

    def enter(self, outcome: Outcome) -> None:
        """Write what a job gave: models to the bank first, then signals to the run."""
        task: Task = outcome.task
        if outcome.error:
            self.ledger.failures |= dict.fromkeys(task.wanted, outcome.error)
        trained: Sequence[Trained] = outcome.result or ()
        self.ledger.failures |= {t.model: t.error for t in trained if t.error}
        good = [t for t in trained if not t.error]
        if self.reusable:
            entries = {
                self.keys[t.model]: (self.facts[t.model], t.files, self._how(t)) for t in good if t.files is not None
            }
            if entries:
                self.bank.put_all(entries)
        for t in good:
            self._write(t)
        self.ledger.n_trained += sum(t.model not in task.stored for t in good)
        if task.models in self.claims:
            self.claims.pop(task.models).close()

    def _how(self, trained: Trained) -> dict[str, Any]:
        return {"strategy": asdict(self.plan.strategy), "seconds": round(trained.seconds, 3)}

    def _write(self, trained: Trained) -> None:
        if self.store is None:
            self.store = SignalStore.create(self.path, self._layout(_specs(trained.rows[0])))
        for row, values in zip(self.plan.rows_of(trained.model), trained.rows, strict=True):
            self.store.write_row(row, values)
        self.ledger.done[trained.model] = True


def _specs(values: Mapping[str, np.ndarray]) -> dict[str, VariableSpec]:
    return {
        name: VariableSpec(str(v.dtype), n_classes=None if name == GRADIENT_NORMS else v.shape[1])
        for name, v in values.items()
    }

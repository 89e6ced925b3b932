"""Shadow models: the same as a plain loop gives, nothing trained twice, faults reported, and what is stored believed
only where it is whole."""

import json
import math
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from tests.auditing.small_models import (
    N_CLASSES,
    answers_of,
    bayes,
    centroids,
    counting,
    failing,
    plain_loop,
    plan_of,
    signals,
    slow,
    table,
    torch_recipe,
    train_and_weigh,
    train_in,
    trainings,
    weights_seed,
)

from vestige.auditing.shadows import training as module
from vestige.auditing.shadows.job import train_and_observe
from vestige.auditing.shadows.training import Shadows, train_shadows
from vestige.core.errors import ArtefactError, OutputError, TrainingError
from vestige.core.half_written import writable
from vestige.core.jobs import Outcome
from vestige.data.signals.layout import AT_THE_END
from vestige.data.signals.store import SignalStore
from vestige.training.bank import Bank
from vestige.training.executors.in_process import InProcess, attempt
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.model_key import key_of
from vestige.training.sklearn_recipe import SklearnRecipe
from vestige.training.strategies import Strategy
from vestige.training.torch_recipe import TorchRecipe

STACKS = Strategy(stack=4)


@pytest.fixture
def bank(tmp_path):
    return Bank(tmp_path / "bank")


# ------------------------------------------------------------------------------- as the plain loop


@pytest.mark.parametrize(
    "recipe",
    [FunctionRecipe(bayes), SklearnRecipe(GaussianNB()), FunctionRecipe(centroids), torch_recipe()],
    ids=["function", "sklearn", "closure", "torch"],
)
def test_signals_are_those_of_the_plain_loop(recipe, bank, tmp_path):
    plan = plan_of(recipe)
    shadows = train_shadows(plan, tmp_path / "run", bank)
    expected = [answers_of(model, plan.records.inputs) for model in plain_loop(plan)]
    np.testing.assert_allclose(signals(shadows), expected, rtol=1e-6)
    assert shadows.n_trained == plan.n_models
    assert shadows.done.all()
    assert not shadows.failures
    assert shadows.kind == ("logits" if hasattr(recipe, "epochs") else "probabilities")


def test_stacks_give_the_plain_loops_signals_to_rounding(bank, tmp_path):
    plan = plan_of(torch_recipe(), 8, strategy=STACKS)
    assert plan.groups == [[0, 1, 2, 3], [4, 5, 6, 7]]
    shadows = train_shadows(plan, tmp_path / "run", bank)
    expected = [answers_of(model, plan.records.inputs) for model in plain_loop(plan)]
    np.testing.assert_allclose(signals(shadows), expected, atol=1e-5)


def test_the_store_says_who_was_in_which_model_of_which_seed(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes), records=table(ids=[f"r{i}" for i in range(60)]))
    store = train_shadows(plan, tmp_path / "run", bank).store
    np.testing.assert_array_equal(store.read("member"), plan.member)
    assert store.models.model.tolist() == list(range(6))
    assert store.models.epoch.tolist() == [AT_THE_END] * 6
    assert store.models.seed.tolist() == [plan.seed_of(i) for i in range(6)]
    assert len(set(store.models.seed)) == 6
    assert store.ids is not None
    assert store.ids.tolist() == plan.records.ids.tolist()


def test_checkpoints_have_a_row_per_epoch_and_gradient_norms_are_those_of_single_records(bank, tmp_path):
    plan = plan_of(torch_recipe(epochs=3), 2, checkpoints=(1, 2), gradient_norms=True)
    store = train_shadows(plan, tmp_path / "run", bank).store
    assert store.models.model.tolist() == [0, 0, 0, 1, 1, 1]
    assert store.models.epoch.tolist() == [1, 2, 0, 1, 2, 0]
    assert store.complete().all()
    models = [m for last in plain_loop(plan, checkpoints=(1, 2)) for m in (*last.checkpoints, last)]
    inputs = plan.records.inputs
    np.testing.assert_allclose(store.read("logits"), [answers_of(m, inputs) for m in models], rtol=1e-6)
    network = models[0].classifier.requires_grad_(True)
    for i in (0, 17):
        logits = network(torch.from_numpy(inputs[i : i + 1]))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(plan.records.labels[i : i + 1]))
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
        assert store.read("gradient_norms")[0, i] == pytest.approx(norm, rel=1e-5)


def test_without_gradients_to_see_gradient_norms_fail_every_model(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes), gradient_norms=True)
    with pytest.raises(TrainingError, match=r"^Shadow model 0: Expected a torch module for gradient norms"):
        train_shadows(plan, tmp_path / "run", bank)


# ---------------------------------------------------------------------------- nothing is trained twice


def test_a_second_run_with_the_bank_trains_nothing_and_is_identical(bank, tmp_path):
    recipe = counting(tmp_path / "log")
    plan = plan_of(recipe)
    first = train_shadows(plan, tmp_path / "one", bank)
    second = train_shadows(plan_of(recipe), tmp_path / "two", Bank(bank.folder))
    assert (first.n_trained, second.n_trained) == (6, 0)
    assert trainings(tmp_path / "log") == sorted(plan.seed_of(i) for i in range(6))
    np.testing.assert_array_equal(signals(first), signals(second))


def test_the_same_run_again_neither_trains_nor_writes(bank, tmp_path, monkeypatch):
    plan = plan_of(counting(tmp_path / "log"))
    first = signals(train_shadows(plan, tmp_path / "run", bank))

    def never(*_: object) -> Iterator[Outcome]:
        raise AssertionError

    monkeypatch.setattr(InProcess, "run", never)
    again = train_shadows(plan, tmp_path / "run", bank)
    assert again.n_trained == 0
    np.testing.assert_array_equal(signals(again), first)


def test_more_models_train_only_the_new_ones(bank, tmp_path):
    log = tmp_path / "log"
    few, many = plan_of(counting(log), 4), plan_of(counting(log), 10)
    small = train_shadows(few, tmp_path / "few", bank)
    large = train_shadows(many, tmp_path / "many", bank)
    assert large.n_trained == 6
    assert trainings(log) == sorted(many.seed_of(i) for i in range(10))
    np.testing.assert_array_equal(signals(large)[:4], signals(small))


def test_more_models_in_stacks_train_only_the_new_ones_too(bank, tmp_path, monkeypatch):
    trained: list[int] = []

    def work(shared: Any, task: Any) -> Any:
        trained.extend(task.models)
        return train_and_observe(shared, task)

    monkeypatch.setattr(module, "train_and_observe", work)
    few, many = plan_of(torch_recipe(), 4, strategy=STACKS), plan_of(torch_recipe(), 6, strategy=STACKS)
    assert many.groups == [[0, 1, 2], [3, 4, 5]]  # the second stack holds a model that is in the bank
    small = train_shadows(few, tmp_path / "few", bank)
    large = train_shadows(many, tmp_path / "many", bank)
    assert (trained, large.n_trained) == ([0, 1, 2, 3, 4, 5], 2)
    np.testing.assert_array_equal(signals(large)[:4], signals(small))


def test_another_seed_recipe_or_version_is_another_model(bank, tmp_path):
    plans = [plan_of(FunctionRecipe(bayes)), plan_of(FunctionRecipe(bayes), seed=1)]
    plans.append(plan_of(FunctionRecipe(bayes, version="2")))
    plans.append(plan_of(FunctionRecipe(bayes), records=table(seed=1)))
    counts = [train_shadows(p, tmp_path / str(i), bank).n_trained for i, p in enumerate(plans)]
    assert counts == [6, 6, 6, 6]


@pytest.mark.parametrize("kind", ["function", "stacks", pytest.param("processes", marks=pytest.mark.slow)])
def test_two_processes_at_once_train_nothing_twice(kind, nursery, tmp_path):
    met = nursery.Barrier(2)
    crew = [nursery.Process(target=train_in, args=(tmp_path, name, kind, met)) for name in ("one", "two")]
    for process in crew:
        process.start()
    for process in crew:
        process.join(300)
        assert process.exitcode == 0
    told = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")]
    assert sum(n_trained for n_trained, _ in told) == 12
    assert [n_done for _, n_done in told] == [12, 12]
    np.testing.assert_array_equal(*(np.load(tmp_path / f"{name}.npy") for name in ("one", "two")))
    if kind != "stacks":
        assert len(set(trainings(tmp_path / "log"))) == len(trainings(tmp_path / "log")) == 12


@dataclass
class Ahead:
    """Takes two tasks before it gives the outcome of the first, as whoever has two workers does."""

    met: Any
    n_workers: int = 2
    threads_each: int = 1

    def run(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Iterable[Any]) -> Iterator[Outcome]:
        new = iter(tasks)
        held = [task for task in [next(new, None)] if task is not None]
        if self.met is not None:
            self.met.wait(60)
        self.met = None
        while held:
            if (task := next(new, None)) is not None:
                held.append(task)
            first = held.pop(0)
            yield Outcome(first, *attempt(work, shared, first))


def test_two_runs_that_take_work_ahead_do_not_wait_for_each_other_for_ever(bank, tmp_path):
    met = threading.Barrier(2)  # both have claimed a model, and now want the other's
    plan, found = plan_of(counting(tmp_path / "log"), 2), {}

    def train(name: str) -> None:
        found[name] = train_shadows(plan, tmp_path / name, Bank(bank.folder), executor=Ahead(met))

    crew = [threading.Thread(target=train, args=(name,), daemon=True) for name in ("one", "two")]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(60)
    assert sorted(found) == ["one", "two"]
    assert sum(shadows.n_trained for shadows in found.values()) == 2
    assert trainings(tmp_path / "log") == sorted(plan.seed_of(i) for i in range(2))


def test_who_waits_for_another_process_gives_up_when_time_is_over(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes), 2)
    with bank.claim([key_of(plan.model_key(0)), key_of(plan.model_key(1))]) as claim:
        assert claim is not None
        with pytest.raises(TrainingError, match="in the time there was"):
            train_shadows(plan, tmp_path / "run", bank, until=time.monotonic() + 0.2)
    assert train_shadows(plan, tmp_path / "run", bank).n_trained == 2


# -------------------------------------------------------------------- what is not kept for others


def test_a_lambda_works_and_is_never_taken_from_the_bank_nor_from_an_earlier_run(bank, tmp_path):
    shift = 0.0
    plan = plan_of(FunctionRecipe(lambda inputs, labels, *, seed: GaussianNB().fit(inputs + shift, labels)))
    first = train_shadows(plan, tmp_path / "run", bank)
    assert (first.n_trained, bank.keys()) == (6, [])
    before = signals(first)
    shift = 1.0  # which no text shows
    second = train_shadows(plan, tmp_path / "run", bank)
    assert second.n_trained == 6
    assert not np.allclose(signals(second), before)
    expected = [answers_of(m, plan.records.inputs) for m in plain_loop(plan)]
    np.testing.assert_allclose(signals(second), expected)


def test_models_that_no_file_can_hold_stay_in_their_run(bank, tmp_path):
    plan = plan_of(FunctionRecipe(centroids))

    def interrupt(step: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_shadows(plan, tmp_path / "run", bank, progress=interrupt)
    assert bank.keys() == []
    resumed = train_shadows(plan, tmp_path / "run", bank)
    assert resumed.n_trained == 2
    np.testing.assert_array_equal(signals(resumed), [answers_of(m, plan.records.inputs) for m in plain_loop(plan)])
    assert train_shadows(plan, tmp_path / "other", bank).n_trained == 6


# ------------------------------------------------------------------------------------- faults of models


def test_one_model_that_raises_is_reported_and_the_others_go_on(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    plan = replace(plan, recipe=FunctionRecipe(failing, parameters={"seeds": [plan.seed_of(3)]}))
    seen: list[int] = []
    shadows = train_shadows(plan, tmp_path / "run", bank, progress=lambda step, done, total: seen.append(done))
    assert list(shadows.failures) == [3]
    assert "ValueError: no luck" in shadows.failures[3]
    assert shadows.done.tolist() == [True, True, True, False, True, True]
    assert seen == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(shadows.member, plan.member[shadows.done])
    expected = [answers_of(m, plan.records.inputs) for m in plain_loop(plan_of(FunctionRecipe(bayes)))]
    np.testing.assert_array_equal(signals(shadows), np.delete(expected, 3, axis=0))
    noted = tmp_path / "run" / "failures.json"
    assert json.loads(noted.read_text()) == {"model 3": shadows.failures[3]}
    assert noted.stat().st_mode & 0o777 == 0o600


def test_a_failure_that_is_gone_is_noted_no_longer(bank, tmp_path, monkeypatch):
    plan = plan_of(FunctionRecipe(bayes))

    def work(shared: Any, task: Any) -> Any:
        if 2 in task.models:
            raise MemoryError
        return train_and_observe(shared, task)

    monkeypatch.setattr(module, "train_and_observe", work)
    shadows = train_shadows(plan, tmp_path / "run", bank)
    assert shadows.failures == {2: "MemoryError"}
    monkeypatch.undo()
    again = train_shadows(plan, tmp_path / "run", bank)
    assert (again.n_trained, again.failures) == (1, {})
    assert not (tmp_path / "run" / "failures.json").exists()


def test_one_model_that_raises_ends_the_run_if_asked(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    bad = replace(plan, recipe=FunctionRecipe(failing, parameters={"seeds": [plan.seed_of(3)]}))
    with pytest.raises(TrainingError, match=r"^Shadow model 3: Expected failing to train on 30 records, found Value"):
        train_shadows(bad, tmp_path / "run", bank, stop_at_failure=True)
    assert len(bank.keys()) == 3  # and what was trained is kept
    assert bank.claim([key_of(bad.model_key(4))]) is not None  # and no claim is left


def test_who_works_is_told_to_end_when_a_run_breaks_off(bank, tmp_path):
    ended: list[bool] = []

    class Watched:
        n_workers = threads_each = 1

        def run(self, work: Any, shared: Any, tasks: Any) -> Iterator[Outcome]:
            try:
                for task in tasks:
                    yield Outcome(task, *attempt(work, shared, task))
            finally:
                ended.append(True)

    def interrupt(step: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    plan = plan_of(FunctionRecipe(bayes))
    with pytest.raises(KeyboardInterrupt) as kept:  # the traceback, which holds all that is in work
        train_shadows(plan, tmp_path / "run", bank, executor=Watched(), progress=interrupt)
    assert ended == [True]
    assert kept.value is not None
    assert bank.claim([key_of(plan.model_key(i)) for i in range(6)]) is not None


@pytest.mark.parametrize("what", ["nan", "raises", "width"])
@pytest.mark.parametrize("stack", [1, 4])
def test_one_faulty_network_leaves_the_others_alone(what, stack, bank, tmp_path):
    plan = plan_of(torch_recipe(), 8, strategy=Strategy(stack=stack))
    bad = replace(plan, recipe=torch_recipe(weights_seed(plan, 5), what))
    shadows = train_shadows(bad, tmp_path / "run", bank)
    found = {"nan": "finite weights, found NaN", "raises": "ValueError: no memory", "width": "3 logits per record"}
    assert list(shadows.failures) == [5]
    assert found[what] in shadows.failures[5]
    expected = [answers_of(m, plan.records.inputs) for m in plain_loop(plan)]
    np.testing.assert_allclose(signals(shadows), np.delete(expected, 5, axis=0), atol=1e-5)
    again = train_shadows(bad, tmp_path / "run", bank)
    assert (again.n_trained, list(again.failures)) == (0, [5])


def test_all_models_that_fail_are_an_error_with_the_first_reason(bank, tmp_path):
    wide = partial(torch.nn.Linear, 4, N_CLASSES + 2)
    plan = plan_of(TorchRecipe(wide, epochs=1), 8, strategy=STACKS)
    with pytest.raises(TrainingError, match=r"^Shadow model 0: Expected 3 logits per record, one per class, found out"):
        train_shadows(plan, tmp_path / "run", bank)
    assert bank.keys() == []


def one_of_two_kinds(inputs: Any, labels: Any, *, seed: int, seeds: Any) -> Any:
    if seed in seeds:
        return torch.nn.Linear(4, N_CLASSES)
    return bayes(inputs, labels, seed=seed)


def test_a_model_that_answers_with_another_kind_than_the_others_is_reported(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    plan = replace(plan, recipe=FunctionRecipe(one_of_two_kinds, parameters={"seeds": [plan.seed_of(2)]}))
    shadows = train_shadows(plan, tmp_path / "run", bank)
    assert list(shadows.failures) == [2]
    assert "found 'logits'" in shadows.failures[2]
    assert int(shadows.done.sum()) == shadows.n_trained == 5


def test_training_that_ends_before_a_checkpoint_is_a_failure(bank, tmp_path, monkeypatch):
    true = TorchRecipe.fit
    monkeypatch.setattr(TorchRecipe, "fit", lambda *args, **options: replace(true(*args, **options), checkpoints=()))
    with pytest.raises(TrainingError, match=r"Expected copies after the epochs \[1\], found 0; training ended before"):
        train_shadows(plan_of(torch_recipe(), checkpoints=(1,)), tmp_path / "run", bank)


# ---------------------------------------------------------------------------------------------- time


def test_no_time_at_all_is_an_error_that_says_so(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    with pytest.raises(TrainingError, match=r"^Expected at least one shadow model in the time there was, found none"):
        train_shadows(plan, tmp_path / "run", bank, until=time.monotonic() - 1)
    assert not (tmp_path / "run" / "signals.zarr").exists()


def test_no_time_after_a_kill_before_the_first_row_is_the_same_error(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    shadows = train_shadows(plan, tmp_path / "run", bank)
    for row in range(6):
        shadows.store._forget(row)
    with pytest.raises(TrainingError, match="found none; give it more time"):
        train_shadows(plan, tmp_path / "run", bank, until=time.monotonic() - 1)


def test_what_a_run_has_is_used_when_time_is_over(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))

    def interrupt(step: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_shadows(plan, tmp_path / "run", bank, progress=interrupt)
    shadows = train_shadows(plan, tmp_path / "run", bank, until=time.monotonic() - 1)
    assert shadows.done.tolist() == [True] * 4 + [False] * 2
    assert (shadows.n_trained, shadows.failures) == (0, {})
    assert signals(shadows).shape == (4, 60, N_CLASSES)


def test_no_job_is_begun_that_would_end_too_late(bank, tmp_path):
    plan = plan_of(FunctionRecipe(slow, parameters={"seconds": 1.0}))
    until = time.monotonic() + 2.8  # a busy machine may begin two seconds late
    shadows = train_shadows(plan, tmp_path / "run", bank, until=until)
    assert 1 <= int(shadows.done.sum()) <= 2  # the third would end after 3 s


# ------------------------------------------------------------------------------- damage and full disks


def flip(path: Any, at: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def test_a_flipped_bit_in_the_store_is_named_and_only_its_row_made_anew(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    first = signals(train_shadows(plan, tmp_path / "run", bank))
    rows = tmp_path / "run" / "signals.zarr" / "probabilities" / "c"
    flip(next(path for path in (rows / "2").rglob("*") if path.is_file()))
    before = {path: path.stat().st_mtime_ns for path in rows.rglob("*") if path.is_file()}
    shadows = train_shadows(plan, tmp_path / "run", bank)
    assert shadows.mended == ("probabilities of model 2 at epoch 0",)
    assert shadows.n_trained == 0  # the bank has it
    np.testing.assert_array_equal(signals(shadows), first)
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert [path.relative_to(rows).parts[0] for path in changed] == ["2"]
    assert train_shadows(plan, tmp_path / "run", bank).mended == ()


def test_a_damaged_row_of_a_stack_that_no_bank_has_is_the_same_to_the_bit(tmp_path):
    plan = plan_of(torch_recipe(), 8, strategy=STACKS)
    first = signals(train_shadows(plan, tmp_path / "run", Bank(tmp_path / "bank")))
    rows = tmp_path / "run" / "signals.zarr" / "logits" / "c"
    flip(next(path for path in (rows / "5").rglob("*") if path.is_file()))
    shadows = train_shadows(plan, tmp_path / "run", Bank(tmp_path / "another bank"))
    assert (shadows.n_trained, shadows.mended) == (1, ("logits of model 5 at epoch 0",))
    np.testing.assert_array_equal(signals(shadows), first)


def test_a_tampered_model_is_refused_with_both_sides_named(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    train_shadows(plan, tmp_path / "one", bank)
    flip(bank.folder / key_of(plan.model_key(4)) / "estimator.skops")
    with pytest.raises(
        ArtefactError, match=rf"{key_of(plan.model_key(4))[:12]}: Expected estimator.skops with SHA-256 .*, fou"
    ):
        train_shadows(plan, tmp_path / "two", bank)
    assert bank.claim([key_of(plan.model_key(4))]) is not None


def test_a_model_in_anothers_place_is_refused_with_both_sides_named(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    train_shadows(plan, tmp_path / "one", bank)
    first, second = (bank.folder / key_of(plan.model_key(i)) for i in (0, 1))
    first.rename(tmp_path / "aside")
    second.rename(first)
    with pytest.raises(ArtefactError, match=f"Expected a model of key {first.name[:12]}, found key {second.name[:12]}"):
        train_shadows(plan, tmp_path / "two", bank)


def test_signals_of_other_records_in_the_run_are_refused(bank, tmp_path):
    train_shadows(plan_of(FunctionRecipe(bayes)), tmp_path / "run", bank)
    with pytest.raises(ArtefactError, match="Expected a store made for data"):
        train_shadows(plan_of(FunctionRecipe(bayes), records=table(seed=1)), tmp_path / "run", bank)


@contextmanager
def disk_full_beyond(n_bytes: int) -> Iterator[None]:
    """Files that cannot grow larger, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_while_a_model_is_written_leaves_the_bank_whole(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes))
    train_shadows(plan_of(FunctionRecipe(bayes), 2), tmp_path / "small", bank)
    keys = bank.keys()
    size = (bank.folder / keys[0] / "estimator.skops").stat().st_size
    with (
        disk_full_beyond(size // 2),
        pytest.raises(OutputError, match=r"Expected to write 1 models to the bank"),
    ):
        train_shadows(plan, tmp_path / "run", bank)
    assert bank.keys() == keys
    assert not list((bank.folder / "journal").iterdir())
    resumed = train_shadows(plan, tmp_path / "run", bank)
    assert resumed.n_trained == 4
    np.testing.assert_array_equal(signals(resumed), [answers_of(m, plan.records.inputs) for m in plain_loop(plan)])


def test_a_disk_that_fills_up_while_signals_are_written_loses_no_model(bank, tmp_path, monkeypatch):
    plan = plan_of(FunctionRecipe(bayes))
    true = SignalStore._put

    def full(store: SignalStore, row: int, *part: Any) -> None:
        with writable("signals.zarr", f"probabilities of model {row}"):
            if row == 2:
                raise OSError(28, "No space left on device")
        true(store, row, *part)

    monkeypatch.setattr(SignalStore, "_put", full)
    with pytest.raises(OutputError, match=r"signals.zarr: Expected to write .* of model 2, found: no space left"):
        train_shadows(plan, tmp_path / "run", bank)
    monkeypatch.undo()
    resumed = train_shadows(plan, tmp_path / "run", bank)
    assert resumed.n_trained == 3
    np.testing.assert_array_equal(signals(resumed), [answers_of(m, plan.records.inputs) for m in plain_loop(plan)])


# --------------------------------------------------------------------------------------------- many


def test_several_processes_give_the_same_signals(bank, tmp_path):
    recipe = FunctionRecipe(centroids)
    here = train_shadows(plan_of(recipe), tmp_path / "here", bank)
    there = train_shadows(plan_of(recipe, strategy=Strategy(n_processes=2)), tmp_path / "there", bank)
    assert there.n_trained == 6
    np.testing.assert_array_equal(signals(here), signals(there))


def test_memory_does_not_grow_with_the_number_of_models(nursery, tmp_path):
    """56 more models, with 1.6 MB of signals each."""
    for n_models in (8, 64):
        process = nursery.Process(target=train_and_weigh, args=(tmp_path, n_models))
        process.start()
        process.join(300)
        assert process.exitcode == 0
    few, many = (json.loads((tmp_path / f"{n_models}.json").read_text()) for n_models in (8, 64))
    assert 0.15 * few < 56 * 20_000 * 10 * 8  # so that it would show
    assert many < 1.1 * few


def test_shadows_say_what_they_are(bank, tmp_path):
    shadows = train_shadows(plan_of(FunctionRecipe(bayes)), tmp_path / "run", bank)
    assert isinstance(shadows, Shadows)
    assert shadows.rows_read() == [0, 1, 2, 3, 4, 5]
    assert 0 < shadows.seconds < 60

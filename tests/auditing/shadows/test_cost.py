"""What shadow models will cost, from timings that are known."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.auditing.small_models import bayes, counting, failing, plan_of, slow, torch_recipe, trainings

from vestige.auditing.shadows import cost as planning
from vestige.auditing.shadows.checks import checks_of_training
from vestige.auditing.shadows.cost import Estimate, estimate, what_is_given_up
from vestige.auditing.shadows.training import train_shadows
from vestige.core.errors import InputError, TrainingError
from vestige.core.messages import duration
from vestige.core.records import Records
from vestige.training.bank import Bank
from vestige.training.dp_sgd import DPSGD
from vestige.training.executors.in_process import InProcess
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.selena import Selena
from vestige.training.strategies import Measured, Strategy

STACKS, ALONE = Strategy(threads=2, stack=8), Strategy(threads=2)
MEASURED = [Measured(STACKS, 2.0), Measured(ALONE, 5.0)]


@pytest.fixture
def bank(tmp_path):
    return Bank(tmp_path / "bank")


@pytest.fixture
def timed(monkeypatch):
    monkeypatch.setattr(planning, "_measured", lambda *args: MEASURED)


def cost_of(recipe: Any, bank: Bank, n_models: int = 10, records: Records | None = None, **more: Any) -> Estimate:
    plan = plan_of(FunctionRecipe(bayes), n_models, records=records)
    return estimate(replace(plan, recipe=recipe), bank, **more)


def test_the_estimate_is_models_times_seconds(timed, bank):
    cost = cost_of(FunctionRecipe(bayes), bank)
    assert (cost.n_models, cost.n_asked, cost.n_stored, cost.epochs) == (10, 10, 0, 0)
    assert (cost.seconds, cost.strategy, cost.measured) == (20.0, STACKS, tuple(MEASURED))
    assert cost.disk == 10 * 60 * 3 * 8
    assert cost.memory == 60 * 4 * 4 + 60 * 3 * 8


def test_a_torch_recipes_logits_have_half_the_bytes_and_its_epochs_are_told(timed, bank):
    cost = cost_of(torch_recipe(epochs=7), bank)
    assert (cost.epochs, cost.disk) == (7, 10 * 60 * 3 * 4)
    assert cost.lines()[0] == (
        "10 shadow models x 7 epochs x 2 s each = 20 s, as stacks of 8 in this process with 2 threads"
    )


def test_private_training_is_told_with_what_it_promises_and_why_no_stack(timed, bank):
    recipe = torch_recipe(epochs=7, defences=(DPSGD(1.0, noise=1.5),))
    *_, stacks, promise = cost_of(recipe, bank).lines()
    assert stacks == (
        "models are not trained in stacks, because DP-SGD clips the gradient of each record of each model"
    )
    assert promise == f"each is trained with {recipe.privacy(30)}"
    assert "delta 0.033 by the Renyi accountant" in promise


def test_the_sub_models_of_selena_are_in_the_time_and_are_told(bank):
    """A whole model is trained for the measure."""
    cost = cost_of(Selena(torch_recipe(epochs=2), n_models=5, n_without=2), bank, 4)
    assert (cost.epochs, cost.n_models, len(bank.keys())) == (2, 4, 1)
    assert cost.lines()[-1] == "each is distilled from 5 sub-models, whose training is in its time"


def test_what_private_training_promises_is_told_after_it(bank, tmp_path):
    recipe = torch_recipe(defences=(DPSGD(1.0, noise=1.5),))
    plan = replace(plan_of(FunctionRecipe(bayes), 4), recipe=recipe)
    shadows = train_shadows(plan, tmp_path / "run", bank)
    assert (
        checks_of_training(shadows)[-1].message == f"Each of the shadow models was trained with {recipe.privacy(30)}."
    )


def test_the_size_of_a_table_is_that_of_its_columns(timed, bank):
    frame = pd.DataFrame({"nbytes": np.arange(60.0), "town": pd.Categorical(["a", "b"] * 30)})
    cost = cost_of(FunctionRecipe(bayes), bank, records=Records(frame, [0, 1] * 30))
    assert cost.memory == int(frame.memory_usage(deep=True).sum()) + 60 * 2 * 8


@pytest.mark.parametrize(
    ("within", "n_models"),
    [(22.3, 10), (22.2, 8), (17.8, 8), (17.7, 6), (4.45, 2), (math.inf, 10)],  # 90 % of it at 2 s each, even numbers
)
def test_as_many_pairs_as_fit_nine_tenths_of_the_time(within, n_models, timed, bank):
    cost = cost_of(FunctionRecipe(bayes), bank, within=within)
    assert (cost.n_models, cost.n_asked, cost.seconds) == (n_models, 10, 2.0 * n_models)
    assert cost.disk == n_models * 60 * 3 * 8


def test_too_short_a_time_is_refused_with_what_it_takes(timed, bank):
    with pytest.raises(
        InputError, match=r"^Expected time for 2 shadow models, about 4.4 s, found 4 s; give more with --within.$"
    ):
        cost_of(FunctionRecipe(bayes), bank, within=4.0)


def test_models_in_the_bank_take_no_time(timed, bank, tmp_path):
    recipe = FunctionRecipe(bayes)
    train_shadows(plan_of(recipe, 6), tmp_path / "run", bank)
    cost = cost_of(recipe, bank)
    assert (cost.n_models, cost.n_stored, cost.seconds) == (10, 6, 8.0)
    assert cost.lines()[:2] == [
        "6 of 10 shadow models are in the bank",
        "4 shadow models x 2 s each = 8 s, as stacks of 8 in this process with 2 threads",
    ]
    assert cost_of(recipe, bank, within=5.0).n_models == 8  # six that are there, and two that fit
    assert cost_of(recipe, bank, 6, within=0.1).n_models == 6
    with_lambda = FunctionRecipe(lambda inputs, labels, *, seed: bayes(inputs, labels, seed=seed))
    assert cost_of(with_lambda, bank).n_stored == 0


def test_the_lines_say_all_that_one_wants_to_know_before_spending():
    measured = (Measured(STACKS, 0.5), *(Measured(Strategy(stack=n), 0.5 + n) for n in (4, 16, 32, 64)))
    cost = Estimate(
        n_models=32,
        n_asked=64,
        n_stored=0,
        epochs=40,
        measured=measured,
        seconds=16.0,
        disk=3_200_000_000,
        memory=45_600_000,
    )
    assert cost.lines() == [
        "32 shadow models x 40 epochs x 0.5 s each = 16 s, as stacks of 8 in this process with 2 threads",
        "3.2 GB of signals on disk, 45.6 MB in memory at a time",
        "measured as well: 4.5 s as stacks of 4 in this process with 1 thread; 16 s as stacks of 16 in this process "
        "with 1 thread; 32 s as stacks of 32 in this process with 1 thread",
        f"32 instead of 64 models fit the time: {what_is_given_up(32, 64)}",
    ]
    assert replace(cost, n_models=64, measured=measured[:1]).lines()[2:] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.44 s"), (10.0, "10 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (9000.0, "2.5 h")],
)
def test_times_are_told_as_people_tell_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0.1 MB"), (2_340_000, "2.3 MB"), (1_500_000_000, "1.5 GB")])
def test_sizes_are_told_as_people_tell_them(size, text):
    assert planning._size(size) == text


def test_what_fewer_models_cost_is_that_of_a_mean():
    assert "known to 0.50 instead of 0.25 standard deviations" in what_is_given_up(8, 32)
    assert "known to 1.00 instead of 0.18 standard deviations" in what_is_given_up(2, 64)


# ----------------------------------------------------------------------------------- by training a model


def test_a_model_is_trained_to_measure_and_stays_in_the_bank(bank, tmp_path):
    recipe = counting(tmp_path / "log", 0.2)
    cost = cost_of(recipe, bank)
    assert trainings(tmp_path / "log") == [plan_of(recipe, 10).seed_of(0)]
    (measured,) = cost.measured  # short work is not worth processes
    assert 0.2 <= measured.seconds_per_model < 2
    assert cost.n_stored == 1
    assert cost.seconds == pytest.approx(9 * measured.seconds_per_model)
    assert cost_of(recipe, bank).measured == cost.measured  # and is not trained again
    assert len(trainings(tmp_path / "log")) == 1


def test_long_work_is_measured_in_processes_too(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_WORTH_PROCESSES", 1.0)
    monkeypatch.setattr(planning, "n_cpus", lambda: 2)
    monkeypatch.setattr("vestige.auditing.shadows.training._executor_of", lambda strategy: InProcess())
    recipe = counting(tmp_path / "log", 0.2)
    cost = cost_of(recipe, bank)
    plan = plan_of(recipe, 10)
    assert trainings(tmp_path / "log") == sorted(plan.seed_of(i) for i in (0, 1, 2))
    by = {m.strategy: m.seconds_per_model for m in cost.measured}
    assert set(by) == {Strategy(threads=InProcess().threads_each), Strategy(n_processes=2, threads=1)}
    assert 0.1 <= by[Strategy(n_processes=2, threads=1)] < 0.3  # two at once
    assert cost.n_stored == 3


def test_with_an_executor_its_workers_share_the_work(bank):
    class Four(InProcess):
        n_workers = 4
        threads_each = 3

    recipe = FunctionRecipe(slow, parameters={"seconds": 0.2})
    (measured,) = cost_of(recipe, bank, executor=Four()).measured
    assert measured.strategy == Strategy(threads=3)
    assert 0.05 <= measured.seconds_per_model < 0.2


def test_a_first_model_that_fails_does_not_end_the_audit(bank, tmp_path):
    plan = plan_of(FunctionRecipe(bayes), 10)
    bad = FunctionRecipe(failing, parameters={"seeds": [plan.seed_of(0), plan.seed_of(1)]})
    assert cost_of(bad, bank).n_stored == 1
    worse = FunctionRecipe(failing, parameters={"seeds": [plan.seed_of(i) for i in range(3)]})
    with pytest.raises(TrainingError, match=r"^Shadow model 2: Expected failing to train on 30 records, found Value"):
        cost_of(worse, bank)


def test_a_lambda_is_measured_and_nothing_kept(bank):
    cost = cost_of(FunctionRecipe(lambda inputs, labels, *, seed: bayes(inputs, labels, seed=seed)), bank)
    assert (cost.n_stored, bank.keys()) == (0, [])
    assert cost.measured[0].seconds_per_model > 0


def test_a_torch_recipe_is_measured_by_steps_and_nothing_kept(bank):
    cost = cost_of(torch_recipe(), bank)
    assert bank.keys() == []
    assert {m.strategy.stack for m in cost.measured} == {1, 4, 8}
    assert cost.seconds == pytest.approx(10 * min(m.seconds_per_model for m in cost.measured))

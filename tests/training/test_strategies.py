"""Ways of training many models: how models are put together, and how the fastest way is found."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.networks import N_RECORDS, linear, membership, mlp, recipe, same_bits, table
from torch import nn

from vestige.core.errors import InputError, TrainingError
from vestige.core.jobs import Outcome
from vestige.core.recipe import Model
from vestige.data.sets.designs import complementary_pairs
from vestige.training import strategies
from vestige.training.executors.in_process import InProcess, attempt
from vestige.training.stacked import n_steps
from vestige.training.strategies import (
    Measured,
    Strategy,
    groups_of,
    has_bfloat16,
    measure_torch,
    threads,
    train_group,
)

LINEAR = recipe(linear)
HERE = InProcess().threads_each


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(strategies, "_SECONDS_EACH", 0.01)


# ------------------------------------------------------------------------------------------- groups


@given(
    counts=st.lists(st.integers(1, N_RECORDS), min_size=1, max_size=40),
    stack=st.sampled_from([1, 4, 8, 16, 32]),
    n_workers=st.integers(1, 9),
)
def test_groups_hold_every_model_once_and_models_of_as_many_steps(counts, stack, n_workers):
    member = membership(*counts)
    groups = groups_of(LINEAR, member, Strategy(stack=stack), n_workers)
    assert sorted(i for group in groups for i in group) == list(range(len(counts)))
    assert max(map(len, groups)) <= stack
    for group in groups:
        assert len({n_steps(counts[i], LINEAR.batch_size) for i in group}) == 1
    if stack > 1:
        assert max(map(len, groups)) <= -(-len(counts) // n_workers)  # work for everybody
    assert groups == sorted(groups)


def test_groups_are_as_even_as_can_be():
    member = complementary_pairs(20, N_RECORDS, seed=0)
    assert [len(g) for g in groups_of(LINEAR, member, Strategy(stack=8))] == [7, 7, 6]
    assert [len(g) for g in groups_of(LINEAR, member, Strategy(stack=32), 2)] == [10, 10]
    assert groups_of(LINEAR, member, Strategy(n_processes=2), 2) == [[i] for i in range(20)]


def test_models_with_as_many_records_stand_together():
    member = complementary_pairs(8, 47, seed=0)  # 23 and 24 records in turn, 3 steps each
    assert groups_of(LINEAR, member, Strategy(stack=4)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


# ---------------------------------------------------------------------------------------- training


def models(found: Iterator[Model | Exception]) -> list[Any]:
    return list(found)


def test_a_group_of_one_is_the_recipes_own_model():
    member = membership(20)
    (model,) = models(train_group(LINEAR, table(), member, [7], Strategy(stack=8)))
    assert same_bits(model, LINEAR.fit(table().take(member[0]), seed=7))


def test_a_stack_is_the_same_to_rounding_with_its_checkpoints():
    member = membership(20, 20, 20)
    many = models(train_group(LINEAR, table(), member, [7, 8, 9], Strategy(stack=4), checkpoints=(1,)))
    for i, model in enumerate(many):
        alone = LINEAR.fit(table().take(member[i]), seed=7 + i, checkpoints=(1,))
        for a, b in ((model, alone), (model.checkpoints[0], alone.checkpoints[0])):
            weights = zip(a.classifier.parameters(), b.classifier.parameters(), strict=True)
            assert max(float((x - y).abs().max()) for x, y in weights) < 1e-5


class Faulty:
    """Makes networks, and raises for one stream of weights."""

    def __init__(self, bad: int) -> None:
        self.bad = bad

    def __call__(self) -> nn.Module:
        if torch.initial_seed() == self.bad:
            raise ValueError("no memory")
        return linear()


def test_a_stack_that_raises_because_of_one_model_costs_that_one_alone():
    from vestige.training.classifier import seed_of

    bad = recipe(Faulty(seed_of(8, "weights")))
    member = membership(20, 20, 20)
    first, second, third = models(train_group(bad, table(), member, [7, 8, 9], Strategy(stack=4)))
    assert isinstance(second, TrainingError)
    assert "ValueError: no memory" in str(second)
    assert same_bits(first, LINEAR.fit(table().take(member[0]), seed=7))
    assert same_bits(third, LINEAR.fit(table().take(member[2]), seed=9))


def test_one_model_that_raises_does_not_end_those_trained_one_by_one():
    from vestige.training.classifier import seed_of

    bad = recipe(Faulty(seed_of(8, "weights")))
    found = models(train_group(bad, table(), membership(20), [8], Strategy()))
    assert isinstance(found[0], TrainingError)


def test_networks_that_see_the_whole_batch_are_trained_alone_where_their_sizes_differ():
    normed = recipe(functools.partial(mlp, functools.partial(nn.BatchNorm1d, 8)))
    member = membership(20, 21)
    found = models(train_group(normed, table(), member, [7, 8], Strategy(stack=4)))
    assert all(same_bits(m, normed.fit(table().take(member[i]), seed=7 + i)) for i, m in enumerate(found))


def test_bfloat16_trains_a_model_near_the_other():
    (low,) = models(train_group(LINEAR, table(), membership(20), [7], Strategy(bfloat16=True)))
    (high,) = models(train_group(LINEAR, table(), membership(20), [7], Strategy()))
    weights = list(zip(low.classifier.parameters(), high.classifier.parameters(), strict=True))
    differences = [float((a - b).abs().max()) for a, b in weights]
    assert 0 < max(differences) < 0.05
    assert all(a.dtype == torch.float32 for a, _ in weights)


def test_threads_are_as_asked_inside_and_as_before_outside():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
    group = train_group(LINEAR, table(), membership(20, 20), [7, 8], Strategy(threads=before + 1))
    next(group)
    group.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == before


# ---------------------------------------------------------------------------------------- measuring


def test_what_is_measured_works_and_leaves_torch_as_it_was(quick):
    member = complementary_pairs(8, N_RECORDS, seed=0)
    n_threads, state = torch.get_num_threads(), torch.get_rng_state()
    found = measure_torch(LINEAR, table(), member, None)
    assert torch.get_num_threads() == n_threads
    assert torch.equal(torch.get_rng_state(), state)
    assert {m.strategy for m in found} == {Strategy(threads=HERE, stack=n) for n in (1, 4, 8)}
    seconds = [m.seconds_per_model for m in found]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    best = found[0].strategy
    group = groups_of(LINEAR, member, best)[0]
    assert all(isinstance(m, Model) for m in train_group(LINEAR, table(), member[group], group, best))


def test_so_many_threads_are_measured_as_are_asked_for(quick):
    found = measure_torch(LINEAR, table(), membership(20, 20), None, n_threads=3)
    assert {m.strategy for m in found} == {Strategy(threads=3)}  # and no stack larger than all models


def test_the_time_of_a_model_is_that_of_its_steps(monkeypatch):
    """A network that takes 20 ms a step by a clock that only it moves, 3 epochs of 3 steps: 180 ms a model."""
    now = 0.0

    class Slow(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            nonlocal now
            now += 0.02
            return super().forward(inputs)

    class Clock:
        perf_counter = staticmethod(lambda: now)

    monkeypatch.setattr(strategies, "time", Clock)
    found = measure_torch(recipe(functools.partial(Slow, 6, 3)), table(), membership(24, 24), None)
    assert 0.17 < found[0].seconds_per_model < 0.25  # and what is asked of it in the end


def test_networks_that_cannot_be_stacked_are_measured_one_at_a_time(quick):
    stacked = functools.partial(mlp, nn.RReLU)
    found = measure_torch(recipe(stacked), table(), complementary_pairs(8, N_RECORDS, seed=0), None)
    assert {m.strategy.stack for m in found} == {1}


def test_stacks_that_would_be_uneven_are_not_offered_to_networks_that_need_even_ones(quick):
    normed = recipe(functools.partial(mlp, functools.partial(nn.BatchNorm1d, 8)))
    of_pairs = measure_torch(normed, table(), complementary_pairs(8, 47, seed=0), None)
    assert {m.strategy.stack for m in of_pairs} == {1, 4, 8}
    of_subjects = measure_torch(normed, table(), membership(17, 18, 19, 20, 21, 22, 23, 24), None)
    assert {m.strategy.stack for m in of_subjects} == {1}


def test_stacks_stay_within_memory(quick, monkeypatch):
    member = complementary_pairs(32, N_RECORDS, seed=0)

    def stacks() -> set[int]:
        return {m.strategy.stack for m in measure_torch(LINEAR, table(), member, None)}

    assert stacks() == {1, 4, 8, 16, 32}
    monkeypatch.setattr(strategies, "_MOST_STACKED_BYTES", 16 * 21 * 8)  # weights of 8 models, with 21 each
    assert stacks() == {1, 4, 8}
    monkeypatch.setattr(strategies, "_MOST_ANSWER_BYTES", 4 * N_RECORDS * 3 * 4)
    assert stacks() == {1, 4}


@pytest.mark.parametrize(("allowed", "units"), [(True, True), (True, False), (False, True)])
def test_bfloat16_is_offered_where_recipe_and_processor_allow_it(allowed, units, quick, monkeypatch):
    monkeypatch.setattr(strategies, "has_bfloat16", lambda: units)
    low = recipe(linear, bfloat16=allowed)
    found = measure_torch(low, table(), membership(20, 20), None)
    assert (Strategy(threads=HERE, bfloat16=True) in {m.strategy for m in found}) == (allowed and units)


def test_a_processor_has_units_for_bfloat16_or_not():
    assert isinstance(has_bfloat16(), bool)


class OnlyWide(nn.Linear):
    """A layer that cannot do with less than float32."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("no kernel for bfloat16")
        return super().forward(inputs)


def test_a_way_that_fails_is_left_out_and_the_others_stand(quick, monkeypatch):
    monkeypatch.setattr(strategies, "has_bfloat16", lambda: True)
    found = measure_torch(recipe(functools.partial(OnlyWide, 6, 3), bfloat16=True), table(), membership(20, 20), None)
    assert {m.strategy for m in found} == {Strategy(threads=HERE)}


def test_what_fails_in_the_plainest_way_is_an_error(quick):
    with pytest.raises(TrainingError, match="Expected 3 logits per record, one per class"):
        measure_torch(recipe(functools.partial(nn.Linear, 6, 5)), table(), membership(20, 20), None)
    frame = pd.DataFrame(table().inputs)
    with pytest.raises(InputError, match="Expected inputs as an array of numbers for a torch network"):
        measure_torch(LINEAR, replace(table(), inputs=frame, labels=[0, 1, 2] * 16), membership(20, 20), None)


class Pretended:
    """Processes that are none, each twice as slow as it would be alone."""

    asked: tuple[int, int] = (0, 0)
    threads_each = 1

    def __init__(self, n_workers: int, threads_each: int) -> None:
        Pretended.asked = self.n_workers, _ = n_workers, threads_each

    def run(self, work: Any, shared: Any, tasks: Any) -> Iterator[Outcome]:
        for task in tasks:
            found, error = attempt(work, shared, task)
            yield Outcome(task, [Measured(m.strategy, 2 * m.seconds_per_model) for m in found], error)


def test_processes_are_measured_at_once_if_the_work_is_worth_it(quick, monkeypatch):
    monkeypatch.setattr(strategies, "n_cpus", lambda: 2)
    member = complementary_pairs(4, N_RECORDS, seed=0)
    few = measure_torch(LINEAR, table(), member, Pretended)
    assert {m.strategy.n_processes for m in few} == {1}
    monkeypatch.setattr(strategies, "_ENOUGH_TO_START_PROCESSES", 1e-6)
    many = measure_torch(LINEAR, table(), member, Pretended)
    assert Pretended.asked == (2, 1)
    assert {m.strategy for m in many} == {
        Strategy(n_processes=n, threads=HERE if n == 1 else 1, stack=stack) for n in (1, 2) for stack in (1, 4)
    }


def test_strategies_in_words():
    assert str(Strategy()) == "one model at a time in this process with 1 thread"
    assert str(Strategy(2, 1, 8)) == "stacks of 8 in 2 processes with 1 thread each"
    assert str(Strategy(threads=2, bfloat16=True)) == "one model at a time in this process with 2 threads, in bfloat16"


def test_the_median_of_members_counts_steps():
    probe = strategies._Probe(LINEAR, table(), membership(8, 17, 24))
    assert probe.steps_per_model == 3 * 3  # 17 records in batches of 8, three epochs
    np.testing.assert_array_equal(probe.rows(1), np.flatnonzero(membership(8, 17, 24)[0])[:8])

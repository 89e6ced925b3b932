"""Adversarial regularisation of a stack: it gives what one model at a time gives, and what keeps models out of one."""

import functools
import math

import numpy as np
import pytest
from tests.training.networks import ROUNDING, distance, in_double, linear, mlp, recipe, refused, same_bits, sgd
from tests.training.networks import membership as members_of
from tests.training.test_adversarial_regularisation import MEMBERS, Dropped, diverging, memorised, regularised, small
from torch import nn

from vestige.core.errors import TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.adversarial_regularisation import Alternation, Penalty, PublishedRounds
from vestige.training.defences import L2
from vestige.training.stopping import LossPlateau
from vestige.training.strategies import StackedRecipe, Strategy, measure_torch, train_group

EQUAL = (20, 20, 20)


def doubled(make):
    """An attacker in float64, in which rounding hides nothing."""
    return lambda n_classes: make(n_classes).double()


class Normed(nn.Module):
    """An attacker that keeps what it has seen in buffers."""

    def __init__(self, n_classes):
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(n_classes), nn.Linear(n_classes, 1)

    def forward(self, logits, labels):
        return self.last(self.norm(logits))[:, 0]


def same(it, member, **options):
    """Assert that a stack gives what one by one gives; return it."""
    seeds = range(len(member))
    stack = it.fit_stack(MEMBERS, member, seeds=seeds, **options)
    plain = [it.fit(MEMBERS.take(row), seed=seed, **options) for row, seed in zip(member, seeds, strict=True)]
    for a, b in zip(stack, plain, strict=True):
        assert isinstance(a, Model), a
        assert [m.epoch for m in (*a.checkpoints, a)] == [m.epoch for m in (*b.checkpoints, b)]
        for one, other in zip((*a.checkpoints, a), (*b.checkpoints, b), strict=True):
            assert distance(one, other) <= ROUNDING
            for name in ("loss", "attacker_accuracy"):
                assert one.history[name] == pytest.approx(other.history[name], abs=10 * ROUNDING, nan_ok=True)
    assert len({m.history["loss"] for m in stack}) == len(stack)
    return stack


@pytest.mark.parametrize("penalty", Penalty)
@pytest.mark.parametrize("attacker", [small, Dropped, Normed])
def test_a_stack_gives_what_one_by_one_gives(penalty, attacker):
    it = regularised(in_double(mlp), penalty=penalty, attacker=doubled(attacker), optimiser=sgd(lr=0.5))
    stack = same(it, members_of(*EQUAL), checkpoints=(1, 2))
    assert math.isnan(stack[0].history["attacker_accuracy"][0])  # the classifier's epoch alone


@pytest.mark.parametrize("schedule", [PublishedRounds(3), Alternation(3, alone=0)])
def test_by_every_schedule(schedule):
    same(regularised(in_double(mlp), attacker=doubled(small), schedule=schedule), members_of(*EQUAL))


def test_with_other_defences_dropout_and_unequal_numbers_of_records():
    base = in_double(functools.partial(mlp, functools.partial(nn.Dropout, 0.3)), defences=(L2(0.01),))
    same(regularised(base, attacker=doubled(small)), members_of(17, 20, 23))


def test_an_attacker_goes_with_its_model():
    """Models stop after different epochs; those that go on keep their attackers."""
    base = in_double(mlp, epochs=12, stop=LossPlateau(0.04, 2))
    stack = same(regularised(base, attacker=doubled(small), optimiser=sgd(lr=0.2)), members_of(20, 20, 20, 20, 20))
    assert len({m.epoch for m in stack}) > 1


@pytest.mark.parametrize("attacker", [small, Dropped])
def test_strength_zero_is_a_stack_of_the_base(attacker):
    base, member = recipe(functools.partial(mlp, nn.Dropout)), members_of(*EQUAL)
    made = regularised(base, strength=0.0, attacker=attacker), base
    assert all(map(same_bits, *(it.fit_stack(MEMBERS, member, seeds=(3, 4, 5)) for it in made)))


def test_a_model_that_fails_does_so_alone():
    """Its attacker goes with it, and the others keep theirs."""
    inputs, member = MEMBERS.inputs.copy(), members_of(*EQUAL)
    inputs[np.flatnonzero(member[1] & ~member[0] & ~member[2])] = np.inf
    records = Records(inputs, MEMBERS.labels)
    it = regularised(in_double(mlp), attacker=doubled(small))
    first, second, third = it.fit_stack(records, member, seeds=(0, 1, 2))
    assert isinstance(second, TrainingError)
    assert "finite weights" in str(second)
    for place, model in ((0, first), (2, third)):
        assert distance(model, it.fit(records.take(member[place]), seed=place)) <= ROUNDING


def test_training_that_diverges_fails():
    member = np.ones((2, 48), dtype=bool)
    diverged, _ = diverging().fit_stack(memorised(48, 1), member, seeds=(1, 2))
    assert isinstance(diverged, TrainingError)
    assert "training diverged; take less strength than 10" in str(diverged)


# ------------------------------------------------------------------------------ what is no stack


class Recurrent(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.layer, self.last = nn.GRU(n_classes, 4), nn.Linear(4, 1)

    def forward(self, logits, labels):
        return self.last(self.layer(logits)[0])[:, 0]


class OfTheBatch(nn.Module):
    """An attacker that compares a record with the others."""

    def __init__(self, n_classes):
        super().__init__()
        self.last = nn.Linear(n_classes, 1)

    def forward(self, logits, labels):
        return self.last(logits - logits.mean(dim=0))[:, 0]


def test_why_an_attacker_is_in_no_stack():
    assert regularised(recipe(mlp)).reason_against_stacks() == ""
    recurrent = regularised(recipe(mlp), attacker=Recurrent)
    assert recurrent.reason_against_stacks().startswith("in its attacker layer layer (GRU) has kernels")
    refused(UnsupportedModelError, lambda: recurrent.fit_stack(MEMBERS, members_of(*EQUAL), seeds=range(3)), "GRU")
    comparing = regularised(in_double(mlp), attacker=doubled(OfTheBatch))
    same(comparing, members_of(*EQUAL))
    refused(
        UnsupportedModelError,
        lambda: comparing.fit_stack(MEMBERS, members_of(17, 20, 23), seeds=range(3)),
        "looks at every record alone",
    )
    few = regularised(recipe(mlp, batch_size=24))
    refused(UnsupportedModelError, lambda: few.fit_stack(MEMBERS, members_of(17, 20), seeds=(0, 1)), "one size")


def test_models_that_are_in_no_stack_are_trained_one_by_one():
    it, member = regularised(recipe(mlp), attacker=Recurrent), members_of(20, 20)
    models = list(train_group(it, MEMBERS, member, [0, 1], Strategy(stack=2)))
    assert all(map(same_bits, models, (it.fit(MEMBERS.take(row), seed=i) for i, row in enumerate(member))))


# ------------------------------------------------------------------------------ what it will cost


def test_stacks_are_measured_with_the_steps_of_both():
    it = regularised(recipe(mlp, epochs=4), schedule=Alternation(3, alone=2))
    assert all(isinstance(one, StackedRecipe) for one in (it, it.base))
    short = it.shortened(48, 2)
    assert (short.schedule, short.epochs) == (Alternation(2, alone=0), 2)  # 3 steps in half of the epochs, rounded
    found = measure_torch(it, MEMBERS, members_of(*[24] * 4), None)
    assert {m.strategy.stack for m in found} == {1, 4}


def test_an_attacker_has_weights_too():
    it = regularised(recipe(linear), attacker=Dropped)
    assert it.n_weights(3) == recipe(linear).n_weights(3) + 7

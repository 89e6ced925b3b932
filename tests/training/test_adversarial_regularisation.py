"""Adversarial regularisation: a training by hand, the published schedules counted, strength 0, and what it refuses."""

import functools
import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.training.networks import distance, in_double, linear, mlp, recipe, refused, same_bits, sgd, table
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError
from vestige.core.records import Records
from vestige.training.adversarial_regularisation import (
    AdversarialRegularisation,
    Adversary,
    Alternation,
    MembershipNetwork,
    Penalty,
    PublishedRounds,
)
from vestige.training.classifier import generator_of, global_stream, seed_of, tensors_of
from vestige.training.defences import Defence
from vestige.training.dp_sgd import DPSGD
from vestige.training.identity import is_reusable
from vestige.training.stacked import reason_against

MEMBERS, REFERENCE = table(), table(40, seed=9)
small = functools.partial(MembershipNetwork, answers=(8,), labels=(8,), joint=(8,))


def small_in_double(n_classes):
    return small(n_classes).double()


def regularised(base, **options):
    options = {"strength": 0.5, "attacker": small, "schedule": Alternation(2, alone=1), **options}
    return AdversarialRegularisation(base, REFERENCE, **options)


# ------------------------------------------------------------------------------------- schedules


def counted(schedule, n_epochs, n_batches):
    rounds = list(schedule.rounds(n_epochs, n_batches))
    return sum(len(own) for own, _ in rounds), sum(len(other) for _, other in rounds), rounds


@pytest.mark.parametrize(
    ("run", "n_records", "attackers", "classifiers", "empty"), [(52, 19_732, 3376, 152, 0), (50, 10_000, 1975, 77, 37)]
)
def test_the_published_rounds(run, n_records, attackers, classifiers, empty):
    """Purchase100 and Texas100 of Song & Mittal, with n // 128 - 1 batches."""
    n_batches = recipe(mlp, batch_size=128, full_batches=True, left_out=1).n_steps(n_records)
    assert n_batches == n_records // 128 - 1
    found = counted(PublishedRounds(run), 3, n_batches)
    assert found[:2] == (attackers, classifiers)
    assert sum(not len(other) for _, other in found[2]) == empty
    assert [number for _, other in found[2] for number in other] == list(range(classifiers))
    assert all(number < n_batches for own, _ in found[2] for number in own)
    assert counted(PublishedRounds(run), 0, n_batches)[:2] == (5 * n_batches, n_batches)


def test_alternation():
    assert counted(Alternation(3, alone=2), 1, 10)[:2] == (0, 10)
    attackers, classifiers, rounds = counted(Alternation(3, alone=2), 2, 10)
    assert (attackers, classifiers) == (30, 10)
    assert rounds[1] == (range(3, 6), range(1, 2))


def test_an_epoch_leaves_batches_out():
    seen = []

    def see(inputs, generator):
        seen.append(len(inputs))
        return inputs

    it = recipe(mlp, epochs=1, batch_size=10, augment=see, full_batches=True, left_out=1)
    it.fit(MEMBERS, seed=0)
    assert seen == [10, 10, 10]
    assert it.identity()["left_out"] == 1
    assert "left_out" not in recipe(mlp).identity()
    few = recipe(mlp, batch_size=30, full_batches=True, left_out=1)
    refused(InputError, lambda: few.fit(MEMBERS, seed=0), "at least 60 records for full batches, found 48")


# ------------------------------------------------------------------------------------ by hand


@pytest.mark.parametrize("penalty", Penalty)
def test_a_training_by_hand(penalty):
    """An epoch alone, then two steps of the attacker before each of the classifier."""
    seed, size = 5, 12
    it = regularised(
        in_double(mlp, epochs=3, batch_size=size), penalty=penalty, attacker=small_in_double, optimiser=sgd(lr=0.5)
    )
    model = it.fit(MEMBERS, seed=seed)
    with global_stream(seed_of(seed, "weights")):
        network = mlp().double()
    with global_stream(seed_of(seed, "attacker")):
        attacker = small_in_double(3)
    order, own_order = generator_of(seed, "order"), generator_of(seed, "attacker order")
    steps, own_steps = sgd()(network.parameters()), sgd(lr=0.5)(attacker.parameters())
    (x, y), (rx, ry) = ((torch.tensor(r.inputs).double(), torch.tensor(r.labels)) for r in (MEMBERS, REFERENCE))
    for epoch in range(3):
        rows = torch.randperm(48, generator=order)
        members, others = torch.randperm(48, generator=own_order), torch.randperm(40, generator=own_order)
        for batch in range(4):
            for step in range(2 * batch, 2 * batch + 2) if epoch else ():
                torch.randint(2**62, (1,), generator=own_order)  # the stream of the attacker's dropout
                a, b = members[step % 4 * size :][:size], others[step % 4 * size % 36 :][:size]
                with torch.no_grad():
                    outputs = network(torch.cat([x[a], rx[b]]))
                share = torch.sigmoid(attacker(outputs, torch.cat([y[a], ry[b]])))
                if penalty == Penalty.LOG:
                    loss = -(share[:size].log().mean() + (1 - share[size:]).log().mean()) / 2
                else:
                    loss = ((share[:size] - 1).square().mean() + share[size:].square().mean()) / 2
                own_steps.zero_grad()
                loss.backward()
                own_steps.step()
            mine = rows[batch * size :][:size]
            outputs = network(x[mine])
            share = torch.sigmoid(attacker(outputs, y[mine]))
            paid = share.log() if penalty == Penalty.LOG else share - 0.5
            steps.zero_grad()
            (functional.cross_entropy(outputs, y[mine]) + 0.5 * paid.mean()).backward()
            steps.step()
    assert distance(model, network.requires_grad_(False)) < 1e-12
    told = model.history["attacker_accuracy"]
    assert math.isnan(told[0])
    assert all(0 <= share <= 1 for share in told[1:])


def test_the_logarithm_has_a_floor():
    """A classifier gains nothing more from a record that is known for a nonmember."""
    adversary = Adversary(regularised(recipe(mlp)), 0, 3, tensors_of(REFERENCE, "cpu"))
    adversary.network = type("Fixed", (nn.Module,), {"forward": lambda self, outputs, labels: 40 * outputs[:, 0]})()
    outputs = torch.tensor([[-1.0, 0, 0], [0.0, 0, 0]], requires_grad=True)
    paid = adversary.mixed(torch.zeros(2), outputs, torch.zeros(2, dtype=torch.int64), 0)
    assert paid.tolist() == pytest.approx([0.5 * math.log(1e-8), 0.5 * math.log(0.5)])
    paid.sum().backward()
    assert outputs.grad is not None
    assert outputs.grad[0].tolist() == [0, 0, 0]
    assert outputs.grad[1, 0] > 0


class Watched(MembershipNetwork):
    """Notes in which mode it is asked, and whether its weights may move then."""

    seen: ClassVar[list] = []

    def forward(self, logits, labels):
        self.seen.append((self.training, next(self.parameters()).requires_grad, logits.requires_grad))
        return super().forward(logits, labels)


def test_each_is_in_training_for_its_own_steps_alone():
    modes = []

    class Noting(nn.Linear):
        def forward(self, inputs):
            modes.append(self.training)
            return super().forward(inputs)

    Watched.seen.clear()
    attacker = functools.partial(Watched, answers=(8,), labels=(8,), joint=(8,))
    it = regularised(
        recipe(functools.partial(Noting, 6, 3), epochs=1, batch_size=24), attacker=attacker,
        schedule=Alternation(1, alone=0), strength=0.01,
    )  # fmt: skip
    it.fit(MEMBERS, seed=0)
    assert Watched.seen == [(True, True, False), (False, False, True)] * 2
    assert modes[1:5] == [False, True] * 2  # after a look at the untrained one


# ----------------------------------------------------------------------------------- strength


def normed():
    return mlp(nn.Dropout, functools.partial(nn.BatchNorm1d, 8))


class Dropped(nn.Module):
    """An attacker that draws."""

    def __init__(self, n_classes):
        super().__init__()
        self.layer, self.drop = nn.Linear(2 * n_classes, 1), nn.Dropout(0.5)

    def forward(self, logits, labels):
        one_hot = functional.one_hot(labels, logits.shape[1]).to(logits)
        return self.layer(self.drop(torch.cat([logits, one_hot], dim=1)))[:, 0]


@pytest.mark.parametrize("penalty", Penalty)
@pytest.mark.parametrize("attacker", [small, Dropped])
def test_strength_zero_is_the_base(penalty, attacker):
    base = recipe(normed)
    it = regularised(base, strength=0.0, penalty=penalty, attacker=attacker)
    model, plain = (r.fit(MEMBERS, seed=3, checkpoints=(1, 2)) for r in (it, base))
    assert same_bits(model, plain)
    assert all(map(same_bits, model.checkpoints, plain.checkpoints))
    assert model.history["loss"] == plain.history["loss"]
    assert [len(m.history["attacker_accuracy"]) for m in (*model.checkpoints, model)] == [1, 2, 3]


def test_the_published_rounds_of_texas_at_strength_zero_are_its_undefended_twin():
    """With 77 batches all of them serve, in their order."""
    rng = np.random.default_rng(0)
    records = Records(rng.normal(size=(79, 6)).astype(np.float32), np.arange(79) % 3)
    base = recipe(linear, batch_size=1, epochs=2, full_batches=True, left_out=2)
    it = regularised(base, strength=0.0, schedule=PublishedRounds(50))
    assert same_bits(it.fit(records, seed=0), base.fit(records, seed=0))


def wide():
    return nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3))


def memorised(n, seed):
    inputs = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return Records(inputs, np.arange(n) % 3)


def memorising(strength, penalty=Penalty.LOG):
    """Labels by chance, which members are remembered with."""
    adam = functools.partial(torch.optim.Adam, lr=0.02)
    return AdversarialRegularisation(
        recipe(wide, epochs=60, batch_size=16, optimiser=adam), memorised(48, 2), strength=strength, penalty=penalty,
        attacker=small, schedule=Alternation(3, alone=0), optimiser=functools.partial(torch.optim.Adam, lr=0.01),
    )  # fmt: skip


def fitted(strength, penalty=Penalty.LOG):
    return memorising(strength, penalty).fit(memorised(48, 1), seed=1)


def diverging():
    return memorising(10.0)


@pytest.mark.parametrize("penalty", Penalty)
def test_members_are_harder_to_recognise(penalty):
    found = [np.mean(fitted(s, penalty).history["attacker_accuracy"][-20:]) for s in (0.0, 3.0)]
    assert found[0] > 0.85
    assert found[1] < 0.78


def test_training_that_diverges_fails():
    with pytest.raises(TrainingError, match=r"found 2\..* after 1\..*: training diverged; take less strength than 10"):
        fitted(10.0)
    it = regularised(recipe(mlp, optimiser=sgd(lr=1e20)))
    with pytest.raises(TrainingError, match="Expected finite weights"):
        it.fit(MEMBERS, seed=0)


# ------------------------------------------------------------------------------ identity, refusals


def test_the_identity_has_the_reference_and_everything_else():
    base = recipe(linear, optimiser=torch.optim.SGD)
    made = [
        regularised(base),
        AdversarialRegularisation(
            base, table(30, seed=9), strength=0.5, attacker=small, schedule=Alternation(2, alone=1)
        ),
        *(regularised(base, **options) for options in (
            {"strength": 1.0}, {"penalty": Penalty.LINEAR}, {"schedule": PublishedRounds(50)},
            {"optimiser": torch.optim.SGD}, {"attacker": MembershipNetwork},
        )),
        regularised(recipe(mlp, optimiser=torch.optim.SGD)),
    ]  # fmt: skip
    found = [it.identity() for it in made]
    assert len({str(identity) for identity in found}) == len(made)
    assert found[0]["reference"] == REFERENCE.digest
    assert all(map(is_reusable, found))


def test_a_model_is_stored_as_one_of_its_base():
    it = regularised(recipe(mlp))
    model = it.fit(MEMBERS, seed=0, checkpoints=(1,))
    loaded = it.load(it.dump(model))
    assert same_bits(loaded, model)
    assert loaded.history["attacker_accuracy"][1:] == model.history["attacker_accuracy"][1:]
    assert it.epochs == 3


class InTurns(Defence):
    def turns(self, classifier, data, n_epochs, n_batches):
        yield from reversed(range(n_batches))


def test_turns_of_ones_own_are_no_stack():
    it = recipe(mlp, defences=(InTurns(),))
    assert reason_against(it) == "InTurns takes the batches in turns of its own"
    assert not same_bits(it.fit(MEMBERS, seed=0), recipe(mlp).fit(MEMBERS, seed=0))


@pytest.mark.parametrize(
    ("call", "essentials"),
    [
        (lambda: regularised(recipe(mlp), strength=-1.0), ("a strength of 0 or more", "found -1")),
        (
            lambda: regularised(recipe(mlp, defences=(DPSGD(1.0, noise=1.0),))),
            ("without DP-SGD", "take one of"),
        ),
        (lambda: Alternation(0), ("found 0 after 3 epochs",)),
        (
            lambda: regularised(recipe(mlp)).fit(Records(MEMBERS.inputs, np.arange(48) % 4), seed=0),
            ("the 4 classes of the members", "found 3"),
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, essentials):
    refused(InputError, call, *essentials)

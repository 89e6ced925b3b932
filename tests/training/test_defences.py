"""Defences of a torch recipe: one step by hand, the enlarged set, stacks against the plain loop, and identities."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch
from tests.training.networks import (
    EQUAL,
    UNEQUAL,
    Skip,
    agree,
    distance,
    images,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    same_bits,
    sgd,
    table,
    tensors,
)
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.signals.label_only.translations import translated
from vestige.training.classifier import generator_of, global_stream, seed_of
from vestige.training.defences import (
    L1,
    L2,
    ConfidencePenalty,
    Defence,
    LabelSmoothing,
    Penalised,
    RelaxLoss,
    Translates,
)
from vestige.training.identity import is_reusable
from vestige.training.stacked import reason_against, train_stack
from vestige.training.strategies import groups_of, measure_torch
from vestige.training.torch_recipe import TorchRecipe

BY_NORM = L2(0.7, Penalised.NORM)


def cnn():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def one_step(it, gradients_of):
    """Weights before and after a step on all records by hand, from what a penalty adds to each gradient."""
    start = it.network()
    network = it.network()
    network.load_state_dict(start.state_dict())
    x, y = torch.tensor(table().inputs).double(), torch.tensor(table().labels)
    functional.cross_entropy(network(x), y).backward()
    with torch.no_grad():
        for weight, more in zip(network.parameters(), gradients_of(network), strict=True):
            weight -= 0.1 * (weight.grad + more)
    return network.requires_grad_(False)


def made_once(make):
    """A network that begins the same every time it is made."""

    def network():
        with global_stream(11):
            return make().double()

    return network


# -------------------------------------------------------------------------------------------- L2


def test_a_step_with_squares_of_dense_layers_by_hand():
    """Of the weights alone: biases are not penalised."""
    it = in_double(made_once(mlp), epochs=1, batch_size=48, defences=(L2(0.3),))
    by_hand = one_step(it, lambda n: [0.6 * w if w.ndim == 2 else 0 * w for w in n.parameters()])
    assert distance(it.fit(table(), seed=0), by_hand) < 1e-15


def test_a_step_with_the_norm_of_all_weights_by_hand():
    def of(network):
        norm = torch.sqrt(sum((w.detach() ** 2).sum() for w in network.parameters()))
        return [0.7 * w / norm for w in network.parameters()]

    it = in_double(made_once(mlp), epochs=1, batch_size=48, defences=(BY_NORM,))
    assert distance(it.fit(table(), seed=0), one_step(it, of)) < 1e-15


def test_other_than_dense_layers_are_left_alone_by_squares():
    it = recipe(cnn, epochs=1, batch_size=48, optimiser=sgd(lr=0.01))
    plain, penalised = (tensors(r.fit(images(), seed=0)) for r in (it, recipe_with(it, defences=(L2(1.0),))))
    moved = {name: float((plain[name] - penalised[name]).abs().max()) for name in plain}
    assert moved["3.weight"] > 1e-4
    assert {name for name, by in moved.items() if by == 0} == {"0.weight", "0.bias", "3.bias"}


def recipe_with(it, **changes):
    return TorchRecipe(**{**{n: getattr(it, n) for n in it.__dataclass_fields__ if n != "_"}, **changes})


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.Adam])
def test_squares_are_a_weight_decay_of_twice_the_strength(optimiser):
    network = functools.partial(nn.Linear, 6, 3, bias=False)
    penalised = in_double(network, optimiser=functools.partial(optimiser, lr=0.05), defences=(L2(0.4),))
    decayed = in_double(network, optimiser=functools.partial(optimiser, lr=0.05, weight_decay=0.8))
    assert distance(penalised.fit(table(), seed=3), decayed.fit(table(), seed=3)) < 1e-12


def test_the_loss_has_the_penalties_in_it():
    it = in_double(made_once(mlp), epochs=1, batch_size=48)
    weights = tensors(it.network().requires_grad_(False))
    squares = sum(float((w**2).sum()) for name, w in weights.items() if name.endswith("weight"))
    norm = np.sqrt(sum(float((w**2).sum()) for w in weights.values()))
    plain, penalised = (r.fit(table(), seed=0) for r in (it, recipe_with(it, defences=(L2(0.3), BY_NORM))))
    more = penalised.history["loss"][0] - plain.history["loss"][0]
    assert more == pytest.approx(0.3 * squares + 0.7 * norm, rel=1e-12)


def test_a_norm_of_zero_moves_nothing():
    def zeros():
        network = linear()
        for weight in network.parameters():
            nn.init.zeros_(weight)
        return network

    it = in_double(zeros, epochs=1, batch_size=48)
    assert same_bits(it.fit(table(), seed=0), recipe_with(it, defences=(BY_NORM,)).fit(table(), seed=0))


def test_a_penalty_on_what_is_not_there_is_refused():
    it = recipe(lambda: nn.Sequential(nn.Conv2d(3, 3, 6), nn.Flatten()), defences=(L2(1.0),))
    with pytest.raises(InputError, match="an L2 penalty on the squares of the dense layers, found none in Sequential"):
        it.fit(images(), seed=0)


# ------------------------------------------------------------------------- losses and other sizes


def test_a_step_with_the_sizes_of_dense_layers_by_hand():
    it = in_double(made_once(mlp), epochs=1, batch_size=48, defences=(L1(0.3),))
    by_hand = one_step(it, lambda n: [0.3 * w.detach().sign() if w.ndim == 2 else 0 * w for w in n.parameters()])
    assert distance(it.fit(table(), seed=0), by_hand) < 1e-15


def loss_of(it):
    """The loss before a step on all records, and what it is by hand from logits and labels."""
    x, y = torch.tensor(table().inputs).double(), torch.tensor(table().labels)
    return it.fit(table(), seed=0).history["loss"][0], it.network()(x).detach(), y


def test_smoothed_labels_are_those_of_torch():
    it = in_double(made_once(mlp), epochs=1, batch_size=48, defences=(LabelSmoothing(0.3),))
    found, logits, labels = loss_of(it)
    assert found == pytest.approx(float(functional.cross_entropy(logits, labels, label_smoothing=0.3)), rel=1e-12)
    smoothing = functools.partial(functional.cross_entropy, label_smoothing=0.3, reduction="none")
    theirs = in_double(made_once(mlp), epochs=3, loss=smoothing).fit(table(), seed=1)
    assert distance(in_double(made_once(mlp), epochs=3, defences=it.defences).fit(table(), seed=1), theirs) < 1e-14


def test_a_confidence_penalty_takes_the_entropy():
    it = in_double(made_once(mlp), epochs=1, batch_size=48, defences=(ConfidencePenalty(0.3),))
    found, logits, labels = loss_of(it)
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    expected = functional.cross_entropy(logits, labels) - 0.3 * entropy.mean()
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_defences_act_in_their_order():
    both = LabelSmoothing(0.5), ConfidencePenalty(2.0)
    found = [loss_of(in_double(made_once(mlp), epochs=1, batch_size=48, defences=d))[0] for d in (both, both[::-1])]
    _, logits, _ = loss_of(in_double(made_once(mlp), epochs=1, batch_size=48))
    entropy = float(torch.distributions.Categorical(logits=logits).entropy().mean())
    assert found[1] - found[0] == pytest.approx(entropy, rel=1e-9)  # half of what is taken is given back


def test_a_relaxed_loss_by_hand():
    """Each batch by its own mean: down, up, and towards answers whose other classes are alike."""
    target, seed = 0.9, 5
    it = in_double(mlp, epochs=8, batch_size=12, optimiser=sgd(lr=0.3), defences=(RelaxLoss(target),))
    model, order, ways = it.fit(table(), seed=seed), generator_of(seed, "order"), []
    with global_stream(seed_of(seed, "weights")):
        network = mlp().double()
    optimiser = sgd(lr=0.3)(network.parameters())
    x, y = torch.tensor(table().inputs).double(), torch.tensor(table().labels)
    for epoch in range(8):
        losses = []
        for rows in torch.randperm(48, generator=order).split(12):
            logits = network(x[rows])
            loss = goal = functional.cross_entropy(logits, y[rows])
            ways.append("down")
            if float(loss.detach()) < target and epoch % 2 == 0:
                goal, ways[-1] = -loss, "up"
            elif float(loss.detach()) < target:
                answers = logits.detach().softmax(dim=1)
                for i, own in enumerate(y[rows]):
                    answers[i] = torch.where(torch.arange(3) == own, answers[i, own], (1 - answers[i, own]) / 2)
                goal, ways[-1] = functional.cross_entropy(logits, answers), "flat"
            losses.append(float(loss.detach()))
            optimiser.zero_grad()
            goal.backward()
            optimiser.step()
        assert model.history["loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-12)
    assert set(ways) == {"down", "up", "flat"}
    assert distance(model, network.requires_grad_(False)) < 1e-12


def test_a_relaxed_loss_stays_at_its_target():
    base = recipe(mlp, epochs=150, optimiser=functools.partial(torch.optim.Adam, lr=0.01))
    plain, relaxed = (
        recipe_with(base, defences=d).fit(table(), seed=0).history["loss"] for d in ((), (RelaxLoss(0.6),))
    )
    assert plain[-1] < 0.2
    assert np.mean(relaxed[-20:]) == pytest.approx(0.6, abs=0.1)
    it = recipe(mlp, defences=(RelaxLoss(0.5),))
    assert reason_against(it) == "RelaxLoss looks at the mean loss of a model's batch"
    assert same_bits(recipe(mlp, defences=(RelaxLoss(0.0),)).fit(table(), seed=0), recipe(mlp).fit(table(), seed=0))


@pytest.mark.parametrize(
    "defence", [L1(0.0), L2(0.0), L2(0.0, Penalised.NORM), LabelSmoothing(0.0), ConfidencePenalty(0.0)]
)
def test_a_strength_of_zero_is_no_defence(defence):
    it = recipe(functools.partial(mlp, nn.Dropout))
    both = it, recipe_with(it, defences=(defence,))
    assert same_bits(*(r.fit(table(), seed=0) for r in both))
    stacks = (train_stack(r, table(), membership(*EQUAL), seeds=range(3)) for r in both)
    assert all(map(same_bits, *stacks))


@dataclasses.dataclass(frozen=True)
class Sharpened(Defence):
    """A stranger's defence: one class, one method."""

    power: float

    def mixed(self, losses, outputs, labels, n_epochs):
        return losses**self.power if n_epochs else losses


def test_a_defence_of_ones_own_is_a_class_with_a_method():
    it = in_double(mlp, defences=(Sharpened(1.5),))
    agree(it, table(), membership(*EQUAL))
    for epochs, same in ((1, True), (2, False)):
        both = (recipe_with(it, epochs=epochs, defences=d).fit(table(), seed=0) for d in (it.defences, ()))
        assert same_bits(*both) is same
    found = recipe(linear, defences=it.defences).identity()["defences"][0]
    assert found["state"] == {"power": 1.5}
    assert found["source"]


# ------------------------------------------------------------------------------------ translates


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_translates_are_those_that_attacks_ask_about(distance):
    shown = images(7).inputs
    for inputs, axes in ((shown, (1, 2)), (shown[..., 0], (1, 2)), (shown.transpose(0, 3, 1, 2) / 255.0, (2, 3))):
        expected = translated(inputs, distance, axes=axes).swapaxes(0, 1).reshape(-1, *inputs.shape[1:])
        found = Translates(distance).enlarged(torch.tensor(np.ascontiguousarray(inputs)))
        np.testing.assert_array_equal(found.numpy(), expected)
        assert len(expected) == 7 * Translates(distance).n_copies


def test_the_training_set_is_enlarged():
    records, copies = images(20), Translates(2)
    large = Records(copies.enlarged(torch.tensor(records.inputs)).numpy(), np.tile(records.labels, 9))
    assert large.n_records == 180
    a, b = recipe(cnn, defences=(copies,)).fit(records, seed=3), recipe(cnn).fit(large, seed=3)
    assert same_bits(a, b)
    assert a.history == b.history


@pytest.mark.parametrize(("records", "distance"), [(table(), 1), (images(), 6)])
def test_what_has_no_translates_is_refused(records, distance):
    with pytest.raises(InputError, match=f"Expected images of more than {distance} pixels each way for translates"):
        recipe(cnn, defences=(Translates(distance),)).fit(records, seed=0)


# ---------------------------------------------------------------------------------- full batches


def test_full_batches_drop_the_rest_of_every_epoch():
    """48 records in batches of 10: 40 of them, other ones in each epoch."""
    seen: list[list[float]] = [[]]

    def see(inputs, generator):
        if len(seen[-1]) == 40:
            seen.append([])
        assert len(inputs) == 10
        seen[-1].extend(inputs[:, 0].tolist())
        return inputs

    records = Records(np.arange(48.0)[:, None].repeat(6, axis=1), table().labels)
    recipe(mlp, epochs=3, batch_size=10, augment=see, full_batches=True).fit(records, seed=1)
    assert [len(set(epoch)) for epoch in seen] == [40] * 3
    assert len(set(map(frozenset, seen))) == 3


def test_full_batches_are_the_loop_anybody_would_write():
    records, seed = table(), 5
    model = in_double(mlp, epochs=2, batch_size=10, full_batches=True).fit(records, seed=seed)
    order, losses = generator_of(seed, "order"), []
    with global_stream(seed_of(seed, "weights")):
        network = mlp().double()
    optimiser = sgd()(network.parameters())
    x, y = torch.tensor(records.inputs).double(), torch.tensor(records.labels)
    for _ in range(2):
        for rows in torch.randperm(48, generator=order)[:40].reshape(4, 10):
            optimiser.zero_grad()
            loss = functional.cross_entropy(network(x[rows]), y[rows])
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    assert same_bits(model, network)
    assert model.history["loss"] == pytest.approx([np.mean(losses[:4]), np.mean(losses[4:])], rel=1e-12)


def test_batches_that_fit_are_the_same_full_or_not():
    a, b = (recipe(mlp, batch_size=12, full_batches=full).fit(table(), seed=3) for full in (False, True))
    assert same_bits(a, b)


def test_too_few_records_for_a_full_batch_are_refused():
    it = recipe(linear, batch_size=49, full_batches=True)
    with pytest.raises(InputError, match="Expected at least 49 records for full batches, found 48; take smaller"):
        it.fit(table(), seed=0)


# ---------------------------------------------------------------------------------------- stacks


@pytest.mark.parametrize("counts", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("network", [functools.partial(mlp, nn.Dropout), Skip], ids=["direct", "vmap"])
@pytest.mark.parametrize(
    "options",
    [
        {"defences": (L2(0.3),)},
        {"defences": (L2(0.1), BY_NORM)},
        {"full_batches": True},
        {"defences": (L1(0.01), LabelSmoothing(0.2), ConfidencePenalty(0.1))},
    ],
)
def test_a_stack_is_the_plain_loop(network, options, counts):
    agree(in_double(network, **options), table(), membership(*counts))


@pytest.mark.parametrize("full", [False, True])
def test_a_stack_of_translates_is_the_plain_loop(full):
    it = in_double(cnn, batch_size=20, epochs=2, defences=(Translates(1), L2(0.2)), full_batches=full)
    agree(it, images(), membership(19, 18, 17))


def test_full_batches_need_no_padding():
    """Batch normalisation may then stand with other numbers of records."""
    network = functools.partial(mlp, functools.partial(nn.BatchNorm1d, 8))
    agree(in_double(network, full_batches=True), table(), membership(17, 20, 23))


def test_a_probe_measures_every_way():
    it = recipe(cnn, batch_size=16, defences=(Translates(1), L2(0.2)), full_batches=True)
    member = membership(*[24, 20] * 4)
    found = measure_torch(it, images(), member, None)
    assert {m.strategy.stack for m in found} == {1, 4, 8}
    groups = groups_of(it, member, max(found, key=lambda m: m.strategy.stack).strategy)
    assert sorted(map(sorted, groups)) == [[0, 2, 4, 6], [1, 3, 5, 7]]  # 7 and 6 steps


# -------------------------------------------------------------------------------------- identity


def test_defences_are_told_by_their_kind_and_their_numbers():
    tuples = [(), (L2(1.0),), (L2(2.0),), (BY_NORM,), (L2(0.7),), (Translates(1),), (L2(1.0), Translates(1))]
    found = [recipe(linear, optimiser=torch.optim.SGD, defences=defences).identity() for defences in tuples]
    assert len({json.dumps(identity, sort_keys=True) for identity in found}) == len(tuples)
    assert all(is_reusable(identity) for identity in found)
    assert found[3]["defences"] == [{"defence": "L2", "strength": 0.7, "of": "norm of all weights"}]
    assert "defences" not in found[0]


def test_what_is_no_defence_is_refused():
    with pytest.raises(InputError, match="Expected an L2 penalty of 0 or more, found -1; give its strength"):
        L2(-1.0)
    with pytest.raises(InputError, match="Expected an L1 penalty of 0 or more, found -1; give its strength"):
        L1(-1.0)
    with pytest.raises(InputError, match="Expected a confidence penalty of 0 or more, found nan; give its strength"):
        ConfidencePenalty(float("nan"))
    with pytest.raises(InputError, match="Expected a target loss of 0 or more, found -1; give its strength"):
        RelaxLoss(-1.0)
    with pytest.raises(InputError, match=r"Expected a share in \[0, 1\) for label smoothing, found 1; give one"):
        LabelSmoothing(1.0)
    it = recipe(cnn)
    object.__setattr__(it, "defences", (3.0,))  # as without the tests' checks of types
    with pytest.raises(InputError, match=r"Expected defences such as L2\(3.0\), found float; make them classes"):
        it.__post_init__()
    with pytest.raises(InputError, match="Expected translates of 1 pixel or more, found 0; leave them out"):
        Translates(0)
    with pytest.raises(
        InputError,
        match="one defence at most that makes copies, looks at batches or clips records, found Translates, ",
    ):
        recipe(cnn, defences=(Translates(1), Translates(2)))

"""Defences of a torch recipe: one step by hand, the enlarged set, stacks against the plain loop, and identities."""

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
from vestige.training.defences import L2, Penalised, Translates
from vestige.training.identity import is_reusable
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


# ------------------------------------------------------------------------------------ translates


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_translates_are_those_that_attacks_ask_about(distance):
    shown = images(7).inputs
    for inputs, axes in ((shown, (1, 2)), (shown[..., 0], (1, 2)), (shown.transpose(0, 3, 1, 2) / 255.0, (2, 3))):
        expected = translated(inputs, distance, axes=axes).swapaxes(0, 1).reshape(-1, *inputs.shape[1:])
        found = Translates(distance).of(torch.tensor(np.ascontiguousarray(inputs)))
        np.testing.assert_array_equal(found.numpy(), expected)
        assert len(expected) == 7 * Translates(distance).n_copies


def test_the_training_set_is_enlarged():
    records, copies = images(20), Translates(2)
    large = Records(copies.of(torch.tensor(records.inputs)).numpy(), np.tile(records.labels, 9))
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
    "options", [{"defences": (L2(0.3),)}, {"defences": (L2(0.1), BY_NORM)}, {"full_batches": True}]
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
    with pytest.raises(InputError, match="Expected translates of 1 pixel or more, found 0; leave them out"):
        Translates(0)
    with pytest.raises(
        InputError, match="of the kinds L2 and Translates, the latter once, found Translates, Translates"
    ):
        recipe(cnn, defences=(Translates(1), Translates(2)))

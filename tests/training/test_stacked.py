"""Stacks against the plain loop, model by model.

Most comparisons are made in float64, where rounding stays below 1e-12 and what is wrong by anything else is seen. In
float32 the two ways differ by rounding of about 1e-7 per step, and the tolerance is 1e-5.
"""

import functools
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.networks import (
    N_RECORDS,
    as_double,
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
from torch.nn.utils import parametrizations

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training import stacked
from vestige.training.stacked import n_steps, reason_against, train_stack
from vestige.training.stopping import LossPlateau, ValidationPeak

ROUNDING = 1e-11  # of float64
UNEQUAL = (17, 20, 23)  # three steps of 8 each, the last one of 1, 4 and 7 records
EQUAL = (20, 20, 20)


def both(it, records, member, seeds=None, **options):
    """The models of a stack, and the same ones trained one by one."""
    seeds = range(len(member)) if seeds is None else seeds
    stack = train_stack(it, records, member, seeds=seeds, **options)
    plain = [it.fit(records.take(row), seed=seed, **options) for row, seed in zip(member, seeds, strict=True)]
    return stack, plain


def agree(it, records, member, tolerance=ROUNDING, **options):
    """Assert that a stack gives what the plain loop gives, down to checkpoints and history; return it."""
    stack, plain = both(it, records, member, **options)
    for a, b in zip(stack, plain, strict=True):
        assert isinstance(a, Model), a
        assert [m.epoch for m in (*a.checkpoints, a)] == [m.epoch for m in (*b.checkpoints, b)]
        assert (a.seed, a.n_classes) == (b.seed, b.n_classes)
        assert a.classifier.training == b.classifier.training
        for one, other in zip((*a.checkpoints, a), (*b.checkpoints, b), strict=True):
            assert distance(one, other) <= tolerance
            assert one.history.keys() == other.history.keys()
            for name in one.history:
                assert one.history[name] == pytest.approx(other.history[name], abs=10 * tolerance)
    assert len({tuple(m.history["loss"]) for m in stack}) == len(stack)
    return stack


# --------------------------------------------------------------------------------------- networks


def cnn(*between):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        *[make() for make in between],
        nn.Conv2d(4, 8, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


class Skip(nn.Module):
    """A network of a user's own, with layers inside it that it calls in its own order."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.4)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, inputs):
        hidden = self.first(inputs).tanh()
        return self.last(hidden + self.scale * self.drop(self.second(hidden).relu()))


class Tied(nn.Module):
    """One weight in two places, and a weight that nothing uses."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, inputs):
        return self.last(self.second(self.first(inputs).tanh()).tanh())


class Buffers(nn.Module):
    """Buffers changed in place, set anew, not kept with the weights, of whole numbers, and of infinities."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("drawn", torch.randn(6), persistent=False)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("mask", torch.full((3,), -torch.inf))

    def forward(self, inputs):
        if self.training:
            self.calls += 1
            self.mean = 0.9 * self.mean + 0.1 * inputs.detach().mean(dim=0)
            self.seen.add_(inputs.detach()[0, 0])
        return self.layer(inputs - self.mean + self.drawn) + self.mask.exp()


class LayersInRows(nn.Module):
    """Dropout on something that has records x parts as its rows."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(2, 5), nn.Dropout(0.5), nn.Linear(15, 3)

    def forward(self, inputs):
        hidden = self.drop(self.first(inputs.reshape(-1, 2)))
        return self.last(hidden.reshape(len(inputs), -1))


class Turned(nn.Module):
    """Dropout on something whose order in memory is another than that of its axes."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Conv1d(2, 5, 1), nn.Dropout(0.5), nn.Linear(15, 3)

    def forward(self, inputs):
        hidden = self.first(inputs.reshape(-1, 2, 3)).transpose(1, 2)
        return self.last(self.drop(hidden).flatten(1))


def used_twice():
    """The same layers at two places: an activation, a dropout and a linear one."""
    act, drop, inner = nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 8)
    return nn.Sequential(nn.Linear(6, 8), act, drop, inner, act, drop, inner, nn.Linear(8, 3))


def used_twice_in_a_module():
    network = Skip()
    network.other_name = network.drop
    network.forward = lambda x: network.last(network.other_name(network.first(x)))
    return network


def tied_in_a_row():
    network = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6, bias=False), nn.Linear(6, 3))
    network[2].weight = network[0].weight
    return network


def nested():
    return nn.Sequential(
        nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.GELU(), nn.Dropout(0.2))),
        nn.Identity(),
        nn.Sequential(nn.Linear(8, 8, bias=False), nn.LeakyReLU(0.1, inplace=True)),
        nn.Linear(8, 3),
    )


def frozen():
    network = mlp(nn.Dropout)
    network[0].weight.requires_grad_(False)
    network[3].bias.requires_grad_(False)
    return network


def normalised(layer):
    return lambda: nn.Sequential(nn.Linear(6, 8, bias=False), layer(), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    "network",
    [
        linear,
        mlp,
        functools.partial(mlp, nn.Dropout),
        functools.partial(mlp, lambda: nn.Dropout(1.0)),
        functools.partial(mlp, lambda: nn.Dropout(0.0)),
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5, inplace=True), nn.Tanh(), nn.Linear(8, 3)),
        functools.partial(mlp, functools.partial(nn.LayerNorm, 8), nn.Dropout),
        functools.partial(mlp, functools.partial(nn.GroupNorm, 2, 8)),
        functools.partial(mlp, nn.PReLU),
        nested,
        used_twice,
        used_twice_in_a_module,
        tied_in_a_row,
        frozen,
        Skip,
        Tied,
        Turned,
        lambda: parametrizations.weight_norm(nn.Linear(6, 3)),
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)),
        lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Linear(3, 4), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
    ],
)
def test_networks_of_tables(network):
    agree(in_double(network), table(), membership(*UNEQUAL), checkpoints=[1])


@pytest.mark.parametrize(
    "layer", [nn.Sigmoid, nn.SELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Hardtanh, nn.ELU, nn.Softsign]
)
def test_activations(layer):
    agree(in_double(lambda: nn.Sequential(nn.Linear(6, 8), layer(), nn.Linear(8, 3))), table(), membership(*UNEQUAL))


@pytest.mark.parametrize(
    "network",
    [
        cnn,
        functools.partial(cnn, nn.Dropout2d),
        functools.partial(cnn, nn.Dropout, functools.partial(nn.GroupNorm, 2, 4)),
        functools.partial(cnn, functools.partial(nn.InstanceNorm2d, 4, affine=True)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(108, 8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 3)),
    ],
)
def test_networks_of_images_of_bytes(network):
    agree(in_double(network, epochs=2), images(), membership(*UNEQUAL))


@pytest.mark.parametrize("network", [Buffers, LayersInRows])
def test_networks_that_need_batches_of_one_size(network):
    stack = agree(in_double(network), table(), membership(*EQUAL), checkpoints=[2])
    if network is Buffers:
        assert [int(tensors(model)["calls"]) for model in stack] == [9, 9, 9]
        assert len({float(tensors(model)["seen"]) for model in stack}) == 3


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, functools.partial(nn.BatchNorm1d, track_running_stats=False)])
@pytest.mark.parametrize("optimiser", [sgd(momentum=0.9), torch.optim.Adam])
def test_batch_normalisation(layer, optimiser):
    it = in_double(normalised(functools.partial(layer, 8)), optimiser=optimiser, stop=ValidationPeak())
    agree(it, table(), membership(*EQUAL), validation=table(n=300, seed=3))


def test_batch_normalisation_of_images():
    it = recipe(functools.partial(cnn, functools.partial(nn.BatchNorm2d, 4)), epochs=2)
    agree(it, images(), membership(*EQUAL), tolerance=2e-5)


def test_a_bias_before_batch_normalisation_is_what_adam_makes_of_rounding():
    """Its gradient is zero but for rounding, and Adam steps by its learning rate whatever the gradient's size.

    The network does not see that bias, because normalisation takes the mean away: every other weight agrees, and so
    does what the models answer.
    """
    it = recipe(
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
        optimiser=functools.partial(torch.optim.Adam, lr=1e-2),
    )
    stack, plain = both(it, table(), membership(*EQUAL))
    x = torch.tensor(table().inputs)
    for a, b in zip(stack, plain, strict=True):
        assert isinstance(a, Model)
        apart = {name: float((tensors(a)[name] - tensors(b)[name]).abs().max()) for name in tensors(a)}
        assert apart["0.bias"] > 1e-3
        assert apart["1.running_mean"] > 1e-4  # follows that bias
        assert max(v for name, v in apart.items() if name not in ("0.bias", "1.running_mean")) < 2e-4
        torch.testing.assert_close(a.classifier(x), b.classifier(x), rtol=0, atol=2e-2)  # running means lag behind
    agree(in_double(it.network, optimiser=it.optimiser), table(), membership(*EQUAL))  # where noise is below epsilon


@pytest.mark.parametrize("network", [mlp, functools.partial(mlp, nn.Dropout), Skip])
def test_in_float32_to_its_rounding(network):
    agree(recipe(network), table(), membership(*UNEQUAL), tolerance=1e-5)


# ------------------------------------------------------------------------------------- optimisers


@pytest.mark.parametrize(
    "optimiser",
    [
        sgd(momentum=0.9, nesterov=True, weight_decay=1e-2),
        sgd(momentum=0.9, dampening=0.1, maximize=True, lr=1e-3),
        sgd(lr=torch.tensor(0.05)),
        sgd(foreach=True, momentum=0.5),
        sgd(fused=False),
        functools.partial(torch.optim.Adam, lr=1e-2),
        functools.partial(torch.optim.Adam, lr=1e-2, amsgrad=True, weight_decay=1e-2),
        functools.partial(torch.optim.Adam, lr=torch.tensor(1e-2)),
        functools.partial(torch.optim.Adam, lr=1e-2, fused=True, amsgrad=True),
        functools.partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1, betas=(0.8, 0.9)),
        functools.partial(torch.optim.Adamax, lr=1e-2),
        functools.partial(torch.optim.NAdam, lr=1e-2),
        functools.partial(torch.optim.RAdam, lr=1e-2),
        functools.partial(torch.optim.RMSprop, lr=1e-3, momentum=0.5, centered=True),
        functools.partial(torch.optim.Adagrad, lr=1e-2, initial_accumulator_value=0.1),
        functools.partial(torch.optim.Adadelta, lr=0.5),
    ],
    ids=lambda o: o.func.__name__,
)
def test_optimisers_with_models_that_end_at_different_epochs(optimiser):
    """What an optimiser remembers goes on with the models that are left, also of a weight that nothing uses."""
    validation = table(n=40, seed=9)
    it = in_double(Tied, optimiser=optimiser, epochs=8, stop=ValidationPeak(patience=2))
    stack = agree(it, table(), membership(17, 20, 23, 24), tolerance=1e-10, validation=validation)
    assert len({len(model.history["loss"]) for model in stack}) > 1


def decaying_weights_alone(weights):
    """As many papers have it: no decay of biases, which are told by their number of axes; another rate for them."""
    weights = list(weights)
    matrices = [w for w in weights if w.ndim > 1]
    return torch.optim.SGD(
        [{"params": matrices, "weight_decay": 0.2}, {"params": [w for w in weights if w.ndim <= 1], "lr": 0.3}], lr=0.1
    )


def the_last_layer_alone(weights):
    return torch.optim.Adagrad(list(weights)[-2:], lr=0.1, initial_accumulator_value=0.5)


@pytest.mark.parametrize("optimiser", [decaying_weights_alone, the_last_layer_alone])
@pytest.mark.parametrize("network", [mlp, Tied])
def test_optimisers_that_treat_weights_differently(optimiser, network):
    it = in_double(network, optimiser=optimiser, schedule=lambda p: 1 - p, epochs=6, stop=LossPlateau(0.03, patience=1))
    stack = agree(it, table(), membership(17, 20, 23, 24), seeds=[5, 6, 7, 8])
    assert len({model.epoch for model in stack}) > 1


# ------------------------------------------------------------- schedules, augmentation, stopping


def noisy(inputs, generator):
    return inputs + 0.3 * torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)


def noisy_from_the_global_stream(inputs, generator):
    """As most libraries of augmentation do."""
    return inputs + 0.3 * torch.randn(inputs.shape, dtype=inputs.dtype)


def cropped(inputs, generator):
    at = int(torch.randint(0, 3, (), generator=generator))
    return inputs[:, :, at : at + 4, at : at + 4]


@pytest.mark.parametrize("augment", [noisy, noisy_from_the_global_stream])
@pytest.mark.parametrize("network", [functools.partial(mlp, nn.Dropout), Skip])
def test_augmentation_and_schedule(augment, network):
    it = in_double(network, augment=augment, schedule=lambda p: float(np.cos(p)))
    agree(it, table(), membership(*UNEQUAL))


def test_augmentation_that_changes_the_shape():
    network = functools.partial(nn.Sequential, nn.Flatten(), nn.Linear(48, 3))
    agree(in_double(lambda: network(), augment=cropped), images(), membership(*UNEQUAL))


@pytest.mark.parametrize("network", [functools.partial(mlp, nn.Dropout), Skip])
@pytest.mark.parametrize("stop", [ValidationPeak(patience=2), LossPlateau(0.03, patience=2)])
def test_models_that_end_at_different_epochs(network, stop):
    it = in_double(network, epochs=12, stop=stop, augment=noisy, optimiser=sgd(lr=0.3, momentum=0.5))
    options = {"validation": table(n=40, seed=9)} if stop.needs_validation else {}
    stack = agree(it, table(), membership(17, 20, 23, 24), checkpoints=[1, 2, 4, 9], **options)
    assert len({len(model.history["loss"]) for model in stack}) > 1


# ------------------------------------------------------------------------------------ small shapes


@settings(max_examples=20)
@given(
    batch_size=st.integers(1, 12),
    steps=st.integers(1, 3),
    missing=st.lists(st.integers(0, 11), min_size=1, max_size=4),
    direct=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_small_shape(batch_size, steps, missing, direct, seed):
    counts = [batch_size * steps - m % batch_size for m in missing]
    assert {n_steps(count, batch_size) for count in counts} == {steps}
    it = in_double(functools.partial(mlp, nn.Dropout) if direct else Skip, batch_size=batch_size, epochs=2)
    member = membership(*counts, seed=seed)
    stack, plain = both(it, table(), member, seeds=[seed + i for i in range(len(counts))])
    assert all(distance(a, b) < ROUNDING for a, b in zip(stack, plain, strict=True))


# -------------------------------------------------------------------------------- models are apart


def test_permuted_models_are_permuted_results():
    it, member = in_double(functools.partial(mlp, nn.Dropout)), membership(17, 20, 23, 24)
    order = [2, 0, 3, 1]
    a = train_stack(it, table(), member, seeds=[5, 6, 7, 8])
    b = train_stack(it, table(), member[order], seeds=[[5, 6, 7, 8][i] for i in order])
    assert all(distance(b[place], a[i]) < ROUNDING for place, i in enumerate(order))


@pytest.mark.parametrize("network", [mlp, Skip])
def test_a_model_does_not_know_its_mates(network):
    """Nor does one whose records make every weight NaN, with a record that only others train on."""
    records = table()
    member = membership(17, 20, 23)
    spoilt = records.inputs.copy()
    bad = int(np.flatnonzero(member[1] & ~member[0] & ~member[2])[0])
    spoilt[bad] = np.nan
    it = in_double(network)
    alone = [train_stack(it, records, member[[i]], seeds=[i])[0] for i in range(3)]
    first, second, third = train_stack(it, Records(spoilt, records.labels), member, seeds=range(3))
    assert distance(first, alone[0]) < ROUNDING
    assert distance(third, alone[2]) < ROUNDING
    assert isinstance(second, TrainingError)
    assert "NaN or infinity in" in str(second)
    assert "after epoch 1" in str(second)


def test_a_record_that_no_model_has_is_never_looked_at():
    """Batches are filled up with a model's own records: the first one of all is NaN and nobody's here."""
    records = table()
    inputs = records.inputs.copy()
    inputs[0] = np.nan
    member = membership(17, 20, 23)
    member[:, 0] = False
    sizes = {n_steps(int(row.sum()), 8) for row in member}
    assert sizes == {3}
    assert len({int(row.sum()) for row in member}) > 1
    agree(in_double(Skip), Records(inputs, records.labels), member)


class Unit(nn.Module):
    """Divides each record by its length: of a row of zeros, which is no record, that is NaN."""

    def forward(self, inputs):
        return inputs / inputs.norm(dim=1, keepdim=True)


def test_padding_is_no_row_of_zeros():
    network = lambda: nn.Sequential(Unit(), nn.Linear(6, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 3))  # noqa: E731
    agree(in_double(network, augment=noisy), table(), membership(*UNEQUAL))


def test_one_diverging_model_is_told_and_the_others_are_as_they_would_be():
    """The second model starts with weights so large that its first step leaves the numbers."""

    def network():
        layer = nn.Linear(6, 3)
        if torch.initial_seed() == stacked.seed_of(1, "weights"):
            nn.init.constant_(layer.weight, 3e38)
        return layer

    it = recipe(network, optimiser=sgd(lr=1e-3))
    member = membership(*EQUAL)
    first, second, third = train_stack(it, table(), member, seeds=[0, 1, 2], checkpoints=[1, 2])
    assert isinstance(second, TrainingError)
    with pytest.raises(TrainingError) as caught:
        it.fit(table().take(member[1]), seed=1)
    assert str(second) == str(caught.value)
    for seed, model in ((0, first), (2, third)):
        assert distance(model, it.fit(table().take(member[seed]), seed=seed)) < 1e-6


def test_all_models_diverge():
    found = train_stack(recipe(mlp, optimiser=sgd(lr=1e30)), table(), membership(*EQUAL), seeds=range(3))
    assert all(isinstance(error, TrainingError) for error in found)


def test_models_share_no_memory_with_each_other_or_with_their_checkpoints():
    stack = train_stack(recipe(mlp), table(), membership(*EQUAL), seeds=range(3), checkpoints=[1])
    networks = [m for model in stack for m in (*model.checkpoints, model)]
    before = [{name: tensor.clone() for name, tensor in tensors(m).items()} for m in networks]
    for tensor in tensors(networks[0]).values():
        tensor.fill_(7.0)
    for m, kept in zip(networks[1:], before[1:], strict=True):
        assert all(torch.equal(kept[name], tensor) for name, tensor in tensors(m).items())
    assert not any(weight.requires_grad for m in networks for weight in m.classifier.parameters())


def test_models_own_no_more_memory_than_their_weights():
    model = train_stack(recipe(mlp), table(), membership(*EQUAL), seeds=range(3))[0]
    for tensor in tensors(model).values():
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_the_same_bits_again_and_the_global_stream_as_it_was():
    it = recipe(Skip, augment=noisy_from_the_global_stream)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a = train_stack(it, table(), membership(*UNEQUAL), seeds=range(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    b = train_stack(it, table(), membership(*UNEQUAL), seeds=range(3))
    assert all(map(same_bits, a, b))


def in_place(inputs):
    return inputs.mul_(2.0)


def test_records_are_not_changed():
    records, validation = table(), table(seed=4)
    before, held_out = records.inputs.copy(), validation.inputs.copy()
    it = recipe(
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)), preprocess=in_place, stop=ValidationPeak()
    )
    agree(it, records, membership(20), tolerance=1e-5, validation=validation)
    np.testing.assert_array_equal(records.inputs, before)
    np.testing.assert_array_equal(validation.inputs, held_out)


# ------------------------------------------------------------------------------- what is refused


def refused(error, call, *essentials):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert not [e for e in essentials if e not in message], message


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.last(self.rnn(inputs.reshape(-1, 2, 3))[0][:, -1])


class Draws(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, inputs):
        return self.last(inputs + torch.rand_like(inputs))


class Decides(Draws):
    def forward(self, inputs):
        return self.last(inputs if inputs.sum() > 0 else -inputs)


class DropsByFunction(Draws):
    def forward(self, inputs):
        return self.last(functional.dropout(inputs, 0.5, self.training))


class Whitened(Draws):
    """Batch normalisation that torch does not know as such."""

    def forward(self, inputs):
        return self.last(inputs - inputs.mean(dim=0))


class Averaged(Draws):
    """Keeps an average of the batch and does not use it yet."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, inputs):
        self.mean = inputs.detach().mean(dim=0)
        return self.last(inputs)


class SequenceFirst(Draws):
    """Dropout on parts x records, of which padding cannot be told."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, inputs):
        return self.last(self.drop(inputs.T.contiguous()).T)


def with_hooks_on_the_optimiser(weights):
    optimiser = torch.optim.SGD(weights, lr=0.1)
    optimiser.register_step_pre_hook(lambda *_: None)
    return optimiser


def with_hooks_on_a_gradient():
    network = linear()
    network.weight.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01))
    return network


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimiser": torch.optim.LBFGS}, "its optimiser LBFGS does not treat every weight alone"),
        ({"optimiser": torch.optim.Rprop}, "its optimiser Rprop does not"),
        ({"optimiser": with_hooks_on_the_optimiser}, "its optimiser SGD has hooks"),
        ({"network": with_hooks_on_a_gradient}, "weight weight has hooks on its gradient"),
        ({"network": functools.partial(mlp, nn.AlphaDropout)}, "layer 2 (AlphaDropout) draws random numbers"),
        ({"network": functools.partial(mlp, nn.RReLU)}, "layer 2 (RReLU) draws random numbers"),
        ({"network": Recurrent}, "layer rnn (LSTM) has kernels that cannot be stacked"),
        (
            {"network": functools.partial(mlp, lambda: nn.BatchNorm1d(8, momentum=None))},
            "layer 2 (BatchNorm1d) averages over all batches",
        ),
    ],
)
def test_what_can_be_told_beforehand(options, reason):
    it = recipe(**{"network": mlp, **options})
    assert reason in reason_against(it)
    refused(
        UnsupportedModelError,
        lambda: train_stack(it, table(), membership(*EQUAL), seeds=range(3)),
        "Expected a network that can be trained in a stack, found that ",
        reason,
    )


def test_the_reason_is_empty_if_there_is_none_and_asking_changes_nothing():
    before = torch.get_rng_state()
    assert reason_against(recipe(functools.partial(mlp, nn.Dropout))) == ""
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("network", "counts", "essentials"),
    [
        (Draws, EQUAL, ("RuntimeError: vmap: called random operation while in randomness error mode",)),
        (DropsByFunction, EQUAL, ("RuntimeError: vmap: called random operation",)),
        (Decides, EQUAL, ("RuntimeError: vmap: It looks like you're attempting to use a Tensor in some data-dep",)),
        (Whitened, UNEQUAL, ("looks at the whole batch as batch normalisation does",)),
        (Averaged, UNEQUAL, ("looks at the whole batch",)),
        (functools.partial(mlp, lambda: nn.BatchNorm1d(8)), UNEQUAL, ("as many records for each model",)),
        (SequenceFirst, UNEQUAL, ("records first in Dropout, found shape (6, 8)", "one by one")),
        (functools.partial(mlp, nn.Dropout1d), UNEQUAL, ("records first in Dropout1d, found shape (",)),
        (lambda: nn.Linear(5, 3), EQUAL, ("RuntimeError: ", "train them one by one")),
        (lambda: random.choice([linear(), mlp()]), (20,) * 12, ("train them one by one",)),
        (lambda: Skip().to(torch.float16), EQUAL, ("RuntimeError: ",)),
        (mlp, (16, 17), ("Expected one number of steps per epoch in a stack, found [2, 3]",)),
    ],
)
def test_what_turns_out_in_training(network, counts, essentials):
    random.seed(1)
    it = recipe(network)
    refused(
        UnsupportedModelError,
        lambda: train_stack(it, table(), membership(*counts), seeds=range(len(counts))),
        *essentials,
    )


@pytest.mark.parametrize("network", [Whitened, Averaged, SequenceFirst])
def test_what_needs_batches_of_one_size_works_with_them(network):
    agree(in_double(network), table(), membership(16, 16, 16))


def standardised(inputs):
    return (inputs - inputs.mean(dim=0)).double()


def dithered(inputs):
    return as_double(inputs) + torch.rand_like(as_double(inputs))


@pytest.mark.parametrize("preprocess", [standardised, dithered])
def test_preprocessing_of_whole_batches(preprocess):
    it = in_double(mlp, preprocess=preprocess)
    refused(
        UnsupportedModelError,
        lambda: train_stack(it, table(), membership(*EQUAL), seeds=range(3)),
        "Expected preprocessing of each record alone, found that it depends on others",
    )


def test_a_hook_on_a_layer_is_called():
    """Also on the rows of simple layers that are otherwise gone through without asking them."""

    def network():
        inner = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
        inner.register_forward_hook(lambda module, inputs, outputs: 2 * outputs)
        return nn.Sequential(inner, nn.Linear(8, 3))

    agree(in_double(network), table(), membership(*UNEQUAL))


def test_errors_that_concern_all_models_are_raised():
    member = membership(*EQUAL)
    refused(
        TrainingError,
        lambda: train_stack(recipe(lambda: nn.Linear(6, 5)), table(), member, seeds=range(3)),
        "Expected 3 logits per record, one per class, found outputs of shape (24, 5)",
    )
    refused(
        TrainingError,
        lambda: train_stack(recipe(mlp, loss=functional.cross_entropy), table(), member, seeds=range(3)),
        "Expected a loss for each of 24 records, found shape ()",
    )
    refused(
        InputError,
        lambda: train_stack(recipe(mlp, stop=ValidationPeak()), table(), member, seeds=range(3)),
        "Expected validation records for ValidationPeak, found none",
    )
    refused(
        InputError,
        lambda: train_stack(recipe(mlp), table(), member, seeds=range(3), checkpoints=[4]),
        "Expected checkpoints in 1..3, the recipe's epochs, found 4",
    )
    refused(InputError, lambda: train_stack(recipe(mlp), table(), member, seeds=range(3), device="gpu"), "found gpu")


@pytest.mark.parametrize(
    ("member", "n_seeds"), [(membership(20, 20), 3), (membership(20, 20, n=47), 2), (membership(20)[:0], 0)]
)
def test_a_membership_matrix_of_another_shape(member, n_seeds):
    refused(
        InputError,
        lambda: train_stack(recipe(mlp), table(), member, seeds=range(n_seeds)),
        f"Expected a membership matrix of {n_seeds} models x {N_RECORDS} records",
        f"found shape {member.shape}",
    )


def test_a_model_without_records():
    refused(
        InputError,
        lambda: train_stack(recipe(mlp), table(), membership(20, 0), seeds=range(2)),
        "Expected a record for every model, found none for model 1",
    )

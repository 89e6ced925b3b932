"""Stacks against the plain loop, model by model.

Most comparisons are made in float64, where rounding stays below 1e-12 and what is wrong by anything else is seen. In
float32 the two ways differ by rounding of about 1e-7 per step, and the tolerance is 1e-5.
"""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.networks import (
    EQUAL,
    ROUNDING,
    UNEQUAL,
    Skip,
    agree,
    both,
    distance,
    images,
    in_double,
    linear,
    membership,
    mlp,
    noisy,
    noisy_from_the_global_stream,
    recipe,
    sgd,
    table,
    tensors,
)
from torch import nn

from vestige.core.recipe import Model
from vestige.training.stopping import LossPlateau, ValidationPeak

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

    mean: torch.Tensor
    calls: torch.Tensor
    drawn: torch.Tensor
    seen: torch.Tensor
    mask: torch.Tensor

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


class UsedTwice(nn.Module):
    """One dropout under two names."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.before = self.after = nn.Dropout(0.3)

    def forward(self, inputs):
        return self.last(self.after(self.first(self.before(inputs)).tanh()))


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
        UsedTwice,
        tied_in_a_row,
        frozen,
        Skip,
        Tied,
        Turned,
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
        torch.testing.assert_close(a.classifier(x), b.classifier(x), rtol=0, atol=5e-2)  # running means lag behind
    it = in_double(it.network, optimiser=it.optimiser)  # where noise is far below Adam's epsilon of 1e-8
    agree(it, table(), membership(*EQUAL), tolerance=1e-8)


@pytest.mark.parametrize("network", [mlp, functools.partial(mlp, nn.Dropout), Skip])
def test_in_float32_to_its_rounding(network):
    agree(recipe(network), table(), membership(*UNEQUAL), tolerance=1e-5)


# ------------------------------------------------------------------------------------- optimisers


@pytest.mark.parametrize(
    "optimiser",
    [
        sgd(momentum=0.9, nesterov=True, weight_decay=1e-2),
        sgd(momentum=0.9, dampening=0.1),
        sgd(lr=torch.tensor(0.05, dtype=torch.float64)),
        sgd(foreach=True, momentum=0.5),
        sgd(fused=False),
        functools.partial(torch.optim.Adam, lr=1e-2),
        functools.partial(torch.optim.Adam, lr=1e-2, amsgrad=True, weight_decay=1e-2),
        functools.partial(torch.optim.Adam, lr=torch.tensor(1e-2, dtype=torch.float64)),
        functools.partial(torch.optim.Adam, lr=1e-2, fused=True, amsgrad=True),
        functools.partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1, betas=(0.8, 0.9)),
        functools.partial(torch.optim.Adamax, lr=1e-2),
        functools.partial(torch.optim.NAdam, lr=1e-2),
        functools.partial(torch.optim.RAdam, lr=0.1),
        functools.partial(torch.optim.RMSprop, lr=1e-3, momentum=0.5, centered=True),
        functools.partial(torch.optim.Adagrad, lr=1e-2, initial_accumulator_value=0.1),
        functools.partial(torch.optim.Adadelta, lr=0.5),
    ],
    ids=lambda o: o.func.__name__,
)
def test_optimisers_with_models_that_end_at_different_epochs(optimiser):
    """What an optimiser remembers goes on with the models that are left, also of a weight that nothing uses."""
    validation = table(n=201, seed=5)
    it = in_double(Tied, optimiser=optimiser, epochs=24, stop=ValidationPeak(patience=1))
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


def cropped(inputs, generator):
    at = int(torch.randint(0, 3, (), generator=generator))
    return inputs[:, :, at : at + 4, at : at + 4]


@pytest.mark.parametrize("augment", [noisy, noisy_from_the_global_stream])
@pytest.mark.parametrize("network", [functools.partial(mlp, nn.Dropout), Skip])
def test_augmentation_and_schedule(augment, network):
    it = in_double(network, augment=augment, schedule=lambda p: float(np.cos(p)))
    agree(it, table(), membership(*UNEQUAL))


def test_augmentation_that_changes_the_shape():
    network = in_double(lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), augment=cropped)
    agree(network, images(), membership(*UNEQUAL))


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
    it = in_double(functools.partial(mlp, nn.Dropout) if direct else Skip, batch_size=batch_size, epochs=2)
    assert {it.n_steps(count) for count in counts} == {steps}
    member = membership(*counts, seed=seed)
    stack, plain = both(it, table(), member, seeds=[seed + i for i in range(len(counts))])
    assert all(distance(a, b) < ROUNDING for a, b in zip(stack, plain, strict=True))

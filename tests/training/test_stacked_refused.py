"""What cannot be stacked, and why, in one line; and what only looks like it."""

import functools
import random

import pytest
import torch
from tests.training.networks import (
    EQUAL,
    N_RECORDS,
    UNEQUAL,
    Skip,
    agree,
    as_double,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    refused,
    table,
)
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.training.stacked import reason_against, train_stack
from vestige.training.stopping import ValidationPeak


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.last(self.rnn(inputs.reshape(-1, 2, 3))[0][:, -1])


class Draws(nn.Module):
    mean: torch.Tensor

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


def patched():
    """Its forward holds a network; that of a copy of it would hold the same one."""
    network = nn.Sequential(linear())
    network.forward = lambda x: network[0](x)  # type: ignore[method-assign]
    return network


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
        ({"network": patched}, "layer  (Sequential) has a forward of its own"),
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
        (SequenceFirst, UNEQUAL, ("records first in Dropout, found shape (6, ", "one by one")),
        (functools.partial(mlp, nn.Dropout1d), UNEQUAL, ("records first in Dropout1d, found shape (",)),
        (lambda: nn.Linear(5, 3), EQUAL, ("RuntimeError: ", "train them one by one")),
        (lambda: random.choice([linear(), mlp()]), (20,) * 12, ("train them one by one",)),
        (lambda: Skip().to(torch.float16), EQUAL, ("RuntimeError: ",)),
        (lambda: parametrizations.weight_norm(linear()), EQUAL, ("Expected all models to be of the same class;",)),
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

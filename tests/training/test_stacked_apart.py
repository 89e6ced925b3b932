"""The models of a stack are apart: none of them knows its mates, and none is disturbed by one that fails."""

import functools

import numpy as np
import pytest
import torch
from tests.training.networks import (
    EQUAL,
    N_RECORDS,
    ROUNDING,
    UNEQUAL,
    Skip,
    agree,
    distance,
    in_double,
    membership,
    mlp,
    noisy,
    noisy_from_the_global_stream,
    recipe,
    same_bits,
    sgd,
    table,
    tensors,
)
from torch import nn

from vestige.core.errors import TrainingError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.classifier import seed_of
from vestige.training.stacked import train_stack
from vestige.training.stopping import ValidationPeak


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
    member = np.pad(membership(*UNEQUAL, n=N_RECORDS - 1), ((0, 0), (1, 0)))
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
        if torch.initial_seed() == seed_of(1, "weights"):
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
    networks = [m for model in stack if isinstance(model, Model) for m in (*model.checkpoints, model)]
    assert len(networks) == 6
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

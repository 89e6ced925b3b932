"""Inputs of every type, and what goes wrong in training, told in one line."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.networks import (
    distance,
    images,
    linear,
    mlp,
    recipe,
    refused,
    same_bits,
    sgd,
    table,
    tensors,
)
from torch import nn
from torch.nn import functional

from vestige.core.errors import InputError, TrainingError
from vestige.core.records import Records
from vestige.training.plain import train
from vestige.training.stopping import ValidationPeak

# -------------------------------------------------------------------------------- inputs and types


def test_inputs_may_be_of_any_type_of_numbers():
    records = table()
    whole = np.round(records.inputs * 3)
    reference = recipe(mlp).fit(Records(whole.astype(np.float32), records.labels), seed=3)
    for dtype in ("f8", ">f4", ">f8", "f2", "i1", "i8", ">i2", "g"):
        assert same_bits(reference, recipe(mlp).fit(Records(whole.astype(dtype), records.labels), seed=3)), dtype
    unsigned = [recipe(mlp).fit(Records((whole + 20).astype(d), records.labels), seed=3) for d in ("u1", "u2", "u8")]
    assert all(same_bits(unsigned[0], model) for model in unsigned)
    backwards = Records(np.ascontiguousarray(whole[::-1], np.float32)[::-1], records.labels)
    assert same_bits(reference, recipe(mlp).fit(backwards, seed=3))


def test_inputs_that_may_not_be_written_are_read():
    records = table()
    records.inputs.flags.writeable = False
    assert same_bits(recipe(mlp).fit(records, seed=3), recipe(mlp).fit(table(), seed=3))


@pytest.mark.parametrize(
    "inputs", [pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), np.array([["a", "b"], ["c", "d"]])]
)
def test_inputs_of_text_are_refused(inputs):
    with pytest.raises(InputError, match=r"found a DataFrame or text; encode the columns as numbers first"):
        recipe(linear).fit(Records(inputs, [0, 1]), seed=0)


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.3), nn.Flatten(), nn.Linear(64, 3)
    )


def test_bfloat16_is_close_to_float32():
    """With 8 bits of precision, weights of about 0.3 after 18 steps of 0.1 differ by less than a hundredth."""
    it = recipe(cnn)
    model, low = it.fit(images(), seed=3), train(it, images(), seed=3, low_precision=True)
    assert all(tensor.dtype != torch.bfloat16 for tensor in tensors(low).values())
    assert 0 < distance(model, low) < 0.05
    assert low.history["loss"] == pytest.approx(model.history["loss"], rel=0.02)


# --------------------------------------------------------------------------------- what goes wrong


def test_another_width_than_classes():
    it = recipe(lambda: nn.Linear(6, 5))
    refused(
        TrainingError,
        lambda: it.fit(table(), seed=0),
        "Expected 3 logits per record, one per class, found outputs of shape (8, 5)",
        "as many outputs as there are classes",
    )


class Reshaped(nn.Module):
    """Takes two records for one."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 3)

    def forward(self, inputs):
        return self.layer(inputs.reshape(-1, 12))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, inputs):
        return self.layer(inputs), inputs


def test_outputs_that_are_no_logits():
    refused(TrainingError, lambda: recipe(Reshaped).fit(table(), seed=0), "outputs of shape (4, 3) for 8 records")
    refused(TrainingError, lambda: recipe(Pair).fit(table(), seed=0), "logits as one tensor, found tuple")


def test_a_loss_that_is_a_mean_already():
    it = recipe(mlp, loss=functional.cross_entropy)
    refused(
        TrainingError, lambda: it.fit(table(), seed=0), "a loss for each of 8 records, found shape ()", "no mean or sum"
    )


def test_weights_that_are_not_finite():
    it = recipe(mlp, optimiser=sgd(lr=1e30))
    refused(
        TrainingError,
        lambda: it.fit(table(), seed=0),
        "Expected finite weights, found NaN or infinity in 0.weight, 0.bias, 2.weight and 3 more after epoch 1",
        "lower the learning rate",
    )


class Masked(nn.Module):
    """Keeps infinities that are no fault, such as the mask of an attention, and counts in whole numbers."""

    mask: torch.Tensor
    calls: torch.Tensor

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("mask", torch.full((3,), -torch.inf))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs):
        self.calls += 1
        return self.layer(inputs) + self.mask.exp()


def test_a_buffer_may_hold_infinities_and_whole_numbers():
    model = recipe(Masked, epochs=2).fit(table(), seed=0)
    assert int(tensors(model)["calls"]) == 12
    assert same_bits(model.classifier.network.layer, recipe(linear, epochs=2).fit(table(), seed=0))


def test_a_buffer_that_is_no_number():
    class Lost(Masked):
        def forward(self, inputs):
            self.mask = self.mask * torch.nan
            return self.layer(inputs)

    refused(TrainingError, lambda: recipe(Lost).fit(table(), seed=0), "NaN or infinity in mask after epoch 1")


def failing(inputs, generator):
    raise ValueError("no such\naugmentation")


@pytest.mark.parametrize(
    ("it", "essentials"),
    [
        (recipe(lambda: nn.Linear(5, 3)), ("RuntimeError: mat1 and mat2 shapes cannot be multiplied",)),
        (recipe(mlp, augment=failing), ("ValueError: no such augmentation",)),
        (recipe(nn.Identity), ("ValueError: optimizer got an empty parameter list",)),
        (recipe(mlp, optimiser=torch.optim.LBFGS), ("TypeError", "closure")),
        (recipe(functools.partial(mlp, lambda: nn.BatchNorm1d(8)), batch_size=47), ("more than 1 value per channel",)),
    ],
)
def test_what_a_recipe_raises_is_told_in_one_line(it, essentials):
    refused(TrainingError, lambda: it.fit(table(), seed=0), "Expected the recipe to train, found ", *essentials)


def test_what_a_recipe_raises_is_kept_as_the_cause():
    with pytest.raises(TrainingError) as caught:
        recipe(mlp, augment=failing).fit(table(), seed=0)
    assert isinstance(caught.value.__cause__, ValueError)


def test_options_that_the_recipe_cannot_follow():
    for epochs in ([0], [2, 4]):
        refused(
            InputError,
            lambda epochs=epochs: recipe(mlp).fit(table(), seed=0, checkpoints=epochs),
            f"Expected checkpoints in 1..3, the recipe's epochs, found {epochs[-1]}",
        )
    refused(
        InputError,
        lambda: recipe(mlp, stop=ValidationPeak()).fit(table(), seed=0),
        "Expected validation records for ValidationPeak, found none; pass validation",
    )


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "xpu"])
def test_a_device_that_is_not_there(device):
    if device != "gpu" and torch.accelerator.is_available():
        pytest.skip("this machine may have it")
    refused(InputError, lambda: recipe(mlp).fit(table(), seed=0, device=device), "a device", f"found {device}")


def test_a_named_processor_is_the_default():
    assert same_bits(recipe(mlp).fit(table(), seed=0, device="cpu"), recipe(mlp).fit(table(), seed=0))

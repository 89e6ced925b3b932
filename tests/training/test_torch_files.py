"""Models as files: what is read is what was written, and anything else is refused in one line."""

import functools
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.networks import as_double, images, in_double, linear, mlp, recipe, same_bits, table
from torch import nn

from vestige.core.errors import ArtefactError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.training.stopping import ValidationPeak


def assert_same(first, second):
    """All of a model and of its checkpoints, bit for bit, and how it answers."""
    for name in ("n_classes", "seed", "epoch", "history"):
        assert getattr(first, name) == getattr(second, name)
    assert same_bits(first, second)
    assert first.classifier.training == second.classifier.training
    assert not any(weight.requires_grad for weight in second.classifier.parameters())
    assert len(first.checkpoints) == len(second.checkpoints)
    for a, b in zip(first.checkpoints, second.checkpoints, strict=True):
        assert_same(a, b)


class Kept(nn.Module):
    """Weights shared, of no axes and of half precision; buffers of several types; something drawn and not kept."""

    drawn: torch.Tensor

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.last = nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.coarse = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("mask", torch.tensor([-torch.inf, 0.0]))
        self.register_buffer("none", torch.zeros(0, 3))
        self.register_buffer("drawn", torch.randn(6), persistent=False)
        self.register_buffer("absent", None)

    def forward(self, inputs):
        return self.scale * self.last(self.norm(self.second(self.first(inputs + self.drawn).tanh())))


def cnn():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


@pytest.mark.parametrize(
    ("it", "records"),
    [
        (recipe(linear), table()),
        (recipe(functools.partial(mlp, nn.Dropout), evaluation_mode=False), table()),
        (recipe(Kept), table()),
        (in_double(mlp), table()),
        (recipe(cnn), images()),
    ],
)
@pytest.mark.parametrize("checkpoints", [(), (1, 2)])
def test_what_is_read_is_what_was_written(it, records, checkpoints):
    model = it.fit(records, seed=3, checkpoints=checkpoints)
    files = it.dump(model)
    assert all(type(data) is bytes for data in files.values())
    assert len(files) == 2 + len(checkpoints)
    before = torch.get_rng_state()
    read = it.load(files)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(model, read)
    assert it.dump(read) == files
    if it.evaluation_mode:
        x = torch.tensor(records.inputs)
        assert torch.equal(model.classifier(x), read.classifier(x))


def test_the_history_goes_on_beyond_the_epoch_that_was_kept():
    it = recipe(mlp, epochs=8, stop=ValidationPeak(patience=2))
    model = it.fit(table(), seed=3, validation=table(seed=2), checkpoints=range(1, 9))
    assert model.epoch < len(model.history["loss"]) == len(model.history["validation_accuracy"])
    assert_same(model, it.load(it.dump(model)))


def test_numbers_that_are_none_survive():
    model = recipe(linear).fit(table(), seed=3)
    strange = Model(
        model.classifier, 3, seed=3, epoch=3, checkpoints=(), history={"loss": (math.inf, -math.inf, 1 / 3)}
    )
    assert recipe(linear).load(recipe(linear).dump(strange)).history == strange.history


def test_no_pickle_is_written():
    files = recipe(linear).dump(recipe(linear).fit(table(), seed=3))
    assert sorted(files) == ["model.json", "weights-epoch-3.safetensors"]
    assert json.loads(files["model.json"])["epochs"] == [3]
    assert b"pickle" not in b"".join(files.values())


def test_state_that_is_no_tensor_is_not_written():
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"calls": 3}

        def set_extra_state(self, state):
            pass

    model = recipe(lambda: Extra(6, 3)).fit(table(), seed=3)
    with pytest.raises(UnsupportedModelError, match="Expected a network that keeps tensors alone, found _extra_state"):
        recipe(lambda: Extra(6, 3)).dump(model)


# ------------------------------------------------------------------------------- what is refused


IT = recipe(mlp)


@functools.cache
def files():
    return dict(IT.dump(IT.fit(table(), seed=3, checkpoints=[1])))


def refused(it, files, *essentials):
    with pytest.raises(ArtefactError) as caught:
        it.load(files)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert not [e for e in essentials if e not in message], message


@pytest.mark.parametrize(
    ("other", "essential"),
    [
        (linear, "Missing key(s)"),
        (functools.partial(mlp, functools.partial(nn.LayerNorm, 8)), "Missing key(s)"),
        (functools.partial(mlp, width=7), "size mismatch for 0.weight"),
    ],
)
def test_weights_of_another_network(other, essential):
    refused(recipe(other), files(), "Expected the weights of the recipe's network, found others", essential)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 40, -1])
def test_weights_that_are_cut_off(cut):
    name = "weights-epoch-3.safetensors"
    refused(IT, {**files(), name: files()[name][:cut]}, "Expected the weights of the recipe's network, found others")


@pytest.mark.parametrize("data", [b"no weights at all", b"\x80\x04pickled", b"\xff" * 64, b"\0" * 64])
def test_weights_that_are_none(data):
    refused(IT, {**files(), "weights-epoch-1.safetensors": data}, "weights of the recipe's network")


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_any_bytes_for_weights(data):
    refused(IT, {**files(), "weights-epoch-3.safetensors": data})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"3",
        b"{}",
        b'{"n_classes": 3, "seed": 3, "history": {}, "epochs": []}',
        b'{"n_classes": 3, "seed": 3, "history": {}, "epochs": 3}',
        b'{"n_classes": 3, "seed": 3, "history": {}, "epochs": [7]}',
        b'{"n_classes": 3, "seed": 3, "history": [1], "epochs": [3]}',
        b'{"n_classes": 3, "seed": 3, "history": {"loss": 1}, "epochs": [3]}',
        b'{"n_classes": 3, "seed": "x", "history": {}, "epochs": [3]}',
        b'{"n_classes": "x", "seed": 3, "history": {}, "epochs": [3]}',
        b'{"n_classes": 3, "seed": 3, "history": {"loss": ["x"]}, "epochs": [3]}',
    ],
)
def test_a_description_that_is_none(text):
    refused(IT, {**files(), "model.json": text}, "Expected the files of a torch model, found damaged or foreign ones")


@pytest.mark.parametrize("name", ["model.json", "weights-epoch-1.safetensors", "weights-epoch-3.safetensors"])
def test_a_file_that_is_missing(name):
    rest = {other: data for other, data in files().items() if other != name}
    refused(IT, rest, "damaged or foreign ones: ", name)


def test_preprocessing_and_mode_are_the_recipe_s():
    model = in_double(mlp).fit(table(), seed=3)
    read = in_double(mlp, evaluation_mode=False).load(in_double(mlp).dump(model))
    assert read.classifier.training
    assert read.classifier.preprocess is as_double

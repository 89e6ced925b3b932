"""`TorchRecipe` as a value: what it accepts, what decides its models, and what it makes."""

import copy
import dataclasses
import functools
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.networks import (
    as_double,
    distance,
    in_double,
    linear,
    membership,
    mlp,
    recipe,
    same_bits,
    sgd,
    table,
)
from torch import nn

from vestige.core.errors import InputError
from vestige.core.recipe import Model, Recipe
from vestige.training.classifier import Classifier, as_float, global_stream, seed_of
from vestige.training.defences import L2
from vestige.training.identity import identity_of, is_reusable
from vestige.training.imitation import Imitation
from vestige.training.model_key import ModelKey, key_of
from vestige.training.stacked import train_stack
from vestige.training.stopping import LossPlateau, ValidationPeak
from vestige.training.torch_recipe import TorchRecipe, cross_entropy


def test_it_follows_the_protocol():
    assert isinstance(recipe(mlp), Recipe)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", [0, -3, 2.5])
def test_numbers_out_of_range(name, value):
    it = copy.copy(recipe(mlp))
    object.__setattr__(it, name, value)  # because the tests check the types of every call, which users need not
    with pytest.raises(InputError, match=f"Expected a whole number of at least 1 as {name}, found {value}"):
        it.__post_init__()


# --------------------------------------------------------------------------------------- identity


BASE = TorchRecipe(linear, epochs=3)
OTHERS: dict[str, Any] = {
    "network": mlp,
    "epochs": 4,
    "batch_size": 64,
    "optimiser": functools.partial(torch.optim.Adam, lr=2e-3),
    "schedule": np.cos,
    "stop": LossPlateau(),
    "augment": torch.add,
    "loss": nn.functional.cross_entropy,
    "preprocess": as_double,
    "bfloat16": True,
    "evaluation_mode": False,
    "version": "2",
    "full_batches": True,
    "left_out": 1,
    "defences": (L2(3.0),),
    "imitation": Imitation(),
}
LATER = {
    "full_batches",
    "left_out",
    "defences",
    "imitation",
}  # at their defaults they are not named, so that older banks are read


def changed(name, value):
    options: dict[str, Any] = {name: value}
    return dataclasses.replace(BASE, **options)


def test_everything_that_decides_a_model_is_in_the_identity():
    names = {field.name for field in dataclasses.fields(TorchRecipe)} - {"_"}
    assert names == set(OTHERS)
    found = [
        BASE.identity(),
        *(dataclasses.replace(BASE, **{name: value}).identity() for name, value in OTHERS.items()),
    ]
    texts = [json.dumps(identity, sort_keys=True, allow_nan=False) for identity in found]
    assert len(set(texts)) == len(texts)
    assert set(found[0]) == {"recipe"} | names - LATER
    assert key_of(ModelKey(data="d", membership="m", recipe=found[0], seed=0)) == key_of(
        ModelKey(data="d", membership="m", recipe=of_before(), seed=0)
    )
    assert all(is_reusable(identity) for identity in found)
    assert len({key_of(ModelKey(data="d", membership="m", recipe=identity, seed=0)) for identity in found}) == len(
        found
    )


def of_before():
    """The identity of the same recipe as banks have it that were made before there were defences."""
    functions = {"network": linear, "optimiser": BASE.optimiser, "loss": cross_entropy, "preprocess": as_float}
    return {
        "recipe": "torch", **{name: identity_of(function) for name, function in functions.items()},
        "schedule": None, "stop": None, "augment": None,
        "epochs": 3, "batch_size": 128, "bfloat16": False, "evaluation_mode": True, "version": "",
    }  # fmt: skip


def test_stop_rules_are_told_by_their_numbers_and_their_code():
    def identity(rule):
        return json.dumps(dataclasses.replace(BASE, stop=rule).identity())

    assert identity(LossPlateau()) == identity(LossPlateau(0.005, 20))
    assert len(set(map(identity, [LossPlateau(), LossPlateau(patience=3), LossPlateau(0.1), ValidationPeak(20)]))) == 4
    own = json.loads(identity(OwnRule(4)))["stop"]
    assert len(own["source"]) == 64
    assert own["state"] == {"patience": 4}


class OwnRule:
    needs_validation = False

    def __init__(self, patience):
        self.patience = patience

    def stops(self, epochs):
        return len(epochs) > self.patience

    def best(self, epochs):
        return len(epochs)


@pytest.mark.parametrize("name", ["network", "optimiser", "schedule", "augment", "loss", "preprocess"])
def test_a_lambda_is_not_reusable_anywhere(name):
    assert not is_reusable(changed(name, lambda *_: None).identity())


def test_a_recipe_of_named_parts_can_be_sent():
    sent = pickle.loads(pickle.dumps(dataclasses.replace(BASE, stop=ValidationPeak())))
    assert sent.identity() == dataclasses.replace(BASE, stop=ValidationPeak()).identity()


# ------------------------------------------------------------------------------------- classifiers


def test_images_of_bytes_become_channels_first_and_the_rest_float32():
    images = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = as_float(images)
    assert found.shape == (2, 3, 4, 5)
    assert found.dtype == torch.float32
    for record, row, column, channel in np.ndindex(2, 4, 5, 3):
        expected = np.float32(images[record, row, column, channel]) / np.float32(255)
        assert float(found[record, channel, row, column]) == expected
    assert torch.equal(as_float(images[..., 0]), images[..., 0].to(torch.float32))  # 3 axes are no colour images
    numbers = torch.arange(6.0).reshape(2, 3)
    assert as_float(numbers) is numbers
    assert as_float(numbers.double()).dtype == torch.float32


def test_the_loss_is_that_of_every_record():
    logits, labels = torch.tensor([[0.0, 0.0], [np.log(3), 0.0]], dtype=torch.float64), torch.tensor([1, 0])
    torch.testing.assert_close(
        cross_entropy(logits, labels), torch.tensor([np.log(2), np.log(4 / 3)], dtype=torch.float64)
    )


def test_evaluation_mode_is_a_choice():
    """In training mode dropout stays, and answers differ from one time to the next."""
    records, x = table(), torch.tensor(table().inputs)
    dropping = functools.partial(mlp, nn.Dropout)
    usual, published = (recipe(dropping, evaluation_mode=mode).fit(records, seed=3) for mode in (True, False))
    assert same_bits(usual, published)
    assert torch.equal(usual.classifier(x), usual.classifier(x))
    assert not torch.equal(published.classifier(x), published.classifier(x))
    stack = train_stack(recipe(dropping, evaluation_mode=False), records, membership(20, 20), seeds=[1, 2])
    assert all(isinstance(model, Model) and model.classifier.training for model in stack)


def test_a_classifier_includes_its_preprocessing():
    model = in_double(linear).fit(table(), seed=1)
    network = model.classifier.network
    x = torch.tensor(table().inputs)
    assert torch.equal(model.classifier(x), network(x.double()))
    assert isinstance(model.classifier, Classifier)


@pytest.mark.parametrize("whole", [True, False])
def test_a_network_that_is_not_new_is_refused(whole):
    """The models would be one model: each would go on where the last one ended."""
    layer = linear()
    it = recipe((lambda: layer) if whole else lambda: nn.Sequential(layer, nn.Tanh(), nn.Linear(3, 3)))
    first = it.fit(table(), seed=0)
    before = {name: weight.clone() for name, weight in first.classifier.state_dict().items()}
    layer.requires_grad_(True)
    message = "Expected a new network at every call, found weights of an earlier one; make the network"
    with pytest.raises(InputError, match=message):
        it.fit(table(), seed=1)
    with pytest.raises(InputError, match=message):
        train_stack(it, table(), membership(20, 20), seeds=[1, 2])
    assert all(torch.equal(before[name], weight) for name, weight in first.classifier.state_dict().items())


def test_a_frozen_part_may_be_shared():
    body = nn.Linear(6, 4).requires_grad_(False)
    it = in_double(lambda: nn.Sequential(body.double(), nn.Tanh(), nn.Linear(4, 3)))
    member = membership(20, 20)
    stack = train_stack(it, table(), member, seeds=[1, 2])
    plain = [it.fit(table().take(row), seed=seed) for row, seed in zip(member, (1, 2), strict=True)]
    assert torch.equal(plain[0].classifier.network[0].weight, body.weight)
    assert all(distance(a, b) < 1e-12 for a, b in zip(stack, plain, strict=True))


# ------------------------------------------------------------------------------------------ streams


def test_streams_differ_by_purpose_and_seed():
    seeds = {seed_of(seed, purpose) for seed in range(5) for purpose in ("weights", "order", "augment")}
    assert len(seeds) == 15
    assert all(0 <= seed < 2**62 for seed in seeds)


def test_the_global_stream_is_put_back_also_after_an_error():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with global_stream(3):
        first = torch.rand(4)
    with pytest.raises(ZeroDivisionError), global_stream(3):
        1 // int(torch.rand(4).sum() < 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, torch.rand(4, generator=torch.Generator().manual_seed(3)))


def test_optimisers_have_a_default():
    it = TorchRecipe(linear, epochs=2, batch_size=8)
    adam = dataclasses.replace(it, optimiser=functools.partial(torch.optim.Adam, lr=1e-3))
    assert same_bits(it.fit(table(), seed=0), adam.fit(table(), seed=0))
    assert not same_bits(it.fit(table(), seed=0), dataclasses.replace(it, optimiser=sgd()).fit(table(), seed=0))

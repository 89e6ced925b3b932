"""Without a record nothing else changes: as a plain loop that skips it, in stacks as one by one."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.training.networks import ROUNDING, as_double, sgd, table
from torch import Tensor, nn

from vestige.core.errors import UnsupportedModelError
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.training.classifier import generator_of, global_stream, seed_of
from vestige.training.defences import L2, Defence, Translates
from vestige.training.leave_one_out import NOTHING, key_without, train_without
from vestige.training.model_key import key_of
from vestige.training.sklearn_recipe import SklearnRecipe
from vestige.training.stacked import train_stack
from vestige.training.strategies import Strategy
from vestige.training.torch_recipe import TorchRecipe

RECORDS, SEED = table(20), 5
ONE_BY_ONE, STACKED = Strategy(), Strategy(stack=8)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def with_normalisation() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 3)).double()


def recipe(made: Any = network, **more: Any) -> TorchRecipe:
    options = {"epochs": 4, "batch_size": 8, "optimiser": sgd(), "preprocess": as_double, **more}
    return TorchRecipe(made, **options)


def weights(model: Model | Exception) -> np.ndarray:
    assert isinstance(model, Model), model
    return np.concatenate([p.detach().numpy().ravel() for p in model.classifier.network.parameters()])


def trained(left_out: list[int], strategy: Strategy, made: Any = network, **more: Any) -> list[np.ndarray]:
    return [weights(m) for m in train_without(recipe(made, **more), RECORDS, left_out, SEED, strategy)]


def by_hand(record: int) -> np.ndarray:
    """The loop, written down once more: batches of all records, of which one is skipped."""
    x, y = torch.from_numpy(RECORDS.inputs).double(), torch.from_numpy(RECORDS.labels)
    with global_stream(seed_of(SEED, "weights")):
        model, order = network(), generator_of(SEED, "order")
        optimiser = sgd()(model.parameters())
        for _ in range(4):
            drawn = torch.randperm(20, generator=order)
            for first in (0, 8, 16):
                rows = [row for row in drawn[first : first + 8].tolist() if row != record]
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimiser.step()
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


@pytest.mark.parametrize("strategy", [ONE_BY_ONE, STACKED], ids=str)
def test_it_is_the_loop_that_skips_the_record(strategy):
    for row, found in zip([3, NOTHING, 19], trained([3, NOTHING, 19], strategy), strict=True):
        np.testing.assert_allclose(found, by_hand(row), atol=ROUNDING)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"batch_size": 20},
        {"batch_size": 7, "full_batches": True},
        {"defences": (L2(0.1),)},
        {"optimiser": functools.partial(torch.optim.Adam, lr=0.01), "schedule": lambda done: 1 - done},
    ],
)
def test_in_stacks_as_one_by_one(more):
    for a, b in zip(
        trained([0, 7, NOTHING], STACKED, **more), trained([0, 7, NOTHING], ONE_BY_ONE, **more), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_a_step_that_has_the_record_alone_moves_nothing():
    """Batches of one record: the step is taken with no gradient, in a stack as alone."""
    found = trained([4], STACKED, batch_size=1, epochs=1)[0]
    np.testing.assert_allclose(found, trained([4], ONE_BY_ONE, batch_size=1, epochs=1)[0], atol=ROUNDING)


def test_its_inputs_and_label_do_not_matter_whatever_is_drawn_at_random():
    """Also with dropout and augmentation, the same for all other records; a copy of the record is gone as well."""

    def noisy(inputs: Tensor, generator: torch.Generator) -> Tensor:
        return inputs + torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)

    inputs, labels = RECORDS.inputs.copy(), RECORDS.labels.copy()
    inputs[7], labels[7] = 100.0, (labels[7] + 1) % 3
    other = Records(inputs, labels, classes=RECORDS.classes)
    how = recipe(with_dropout, augment=noisy)
    both = [weights(*train_without(how, records, [7], SEED, STACKED)) for records in (RECORDS, other)]
    np.testing.assert_array_equal(both[0], both[1])
    whole = weights(*train_without(how, RECORDS, [NOTHING], SEED, STACKED))
    np.testing.assert_allclose(whole, weights(how.fit(RECORDS, seed=SEED)), atol=ROUNDING)
    assert np.abs(whole - both[0]).max() > 1e-3


def test_copies_of_the_record_are_left_out_with_it():
    images = Records(np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), dtype=np.uint8), np.arange(12) % 3)
    how = recipe(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double(), defences=(Translates(1),), batch_size=10
    )
    [stacked], [alone] = (list(train_without(how, images, [2], SEED, way)) for way in (STACKED, ONE_BY_ONE))
    np.testing.assert_allclose(weights(stacked), weights(alone), atol=1e-9)


def test_networks_that_look_at_the_whole_batch_are_trained_one_by_one():
    """Without weight a record would still count in batch normalisation."""
    with pytest.raises(UnsupportedModelError, match="or records without weight"):
        train_stack(recipe(with_normalisation), RECORDS, np.ones((1, 20), bool), seeds=[0], left_out=[3])
    a, b = trained([3], STACKED, with_normalisation)[0], trained([3], ONE_BY_ONE, with_normalisation)[0]
    np.testing.assert_array_equal(a, b)


def test_estimators_are_fitted_to_the_others():
    [model] = train_without(SklearnRecipe(LogisticRegression()), RECORDS, [3], SEED, ONE_BY_ONE)
    assert isinstance(model, Model)
    others = RECORDS.take(np.arange(20) != 3)
    expected = LogisticRegression().fit(others.inputs, others.labels)
    np.testing.assert_allclose(model.classifier.predict_proba(RECORDS.inputs), expected.predict_proba(RECORDS.inputs))


def test_a_failure_is_returned_and_a_defence_that_reads_the_records_beside_is_refused():
    def broken() -> nn.Module:
        raise ValueError("no network")

    [error] = train_without(recipe(broken), RECORDS, [3], SEED, ONE_BY_ONE)
    assert "no network" in str(error)

    class Reader(Defence):
        def turns(self, classifier: nn.Module, data: Any, n_epochs: int, n_batches: int) -> Iterator[int]:
            yield from range(n_batches)

    with pytest.raises(UnsupportedModelError, match="found Reader, which reads them beside"):
        list(train_without(recipe(defences=(Reader(),)), RECORDS, [3], SEED, STACKED))


def test_the_key_tells_records_recipes_and_seeds_apart():
    keys = [
        key_without(how, records, row, seed)
        for how, records, row, seed in (
            (recipe(), RECORDS, 3, 0),
            (recipe(), RECORDS, 4, 0),
            (recipe(), RECORDS, NOTHING, 0),
            (recipe(), RECORDS, 3, 1),
            (recipe(), table(20, seed=1), 3, 0),
            (recipe(epochs=5), RECORDS, 3, 0),
        )
    ]
    assert len({key_of(key) for key in keys}) == len(keys)
    assert key_of(keys[0]) == key_of(key_without(recipe(), RECORDS, 3, 0))

"""Watson et al.'s networks and cards."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.papers.networks.counting import linear, n_parameters
from torch import nn

from vestige.core.records import Records
from vestige.papers import watson
from vestige.papers.losses import cross_entropy_after_softmax
from vestige.training.stopping import ValidationPeak


@pytest.mark.parametrize(("m", "n"), [(20, 922), (19, 838), (103, 21_838)])
def test_a_table_of_m_features_has_2m_hidden_neurons(m, n):
    network = watson.table_network(m)
    assert n_parameters(network) == linear(m, 2 * m) + linear(2 * m, 2) == n
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.parametrize(
    ("recipe", "m", "decay"),
    [(watson.credit_recipe(), 20, 1e-4), (watson.hepatitis_recipe(), 19, 1e-4), (watson.adult_recipe(), 103, 0.0)],
)
def test_tables_train_with_momentum_and_small_ones_with_decay(recipe, m, decay):
    group = recipe.optimiser(recipe.network().parameters()).param_groups[0]
    assert recipe.network()[0].in_features == m
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, decay, False)
    assert 50 <= recipe.epochs <= 200


def _softmax_inside(n_features: int) -> nn.Sequential:
    return nn.Sequential(*watson.table_network(n_features), nn.Softmax(dim=1))


def test_the_doubled_softmax_trains_the_weights_of_a_network_that_ends_in_one():
    """Watson et al.'s code puts the first softmax into the network; the weights are the same, and answers stay
    logits."""
    rng = np.random.default_rng(0)
    records = Records(rng.normal(size=(40, 6)), np.arange(40) % 2)
    once = watson.table_recipe(6, learning_rate=0.1, batch_size=8, epochs=5)
    twice = watson.table_recipe(6, learning_rate=0.1, batch_size=8, epochs=5, softmax_twice=True)
    literal = replace(once, network=functools.partial(_softmax_inside, 6)).fit(records, seed=0).classifier
    right, doubled = (recipe.fit(records, seed=0).classifier for recipe in (once, twice))
    inputs = torch.from_numpy(records.inputs.astype(np.float32))
    assert torch.allclose(doubled(inputs).softmax(dim=1), literal(inputs), atol=1e-6)
    assert not torch.allclose(right(inputs).softmax(dim=1), literal(inputs), atol=1e-2)


def test_the_doubled_softmax_is_the_loss_of_its_recipe_only():
    assert watson.credit_recipe(softmax_twice=True).loss is cross_entropy_after_softmax
    assert watson.credit_recipe().loss is not cross_entropy_after_softmax


def test_cifar_trains_with_nesterov_and_a_cosine():
    recipe = watson.cifar_recipe()
    group = recipe.optimiser(recipe.network().parameters()).param_groups[0]
    assert n_parameters(recipe.network()) == 131_466
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.9, True, 0)
    assert recipe.schedule is not None
    assert [recipe.schedule(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0])
    assert recipe.augment is None


@pytest.mark.parametrize(("n_classes", "darkest"), [(10, [-1, -1, -1]), (100, [-1.8959, -1.8976, -1.5966])])
def test_what_cifar_is_shifted_over_is_black(n_classes, darkest):
    recipe = watson.cifar_recipe(n_classes, augment=True)
    dark = recipe.preprocess(torch.from_numpy(np.zeros((20, 32, 32, 3), dtype=np.uint8)))
    assert dark[0, :, 0, 0].tolist() == pytest.approx(darkest, abs=1e-4)
    assert recipe.augment is not None
    assert torch.allclose(recipe.augment(dark, torch.Generator().manual_seed(0)), dark, atol=1e-6)


def test_mnist_is_standardised_and_has_dropout():
    recipe = watson.mnist_recipe()
    image = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 2, 1)
    assert recipe.preprocess(image).flatten().tolist() == pytest.approx([-0.4242, 2.8215], abs=1e-4)
    assert n_parameters(recipe.network()) == 431_080


def test_references_train_as_the_target_did_to_the_peak_of_validation_accuracy():
    target = watson.cifar_recipe()
    reference = watson.reference_recipe(target, patience=7)
    assert reference.stop == ValidationPeak(7)
    assert {**reference.identity(), "stop": None} == {**target.identity(), "stop": None}

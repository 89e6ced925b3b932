"""Song & Mittal's networks and cards: parameters by hand, rates and epochs as its code has them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.papers.networks.counting import layers_of, linear, n_parameters
from torch import nn

from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.papers import song_mittal
from vestige.training.identity import is_reusable


def _mlp(n_features: int, hidden: tuple[int, ...], n_classes: int) -> int:
    widths = (n_features, *hidden, n_classes)
    return sum(linear(a, b) for a, b in pairwise(widths))


@pytest.mark.parametrize(
    ("recipe", "n_features", "n_classes", "n"),
    [
        (song_mittal.purchase_recipe(), 600, 100, 1_317_348),
        (song_mittal.texas_recipe(), 6169, 100, 7_020_004),
        (song_mittal.location_memguard_recipe(), 446, 30, 1_150_622),
        (song_mittal.texas_memguard_recipe(), 6169, 100, 7_020_004),
    ],
)
def test_networks_have_the_parameters_of_their_layers(recipe, n_features, n_classes, n):
    assert n_parameters(recipe.network()) == _mlp(n_features, (1024, 512, 256, 128), n_classes) == n


@pytest.mark.parametrize(
    ("width", "depth", "hidden"),
    [
        (1.0, 3, (1024, 512, 256)),
        (1.0, 5, (2048, 1024, 512, 256, 128)),
        (0.5, 4, (512, 256, 128, 64)),
        (2.0, 4, (2048, 1024, 512, 256)),
    ],
)
def test_the_variants_of_figure_4(width, depth, hidden):
    network = song_mittal.purchase_recipe(width=width, depth=depth, activation=nn.Sigmoid).network()
    assert n_parameters(network) == _mlp(600, hidden, 100)
    assert sum(isinstance(layer, nn.Sigmoid) for layer in network.children()) == depth


def test_the_families_differ_in_activation_and_first_weights():
    torch.manual_seed(0)
    advreg, memguard = song_mittal.advreg_network(446, 30), song_mittal.memguard_network(446, 30)
    assert {type(layer) for layer in advreg} == {nn.Linear, nn.Tanh}
    assert {type(layer) for layer in memguard} == {nn.Linear, nn.ReLU}
    largest = [float(layers_of(network)[0].weight.detach().abs().max()) for network in (advreg, memguard)]
    assert largest == pytest.approx([(1 / 446) ** 0.5, (6 / (446 + 1024)) ** 0.5], rel=1e-3)
    assert layers_of(advreg)[0].bias.any()
    assert not any(layer.bias.any() for layer in layers_of(memguard) if isinstance(layer, nn.Linear))


@pytest.mark.parametrize(("recipe", "epochs"), [(song_mittal.purchase_recipe(), 50), (song_mittal.texas_recipe(), 20)])
def test_the_advreg_family_trains_with_adam(recipe, epochs):
    optimiser = recipe.optimiser(nn.Linear(1, 1).parameters())
    assert (recipe.epochs, recipe.batch_size, recipe.schedule, recipe.stop) == (epochs, 128, None, None)
    assert (type(optimiser), optimiser.param_groups[0]["lr"]) == (torch.optim.Adam, 1e-3)


def test_the_memguard_family_trains_with_sgd_and_drops_its_rate_after_150_epochs():
    recipe = song_mittal.location_memguard_recipe()
    group = recipe.optimiser(nn.Linear(1, 1).parameters()).param_groups[0]
    assert (recipe.epochs, recipe.batch_size) == (200, 64)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.01, 0, 0)
    assert recipe.schedule is not None
    assert [recipe.schedule((number - 1) / 200) for number in (1, 150, 151, 200)] == [1.0, 1.0, 0.1, 0.1]
    assert song_mittal.texas_memguard_recipe(epochs=80).epochs == 80


@pytest.mark.parametrize("depth", [2, 6])
def test_a_depth_that_the_paper_does_not_have_is_refused(depth):
    with pytest.raises(InputError, match=f"Expected 3, 4 or 5 as the depth of Song & Mittal's networks, found {depth}"):
        song_mittal.hidden_layers(depth=depth)


def test_a_width_that_leaves_no_neuron_is_refused():
    with pytest.raises(InputError, match=r"leaves every layer a neuron, found 0\.001"):
        song_mittal.hidden_layers(width=0.001)


@pytest.mark.parametrize(
    ("make", "n_records", "n_features", "hidden", "steps"),
    [
        (
            song_mittal.purchase_adversarial_recipe, 19_732, 600,
            ((100, 1024, 512, 64), (100, 128, 64), (128, 512, 256, 128, 64, 1)), (3376, 152),
        ),
        (song_mittal.texas_adversarial_recipe, 10_000, 6169, ((100, 512, 64), (100, 64), (128, 64, 1)), (1975, 77)),
    ],
)  # fmt: skip
def test_the_adversarial_recipes(make, n_records, n_features, hidden, steps):
    rng = np.random.default_rng(0)
    records = Records(rng.random((260, n_features), dtype=np.float32), np.arange(260) % 100)
    it = make(records)
    attacker = it.attacker(100)
    assert n_parameters(attacker) == sum(linear(a, b) for widths in hidden for a, b in pairwise(widths))
    assert not any(bool(p.detach().any()) for name, p in attacker.named_parameters() if name.endswith("bias"))
    assert float(attacker.answers[0].weight.detach().std()) == pytest.approx(0.01, rel=0.03)
    rounds = list(it.schedule.rounds(1, it.base.n_steps(n_records)))
    assert tuple(sum(len(part[side]) for part in rounds) for side in (0, 1)) == steps
    assert (it.epochs, it.base.batch_size, it.base.n_steps(n_records)) == (20, 128, n_records // 128 - 1)
    assert is_reusable(it.identity())
    model = replace(it, base=replace(it.base, epochs=1)).fit(records, seed=0)
    assert len(model.history["attacker_accuracy"]) == 1


def test_cars_are_not_trained_without_the_pretrained_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("VESTIGE_DATA", str(tmp_path))
    with pytest.raises(InputError, match="resnet50"):
        song_mittal.cars_recipe()


def test_the_networks_of_cifar100_are_those_of_figure_4():
    assert list(song_mittal.CIFAR100_NETWORKS) == ["DenseNet", "AlexNet", "VGG", "ResNet", "Wide ResNet"]
    small = song_mittal.CIFAR100_NETWORKS["AlexNet"]
    recipe = song_mittal.cifar100_recipe(small)
    assert recipe.epochs == 200
    assert small().eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 100)

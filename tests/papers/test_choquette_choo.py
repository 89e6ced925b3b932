"""Choquette-Choo et al.'s networks and cards: parameters by hand, training as the appendix and the code say."""

from itertools import pairwise

import pytest
import torch
from tests.papers.networks.counting import layers_of, linear, n_parameters
from torch import nn

from vestige.papers import choquette_choo
from vestige.training.stopping import LossPlateau

SHARED = [
    choquette_choo.purchase_recipe(), choquette_choo.texas_recipe(), choquette_choo.adult_recipe(),
    choquette_choo.location_recipe(), choquette_choo.cifar_recipe(), choquette_choo.mnist_recipe(),
]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "widths", "n"),
    [
        (choquette_choo.purchase_network(), (600, 128, 100), 89_828),
        (choquette_choo.texas_network(), (6169, 128, 128, 100), 819_172),
        (choquette_choo.adult_network(), (107, 128, 128, 2), 30_594),
        (choquette_choo.adult_network(n_features=104), (104, 128, 128, 2), 30_210),
        (choquette_choo.location_network(), (446, 128, 128, 30), 77_598),
    ],
)
def test_fully_connected_networks_have_the_parameters_of_their_layers(network, widths, n):
    expected = sum(linear(a, b) for a, b in pairwise(widths))
    assert n_parameters(network) == expected == n
    assert {type(layer) for layer in network} == {nn.Linear, nn.Tanh}


def test_first_weights_are_those_of_keras():
    torch.manual_seed(0)
    first = layers_of(choquette_choo.location_network())[0]
    assert float(first.weight.detach().abs().max()) == pytest.approx((6 / (446 + 128)) ** 0.5, rel=1e-3)
    assert not first.bias.any()


@pytest.mark.parametrize("recipe", SHARED, ids=lambda r: r.network.func.__name__)
def test_one_card_for_all_but_the_wide_resnet(recipe):
    optimiser = recipe.optimiser(nn.Linear(1, 1).parameters())
    group = optimiser.param_groups[0]
    assert (recipe.epochs, recipe.batch_size, recipe.stop) == (1000, 100, LossPlateau(0.005, 20))
    assert (type(optimiser), group["lr"], group["eps"], group["betas"]) == (torch.optim.Adam, 1e-3, 1e-7, (0.9, 0.999))
    assert recipe.schedule is recipe.augment is None


def test_images_are_divided_by_255():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    assert choquette_choo.cifar_recipe().preprocess(image).flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_adults_numbers_are_standardised_unless_asked():
    table = torch.zeros(1, 107)
    table[0, :2], table[0, 6] = torch.tensor([38.643585, 189664.135 + 105602.944]), 1.0
    scaled = choquette_choo.adult_recipe().preprocess(table)
    assert scaled[0, :2].tolist() == pytest.approx([0, 1], abs=1e-5)
    assert torch.equal(scaled[0, 6:], table[0, 6:])
    assert torch.equal(choquette_choo.adult_recipe(scaled=False).preprocess(table), table)


def test_dropout_reaches_every_network():
    for recipe, n in ((choquette_choo.location_recipe(dropout=0.5), 3), (choquette_choo.purchase_recipe(dropout=0.5),
    2),
                      (choquette_choo.cifar_recipe(dropout=0.5), 2)):  # fmt: skip
        layers = [layer for layer in recipe.network().modules() if isinstance(layer, nn.Dropout)]
        assert [layer.p for layer in layers] == [0.5] * n


def test_cifar_100_has_its_own_logits():
    networks = [choquette_choo.cifar_recipe(n).network() for n in (100, 10)]
    assert n_parameters(networks[0]) - n_parameters(networks[1]) == linear(512, 90)


# ------------------------------------------------------------------------------------ fixmatch


def test_fixmatchs_wide_resnet_has_1_4_million_parameters():
    assert n_parameters(choquette_choo.fixmatch_network()) == 1_469_642


def test_fixmatch_trains_as_its_code_does():
    recipe = choquette_choo.fixmatch_recipe()
    decayed, spared = recipe.optimiser(recipe.network().parameters()).param_groups
    assert recipe.batch_size == 64
    assert (decayed["lr"], decayed["momentum"], decayed["nesterov"]) == (0.03, 0.9, True)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (5e-4, 0)
    assert recipe.schedule is not None
    assert [recipe.schedule(p) for p in (0.0, 1.0)] == pytest.approx([1, 0.19509], abs=1e-4)


def test_regularisations_are_all_on_or_all_off():
    bare = choquette_choo.fixmatch_recipe(regularised=False)
    assert bare.augment is None
    assert {g["weight_decay"] for g in bare.optimiser(bare.network().parameters()).param_groups} == {0}


def test_every_image_is_cut_out_of_in_grey():
    recipe, images = choquette_choo.fixmatch_recipe(), torch.full((30, 3, 32, 32), 0.5)
    assert recipe.augment is not None
    grey = (recipe.augment(images, torch.Generator().manual_seed(0)) == 0).flatten(1).sum(dim=1)
    assert int(grey.min()) >= 3 * 8 * 8
    assert int(grey.max()) <= 3 * 16 * 16


def test_flips_are_left_to_right_unless_asked():
    rows = torch.arange(32.0)[None, None, :, None].expand(30, 1, 32, 32).contiguous()  # same left and right
    for upside_down in (False, True):
        recipe = choquette_choo.fixmatch_recipe(upside_down=upside_down)
        assert recipe.augment is not None
        mirror = recipe.augment.steps[0]  # type: ignore[attr-defined]
        assert torch.equal(mirror(rows, torch.Generator().manual_seed(0)), rows) is not upside_down


def test_the_small_networks_for_processors_have_the_parameters_of_their_layers():
    convolutions = [3 * 9 * 8 + 8, 8 * 9 * 8 + 8, 8 * 9 * 16 + 16, 16 * 9 * 16 + 16]
    small = choquette_choo.small_cifar_recipe().network()
    assert n_parameters(small) == sum(convolutions) + linear(16 * 6 * 6, 64) + linear(64, 10) == 41_874
    assert n_parameters(choquette_choo.small_fixmatch_network()) == 78_186
    assert choquette_choo.small_fixmatch_recipe(regularised=False).augment is None

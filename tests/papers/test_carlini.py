"""Carlini et al.'s cards: what its code and Phan's say."""

import numpy as np
import pytest
import torch
from tests.papers.networks.counting import n_parameters

from vestige.papers import carlini
from vestige.papers.augmentations import Mirror, ReflectedCrop


def test_the_demonstration_trains_as_its_code_does():
    recipe = carlini.wrn_recipe()
    decayed, spared = recipe.optimiser(recipe.network().parameters()).param_groups
    assert (recipe.epochs, recipe.batch_size, recipe.evaluation_mode) == (100, 256, True)
    assert (decayed["lr"], decayed["momentum"], decayed["nesterov"]) == (0.1, 0.9, False)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (5e-4, 0)
    assert recipe.schedule is not None
    assert [recipe.schedule(p) for p in (0.0, 0.005, 1.0)] == pytest.approx([0, 0.5, 0.19509], abs=1e-4)


def test_the_demonstration_mirrors_and_then_shifts_by_up_to_4():
    recipe, images = carlini.wrn_recipe(), torch.rand(6, 3, 32, 32)
    generator = torch.Generator().manual_seed(0)
    expected = ReflectedCrop(4)(Mirror()(images, generator), generator)
    assert recipe.augment is not None
    assert torch.equal(recipe.augment(images, torch.Generator().manual_seed(0)), expected)


@pytest.mark.parametrize(("width", "n"), [(1, 369_498), (2, 1_467_610)])
def test_its_widths(width, n):
    assert n_parameters(carlini.wrn_recipe(width=width).network()) == n


def test_the_pretrained_models_train_as_phans_code_does():
    recipe = carlini.resnet18_recipe()
    group = recipe.optimiser(recipe.network().parameters()).param_groups[0]
    assert n_parameters(recipe.network()) == 11_173_962
    assert (recipe.epochs, recipe.batch_size) == (100, 256)
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.01, 0.9, True, 0.01)
    assert recipe.schedule is not None
    assert [recipe.schedule(p) for p in (0.15, 0.3, 0.65)] == pytest.approx([0.5, 1, 0.5])


def test_what_the_pretrained_models_are_shifted_over_is_black():
    recipe = carlini.resnet18_recipe()
    dark = recipe.preprocess(torch.from_numpy(np.zeros((20, 32, 32, 3), dtype=np.uint8)))
    assert recipe.augment is not None
    assert torch.allclose(recipe.augment(dark, torch.Generator().manual_seed(0)), dark, atol=1e-6)

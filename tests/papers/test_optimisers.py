"""Decay of weights alone: against the penalty written into the loss, alone and in a stack."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.papers.networks.perceptron import perceptron
from vestige.papers.networks.wide_resnet import WideResNet
from vestige.papers.optimisers import WeightsOnlyDecay
from vestige.training.stacked import train_stack
from vestige.training.torch_recipe import TorchRecipe

SMALL = functools.partial(WideResNet, 3, depth=10, width=1)


def test_steps_are_those_of_half_the_sum_of_squares_in_the_loss():
    torch.manual_seed(0)
    network, images, labels = SMALL(), torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    twin = SMALL()
    twin.load_state_dict(network.state_dict())
    ours = WeightsOnlyDecay(SMALL, learning_rate=0.1, decay=0.05)(network.parameters())
    plain = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        for model, optimiser in ((network, ours), (twin, plain)):
            optimiser.zero_grad()
            penalty = 0.05 * 0.5 * sum((w**2).sum() for n, w in model.named_parameters() if _is_weight(n))
            loss = nn.functional.cross_entropy(model(images), labels) + (penalty if model is twin else 0)
            loss.backward()
            optimiser.step()
    for (name, ours_now), theirs in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours_now, theirs, atol=1e-5), name


def _is_weight(name: str) -> bool:
    return name.endswith("weight") and "norm" not in name


def test_neither_biases_nor_normalisation_decay():
    network = SMALL()
    decayed, spared = WeightsOnlyDecay(SMALL, learning_rate=0.1, decay=0.05)(network.parameters()).param_groups
    names = {id(p): name for name, p in network.named_parameters()}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.05, 0.0)
    assert {names[id(p)] for p in decayed["params"]} == {n for n in names.values() if _is_weight(n)}
    assert len(decayed["params"]) + len(spared["params"]) == len(names)


def test_options_reach_every_group():
    groups = WeightsOnlyDecay(SMALL, learning_rate=0.3, decay=0.0, momentum=0.5, nesterov=True)(
        SMALL().parameters()
    ).param_groups
    assert {(g["lr"], g["momentum"], g["nesterov"]) for g in groups} == {(0.3, 0.5, True)}


def test_making_it_draws_no_numbers():
    network = SMALL()
    torch.manual_seed(3)
    WeightsOnlyDecay(SMALL, learning_rate=0.1, decay=0.05)(network.parameters())
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(3))


def test_parameters_of_another_network_are_refused():
    optimiser = WeightsOnlyDecay(SMALL, learning_rate=0.1, decay=0.05)
    with pytest.raises(InputError, match=r"Expected the \d+ parameters of the optimiser's own network, found 2"):
        optimiser(nn.Linear(2, 2).parameters())


def test_a_stack_decays_the_same_parameters():
    network = functools.partial(perceptron, 4, (6,), 3)
    recipe = TorchRecipe(
        network, epochs=5, batch_size=5, optimiser=WeightsOnlyDecay(network, learning_rate=0.1, decay=0.3)
    )
    rng = np.random.default_rng(0)
    records = Records(rng.normal(size=(20, 4)).astype(np.float32), np.arange(20) % 3)
    member = np.zeros((3, 20), dtype=bool)
    for row in member:
        row[rng.permutation(20)[:10]] = True
    stacked = train_stack(recipe, records, member, seeds=[1, 2, 3])
    everything = replace(recipe, optimiser=functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.3))
    for row, seed, model in zip(member, [1, 2, 3], stacked, strict=True):
        alone = recipe.fit(records.take(row), seed=seed)
        other = everything.fit(records.take(row), seed=seed)
        assert _furthest(model, alone) < 1e-5
        assert _furthest(model, other) > 1e-3


def _furthest(one, other) -> float:
    pairs = zip(one.classifier.parameters(), other.classifier.parameters(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)

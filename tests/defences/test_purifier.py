"""The purifier: its fit against plain gradient descent by torch, and its laws."""

import json

import numpy as np
import pytest
import torch

from vestige.core.errors import InputError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.seeds import stream
from vestige.defences import Purifier
from vestige.defences._perceptron import Perceptron
from vestige.defences.purifier import _BATCH, _EPOCHS, _HIDDEN, _RATE

K = 6


def answers(seed, n, concentration):
    return Probabilities(np.random.default_rng(seed).dirichlet(np.full(K, concentration), n))


POOL, MEMBERS = answers(0, 160, 0.5), answers(1, 160, 0.05)  # unsure of nonmembers, sure of members


@pytest.fixture(scope="module")
def purifier():
    return Purifier().fitted(MEMBERS, POOL, seed=3)


def halves_of_pool():
    """What is fitted, what is kept apart, and the stream after that draw."""
    rng = stream(3, "purifier")
    table = POOL.whole()[np.lexsort(POOL.whole().T)]
    apart = rng.choice(len(table), len(table) // 5, replace=False)
    return np.delete(table, apart, axis=0), table[apart], rng


def test_the_network_is_that_of_plain_gradient_descent():
    """The same draws, first weights and batches, differentiated by torch; a few epochs agree to rounding."""
    table, _, rng = halves_of_pool()
    first = Perceptron.drawn((K, *_HIDDEN, K), rng)
    plain = torch.nn.Sequential(
        *[
            layer
            for n_in, n_out in zip((K, *_HIDDEN), (*_HIDDEN, K), strict=True)
            for layer in (torch.nn.Linear(n_in, n_out), torch.nn.ReLU())
        ][:-1]
    )
    linear = [layer for layer in plain if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, weight, bias in zip(linear, first.weights, first.biases, strict=True):
            layer.weight.copy_(torch.tensor(weight.T))
            layer.bias.copy_(torch.tensor(bias))
    optimiser = torch.optim.SGD(plain.parameters(), lr=_RATE)
    rows, labels = torch.tensor(table, dtype=torch.float32), torch.tensor(table.argmax(axis=1))
    for _ in range(3):
        order = rng.permutation(len(table))
        for start in range(0, len(table) - _BATCH + 1, _BATCH):
            some = order[start : start + _BATCH]
            out = plain(rows[some])
            distance = (torch.softmax(out, 1) - rows[some]).square().sum(dim=1)
            loss = (distance + torch.nn.functional.cross_entropy(out, labels[some], reduction="none")).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def gradient(outputs, some):
        p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True)
        of_p = 2 * (p - table[some])
        of_distance = p * (of_p - (p * of_p).sum(axis=1, keepdims=True))
        return of_distance + (p - np.eye(K)[table[some].argmax(axis=1)])

    again = halves_of_pool()[2]
    ours = Perceptron.drawn((K, *_HIDDEN, K), again).trained(
        table, gradient, epochs=3, rate=_RATE, batch=_BATCH, rng=again
    )
    for layer, weight, bias in zip(linear, ours.weights, ours.biases, strict=True):
        np.testing.assert_allclose(weight.T, layer.weight.detach().numpy(), atol=2e-6)
        np.testing.assert_allclose(bias, layer.bias.detach().numpy(), atol=2e-6)
    assert _EPOCHS > 3


def test_answers_are_distributions_and_changed_labels_are_counted(purifier):
    told = purifier(POOL).whole()
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-12)
    assert told.min() >= 0
    apart = halves_of_pool()[1]
    changed = (purifier(Probabilities(apart)).whole().argmax(axis=1) != apart.argmax(axis=1)).mean()
    assert purifier.changed_labels == changed
    assert 0 <= changed < 0.3
    assert not purifier.keeps_labels


def test_members_answers_become_as_unsure_as_those_of_the_pool(purifier):
    def surest(table):
        return np.median(table.whole().max(axis=1))

    before, after = surest(MEMBERS) - surest(POOL), surest(purifier(MEMBERS)) - surest(purifier(POOL))
    assert abs(after) < before


def test_the_order_of_records_and_what_is_asked_beside_decide_nothing(purifier):
    moved = Purifier().fitted(answers(5, 10, 1.0), Probabilities(POOL.whole()[::-1]), seed=3)
    assert moved.identity() == purifier.identity()  # nor do members' answers
    assert Purifier().fitted(MEMBERS, POOL, seed=4).identity() != purifier.identity()
    json.dumps(purifier.identity())
    told = purifier(POOL).whole()
    np.testing.assert_allclose(purifier(Probabilities(POOL.whole()[::-1])).whole()[::-1], told, atol=1e-12)
    np.testing.assert_allclose(purifier(Logits(np.log(POOL.whole()))).whole(), told, atol=1e-9)


def test_what_is_missing_is_said():
    with pytest.raises(InputError, match=r"without its network; it lacks .* a third pool"):
        Purifier()(POOL)
    with pytest.raises(
        InputError, match="5 answers or more about the defender's own nonmembers to fit a purifier, found 0"
    ):
        Purifier().fitted(MEMBERS, Probabilities(np.empty((0, K))), 0)
    with pytest.raises(InputError, match="leave the defence out"):
        Purifier().fitted(MEMBERS, PredictedLabels(np.array([0])), 0)
    with pytest.raises(InputError, match="weight of labels of 0 or more, found -1"):
        Purifier(-1.0)

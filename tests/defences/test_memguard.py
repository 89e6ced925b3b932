"""MemGuard against its plain form, one answer and one step at a time, and its laws."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.defences.plain_memguard import PlainClassifier, plain_gradient, plain_noise, plain_softmax

from vestige.core.errors import InputError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.probabilities import softmax
from vestige.defences import MemGuard
from vestige.defences.memguard import Reads, _coins

N_CLASSES = 8


def logits(seed, n, scale):
    """Answers of a model that is surer the larger the scale is; in some, classes are equal, the largest too."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, N_CLASSES))
    z[np.arange(n), rng.integers(N_CLASSES, size=n)] += scale * rng.exponential(size=n)
    z[::10] = np.round(z[::10])
    z[::50, :] = z[::50].clip(max=1.0)
    return z


MEMBERS, NONMEMBERS = logits(0, 192, 9.0), logits(1, 192, 2.0)
ASKED = np.concatenate([logits(2, 24, 9.0), logits(3, 24, 2.0)])


@pytest.fixture(scope="module", params=list(Reads), ids=lambda reads: reads.name)
def guard(request):
    return MemGuard(request.param).fitted(Logits(MEMBERS), Logits(NONMEMBERS), seed=5)


@pytest.mark.parametrize("is_logits", [True, False], ids=["logits", "probabilities"])
def test_all_at_once_is_one_by_one(guard, is_logits):
    table = ASKED[::2] if is_logits else softmax(ASKED[::2])
    told = guard((Logits if is_logits else Probabilities)(table)).whole()
    n_noisy = 0
    for row, mine in zip(table, told, strict=True):
        with_label = guard.reads is Reads.ANSWER_AND_LABEL
        plain, _ = plain_noise(guard.network, row, is_logits=is_logits, with_label=with_label)
        n_noisy += plain is not None
        unmoved = plain_softmax(row) if is_logits else row
        np.testing.assert_allclose(mine, unmoved if plain is None else plain, rtol=0, atol=1e-12)
    assert n_noisy >= 3  # the loop is not passed by


def test_the_plain_gradient_is_that_of_the_loss():
    network = MemGuard().fitted(Logits(MEMBERS), Logits(NONMEMBERS), seed=5).network
    assert network is not None
    rng = np.random.default_rng(0)
    for seed in range(20):
        e, s = rng.normal(size=N_CLASSES), plain_softmax(rng.normal(size=N_CLASSES))
        place, variable = seed % N_CLASSES, torch.tensor(e, requires_grad=True)
        p = torch.softmax(variable, 0)
        value = p
        for number, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            value = (value if number == 0 else torch.relu(value)) @ torch.tensor(weight) + torch.tensor(bias)
        others = torch.cat([variable[:place], variable[place + 1 :]]).max()
        loss = value.abs().sum() + 10 * torch.relu(others - variable[place]) + 3 * (p - torch.tensor(s)).abs().sum()
        loss.backward()
        assert variable.grad is not None
        found = plain_gradient(PlainClassifier(network), lambda p: p, e, s, place, 3.0)
        np.testing.assert_allclose(found, variable.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("kind", [Logits, Probabilities])
def test_labels_and_distributions_are_kept(guard, kind):
    table = ASKED if kind is Logits else softmax(ASKED)
    for one in (guard, replace(guard, budget=0.3)):
        told = one(kind(table)).whole()
        np.testing.assert_array_equal(told.argmax(axis=1), table.argmax(axis=1))
        np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-12)
        assert told.min() >= 0


def test_the_classifier_is_crossed_in_most_answers(guard):
    given, told = guard.member_probability(Logits(ASKED)), guard(Logits(ASKED))
    moved = (told.whole() != softmax(ASKED)).any(axis=1)
    assert moved.mean() > (0.8 if guard.reads is Reads.ANSWER else 0.2)  # the label that it is told cannot be moved
    assert np.abs(guard.member_probability(told) - 0.5).mean() < np.abs(given - 0.5).mean()


@pytest.mark.parametrize("budget", [None, 0.2])
def test_an_answer_is_the_same_whatever_is_asked_beside_it(guard, budget):
    one = replace(guard, budget=budget)
    told = one(Logits(ASKED)).whole()
    order = np.random.default_rng(1).permutation(len(ASKED))
    np.testing.assert_allclose(one(Logits(ASKED[order])).whole(), told[order], atol=1e-12)
    np.testing.assert_allclose(one(Logits(ASKED[7:9])).whole(), told[7:9], atol=1e-12)
    np.testing.assert_array_equal(one(Logits(ASKED)).whole(), told)


def test_no_budget_for_noise_is_no_defence(guard):
    for answers in (Logits(ASKED), Probabilities(softmax(ASKED))):
        assert replace(guard, budget=0.0)(answers) is answers


def test_the_mean_distance_is_within_the_budget(guard):
    distances = []
    for budget in (0.05, 0.2, None):
        told = replace(guard, budget=budget)(Logits(ASKED)).whole()
        distances.append(np.abs(told - softmax(ASKED)).sum(axis=1).mean())
    assert distances[0] < distances[1] < distances[2]
    assert distances[0] < 0.09  # 0.05, and what 48 coins add
    sure = replace(guard, budget=100.0)(Logits(ASKED)).whole()  # all coins fall, but noise must not make it surer
    nearer = np.abs(guard.member_probability(Probabilities(sure)) - 0.5)
    assert (sure == guard(Logits(ASKED)).whole()).all(axis=1).mean() > 0.5
    assert nearer.mean() < np.abs(guard.member_probability(Logits(ASKED)) - 0.5).mean()


def test_coins_are_fair_and_belong_to_the_answer():
    rows = np.random.default_rng(0).normal(size=(4000, 3))
    coins = _coins(rows, 0)
    assert abs(coins.mean() - 0.5) < 3 / np.sqrt(12 * 4000)
    np.testing.assert_array_equal(_coins(rows[::-1], 0), coins[::-1])
    assert np.corrcoef(coins, _coins(rows, 1))[0, 1] < 0.05
    assert _coins(np.array([[0.0, 1.0]]), 0) == _coins(np.array([[-0.0, 1.0]]), 0)


def test_the_classifier_hangs_on_answers_and_seed_and_not_on_their_order():
    first = MemGuard().fitted(Logits(MEMBERS[:64]), Logits(NONMEMBERS[:64]), seed=0)
    moved = MemGuard().fitted(Logits(MEMBERS[63::-1]), Logits(NONMEMBERS[63::-1]), seed=0)
    other = MemGuard().fitted(Logits(MEMBERS[:64]), Logits(NONMEMBERS[:64]), seed=1)
    assert first.identity() == moved.identity()
    assert first.identity()["digest"] != other.identity()["digest"]
    json.dumps(first.identity())
    assert first.fitted(Logits(NONMEMBERS[:64]), Logits(MEMBERS[:64]), 0).identity() != first.identity()


def test_the_classifier_learns(guard):
    accuracy = (guard.member_probability(Logits(MEMBERS)) > 0.5).mean()
    accuracy += (guard.member_probability(Logits(NONMEMBERS)) <= 0.5).mean()
    assert accuracy / 2 > 0.6


def test_what_is_missing_is_said():
    with pytest.raises(InputError, match=r"without its classifier; it lacks .* a third pool"):
        MemGuard()(Logits(ASKED))
    with pytest.raises(InputError, match="the defender's own nonmembers to fit MemGuard, found none"):
        MemGuard().fitted(Logits(MEMBERS), Logits(np.empty((0, N_CLASSES))), 0)
    with pytest.raises(InputError, match="leave the defence out"):
        MemGuard().fitted(PredictedLabels(np.array([0])), Logits(NONMEMBERS), 0)
    with pytest.raises(InputError, match="budget of 0 or more, found -1"):
        MemGuard(budget=-1.0)

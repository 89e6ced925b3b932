"""Strengths are chosen on models whose members are known: the best one, the first of equal ones."""

import inspect

import numpy as np
import pytest

from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.noise_robustness import noise_robustness
from vestige.core.errors import InputError
from vestige.evaluation.strength import choose_on_shadows, choose_on_source


def test_strength_and_threshold_are_the_best_pair_on_the_source_by_plain_search():
    rng = np.random.default_rng(0)
    member = rng.random(300) < 0.4
    scores = [rng.binomial(10, np.where(member, p, 0.5)) / 10 for p in (0.5, 0.6, 0.8, 0.7)]
    found = choose_on_source(scores, member)
    pairs = [
        (((s[member] > t).mean() + (s[~member] <= t).mean()) / 2, i, t)
        for i, s in enumerate(scores)
        for t in [-np.inf, *np.unique(s)]
    ]
    best = max(accuracy for accuracy, _, _ in pairs)
    assert found.balanced_accuracy == pytest.approx(best)
    assert (found.strength, found.threshold) in [(i, t) for accuracy, i, t in pairs if accuracy > best - 1e-12]
    assert found.strength == 2


def test_of_equal_ones_the_first_strength_and_the_highest_threshold_count():
    member = np.array([True, False, True, False])
    scores = np.array([3.0, 2.0, 1.0, 0.0])
    found = choose_on_source([scores, scores], member)
    assert (found.strength, found.threshold, found.balanced_accuracy) == (0, 2.0, 0.75)


def test_a_noise_is_chosen_with_the_share_of_correct_draws():
    rng = np.random.default_rng(1)
    member, zeros = np.arange(400) < 200, np.zeros(400, int)
    tables = [rng.random((400, 50)) < np.where(member, p, 0.6)[:, None] for p in (0.6, 0.75)]
    scores = [noise_robustness(table, zeros, zeros) for table in tables]
    found = choose_on_source(scores, member)
    assert found.strength == 1
    assert 0.6 < found.threshold < 0.75


def test_on_shadows_each_is_the_target_in_turn_without_itself_and_its_partner():
    rng = np.random.default_rng(2)
    is_in = np.repeat(rng.random((4, 200)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    signal = rng.normal(size=is_in.shape) + 10 * np.arange(8)[:, None]
    seen = []

    def attack(phi, shadow_phi, inside):
        seen.append((phi, shadow_phi, inside))
        return phi

    choose_on_shadows(attack, [signal], is_in, np.arange(8) ^ 1)
    assert len(seen) == 8
    for model, (phi, shadow_phi, inside) in enumerate(seen):
        others = [i for i in range(8) if i not in (model, model ^ 1)]
        np.testing.assert_array_equal(phi, signal[model])
        np.testing.assert_array_equal(shadow_phi, signal[others])
        np.testing.assert_array_equal(inside, is_in[others])


def test_the_strength_that_leaks_most_is_chosen_and_the_target_is_no_argument():
    rng = np.random.default_rng(3)
    is_in = np.repeat(rng.random((5, 1000)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    difficulty = 2 * rng.normal(size=1000)
    signals = [rng.normal(size=is_in.shape) + difficulty + leak * is_in for leak in (0.0, 2.0, 1.0, 2.0)]
    found = choose_on_shadows(empirical_bayes_online, signals, is_in, np.arange(10) ^ 1, fpr=0.05)
    assert found.strength in (1, 3)
    assert found.tpr.shape == (4, 10)
    assert abs(found.tpr[0].mean() - 0.05) < 0.02
    assert choose_on_shadows(empirical_bayes_online, [signals[1]] * 3, is_in, np.full(10, -1)).strength == 0
    for choose in (choose_on_source, choose_on_shadows):
        assert not [name for name in inspect.signature(choose).parameters if "target" in name]


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(InputError, match="Expected scores for at least one strength, found none"):
        choose_on_source([], np.array([True]))
    with pytest.raises(InputError, match="signals of shadow models for at least one strength, found none"):
        choose_on_shadows(empirical_bayes_online, [], np.zeros((2, 2), bool), np.array([1, 0]))

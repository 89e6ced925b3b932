"""The strongest form of MemGuard: what an attack can still read off it, as an identity."""

import numpy as np
import pytest

from vestige.attacks.confidence import confidence
from vestige.attacks.correctness import correctness
from vestige.attacks.entropy import entropy
from vestige.attacks.max_confidence import max_confidence
from vestige.core.outputs import Logits, Probabilities
from vestige.core.probabilities import from_probabilities
from vestige.defences import StrongestMemGuard
from vestige.evaluation.thresholds import balanced_accuracy_threshold


def model(seed, n=600, n_classes=5):
    """Logits, labels and membership of a model that is surer of its members, and more often right."""
    rng = np.random.default_rng(seed)
    labels, member = rng.integers(n_classes, size=n), np.arange(n) < n // 2
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += np.where(member, 4.0, 1.5)
    logits[::20] = 0.0  # the first of equal ones
    return logits, labels, member


def accuracy(is_called, member):
    return 0.5 * (is_called[member].mean() + 1 - is_called[~member].mean())


def threshold(scores, member):
    return balanced_accuracy_threshold(scores[member], scores[~member])


@pytest.mark.parametrize("kind", [Logits, Probabilities])
@pytest.mark.parametrize("n_classes", [2, 5, 100])
def test_two_numbers_a_row_and_the_label(kind, n_classes):
    table = model(0, n_classes=n_classes)[0]
    if kind is Probabilities:
        table = from_probabilities(np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)).p
    told = StrongestMemGuard()(kind(table)).whole()
    assert all(len(set(row)) == 2 for row in told.tolist())
    np.testing.assert_array_equal(told.argmax(axis=1), table.argmax(axis=1))
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(told.max(axis=1), 1 / n_classes + 0.001)
    assert told.min() > 0


def test_what_the_adaptive_attacker_reads_is_the_gap():
    shadow, target = model(1), model(2)
    defended = [from_probabilities(StrongestMemGuard()(Logits(one[0])).whole()) for one in (shadow, target)]
    of_true = [confidence(c.of(c.p, one[1])) for c, one in zip(defended, (shadow, target), strict=True)]
    called = of_true[1] >= threshold(of_true[0], shadow[2])
    right = correctness(target[0].argmax(axis=1), target[1])
    np.testing.assert_array_equal(called, right == right.max())
    gap = right[target[2]].mean() - right[~target[2]].mean()
    assert accuracy(called, target[2]) == pytest.approx(0.5 + gap / 2, abs=1e-15)
    assert gap > 0.1


@pytest.mark.parametrize("attack", [max_confidence, entropy])
def test_what_knows_no_label_is_told_nothing(attack):
    logits, _, member = model(3)
    scores = attack(from_probabilities(StrongestMemGuard()(Logits(logits)).whole()))
    for t in (threshold(scores, member), np.inf):
        assert accuracy(scores >= t, member) == 0.5


def test_a_threshold_of_undefended_answers_calls_nobody_a_member():
    shadow, (logits, labels, member) = model(4), model(5)
    undefended = from_probabilities(np.exp(shadow[0]) / np.exp(shadow[0]).sum(axis=1, keepdims=True))
    t = threshold(confidence(undefended.of(undefended.p, shadow[1])), shadow[2])
    told = from_probabilities(StrongestMemGuard()(Logits(logits)).whole())
    called = confidence(told.of(told.p, labels)) >= t
    assert not called.any()
    assert accuracy(called, member) == 0.5

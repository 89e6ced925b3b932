"""The combined attack as published: its naive twin, planted leaks, chance without one, and any order of the records."""

from math import sqrt

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vestige.attacks.combined_distance import combined_distance
from vestige.attacks.nn_combined_distance import nn_combined_distance
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


def observed(
    n: int, leak: float, seed: int, n_classes: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distances of five copies, 0 where the model is wrong about one; labels, members, and who is known."""
    rng = np.random.default_rng(seed)
    member, labels = rng.permutation(n) < n // 2, rng.integers(0, n_classes, size=n)
    distances = np.maximum(rng.normal(1 + leak * member[:, None], 1.0, size=(n, 5)), 0)
    return distances, labels, member, np.arange(n) < n // 2


def learnt(distances, labels, member, known, **options) -> np.ndarray:
    return nn_combined_distance(
        distances[known], labels[known], member[known], distances[~known], labels[~known], **options
    )


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    return roc(scores[member], scores[~member]).auc


def test_it_is_a_classifier_per_class_of_the_distances():
    distances, labels, member, known = observed(120, 1.0, 0)
    distances[3, 1] = np.inf
    scores = learnt(distances, labels, member, known, classifier=LogisticRegression())
    finite = np.where(np.isinf(distances), distances[known][np.isfinite(distances[known])].max(), distances)
    expected = np.empty(60)
    for label in range(3):
        here, there = known & (labels == label), ~known & (labels == label)
        fitted = LogisticRegression().fit(finite[here], member[here])
        expected[labels[~known] == label] = fitted.decision_function(finite[there])
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_farther_means_member():
    distances, labels, member, known = observed(600, 1.0, 1)
    assert auc(learnt(distances, labels, member, known), member[~known]) > 0.85


def test_it_learns_which_copies_tell_where_their_mean_says_nothing():
    rng = np.random.default_rng(2)
    member, labels, known = rng.permutation(600) < 300, rng.integers(0, 2, size=600), np.arange(600) < 300
    shift = np.where(member[:, None], [1.5, -1.5, 0, 0, 0], [-1.5, 1.5, 0, 0, 0])
    distances = np.abs(rng.normal(4 + shift, 0.5))
    assert auc(learnt(distances, labels, member, known), member[~known]) > 0.95
    mean = combined_distance(distances[~known], distances[known])
    assert auc(mean, member[~known]) == pytest.approx(0.5, abs=0.1)


def test_without_a_leak_it_is_at_chance():
    found = []
    for seed in range(8):
        distances, labels, member, known = observed(400, 0.0, seed)
        found.append(auc(learnt(distances, labels, member, known), member[~known]))
    assert abs(np.mean(found) - 0.5) < 3 * sqrt(201 / (12 * 100 * 100) / len(found))


def test_the_order_of_the_records_says_nothing():
    distances, labels, member, known = observed(200, 1.0, 3)
    scores = learnt(distances, labels, member, known)
    order = np.concatenate([np.random.default_rng(0).permutation(100), 100 + np.random.default_rng(1).permutation(100)])
    again = learnt(distances[order], labels[order], member[order], known)
    np.testing.assert_array_equal(again, scores[order[100:] - 100])


def test_what_cannot_be_is_refused():
    distances, labels, member, known = observed(40, 0.0, 0)
    with pytest.raises(InputError, match="not a number"):
        learnt(np.full((40, 5), np.nan), labels, member, known)
    with pytest.raises(InputError, match="Expected at least 2 known members and 2 known nonmembers"):
        learnt(distances, labels, np.zeros(40, dtype=bool), known)

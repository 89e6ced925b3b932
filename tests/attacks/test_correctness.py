"""Correctness: the gap attack, in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.attacks.correctness import correctness
from vestige.evaluation.roc import roc

ANSWERS = st.lists(st.booleans(), min_size=1, max_size=80)


def test_it_is_the_naive_twin():
    rng = np.random.default_rng(0)
    predicted, labels = rng.integers(4, size=100), rng.integers(4, size=100)
    twin = [1.0 if p == y else 0.0 for p, y in zip(predicted.tolist(), labels.tolist(), strict=True)]
    scores = correctness(predicted, labels)
    assert scores.dtype == np.float64
    assert scores.tolist() == twin


@settings(deadline=None)
@given(
    in_training=st.lists(st.booleans(), min_size=1, max_size=80),
    in_test=st.lists(st.booleans(), min_size=1, max_size=80),
)
def test_g4_its_accuracy_is_the_gap(in_training, in_test):
    right = np.array([*in_training, *in_test])
    labels = np.arange(right.size) % 3
    scores = correctness(np.where(right, labels, labels + 1), labels)
    members, nonmembers = scores[: len(in_training)], scores[len(in_training) :]
    gap = 0.5 + (np.mean(in_training) - np.mean(in_test)) / 2
    accuracy = (np.mean(members >= 0.5) + np.mean(nonmembers < 0.5)) / 2
    assert accuracy == pytest.approx(gap, abs=1e-12)
    assert roc(members, nonmembers).auc == pytest.approx(gap, abs=1e-12)  # one interior point: the same number

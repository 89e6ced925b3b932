"""Masked answers are noticed, and those of honest models are not."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from vestige import Predictions, audit
from vestige.core.outputs import Probabilities
from vestige.core.result import Validity
from vestige.defences import StrongestMemGuard, TopK
from vestige.evaluation.preflight.masked_answers import masked_answers, n_classes_told
from vestige.evaluation.roc import roc

N, N_CLASSES = 600, 6


def answers_of(model, seed):
    """Probabilities, labels and members of a model that was trained on half of noisy records."""
    rng = np.random.default_rng(seed)
    inputs, labels = rng.normal(size=(2 * N, 12)), rng.integers(N_CLASSES, size=2 * N)
    inputs[np.arange(2 * N), labels] += 1.5
    model.fit(inputs[:N], labels[:N])
    return model.predict_proba(inputs), labels, np.arange(2 * N) < N


def checked(p, labels, member):
    right, largest = p.argmax(axis=1) == labels, p.max(axis=1)
    of_largest, of_right = (roc(values[member], values[~member]) for values in (largest, right.astype(float)))
    return masked_answers(of_largest, of_right, n_classes_told(p), p.shape[1])


MODELS = {
    "network": lambda seed: MLPClassifier((64,), max_iter=150, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(50, random_state=seed),
    "tree": lambda seed: DecisionTreeClassifier(random_state=seed),
    "pruned tree": lambda seed: DecisionTreeClassifier(max_depth=6, random_state=seed),
    "regression": lambda seed: LogisticRegression(max_iter=500),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_honest_models_are_not_flagged(name):
    found = [checked(*answers_of(MODELS[name](seed), seed)) for seed in range(6)]
    assert found == [None] * 6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_whose_answers_only_keep_the_class_is_flagged():
    p, labels, member = answers_of(MODELS["network"](0), 0)
    flat = np.full(p.shape, (1 - 0.001) / N_CLASSES)
    flat[np.arange(2 * N), p.argmax(axis=1)] += 0.002
    flat[np.arange(2 * N), p.argmin(axis=1)] -= 0.001
    found = checked(flat, labels, member)
    assert found.validity is Validity.LIMITED
    assert "the largest probability does not (AUC 0.500)" in found.message
    assert "Play label-only attacks" in found.remedy
    shuffled = np.random.default_rng(0).permutation(2 * N)
    assert checked(flat[shuffled], labels[shuffled], member[shuffled]) == found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("k", [2, 5])
def test_answers_that_are_cut_off_are_flagged_in_an_audit(k):
    p, labels, member = answers_of(MODELS["network"](0), 0)
    cut = np.where(p >= np.sort(p, axis=1)[:, [-k]], p, 0)
    cut /= cut.sum(axis=1, keepdims=True)
    checks = {c.name: c for c in audit(Predictions(cut, labels, member)).preflight.checks}
    assert f"tell {k} of 6 classes, the others are 0" in checks["masked_answers"].message
    assert "masked_answers" not in {c.name for c in audit(Predictions(p, labels, member)).preflight.checks}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("defence", [TopK(1), TopK(3), StrongestMemGuard()])
def test_our_defences_that_cut_off_are_flagged_in_an_audit(defence):
    p, labels, member = answers_of(MODELS["network"](0), 0)
    checks = {c.name: c for c in audit(Predictions(defence(Probabilities(p)), labels, member)).preflight.checks}
    assert "share one value" in checks["masked_answers"].message


def test_noise_that_is_seen_in_the_lead_alone_is_flagged_in_an_audit():
    """As MemGuard leaves answers: the largest probability tells what right and wrong tells, the second undoes it."""
    rng = np.random.default_rng(0)
    member, labels = np.arange(2 * N) < N, rng.integers(N_CLASSES, size=2 * N)
    right = member | (rng.random(2 * N) < 0.6)
    p = np.empty((2 * N, N_CLASSES))
    largest = 0.8 + 0.01 * right + 0.01 * rng.normal(size=2 * N)
    p[:] = ((1 - largest) / (N_CLASSES - 1))[:, None]
    p[member] *= 0.2
    predicted = np.where(right, labels, (labels + 1) % N_CLASSES)
    p[np.arange(2 * N), (predicted + 1) % N_CLASSES] += np.where(member, 0.8 * (1 - largest), 0)
    p[np.arange(2 * N), predicted] = largest
    checks = {c.name: c for c in audit(Predictions(p, labels, member)).preflight.checks}
    assert "and its lead over the second does not" in checks["masked_answers"].message
    assert checked(p, labels, member) is None  # nothing else tells


def test_no_gap_means_no_flag_and_nothing_is_said_without_answers():
    nothing = roc(np.ones(300), np.ones(300))
    assert masked_answers(nothing, nothing, np.full(600, 3), 3) is None
    assert masked_answers(None, None, None, 3) is None
    assert masked_answers(None, nothing, np.full(600, 2), 2) is None

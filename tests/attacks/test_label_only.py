"""Attacks on labels: closed forms, a planted leak through a whole query path, and chance without one."""

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from tests.signals.label_only_targets import Linear

from vestige.attacks import CATALOGUE
from vestige.attacks.augmentation_count import augmentation_count
from vestige.attacks.calibration import calibration_score
from vestige.attacks.nn import nn_augmentation
from vestige.attacks.noise_robustness import noise_robustness
from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.evaluation.roc import point_at_fpr, roc
from vestige.signals.label_only.agreement import agreement
from vestige.signals.label_only.noise import NoiseStrength, noise_labels

LEARNT_RATIO = next(a for a in CATALOGUE if a.name == "label_only_learnt_ratio")
LIKELIHOOD_RATIO = next(a for a in CATALOGUE if a.name == "label_only_likelihood_ratio")


class Remembering:
    """A model of random bits that keeps the class of its members however it is shaken, and of others less so.

    A record's class is 1; the model says so while fewer bits differ from the record than its margin.
    """

    n_classes = 2

    def __init__(self, inputs, difficulty, member, leak, seed):
        self.inputs = inputs
        self.margin = difficulty + leak * member + np.random.default_rng(seed).normal(size=len(inputs))

    def labels(self, inputs, records):
        return ((inputs != self.inputs[records]).sum(axis=1) < self.margin[records]).astype(np.int64)


def observed(leak, seed, n=600, n_models=10):
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 2, size=(n, 40)).astype(np.int8)
    is_in = np.repeat(rng.random((n_models // 2, n)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    member = rng.permutation(n) < n // 2
    difficulty = 4 + 2 * rng.normal(size=n)
    signals, strength = [], NoiseStrength(flips=0.1)
    for i, inside in enumerate([member, *is_in]):
        target = Remembering(inputs, difficulty, inside, leak, 100 * seed + i)
        ones, every = np.ones(n, int), np.arange(n)
        signals.append(noise_labels(target, inputs, ones, every, InputSpace(), strength, 60, seed=0))
    return np.array(signals), is_in, member


def auc(scores, member):
    return roc(scores[member], scores[~member]).auc


def test_the_likelihood_ratio_of_labels_finds_members_where_one_threshold_hardly_does():
    correct, is_in, member = observed(2.0, 1)
    signal = agreement(correct)
    scores = LIKELIHOOD_RATIO.score(signal[0], signal[1:], is_in)
    learnt = LEARNT_RATIO.score(signal[0], signal[1:], is_in)
    assert auc(learnt, member) > auc(scores, member) - 0.01
    ones = np.ones(member.size, int)
    plain = noise_robustness(correct[0], ones, ones)
    calibrated = calibration_score(signal[0], signal[1:], is_in=is_in)
    assert auc(scores, member) > auc(plain, member) + 0.05
    assert auc(calibrated, member) > auc(plain, member) + 0.05
    curves = [roc(s[member], s[~member]) for s in (scores, plain)]
    at_a_hundredth = [curve.rates_at(point_at_fpr(curve, 0.01))[0] for curve in curves]
    assert at_a_hundredth[0] > 0.1 > at_a_hundredth[1]


def test_g12_without_a_leak_all_are_at_chance():
    found: dict[str, list[float]] = {"ratio": [], "plain": [], "calibrated": [], "count": [], "network": []}
    for seed in range(8):
        correct, is_in, member = observed(0.0, seed, n=400, n_models=4)
        signal, ones = agreement(correct), np.ones(400, int)
        found["ratio"].append(auc(LIKELIHOOD_RATIO.score(signal[0], signal[1:], is_in), member))
        found["plain"].append(auc(noise_robustness(correct[0], ones, ones), member))
        found["calibrated"].append(auc(calibration_score(signal[0], signal[1:], is_in=is_in), member))
        found["count"].append(auc(augmentation_count(correct[0, :, :9]), member))
        bits, zeros, half = correct[0, :, :9], np.zeros(400, int), np.arange(400) < 200
        scores = nn_augmentation(bits[half], zeros[half], member[half], bits[~half], zeros[~half])
        found["network"].append(auc(scores, member[~half]))
    for name, values in found.items():
        n = 100 if name == "network" else 200
        assert abs(np.mean(values) - 0.5) < 3 * sqrt((2 * n + 1) / (12 * n * n) / len(values)), name


def test_without_a_leak_the_learnt_ratio_of_labels_is_at_chance():
    found = []
    for seed in range(8):
        correct, is_in, member = observed(0.0, seed, n=400, n_models=6)
        signal = agreement(correct)
        found.append(auc(LEARNT_RATIO.score(signal[0], signal[1:], is_in), member))
    assert abs(np.mean(found) - 0.5) < 3 * sqrt(401 / (12 * 200 * 200) / len(found))


def test_misclassified_records_score_0_in_noise_robustness_and_keep_their_count_elsewhere():
    correct = np.array([[True, False, True, True]] * 2)
    np.testing.assert_array_equal(noise_robustness(correct, np.array([1, 0]), np.array([1, 1])), [0.75, 0.0])
    np.testing.assert_array_equal(augmentation_count(correct), [3.0, 3.0])
    assert agreement(correct)[0] == agreement(correct)[1]


def test_the_network_learns_that_single_copies_tell_more_than_their_number():
    """Members keep the first two of four copies, others the last two: the count is the same."""
    rng = np.random.default_rng(0)
    member, labels = rng.permutation(600) < 300, rng.integers(0, 3, size=600)
    correct = rng.random((600, 4)) < np.where(member[:, None], [0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.9])
    known = np.arange(600) < 300
    scores = nn_augmentation(correct[known], labels[known], member[known], correct[~known], labels[~known])
    assert auc(scores, member[~known]) > 0.97
    assert auc(augmentation_count(correct), member) < 0.6


def test_the_agreement_of_a_linear_model_ranks_records_by_their_distance():
    rng = np.random.default_rng(1)
    inputs, records = rng.normal(size=(50, 4)), np.arange(50)
    target, labels = Linear([1.0, 0, 0, 0], 0.0), (inputs[:, 0] > 0).astype(int)
    strength = NoiseStrength(1.0, in_units=True)
    space = InputSpace(low=-50, high=50)
    found = agreement(noise_labels(target, inputs, labels, records, space, strength, 2000, seed=0))
    assert np.corrcoef(found, np.abs(inputs[:, 0]))[0, 1] > 0.98


def test_what_cannot_be_is_refused():
    none, one = np.zeros((3, 0), bool), np.zeros(3, int)
    with pytest.raises(InputError, match="Expected at least 1 noisy copy of each record, found none"):
        noise_robustness(none, one, one)
    with pytest.raises(InputError, match="Expected at least 1 copy of each record, found none"):
        augmentation_count(none)


@pytest.mark.parametrize("kind", json.loads(Path(__file__).with_name("label_only_null.json").read_text()))
def test_of_many_draws_without_a_leak_the_learnt_ratio_of_labels_finds_none(kind):
    """`label_only_null_study.py`."""
    assert kind["draws"] >= 10_000
    assert abs(kind["auc"] - 0.5) <= 3.3 * kind["auc_error"]
    assert kind["rejected_upper"] <= 0.06
    assert 0.93 <= kind["auc_coverage"] <= 0.975

"""What `memguard_study` measured on Location30, against Song & Mittal's Table 4 and the adaptive adversaries' bands."""

import json

import numpy as np
import pytest
from tests.defences.memguard_study import RESULTS, accuracies

from vestige.core.outputs import Logits

RUNS = json.loads(RESULTS.read_text())


def mean(*path):
    values = RUNS
    for key in path:
        values = [value[key] for value in values]
    return float(np.mean(values))


def test_the_undefended_row_is_the_published_one():
    assert len(RUNS) == 5
    assert mean("train_accuracy") == 1.0
    for attack, published, band in (
        ("confidence", 0.763, 0.02),
        ("modified_entropy", 0.781, 0.02),
        ("entropy", 0.616, 0.03),
    ):
        assert abs(mean("undefended", attack) - published) < band


@pytest.mark.parametrize("adversary", ["own classifier", "target's classifier"])
def test_an_adversary_who_adapts_is_left_with_the_gap(adversary):
    gap = mean(adversary, "correctness")
    assert gap == mean("undefended", "correctness")
    assert abs(mean(adversary, "confidence") - gap) < 0.01
    assert abs(mean(adversary, "modified_entropy") - gap) < 0.01
    assert 0.49 < mean(adversary, "entropy") < 0.54


def test_the_noise_is_as_large_as_the_released_one_and_keeps_every_label():
    assert 0.28 < mean("mean_l1") < 0.38  # .333 in the released answers
    assert mean("label_kept") == 1.0
    assert mean("crossed_as_sorted_again") >= 0.95
    assert 0.78 < mean("classifier_accuracy") < 0.84


def test_accuracies_are_of_thresholds_per_class_that_are_set_on_the_shadow():
    logits, labels = np.zeros((120, 30)), np.tile(np.arange(30), 4)
    logits[np.arange(120), labels] = np.where(np.arange(120) < 60, 5.0, 3.0)
    found = accuracies(Logits(logits), labels, Logits(logits), labels)
    assert found == {"correctness": 0.5, "confidence": 1.0, "entropy": 1.0, "modified_entropy": 1.0}

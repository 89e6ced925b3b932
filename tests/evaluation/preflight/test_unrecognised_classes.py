from typing import Any

import numpy as np
import pytest

from vestige import Predictions, audit
from vestige.core.outputs import Probabilities
from vestige.core.result import Check, Validity
from vestige.evaluation import preflight


def unrecognised_classes(*given: Any) -> Check:
    """What the check says, where it has something to say."""
    found = preflight.unrecognised_classes(*given)
    assert found is not None
    return found


def answers(n, n_classes, accuracy, rng):
    labels = rng.integers(0, n_classes, n)
    return labels, np.where(rng.random(n) < accuracy, labels, rng.integers(0, n_classes, n))


@pytest.mark.parametrize("n_classes", [4, 6, 10])
def test_two_exchanged_classes_confound(n_classes):
    labels, predicted = answers(1000, n_classes, 0.9, np.random.default_rng(0))
    order = np.arange(n_classes)
    order[-2:] = order[-2:][::-1]
    everyone = np.ones(1000, dtype=bool)
    assert unrecognised_classes(predicted, labels, everyone, None).validity is Validity.VALID
    found = unrecognised_classes(order[predicted], labels, everyone, None, lambda code: f"class {code}")
    assert found.validity is Validity.CONFOUNDED
    assert f"class {n_classes - 1} (" in found.message
    assert "are given class" in found.message


def test_a_class_that_is_never_given_is_no_fault():
    labels, predicted = answers(1000, 5, 0.8, np.random.default_rng(0))
    assert unrecognised_classes(np.where(predicted == 4, 0, predicted), labels, np.ones(1000, bool), None).validity is (
        Validity.VALID
    )


def test_nonmembers_are_not_looked_at_and_two_classes_are_left_to_accuracy():
    labels, predicted = answers(1000, 4, 0.9, np.random.default_rng(0))
    member = np.arange(1000) < 500
    swapped = np.where(member, predicted, np.array([0, 1, 3, 2])[predicted])
    assert unrecognised_classes(swapped, labels, member, None).validity is Validity.VALID
    assert preflight.unrecognised_classes(predicted % 2, labels % 2, member, None) is None


@pytest.mark.parametrize("with_subjects", [False, True])
def test_a_model_at_chance_is_not_flagged(with_subjects):
    rng = np.random.default_rng(0)
    flagged = 0
    for _ in range(200):
        labels, predicted = answers(200, 5, 0.0, rng)
        units = np.arange(200) // 4 if with_subjects else None
        if with_subjects:  # the records of one person are all alike
            labels, predicted = labels[units], predicted[units]
        flagged += unrecognised_classes(predicted, labels, np.ones(200, bool), units).validity is not Validity.VALID
    assert flagged <= 2  # at most 0.1 %


def test_columns_matched_in_part_confound_an_audit():
    rng = np.random.default_rng(0)
    labels, predicted = answers(1000, 4, 0.9, rng)
    p = np.full((1000, 4), 0.02) + 0.92 * np.eye(4)[predicted] + rng.random((1000, 4)) / 1000
    p /= p.sum(axis=1, keepdims=True)
    member = np.arange(1000) < 500
    assert audit(Predictions(Probabilities(p), labels, member)).validity is Validity.VALID
    assert audit(Predictions(Probabilities(p[:, [0, 1, 3, 2]]), labels, member)).validity is Validity.CONFOUNDED

import numpy as np
import pytest

from vestige.core.result import Validity
from vestige.evaluation.preflight import accuracy_below_chance
from vestige.evaluation.preflight.accuracy_below_chance import LEVEL


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_permuted_columns_confound(n_classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, 300)
    right = np.where(rng.random(300) < 0.9, labels, rng.integers(0, n_classes, 300))
    member = np.arange(300) < 200
    permuted = accuracy_below_chance((right + 1) % n_classes, labels, member, None, n_classes)
    assert permuted.validity is Validity.CONFOUNDED
    assert "columns in another order" in permuted.message
    assert "200 members" in permuted.message
    assert "--set data.label_base=1" in permuted.remedy
    assert "class name" in permuted.remedy
    assert accuracy_below_chance(right, labels, member, None, n_classes).validity is Validity.VALID


def test_subjects_with_many_records_still_give_permuted_columns_away():
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(100), 5)
    labels = rng.integers(0, 3, 100)[number]
    check = accuracy_below_chance((labels + 1) % 3, labels, np.ones(500, bool), number, 3)
    assert check.validity is Validity.CONFOUNDED


def test_a_model_that_always_says_the_same_is_not_below_chance():
    labels = np.arange(100) % 4
    assert accuracy_below_chance(np.zeros(100, int), labels, np.ones(100, bool), None, 4).validity is Validity.VALID


def test_one_member_says_nothing():
    assert accuracy_below_chance(np.array([1]), np.array([0]), np.array([True]), None, 2).validity is Validity.VALID


@pytest.mark.parametrize(("n", "n_classes", "skew"), [(25, 2, 1.0), (25, 3, 1.0), (250, 3, 5.0), (250, 100, 1.0)])
@pytest.mark.parametrize("with_subjects", [False, True])
def test_a_model_at_chance_is_rarely_flagged(n, n_classes, skew, with_subjects):
    rng = np.random.default_rng(0)
    frequency = rng.dirichlet(np.full(n_classes, 1.0)) if skew > 1 else np.full(n_classes, 1 / n_classes)
    flagged = 0
    for _ in range(1500):
        number = np.repeat(np.arange(n), rng.integers(1, 6, n)) if with_subjects else np.arange(n)
        predicted, labels = (rng.choice(n_classes, n, p=frequency)[number] for _ in range(2))
        units = number if with_subjects else None
        check = accuracy_below_chance(predicted, labels, np.ones(number.size, bool), units, n_classes)
        flagged += check.validity is not Validity.VALID
    assert flagged / 1500 <= LEVEL + 3 * np.sqrt(LEVEL / 1500)


def test_variance_is_that_of_the_permutation():
    """The p-value of a table small enough to shuffle."""
    rng = np.random.default_rng(0)
    predicted, labels = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    predicted[:25] = 1 - labels[:25]
    seen = np.mean(predicted == labels)
    shuffled = np.array([np.mean(rng.permutation(predicted) == labels) for _ in range(20_000)])
    check = accuracy_below_chance(predicted, labels, np.ones(200, bool), None, 2)
    assert float(check.message.split("p = ")[1].split(",")[0]) == pytest.approx(np.mean(shuffled <= seen), abs=0.01)

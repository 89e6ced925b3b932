import numpy as np
import pytest
from scipy.stats import chi2_contingency

from vestige.core.errors import InputError
from vestige.core.result import Validity
from vestige.evaluation.preflight import blind_labels
from vestige.evaluation.preflight.blind_labels import _p_value_records, _p_value_units


def half(n, rng):
    return rng.permutation(np.arange(n) < n // 2)


def test_a_label_shift_confounds():
    rng = np.random.default_rng(0)
    member = half(1000, rng)
    labels = np.where(member & (rng.random(1000) < 0.3), 0, rng.integers(0, 5, 1000))
    check = blind_labels(labels, member, None)
    assert check.validity is Validity.CONFOUNDED
    assert "5 classes" in check.message
    assert "AUC of 0.6" in check.message
    assert "one pool" in check.remedy


def test_a_small_shift_among_many_records_is_limited():
    rng = np.random.default_rng(0)
    member = half(20_000, rng)
    labels = np.where(member & (rng.random(20_000) < 0.05), 0, rng.integers(0, 10, 20_000))
    assert blind_labels(labels, member, None).validity is Validity.LIMITED


def test_shifted_subjects():
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(400), 3)
    side = half(400, rng)
    labels = np.where(side & (rng.random(400) < 0.4), 0, rng.integers(0, 4, 400))[number]
    assert blind_labels(labels, side[number], number * 3).validity is Validity.CONFOUNDED


def test_stratified_splits_are_fine():
    labels = np.repeat(np.arange(25), 2)
    check = blind_labels(labels, np.tile([True, False], 25), None)
    assert check.validity is Validity.VALID
    assert "p = 1" in check.message


def test_one_class_or_one_record_is_too_little():
    assert "Too little" in blind_labels(np.zeros(100, int), np.arange(100) < 50, None).message
    assert "Too little" in blind_labels(np.arange(3), np.arange(3) < 2, None).message


def test_a_subject_on_both_sides_is_refused():
    with pytest.raises(InputError, match="leave them out"):
        blind_labels(np.arange(4), np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 2]))


def test_p_value_agrees_with_the_chi_square_law_where_that_holds():
    rng = np.random.default_rng(4)
    member, labels = half(4000, rng), rng.integers(0, 6, 4000)
    table = np.array([np.bincount(labels[side], minlength=6) for side in (member, ~member)])
    exact = chi2_contingency(table).pvalue
    assert _p_value_records(labels, member) == pytest.approx(exact, abs=0.03)
    assert _p_value_units(labels, member, np.arange(4000)) == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("n_classes", [2, 120])
def test_p_values_are_valid_with_sparse_classes_at_n_50(n_classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, 50)
    labels = np.unique(labels, return_inverse=True)[1]
    p = np.array([_p_value_records(labels, half(50, rng)) for _ in range(150)])
    for level in (0.05, 0.1, 0.2):
        assert np.mean(p < level) <= level + 3 * np.sqrt(level / 150)


def test_records_of_a_subject_do_not_pass_for_evidence():
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(50), 20)
    labels = rng.integers(0, 3, 50)[number]
    flagged = [blind_labels(labels, half(50, rng)[number], number).validity is not Validity.VALID for _ in range(60)]
    assert np.mean(flagged) <= 0.01 + 3 * np.sqrt(0.01 / 60)

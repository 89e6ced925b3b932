"""Hinge, against its one-line twin."""

import numpy as np
import pytest
from tests.signals.exact import row_by_row

from vestige.core.errors import InputError
from vestige.signals.hinge import hinge_from_logits
from vestige.signals.phi import phi_from_logits


def one_row(logits, label):
    return float(logits[label]) - max(float(z) for j, z in enumerate(logits) if j != label)


@pytest.mark.parametrize("shape", [(40,), (3, 40), (3, 40, 2)])
@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_it_equals_the_difference_row_by_row(shape, n_classes, dtype):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(scale=5, size=(*shape, n_classes)).astype(dtype), rng.integers(n_classes, size=40)
    found = hinge_from_logits(logits, labels[:, None] if len(shape) == 3 else labels)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, row_by_row(one_row, logits, labels))


def test_of_two_classes_it_is_phi():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(scale=5, size=(50, 2)), rng.integers(2, size=50)
    np.testing.assert_allclose(hinge_from_logits(logits, labels), phi_from_logits(logits, labels), rtol=1e-12)


def test_it_lies_above_phi_by_at_most_the_log_of_the_number_of_other_classes():
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(200, 9)), rng.integers(9, size=200)
    above = hinge_from_logits(logits, labels) - phi_from_logits(logits, labels)
    assert (above > 0).all()
    assert (above <= np.log(8)).all()


def test_it_is_positive_where_the_true_class_is_predicted_and_0_in_a_tie():
    logits = np.array([[2.0, 1.0, 0.0], [2.0, 2.0, 0.0], [2.0, 1.0, 0.0]])
    assert hinge_from_logits(logits, [0, 1, 2]).tolist() == [1.0, 0.0, -2.0]


def test_shifting_a_row_changes_nothing_and_scaling_scales():
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(30, 5)), rng.integers(5, size=30)
    found = hinge_from_logits(4 * logits + 1024, labels)
    np.testing.assert_allclose(found, 4 * hinge_from_logits(logits, labels), atol=1e-11)


def test_logits_that_are_not_finite_and_unknown_classes_are_refused():
    with pytest.raises(InputError, match="finite logits, found nan in row 1"):
        hinge_from_logits(np.array([[np.nan, 1.0]]), [0])
    with pytest.raises(InputError, match=r"whole numbers in 0\.\.1"):
        hinge_from_logits(np.zeros((1, 2)), [2])

"""Phi, against golden numbers, 400 digits and the published form."""

from math import log

import numpy as np
import pytest
from tests.signals.exact import exact_phi, row_by_row

from vestige.core.errors import InputError
from vestige.core.probabilities import from_logits, softmax
from vestige.signals import phi_from_logits, phi_from_probabilities


def _case(shape, n_classes, scale=5.0, dtype=np.float64):
    rng = np.random.default_rng(0)
    n_records = shape[0] if len(shape) == 1 else shape[1]
    return rng.normal(scale=scale, size=(*shape, n_classes)).astype(dtype), rng.integers(n_classes, size=n_records)


@pytest.mark.parametrize(
    ("logits", "label", "phi"),
    [
        ((3.0, 1.0, 0.0), 0, 1.686738312),  # G3
        ((80.0, 1.0, 0.0), 0, 78.686738312),  # G3: p / (1 - p) is infinite in float64
        ((80.0, 1.0, 0.0), 2, -80.0),
        ((2000.0, 0.0, 0.0), 0, 2000 - log(2)),
        ((0.0, 2000.0, 0.0), 0, -2000.0),
        ((1.0, 1.0), 1, 0.0),
        ((-5000.0, -4000.0), 0, -1000.0),
        ((0.0,) * 5, 3, -log(4)),
    ],
)
def test_g3_and_extreme_logits(logits, label, phi):
    assert phi_from_logits(np.array([logits]), [label])[0] == pytest.approx(phi, abs=5e-10, rel=1e-12)


@pytest.mark.parametrize("scale", [0.1, 5.0, 40.0, 3000.0])
@pytest.mark.parametrize("n_classes", [2, 7])
def test_from_logits_it_agrees_with_400_digits(scale, n_classes):
    logits, labels = _case((40,), n_classes, scale)
    found = phi_from_logits(logits, labels)
    np.testing.assert_allclose(found, row_by_row(exact_phi, logits, labels), rtol=1e-12, atol=1e-13 * scale)


def test_two_classes_are_a_difference_of_logits():
    logits, labels = _case((100,), 2)
    own, other = logits[np.arange(100), labels], logits[np.arange(100), 1 - labels]
    np.testing.assert_allclose(phi_from_logits(logits, labels), own - other, rtol=1e-14, atol=1e-14)


def test_the_largest_float32_logits_stay_finite():
    most = np.finfo(np.float32).max
    logits = np.array([[most, -most, 0.0], [-most, most, 0.0]], dtype=np.float32)
    expected = [float(most), -2 * float(most)]
    np.testing.assert_allclose(phi_from_logits(logits, [0, 0]), expected, rtol=1e-12)


def test_it_is_what_the_attacks_read_from_logits():
    logits, labels = _case((200,), 10)
    table = from_logits(logits)
    expected = table.of(table.log_p, labels) - table.of(table.log_not_p, labels)
    np.testing.assert_allclose(phi_from_logits(logits, labels), expected, rtol=1e-10, atol=1e-12)


def test_adding_a_constant_to_a_row_changes_nothing():
    logits, labels = _case((50,), 6)
    moved = phi_from_logits(logits + 1024.0, labels)
    np.testing.assert_allclose(moved, phi_from_logits(logits, labels), atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_the_arithmetic_is_float64_whatever_comes_in(dtype):
    logits, labels = _case((30,), 4, dtype=dtype)
    found = phi_from_logits(logits, labels)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, phi_from_logits(logits.astype(np.float64), labels))


@pytest.mark.parametrize("form", [phi_from_logits, lambda z, y: phi_from_probabilities(_rows_of(z), y)])
def test_models_and_queries_are_worked_out_like_single_rows(form):
    logits, labels = _case((3, 20, 4), 5)
    with_queries = form(logits, labels[:, None])
    assert with_queries.shape == (3, 20, 4)
    for model in range(3):
        np.testing.assert_array_equal(form(logits[model, :, 0], labels), with_queries[model, :, 0])
    np.testing.assert_array_equal(form(logits[:, :, 1], labels), with_queries[:, :, 1])
    one_by_one = row_by_row(lambda row, y: form(row[None], [y])[0], logits, labels)
    np.testing.assert_array_equal(with_queries, one_by_one)


def test_more_rows_than_a_block_are_the_same_rows():
    logits, labels = _case((3, 40_000), 10, dtype=np.float32)
    before = logits.copy()
    found = phi_from_logits(logits, labels)
    for model in range(3):
        for part in (slice(0, 13), slice(26_200, 26_230), slice(39_990, None)):
            np.testing.assert_array_equal(found[model, part], phi_from_logits(logits[model, part], labels[part]))
    np.testing.assert_array_equal(logits, before)  # pure: what is given is left alone


def test_no_rows_are_no_numbers():
    assert phi_from_logits(np.empty((2, 0, 3)), np.empty(0, int)).shape == (2, 0)


# ------------------------------------------------------------------------- from probabilities


def _rows_of(logits):
    return softmax(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)


def _published(p, label):
    """Carlini et al.'s form, written down once more for one row."""
    return log(p[label] + 1e-45) - log(sum(v for i, v in enumerate(p) if i != label) + 1e-45)


def test_from_probabilities_it_is_the_published_form():
    logits, labels = _case((2, 30), 6, scale=8.0)
    p = _rows_of(logits)
    expected = row_by_row(lambda row, y: _published(row.tolist(), y), p, labels)
    np.testing.assert_allclose(phi_from_probabilities(p, labels), expected, rtol=1e-13, atol=1e-13)


def test_it_agrees_with_logits_as_long_as_probabilities_have_digits():
    logits, labels = _case((500,), 6)
    np.testing.assert_allclose(
        phi_from_probabilities(_rows_of(logits), labels), phi_from_logits(logits, labels), rtol=1e-9, atol=1e-9
    )


def test_the_sum_of_the_others_keeps_what_one_minus_p_loses():
    p = np.array([[1.0, 1e-20, 2e-20]])  # 1 - p is 0
    assert phi_from_probabilities(p, [0])[0] == pytest.approx(-log(3e-20), rel=1e-12)


def test_certain_answers_saturate_at_103_6():
    found = phi_from_probabilities(np.eye(3), [0, 0, 2])
    np.testing.assert_allclose(found, np.array([1, -1, 1]) * -log(1e-45), rtol=1e-12)
    assert found[0] == pytest.approx(103.616, abs=1e-3)


def test_float32_probabilities_are_summed_in_float64():
    p = np.array([[1.0, 1e-9, 1e-9]], dtype=np.float32)
    assert phi_from_probabilities(p, [0])[0] == pytest.approx(-log(2 * float(np.float32(1e-9))), rel=1e-12)


@pytest.mark.parametrize(("votes", "phi"), [(100, log(201)), (0, -log(201)), (50, 0.0), (99, log(99.5 / 1.5))])
def test_a_forest_gets_half_a_vote_on_both_sides(votes, phi):
    p = np.array([[votes / 100, 1 - votes / 100]])
    assert phi_from_probabilities(p, [0], n_votes=100)[0] == pytest.approx(phi, abs=1e-12)


def test_a_certain_forest_is_one_step_beyond_the_next():
    p = np.arange(101) / 100
    found = phi_from_probabilities(np.stack([p, 1 - p], 1), np.zeros(101, int), n_votes=100)
    steps = np.diff(found)
    assert (steps > 0).all()
    assert steps.max() == pytest.approx(log(201 / (99.5 / 1.5)), rel=1e-12)  # 1.11, where the reference has 99


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), [0], "records first and at least 2 classes last, found float64 of shape \\(3,\\)"),
        (np.zeros((3, 1)), [0, 0, 0], "at least 2 classes last, found float64 of shape \\(3, 1\\)"),
        (np.array([["a", "b"]]), [0], "Expected logits as numbers"),
        (np.zeros((2, 3)), [0, 3], "labels as whole numbers in 0..2, found int64 values up to 3"),
        (np.zeros((2, 3)), [0, -1], "labels as whole numbers in 0..2"),
        (np.zeros((2, 3)), [0.0, 1.0], "found float64 values"),
        (np.zeros((2, 3)), [0, 1, 2], "fit answers of shape \\(2,\\) \\(without classes\\), found shape \\(3,\\)"),
        (np.zeros((2, 5, 4, 3)), [0, 1, 2, 0, 1], "give labels\\[:, None\\]"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), [0, 1], "Expected finite logits, found nan in row 2"),
        (np.array([[[0.0, 1.0], [0.0, np.inf]]]), [0, 1], "Expected finite logits, found inf in row 1, 2"),
    ],
)
def test_bad_logits_are_refused(logits, labels, message):
    with pytest.raises(InputError, match=message):
        phi_from_logits(logits, labels)


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(InputError, match=r"from 0 to 1, found -2; take the function for logits"):
        phi_from_probabilities(np.array([[3.0, -2.0]]), [0])
    with pytest.raises(InputError, match="from 0 to 1, found 3; take the function for logits"):
        phi_from_probabilities(np.array([[3.0, 2.0]]), [0])


def test_a_forest_without_trees_is_refused():
    with pytest.raises(InputError, match="Expected at least 1 as n_votes, found 0; give the number of trees"):
        phi_from_probabilities(np.eye(2), [0, 1], n_votes=0)

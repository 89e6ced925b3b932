"""Losses, against 400 digits, the naive twin and their relation with phi."""

from math import exp, log

import numpy as np
import pytest
from tests.signals.exact import exact_loss, row_by_row

from vestige.core.errors import InputError
from vestige.core.probabilities import from_logits, from_probabilities, softmax
from vestige.signals import losses_from_logits, losses_from_phi, losses_from_probabilities, phi_from_logits


def _case(shape, n_classes, scale=5.0):
    rng = np.random.default_rng(1)
    n_records = shape[0] if len(shape) == 1 else shape[1]
    return rng.normal(scale=scale, size=(*shape, n_classes)), rng.integers(n_classes, size=n_records)


@pytest.mark.parametrize("scale", [0.1, 5.0, 40.0, 3000.0])
def test_from_logits_it_agrees_with_400_digits(scale):
    logits, labels = _case((60,), 6, scale)
    np.testing.assert_allclose(
        losses_from_logits(logits, labels), row_by_row(exact_loss, logits, labels), rtol=1e-11, atol=1e-300
    )


def test_from_logits_it_is_the_naive_twin():
    logits, labels = _case((2, 30), 4)
    twin = row_by_row(lambda z, y: -log(exp(z[y]) / sum(exp(v) for v in z)), logits, labels)
    np.testing.assert_allclose(losses_from_logits(logits, labels), twin, rtol=1e-10, atol=1e-14)


def test_it_is_what_the_loss_attack_reads():
    logits, labels = _case((300,), 10)
    table = from_logits(logits)
    np.testing.assert_allclose(losses_from_logits(logits, labels), -table.of(table.log_p, labels), rtol=1e-11)
    p = softmax(logits)
    found = from_probabilities(p)
    np.testing.assert_array_equal(losses_from_probabilities(p, labels), -found.of(found.log_p, labels))


def test_a_certain_answer_keeps_its_loss_where_one_minus_p_is_zero():
    assert losses_from_logits(np.array([[80.0, 0.0]]), [0])[0] == pytest.approx(exp(-80), rel=1e-13)
    assert losses_from_logits(np.array([[0.0, 5000.0]]), [0])[0] == 5000.0


def test_probabilities_saturate_at_the_floor():
    p = np.array([[0.0, 1.0], [1e-31, 1.0], [1e-29, 1.0], [1.0, 0.0]])
    expected = [-log(1e-30), -log(1e-30), -log(1e-29), 0.0]
    np.testing.assert_allclose(losses_from_probabilities(p, [0, 0, 0, 0]), expected, rtol=1e-14)


def test_models_and_queries_are_worked_out_like_single_rows():
    logits, labels = _case((3, 11, 2), 5)
    found = losses_from_probabilities(softmax(logits.reshape(-1, 5)).reshape(logits.shape), labels[:, None])
    assert found.shape == (3, 11, 2)
    np.testing.assert_allclose(found, losses_from_logits(logits, labels[:, None]), rtol=1e-9)
    twin = row_by_row(lambda z, y: losses_from_logits(z[None], [y])[0], logits, labels)
    np.testing.assert_array_equal(losses_from_logits(logits, labels[:, None]), twin)


def test_phi_and_loss_say_the_same():
    logits, labels = _case((400,), 3, 12.0)
    phi, losses = phi_from_logits(logits, labels), losses_from_logits(logits, labels)
    np.testing.assert_array_equal(losses_from_phi(phi), losses)
    np.testing.assert_allclose(-np.log(np.expm1(losses)), phi, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("phi", "loss"), [(0.0, log(2)), (1000.0, 0.0), (-1000.0, 1000.0), (40.0, exp(-40))])
def test_losses_of_phi_worked_by_hand(phi, loss):
    assert losses_from_phi([phi])[0] == pytest.approx(loss, rel=1e-14, abs=0)


def test_float32_gives_float64():
    logits, labels = _case((20,), 4)
    assert losses_from_logits(logits.astype(np.float32), labels).dtype == np.float64
    assert losses_from_phi(np.array([0.5], dtype=np.float32)).dtype == np.float64


def test_logits_are_not_taken_for_probabilities():
    with pytest.raises(InputError, match=r"from 0 to 1, found -1; take the function for logits"):
        losses_from_probabilities(np.array([[2.0, -1.0]]), [0])


def test_a_model_that_answers_nan_is_named():
    with pytest.raises(InputError, match="Expected finite logits, found nan in row 2, 1"):
        losses_from_logits(np.array([[[0.0, 1.0]], [[np.nan, 1.0]]]), [0])

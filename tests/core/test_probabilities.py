"""Probabilities and their logarithms, against arithmetic with 150 digits."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from vestige.core.probabilities import as_published, from_logits, from_probabilities, softmax

FLOOR = 1e-30


def exact_rows(logits):
    """p, 1 - p and their logarithms of every row, with 150 digits, rounded once at the end."""
    with localcontext() as context:
        context.prec = 150
        rows = []
        for row in logits.tolist():
            z = [Decimal(v) for v in row]
            top = max(z)
            e = [(v - top).exp() for v in z]
            total = sum(e)
            p = [v / total for v in e]
            not_p = [(total - v) / total for v in e]
            rows.append([p, not_p, [v.ln() for v in p], [v.ln() for v in not_p]])
        return np.array(rows, dtype=np.float64).transpose(1, 0, 2)


@pytest.mark.parametrize("scale", [0.1, 3.0, 10.0, 40.0])
def test_from_logits_agrees_with_150_digits(scale):
    logits = np.random.default_rng(1).normal(scale=scale, size=(60, 5))
    c = from_logits(logits)
    p, not_p, log_p, log_not_p = exact_rows(logits)
    np.testing.assert_allclose(c.p, p, rtol=1e-12)
    np.testing.assert_allclose(c.not_p, not_p, rtol=1e-12)
    np.testing.assert_allclose(c.log_p, log_p, rtol=1e-12)
    np.testing.assert_allclose(c.log_not_p, log_not_p, rtol=1e-12)
    np.testing.assert_array_equal(c.predicted, logits.argmax(axis=1))


@pytest.mark.parametrize(
    ("logits", "phi"),
    [
        ((3.0, 1.0, 0.0), 1.686738312),  # G3
        ((80.0, 1.0, 0.0), 78.686738312),  # G3: p / (1 - p) is infinite in float64
        ((2000.0, 0.0, 0.0), 2000 - np.log(2)),  # exp(-2000) underflows, its logarithm does not
        ((2000.0, 3.0, 1.0), 2000 - np.logaddexp(3, 1)),
        ((0.0, 2000.0, 0.0), -2000.0),
        ((1.0, 1.0), 0.0),
        ((-5000.0, -4000.0), -1000.0),
    ],
)
def test_g3_phi_from_logits(logits, phi):
    c = from_logits(np.array([logits]))
    assert c.log_p[0, 0] - c.log_not_p[0, 0] == pytest.approx(phi, abs=5e-10, rel=1e-12)


def test_g3_the_naive_ratio_fails_where_phi_does_not():
    p = from_logits(np.array([[80.0, 1.0, 0.0]])).p[0, 0]
    assert p == 1.0  # so p / (1 - p) divides by zero


def test_the_underflowing_rows_are_worked_out_apart_from_the_others():
    logits = np.array([[3.0, 1.0, 0.0], [0.0, 900.0, 1.0], [1.0, 2.0, 3.0], [0.0, 0.0, 2000.0]])
    together = from_logits(logits)
    for i, row in enumerate(logits):
        alone = from_logits(row[None])
        for name in ("p", "not_p", "log_p", "log_not_p"):
            np.testing.assert_array_equal(getattr(together, name)[i], getattr(alone, name)[0])


def test_equal_logits_are_the_uniform_distribution():
    c = from_logits(np.full((1, 4), 7.5))
    np.testing.assert_allclose(c.p, 0.25, rtol=1e-15)
    np.testing.assert_allclose(c.log_not_p, np.log(0.75), rtol=1e-14)
    assert c.predicted.tolist() == [0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_from_logits_works_in_float64_whatever_comes_in(dtype):
    logits = np.random.default_rng(2).integers(-20, 20, size=(30, 4)).astype(dtype)
    c, d = from_logits(logits), from_logits(logits.astype(np.float64))
    for name in ("p", "not_p", "log_p", "log_not_p"):
        assert getattr(c, name).dtype == np.float64
        np.testing.assert_array_equal(getattr(c, name), getattr(d, name))


def test_from_logits_leaves_its_input_alone():
    logits = np.random.default_rng(3).normal(size=(10, 3))
    before = logits.copy()
    from_logits(logits)
    np.testing.assert_array_equal(logits, before)


def test_from_probabilities_agrees_with_150_digits():
    p = np.random.default_rng(4).dirichlet(np.full(4, 0.1), size=200)  # many entries next to 0 and to 1
    c = from_probabilities(p)
    with localcontext() as context:
        context.prec = 150
        floor = Decimal(FLOOR)
        log_p = [[float(max(Decimal(v), floor).ln()) for v in row] for row in p.tolist()]
        log_not_p = [[float(max(1 - Decimal(v), floor).ln()) for v in row] for row in p.tolist()]
    np.testing.assert_allclose(c.log_p, log_p, rtol=1e-12)
    np.testing.assert_allclose(c.log_not_p, log_not_p, rtol=1e-12)
    np.testing.assert_array_equal(c.p, p)
    np.testing.assert_array_equal(c.predicted, p.argmax(axis=1))


def test_exact_zero_and_one_are_ordinary():
    c = from_probabilities(np.array([[1.0, 0.0]]))
    assert c.log_p.tolist() == [[0.0, np.log(FLOOR)]]
    assert c.log_not_p.tolist() == [[np.log(FLOOR), 0.0]]


def test_a_rounding_outside_the_unit_interval_is_taken_as_its_end():
    c = from_probabilities(np.array([[1.0 + 1e-7, -1e-7]]))
    assert c.p[0, 1] == 0.0
    assert c.not_p[0, 0] == 0.0
    assert np.isfinite([c.log_p, c.log_not_p]).all()


def test_rows_are_not_rescaled():
    c = from_probabilities(np.array([[0.5, 0.4]]))
    assert c.p.tolist() == [[0.5, 0.4]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_published_stays_on_the_given_dtype(dtype):
    p = np.random.default_rng(5).dirichlet(np.full(3, 0.2), size=100).astype(dtype)
    c = as_published(p)
    small = dtype(FLOOR)
    for found, wanted in (
        (c.p, p),
        (c.not_p, 1 - p),
        (c.log_p, np.log(np.maximum(p, small))),
        (c.log_not_p, np.log(np.maximum(1 - p, small))),
    ):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.bool_])
def test_as_published_widens_what_cannot_hold_the_floor(dtype):
    c = as_published(np.array([[1, 0], [0, 1]], dtype=dtype))
    assert c.log_p.dtype == np.float32
    assert c.log_p[0, 1] == pytest.approx(np.log(FLOOR), rel=1e-6)


def test_softmax_is_the_plain_one_on_the_given_dtype():
    z = np.random.default_rng(6).normal(scale=5, size=(50, 4)).astype(np.float32)
    e = np.exp(z - z.max(axis=1)[:, None])
    found = softmax(z)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, e / e.sum(axis=1)[:, None])
    np.testing.assert_allclose(found, from_logits(z).p, rtol=2e-6)


def test_of_picks_the_entry_of_the_own_class():
    c = from_probabilities(np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]))
    assert c.of(c.p, np.array([2, 0])).tolist() == [0.1, 0.3]
    assert c.n_records == 2

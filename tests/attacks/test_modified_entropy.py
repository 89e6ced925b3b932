"""Modified entropy, against the numbers of the specification, a naive twin and 150 digits."""

from decimal import Decimal, localcontext
from math import exp, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vestige.attacks.modified_entropy import modified_entropy
from vestige.core.probabilities import as_published, from_logits, from_probabilities

GIVEN_P = pytest.mark.parametrize("table", [from_probabilities, as_published], ids=["stable", "published"])


def M(table, label):
    return -modified_entropy(table, np.array([label]))[0]


def twin(p, y):
    """Equation 8, a record at a time."""
    rest = sum(q * log(1 - q) for i, q in enumerate(p) if i != y)
    return -(1 - p[y]) * log(p[y]) - rest


@GIVEN_P
@pytest.mark.parametrize(
    ("p", "label", "expected"),
    [
        ((0.7, 0.2, 0.1), 0, 0.162167245),
        ((0.7, 0.2, 0.1), 1, 2.140867345),
        ((0.0, 1.0, 0.0), 0, 138.155105580),
        ((0.0, 1.0, 0.0), 1, 0.0),
        ((1 / 3, 1 / 3, 1 / 3), 2, 1.002718265),
    ],
)
def test_g2_golden_values(table, p, label, expected):
    assert M(table(np.array([p])), label) == pytest.approx(expected, abs=5e-10)


@pytest.mark.parametrize(("label", "expected"), [(0, 138.155105580), (1, 0.0)])
def test_g2_one_hot_in_float32(label, expected):
    assert M(as_published(np.array([[0, 1, 0]], dtype=np.float32)), label) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.162167245), (1, 2.140867345)])
def test_g2_golden_values_from_logits(label, expected):
    assert M(from_logits(np.log([[0.7, 0.2, 0.1]]) + 4.0), label) == pytest.approx(expected, abs=5e-10)


def test_a_certain_wrong_answer_does_not_saturate_from_logits():
    assert M(from_logits(np.array([[0.0, 500.0]])), 0) == pytest.approx(1000.0, rel=1e-12)


def test_it_is_the_naive_twin():
    rng = np.random.default_rng(0)
    p = 0.01 + 0.95 * rng.dirichlet(np.ones(5), size=300)
    labels = rng.integers(5, size=300)
    expected = [-twin(row, y) for row, y in zip(p.tolist(), labels.tolist(), strict=True)]
    np.testing.assert_allclose(modified_entropy(from_probabilities(p), labels), expected, rtol=1e-12)
    np.testing.assert_allclose(modified_entropy(as_published(p), labels), expected, rtol=1e-12)
    logits = rng.normal(size=(300, 5))
    rows = [[exp(v) / sum(exp(w) for w in z) for v in z] for z in logits.tolist()]
    expected = [-twin(row, y) for row, y in zip(rows, labels.tolist(), strict=True)]
    np.testing.assert_allclose(modified_entropy(from_logits(logits), labels), expected, rtol=1e-12)


@pytest.mark.parametrize("gap", [15.0, 30.0, 60.0, 300.0])
@pytest.mark.parametrize("label", [0, 1])
def test_near_certainty_it_keeps_its_digits(gap, label):
    with localcontext() as context:
        context.prec = 400
        e = [Decimal(gap).exp(), Decimal(1), Decimal(2).exp()]
        p = [v / sum(e) for v in e]
        not_p = [(sum(e) - v) / sum(e) for v in e]
        terms = [not_p[i] * p[i].ln() if i == label else p[i] * not_p[i].ln() for i in range(3)]
        expected = float(-sum(terms))
    assert M(from_logits(np.array([[gap, 0.0, 2.0]])), label) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("exponent", [1, 4, 8, 12, 15])
def test_given_probabilities_next_to_1_keep_their_digits(exponent):
    p = [1 - 10.0**-exponent, 10.0**-exponent]
    with localcontext() as context:
        context.prec = 60
        d = [Decimal(v) for v in p]
        expected = float(-(1 - d[0]) * d[0].ln() - d[1] * (1 - d[1]).ln())
    assert M(from_probabilities(np.array([p])), 0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_published_arithmetic_is_the_literal_formula_bit_for_bit(dtype):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(6, 0.05), size=500).astype(dtype)
    labels = rng.integers(6, size=500)
    rows = np.arange(500)
    log_p, reverse = -np.log(np.maximum(p, 1e-30)), 1 - p
    log_reverse = -np.log(np.maximum(reverse, 1e-30))
    modified, log_modified = np.copy(p), np.copy(log_reverse)
    modified[rows, labels], log_modified[rows, labels] = reverse[rows, labels], log_p[rows, labels]
    literal = np.sum(np.multiply(modified, log_modified), axis=1)
    assert literal.dtype == dtype
    np.testing.assert_array_equal(modified_entropy(as_published(p), labels), -literal.astype(np.float64))


def test_published_arithmetic_on_float32_loses_what_the_stable_one_keeps():
    logits = np.array([[20.0, 0.0], [25.0, 0.0]], dtype=np.float32)
    p = from_logits(logits).p.astype(np.float32)
    assert p[:, 0].tolist() == [1.0, 1.0]  # 1 - p is 0
    labels = np.array([0, 0])
    assert modified_entropy(as_published(p), labels).tolist() == [0.0, 0.0]
    surest, sure = np.argsort(modified_entropy(from_logits(logits), labels))[::-1]
    assert (surest, sure) == (1, 0)
    wrong = np.array([1, 1])  # and a wrong answer saturates: p log(1 - p) = log(1e-30)
    assert (modified_entropy(as_published(p), wrong) < modified_entropy(from_logits(logits), wrong) - 20).all()


ROWS = st.lists(st.floats(0.001, 0.99), min_size=2, max_size=6)


@settings(deadline=None, max_examples=300)
@given(p=ROWS, data=st.data())
def test_it_falls_in_the_true_class_and_rises_in_every_other(p, data):
    y = data.draw(st.integers(0, len(p) - 1))
    i = data.draw(st.integers(0, len(p) - 1))
    step = data.draw(st.floats(1e-4, 0.009))
    raised = np.array([p])
    raised[0, i] += step
    before, after = M(from_probabilities(np.array([p])), y), M(from_probabilities(raised), y)
    assert after < before if i == y else after > before


@settings(deadline=None, max_examples=200)
@given(logits=st.lists(st.floats(-12, 12), min_size=2, max_size=6), data=st.data())
def test_moving_probability_from_another_class_to_the_true_one_lowers_it(logits, data):
    y = data.draw(st.integers(0, len(logits) - 1))
    i = data.draw(st.integers(0, len(logits) - 1).filter(lambda i: i != y))
    p = from_logits(np.array([logits])).p
    moved = p.copy()
    share = data.draw(st.floats(0.1, 1.0)) * p[0, i]
    assume(share > 1e-9)
    moved[0, y] += share
    moved[0, i] -= share
    assert M(from_probabilities(moved), y) < M(from_probabilities(p), y)

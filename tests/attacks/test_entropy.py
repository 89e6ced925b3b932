"""Entropy, against the numbers of the specification and a naive twin."""

from math import exp, log

import numpy as np
import pytest

from vestige.attacks.entropy import entropy
from vestige.core.probabilities import as_published, from_logits, from_probabilities

TABLES = pytest.mark.parametrize(
    "table",
    [from_probabilities, as_published, lambda p: from_logits(np.log(p))],
    ids=["stable", "published", "from logits"],
)


@TABLES
def test_g2_golden_value(table):
    assert entropy(table(np.array([[0.7, 0.2, 0.1]])))[0] == pytest.approx(-0.801818553, abs=5e-10)


@TABLES
def test_the_uniform_answer_has_the_largest_entropy(table):
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=100)
    uniform = entropy(table(np.full((1, 3), 1 / 3)))[0]
    assert uniform == pytest.approx(-log(3), rel=1e-14)
    assert (entropy(table(p)) > uniform).all()


@pytest.mark.parametrize("table", [from_probabilities, as_published])
def test_a_certain_answer_has_none(table):
    assert entropy(table(np.array([[0.0, 1.0, 0.0]])))[0] == 0.0


def test_it_is_the_naive_twin():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(5), size=200)
    twin = [sum(q * log(q) for q in row) for row in p.tolist()]
    np.testing.assert_allclose(entropy(from_probabilities(p)), twin, rtol=1e-12)
    np.testing.assert_allclose(entropy(as_published(p)), twin, rtol=1e-12)
    logits = rng.normal(size=(200, 5))
    twin = []
    for z in logits.tolist():
        total = sum(exp(v) for v in z)
        twin.append(sum(exp(v) / total * log(exp(v) / total) for v in z))
    np.testing.assert_allclose(entropy(from_logits(logits)), twin, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_published_arithmetic_is_the_literal_formula_bit_for_bit(dtype):
    p = np.random.default_rng(2).dirichlet(np.full(6, 0.05), size=500).astype(dtype)
    literal = np.sum(np.multiply(p, -np.log(np.maximum(p, 1e-30))), axis=1)
    assert literal.dtype == dtype
    np.testing.assert_array_equal(entropy(as_published(p)), -literal.astype(np.float64))

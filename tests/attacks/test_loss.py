"""Loss: the negated cross-entropy, against its naive twin."""

from decimal import Decimal, localcontext
from math import exp, log

import numpy as np
import pytest

from vestige.attacks.loss import loss
from vestige.core.probabilities import from_logits, from_probabilities


def test_the_score_is_the_negated_loss():
    assert loss(np.array([0.0, 0.5, 2.0])).tolist() == [0.0, -0.5, -2.0]


def test_from_logits_it_is_the_naive_twin():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(100, 4)), rng.integers(4, size=100)
    table = from_logits(logits)
    twin = [log(exp(z[y]) / sum(exp(v) for v in z)) for z, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    np.testing.assert_allclose(loss(-table.of(table.log_p, labels)), twin, rtol=1e-12)


def test_near_certainty_it_keeps_its_digits():
    for gap in (20, 40, 80, 700):
        table = from_logits(np.array([[float(gap), 0.0, 1.0]]))
        with localcontext() as context:
            context.prec = 400
            others = Decimal(-gap).exp() + Decimal(1 - gap).exp()
            expected = float(-(1 + others).ln())
        assert loss(-table.of(table.log_p, np.array([0])))[0] == pytest.approx(expected, rel=1e-12)


def test_a_certain_wrong_answer_saturates_from_probabilities():
    table = from_probabilities(np.array([[0.0, 1.0]]))
    assert loss(-table.of(table.log_p, np.array([0])))[0] == pytest.approx(-69.07755279, abs=1e-8)

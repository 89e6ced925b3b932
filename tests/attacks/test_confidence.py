"""Confidence: the true class's own probability, and nothing else."""

import numpy as np
import pytest

from vestige.attacks.confidence import confidence
from vestige.attacks.loss import loss
from vestige.core.probabilities import from_logits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_score_is_the_probability_itself(dtype):
    p = np.random.default_rng(0).random(50).astype(dtype)
    scores = confidence(p)
    assert scores.dtype == np.float64
    assert scores.tolist() == p.tolist()


def test_it_ranks_as_loss_does_until_digits_run_out():
    rng = np.random.default_rng(1)
    table, labels = from_logits(rng.normal(scale=3, size=(500, 4))), rng.integers(4, size=500)
    by_confidence = confidence(table.of(table.p, labels))
    by_loss = loss(-table.of(table.log_p, labels))
    assert (np.argsort(by_confidence) == np.argsort(by_loss)).all()
    sure = from_logits(np.array([[50.0, 0.0], [40.0, 0.0]]))
    first = np.array([0, 0])
    assert np.ptp(confidence(sure.of(sure.p, first))) == 0
    assert np.diff(loss(-sure.of(sure.log_p, first))) < 0

"""Maximum confidence: the logarithm of the largest probability; the label is not used."""

from math import exp, log

import numpy as np

from vestige.attacks.max_confidence import max_confidence
from vestige.core.probabilities import as_published, from_logits, from_probabilities


def test_it_is_the_naive_twin():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), size=200)
    np.testing.assert_allclose(max_confidence(from_probabilities(p)), [log(max(row)) for row in p.tolist()], rtol=1e-12)
    z = rng.normal(size=(200, 5))
    twin = [log(exp(max(row)) / sum(exp(v) for v in row)) for row in z.tolist()]
    np.testing.assert_allclose(max_confidence(from_logits(z)), twin, rtol=1e-12)


def test_logits_tell_sure_answers_apart_where_probabilities_do_not():
    z = np.array([[40.0, 0.0], [60.0, 0.0]])
    sure, surer = max_confidence(from_logits(z))
    assert sure == -np.exp(-40.0)
    assert sure < surer < 0
    assert max_confidence(as_published(from_logits(z).p)).tolist() == [0.0, 0.0]


def test_the_uniform_answer_is_lowest():
    scores = max_confidence(from_probabilities(np.array([[0.25] * 4, [0.3, 0.25, 0.25, 0.2]])))
    assert scores[0] == log(0.25) < scores[1]

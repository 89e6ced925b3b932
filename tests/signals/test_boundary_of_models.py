"""Boundary distances of trained models: what the model is sure of is far from its boundary."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from tests.signals.boundaries import linear

from vestige.signals.boundary import hop_skip_jump, surfree

BOTH = pytest.mark.parametrize("estimator", [hop_skip_jump, surfree])


class Labels:
    """The classes that a fitted estimator answers with."""

    def __init__(self, fitted):
        self.fitted, self.n_classes = fitted, len(fitted.classes_)

    def labels(self, inputs, records):
        return self.fitted.predict(inputs)


@BOTH
def test_g5_of_a_logistic_regression_the_distance_is_the_logit_over_the_norm(estimator):
    plane, x, _, records = linear(20, 150)
    rng = np.random.default_rng(0)
    noisy = x + rng.normal(scale=0.3, size=x.shape)
    fitted = LogisticRegression().fit(noisy, (noisy @ plane.normal + plane.offset > -0.2).astype(int))
    p = fitted.predict_proba(x).max(axis=1)
    exact = np.log(p / (1 - p)) / np.linalg.norm(fitted.coef_)
    y = fitted.predict(x)
    found = estimator(Labels(fitted), x, y, records, (-2, 3), n_queries=1_000)
    assert (found.distances >= exact - 1e-9).all()
    assert found.distances == pytest.approx(exact, rel=0.06)


@BOTH
def test_distances_rank_as_the_confidence_of_a_network_does(estimator):
    digits = load_digits()
    x, y = digits.data[:600] / 16, digits.target[:600]
    fitted = MLPClassifier((32,), max_iter=60, tol=0.0, n_iter_no_change=60, random_state=0)
    with pytest.warns(UserWarning, match="not converged|Maximum iterations"):
        fitted.fit(x[:300], y[:300])
    log_p = fitted.predict_log_proba(x[300:360])
    ranked = np.sort(log_p, axis=1)
    margin = ranked[:, -1] - ranked[:, -2]
    found = estimator(Labels(fitted), x[300:360], log_p.argmax(axis=1), np.arange(60), (0, 1), n_queries=500)
    assert not found.robust.any()
    assert spearmanr(found.distances, margin).statistic > 0.9

"""The privacy risk score of models under a defence: a plain loop, its law at no leak, and that of temperature."""

import numpy as np
import pytest

from vestige.auditing.comparison.risk_scores import Entropies, entropies_of, risk_in_turn
from vestige.core.outputs import Logits, Probabilities
from vestige.core.probabilities import softmax
from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.risk import fit_risk, reliability, risk_scores


def planted(leak: float, n: int = 3_000) -> tuple[Entropies, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    is_in = complementary_pairs(6, n, seed=1)
    labels = rng.integers(3, size=n)
    return Entropies(np.exp(rng.normal(size=is_in.shape) - leak * is_in), labels, 3), is_in, np.arange(6) // 2


def test_numbers_are_those_of_the_published_definitions():
    entropies, is_in, draws = planted(2.0)
    found = dict(risk_in_turn(entropies, is_in, draws))
    assert set(found) == set(range(6))
    for model, source in ((0, 2), (1, 2), (5, 0)):
        table = fit_risk(entropies.of_models[source], entropies.labels, is_in[source], 3)
        risk = risk_scores(table, entropies.of_models[model], entropies.labels)
        own, side = found[model], is_in[model]
        assert own["rmse"].value == reliability(risk, side).rmse
        for threshold in (0.9, 0.5):
            called = risk >= threshold
            assert own[f"recall, risk >= {threshold}"].value == pytest.approx(called[side].mean())
            tpr, fpr = called[side].mean(), called[~side].mean()
            assert own[f"precision, risk >= {threshold}"].value == pytest.approx(tpr / (tpr + fpr))
        assert own["share of members, risk <= 0.6"].value == pytest.approx((risk[side] <= 0.6).mean())
        assert own["share of members, risk <= 1"].value == 1.0


def test_without_a_leak_nobody_is_at_risk():
    entropies, is_in, draws = planted(0.0)
    for _, found in risk_in_turn(entropies, is_in, draws):
        assert found["recall, risk >= 0.8"].value < 0.01
        assert "precision, risk >= 1" not in found  # smoothed histograms are certain of nobody
        assert found["share of members, risk <= 0.6"].value > 0.9


def test_a_model_is_never_its_own_source_nor_its_partner_s():
    entropies, is_in, _ = planted(1.0)
    assert list(risk_in_turn(entropies, is_in, np.zeros(6, dtype=int))) == []


def test_logits_and_probabilities_have_the_same_entropies():
    logits = np.random.default_rng(0).normal(size=(2, 50, 3))
    labels = np.arange(50) % 3
    of_logits = entropies_of([Logits(table) for table in logits], labels, 3)
    of_probabilities = entropies_of([Probabilities(softmax(table)) for table in logits], labels, 3)
    np.testing.assert_allclose(of_logits.of_models, of_probabilities.of_models, rtol=1e-9)

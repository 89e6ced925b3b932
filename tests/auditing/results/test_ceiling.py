"""What infinitely many shadow models would find: against the truth, and where it is not said."""

import numpy as np
from scipy.special import ndtr, ndtri
from tests.auditing.test_reference_audits import drawn, predictions

from vestige import References, audit
from vestige.attacks._predictive import Predictive, predictives
from vestige.auditing.results.ceiling import ceiling_rate
from vestige.core.outputs import Phi
from vestige.data.sets.designs import complementary_pairs


def test_of_known_densities_it_is_the_power_of_the_best_test():
    many = np.full(500, 10**9)
    zero, one = np.zeros(500), np.ones(500)
    found = ceiling_rate(Predictive(2 * one, one, one), Predictive(zero, one, one), many, 2 * 10**9)
    assert abs(found - (1 - ndtr(ndtri(0.99) - 2))) < 0.01


def test_few_models_tell_what_infinitely_many_would_find():
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        is_in = complementary_pairs(8, 2_000, seed=seed)
        phi = 2 * rng.normal(size=2_000) + 2.5 * is_in + rng.normal(size=is_in.shape)
        found.append(ceiling_rate(*predictives(phi, is_in), is_in.sum(axis=0), 8))
    assert abs(np.mean(found) - (1 - ndtr(ndtri(0.99) - 2.5))) < 0.04


def test_it_is_said_in_an_audit_that_resolves_one_percent():
    phi, member, shadow_phi, is_in = drawn(8, n=2_100)
    result = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, is_in))
    (check,) = [c for c in result.preflight.checks if c.name == "ceiling"]
    assert check.validity == "VALID"
    assert "With infinitely many shadow models a likelihood ratio of phi would find about" in check.message
    assert "with these 8 the best attack," in check.message
    few = audit(predictions(phi[:300], member[:300]), adversary=References(Phi, shadow_phi[:, :300], is_in[:, :300]))
    assert "ceiling" not in {c.name for c in few.preflight.checks}

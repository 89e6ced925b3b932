"""Reference models that gain nothing by what they are said to be trained on, where the target gains."""

from typing import Any

import numpy as np
import pytest

from vestige import Predictions, References, audit
from vestige.core.outputs import Phi
from vestige.core.result import Check, Validity
from vestige.evaluation import preflight


def reference_membership(*given: Any) -> Check:
    """What the check says, where it has something to say."""
    found = preflight.reference_membership(*given)
    assert found is not None
    return found


def drawn(n, n_models, leak, seed, of_target=None):
    rng = np.random.default_rng([seed, n, n_models])
    half = rng.random((n_models // 2, n)) < 0.5
    is_in = np.stack([half, ~half], axis=1).reshape(n_models, n)
    member = rng.permutation(n) < n // 2
    difficulty = 2 * rng.normal(size=n)
    phi = difficulty + rng.normal(size=n) + (leak if of_target is None else of_target) * member
    return phi, member, difficulty + rng.normal(size=(n_models, n)) + leak * is_in, is_in


def test_models_in_text_order_confound():
    phi, member, shadow_phi, is_in = drawn(1000, 32, 1.5, 0)
    by_name = sorted(range(32), key=str)
    found = reference_membership(phi, member, shadow_phi[by_name], is_in)
    assert found.validity is Validity.CONFOUNDED
    assert "another order than the models" in found.remedy
    assert reference_membership(phi, member, shadow_phi, is_in).validity is Validity.VALID
    assert reference_membership(phi, member, shadow_phi, ~is_in).validity is Validity.CONFOUNDED


def test_two_models_exchanged_limit_and_are_named():
    phi, member, shadow_phi, is_in = drawn(1000, 16, 1.5, 0)
    order = [0, 1, 7, 3, 4, 5, 6, 2, *range(8, 16)]
    found = reference_membership(phi, member, shadow_phi[order], is_in)
    assert found.validity is Validity.LIMITED
    assert "models 2, 7" in found.message


@pytest.mark.parametrize("n_models", [2, 8])
@pytest.mark.parametrize("leak", [0.0, 0.5])
@pytest.mark.parametrize("with_subjects", [False, True])
def test_honest_models_are_valid_where_they_leak_and_where_nobody_does(leak, n_models, with_subjects):
    flagged = 0
    for seed in range(40):
        phi, member, shadow_phi, is_in = drawn(150, n_models, leak, seed)
        units = None
        if with_subjects:  # three records a person, all alike
            units = np.repeat(np.arange(150), 3)
            phi, member, shadow_phi, is_in = (np.repeat(v, 3, axis=-1) for v in (phi, member, shadow_phi, is_in))
        shadow_phi[:, :5] = np.nan if n_models > 2 else shadow_phi[:, :5]
        flagged += reference_membership(phi, member, shadow_phi, is_in, units).validity is not Validity.VALID
    assert flagged <= 1  # 0.1 %


def test_models_without_members_have_nothing_to_say():
    phi, member, shadow_phi, is_in = drawn(200, 4, 1.0, 0)
    assert preflight.reference_membership(phi, member, shadow_phi, np.zeros_like(is_in)) is None


def test_an_audit_says_it():
    phi, member, shadow_phi, is_in = drawn(600, 16, 1.5, 0)
    target = Predictions(Phi(phi), np.zeros(600, dtype=int), member, ids=np.arange(600))
    right = References(Phi, shadow_phi, is_in, ids=np.arange(600))
    wrong = References(Phi, shadow_phi[sorted(range(16), key=str)], is_in, ids=np.arange(600))
    assert audit(target, adversary=right).validity is Validity.VALID
    assert audit(target, adversary=wrong).validity is Validity.CONFOUNDED


def test_missing_answers_limit_with_their_count_and_what_they_cost():
    phi, member, shadow_phi, is_in = drawn(600, 12, 1.5, 0)
    shadow_phi[3, 7] = np.nan
    target = Predictions(Phi(phi), np.zeros(600, dtype=int), member, ids=np.arange(600))
    references = References(Phi, shadow_phi, is_in, ids=np.arange(600))
    [check] = [c for c in audit(target, adversary=references).preflight.checks if c.name == "missing_answers"]
    assert check.validity is Validity.LIMITED
    assert check.message.startswith("1 of 7,200 answers of reference models about audited records are missing")
    assert "attack_r" in check.message
    assert "rmia_offline could not be played" in check.message
    asked = audit(target, adversary=references, attacks=["loss", "lira_online"])
    [check] = [c for c in asked.preflight.checks if c.name == "missing_answers"]
    assert check.validity is Validity.VALID

"""A leak in the spread: members' answers are steadier, or vary more, around one mean. It is real, and no mix-up."""

import itertools

import numpy as np
import pytest
from scipy.special import expit

from vestige import Predictions, References, audit
from vestige.attacks import CATALOGUE
from vestige.auditing.policy import Outcome, judge, parse_policy
from vestige.core.outputs import Phi, Probabilities
from vestige.core.result import FindingState, Validity


def drawn(n: int, n_models: int, spread: float, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng([seed, n, n_models])
    half = rng.random((n_models // 2, n)) < 0.5
    is_in = np.stack([half, ~half], axis=1).reshape(n_models, n)
    member = rng.permutation(n) < n // 2
    difficulty = 1 + 2 * rng.normal(size=n)
    phi = difficulty + rng.normal(size=n) * np.where(member, spread, 1)
    shadow_phi = difficulty + rng.normal(size=(n_models, n)) * np.where(is_in, spread, 1)
    return phi, member, shadow_phi, is_in


def of_two_classes(phi: np.ndarray) -> np.ndarray:
    return np.stack([expit(-phi), expit(phi)], axis=-1)


# Each spread and each kind once; all pairs, and another seed of each, take half a minute.
QUICK = [(0.4, Probabilities, 0), (2.0, Phi, 0)]
ALL = list(itertools.product([0.4, 2.0], [Phi, Probabilities], range(2)))


@pytest.mark.parametrize(
    ("spread", "kind", "seed"),
    [case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in ALL],
)
def test_members_steadier_or_noisier_are_a_leak_of_a_valid_test(spread, kind, seed):
    phi, member, shadow_phi, is_in = drawn(600, 16, spread, seed)
    given = (lambda values: values) if kind is Phi else of_two_classes
    ids = np.arange(600)
    target = Predictions(kind(given(phi)), np.ones(600, dtype=int), member, ids=ids)
    result = audit(target, adversary=References(kind, given(shadow_phi), is_in, ids=ids))
    assert result.finding.state is FindingState.LEAK_SHOWN
    assert result.validity is Validity.VALID, str(result.preflight)
    assert judge(parse_policy("auc.upper > 0.55"), result).outcome is Outcome.BROKEN


def test_the_same_with_members_exchanged_is_still_noticed():
    phi, member, shadow_phi, is_in = drawn(600, 16, 1.0, 0)
    target = Predictions(Phi(phi + 1.5 * member), np.ones(600, dtype=int), ~member, ids=np.arange(600))
    references = References(Phi, shadow_phi + 1.5 * is_in, is_in, ids=np.arange(600))
    assert audit(target, adversary=references).validity is Validity.CONFOUNDED


def test_a_gate_does_not_pass_an_attack_that_would_recognise_members_turned_round():
    """Only models that never saw the records: members are closer to what these answer, and no attack looks for that."""
    phi, member, shadow_phi, _ = drawn(600, 16, 0.3, 0)
    target = Predictions(Phi(phi), np.ones(600, dtype=int), member, ids=np.arange(600))
    references = References(Phi, shadow_phi, np.zeros(shadow_phi.shape, dtype=bool), ids=np.arange(600))
    result = audit(target, adversary=references, attacks=["loss", "lira_offline_two_sided"])
    assert result.validity is Validity.LIMITED
    assert result.finding.state is FindingState.UNDECIDED
    assert judge(parse_policy("auc.upper > 0.9"), result).outcome is Outcome.UNDECIDED


def test_what_learns_or_compares_says_nothing_of_how_members_are_coded():
    for attack in CATALOGUE:
        compares = attack.needs_references or any("shadow" in name or "known" in name for name in attack.reads)
        assert not (attack.monotone and compares), attack.name
    assert {"loss", "confidence", "correctness"} <= {attack.name for attack in CATALOGUE if attack.monotone}

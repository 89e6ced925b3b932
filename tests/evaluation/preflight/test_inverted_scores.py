import time

import numpy as np
import pytest

from vestige.core.result import Validity
from vestige.evaluation.preflight import inverted_scores
from vestige.evaluation.roc import roc


def rocs(shift, n=500, n_attacks=6, seed=0):
    rng = np.random.default_rng(seed)
    return {f"a{k}": roc(rng.normal(size=n) + shift, rng.normal(size=n)) for k in range(n_attacks)}


def test_a_swapped_member_column_confounds():
    check = inverted_scores(rocs(-1.0))
    assert check.validity is Validity.CONFOUNDED
    assert "AUC 0.2" in check.message
    assert "coded the other way round" in check.remedy


def test_slightly_inverted_is_limited():
    assert inverted_scores(rocs(-0.12, n=5000)).validity is Validity.LIMITED


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_honest_scores_are_valid(shift):
    check = inverted_scores(rocs(shift))
    assert check.validity is Validity.VALID
    assert "lowest: a" in check.message


def test_one_inverted_attack_is_named():
    check = inverted_scores(rocs(1.0) | {"strange": roc(np.zeros(50), np.ones(50))})
    assert check.validity is Validity.CONFOUNDED
    assert check.message.startswith("strange scores members lower")


def test_nothing_to_test():
    assert inverted_scores({}).validity is Validity.VALID
    assert inverted_scores({"flat": roc(np.zeros(30), np.zeros(30))}).validity is Validity.VALID


def test_a_million_units_take_no_time():
    curves = rocs(0.0, n=500_000)
    start = time.process_time()
    inverted_scores(curves)
    assert time.process_time() - start < 1.5


def test_without_direction_only_that_no_attack_sees_members_limits():
    up, down = rocs(1.0, n_attacks=1), {"two_sided": roc(np.arange(100.0), np.arange(100.0) + 30)}
    level = {"loss": roc(np.arange(100.0), np.arange(100.0))}
    seen = inverted_scores(up | down | level, ["two_sided", "a0"])
    assert seen.validity is Validity.VALID
    assert "which says nothing of how members are coded" in seen.message
    unseen = inverted_scores(down | level, ["two_sided"])
    assert unseen.validity is Validity.LIMITED
    assert "turned round, it would recognise members" in unseen.message
    assert inverted_scores(level | up, ["a0"]).validity is Validity.VALID

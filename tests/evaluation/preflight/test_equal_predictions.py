"""The same answers on both sides are the same records, unless answers repeat anyhow."""

import numpy as np
import pytest

from vestige import Predictions, audit
from vestige.core.outputs import Loss, Phi
from vestige.core.result import Validity
from vestige.evaluation.preflight import equal_predictions, row_hashes


def check(members, nonmembers):
    rows = np.concatenate([members, nonmembers])
    return equal_predictions(row_hashes(rows), np.arange(len(rows)) < len(members))


def test_a_few_equal_answers_are_counted_and_not_judged():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9], [0.1, 0.9], [0.3, 0.7]])
    found = equal_predictions(row_hashes(probabilities), np.array([True, False, True, True, False]))
    assert found.validity is Validity.VALID
    assert found.message.startswith("4 of 5 records")
    assert "1 of 2 nonmembers" in found.message


@pytest.mark.parametrize("decimals", [16, 3, 1])
@pytest.mark.parametrize("shuffled", [False, True])
def test_the_same_file_twice_confounds(decimals, shuffled):
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([1, 1, 1, 1], 300).round(decimals)
    assert check(rows, rng.permutation(rows) if shuffled else rows).validity is Validity.CONFOUNDED


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("n_nonmembers", [200, 1000])
def test_a_shared_part_confounds(share, n_nonmembers):
    rng = np.random.default_rng(0)
    members, nonmembers = rng.dirichlet([1, 1, 1], 1000), rng.dirichlet([1, 1, 1], n_nonmembers)
    n_shared = int(share * n_nonmembers)
    nonmembers[rng.permutation(n_nonmembers)[:n_shared]] = members[rng.permutation(1000)[:n_shared]]
    found = check(members, nonmembers)
    assert found.validity is Validity.CONFOUNDED
    assert f"{n_shared:,} of {n_nonmembers:,} nonmembers share theirs with a member to the last bit" in found.message


def test_a_small_shared_part_limits():
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(size=(1000, 3)), rng.normal(size=(1000, 3))
    nonmembers[:20] = members[:20]
    assert check(members, nonmembers).validity is Validity.LIMITED


@pytest.mark.parametrize("leak", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["votes", "rounded", "labels", "natural repeats"])
def test_answers_that_repeat_anyhow_are_valid_with_a_leak_and_without(kind, leak):
    rng = np.random.default_rng(0)
    flagged = 0
    for _ in range(15):
        p = 1 / (1 + np.exp(-rng.normal(size=600) * 2 - leak * (np.arange(600) < 300)))
        if kind == "votes":
            p = rng.binomial(20, p) / 20
        elif kind == "rounded":
            p = p.round(2)
        elif kind == "labels":
            p = (p > 0.5).astype(float)
        else:
            side = np.repeat([0, 300], 300)
            p = np.where(rng.random(600) < 0.1, p[(rng.integers(0, 300, 600) + side)], p) if leak else p
        rows = np.stack([p, 1 - p], axis=1)
        flagged += check(rows[:300], rows[300:]).validity is not Validity.VALID
    assert flagged == 0


def test_deep_trees_that_share_leaves_are_valid():
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 800)
    x = np.eye(3)[y] * 2 + rng.normal(size=(800, 3)) * 1.5
    models = [DecisionTreeClassifier(random_state=0), RandomForestClassifier(10, random_state=0)]
    models += [GradientBoostingClassifier(n_estimators=n, max_depth=None, random_state=0) for n in (1, 3)]
    for model in models:
        p = model.fit(x[:400], y[:400]).predict_proba(x)
        assert check(p[:400], p[400:]).validity is Validity.VALID, model


@pytest.mark.parametrize("kind", [Loss, Phi])
def test_losses_of_the_same_records_confound_an_audit(kind):
    once = np.random.default_rng(0).exponential(size=200)
    result = audit(Predictions(kind(np.tile(once, 2)), np.zeros(400, dtype=int), np.arange(400) < 200))
    assert result.validity is Validity.CONFOUNDED

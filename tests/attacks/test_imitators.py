"""The imitators' ratio against a plain loop and SciPy, its sign, its null, its laws, and what it refuses."""

import numpy as np
import pytest
from scipy import stats

from vestige.attacks._imitators import imitators
from vestige.attacks._predictive import log_density, predictives
from vestige.core.errors import InputError
from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.roc import roc


def drawn(n=400, *, seed=0, gap=2.0):
    """A target, eight shadow models and eight imitators, which share a part of the target's answers with it."""
    rng = np.random.default_rng(seed)
    shadows, copies = complementary_pairs(10, n, seed=seed), complementary_pairs(8, n, seed=seed + 1)
    difficulty, own = rng.normal(0, 2, n), rng.normal(size=n)
    member = shadows[0]
    phi = difficulty + own + gap * member + 0.3 * rng.normal(size=n)
    theirs = difficulty + gap * shadows[2:] + rng.normal(size=(8, n))
    copied = difficulty + own + gap * copies + 0.3 * rng.normal(size=(8, n))
    return (phi, theirs, shadows[2:], copied, copies), member


def test_scores_are_those_of_a_plain_loop():
    given, _ = drawn(40)
    phi, theirs, is_in, copied, copies = given
    out = [copied[~copies[:, j], j] for j in range(40)]
    pooled = sum(((a - a.mean()) ** 2).sum() for a in out) / sum(a.size - 1 for a in out)
    of_in = log_density(phi, predictives(theirs, is_in)[0])
    of_out = [stats.t.logpdf(phi[j], 8, out[j].mean(), np.sqrt(2 * pooled)) for j in range(40)]
    np.testing.assert_allclose(imitators(*given), of_in - of_out, rtol=1e-9)


def test_members_score_higher_and_higher_than_without_imitators():
    given, member = drawn()
    of_in, of_out = predictives(*given[1:3])
    without = log_density(given[0], of_in) - log_density(given[0], of_out)
    aucs = [roc(s[member], s[~member]).auc for s in (imitators(*given), without)]
    assert aucs[0] > aucs[1] + 0.03
    assert aucs[0] > 0.9


def test_chance_where_nothing_leaks():
    aucs = []
    for seed in range(60):
        given, member = drawn(seed=seed, gap=0.0)
        scores = imitators(*given)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.std(aucs, ddof=1) / np.sqrt(60)


def test_order_of_records_models_and_imitators_does_not_matter():
    given, _ = drawn(100)
    phi, theirs, is_in, copied, copies = given
    rows, models = np.random.default_rng(5).permutation(100), np.random.default_rng(6).permutation(8)
    turned = [phi[rows], *(table[models][:, rows] for table in (theirs, is_in, copied, copies))]
    np.testing.assert_allclose(imitators(*turned), imitators(*given)[rows], rtol=1e-9)


def test_a_record_without_out_imitators_is_judged_by_shadow_models():
    given, _ = drawn(50)
    phi, theirs, is_in, copied, copies = given
    copies = copies.copy()
    copies[:, 7] = True
    of_in, of_out = predictives(theirs, is_in)
    found = imitators(phi, theirs, is_in, copied, copies)[7]
    assert found == pytest.approx((log_density(phi, of_in) - log_density(phi, of_out))[7])


def test_one_imitator_on_a_side_is_enough():
    given, member = drawn()
    scores = imitators(*given[:3], *(table[:2] for table in given[3:]))
    assert np.isfinite(scores).all()
    assert roc(scores[member], scores[~member]).auc > 0.85


def test_what_is_refused():
    given, _ = drawn(20)
    phi, theirs, is_in, copied, copies = given
    with pytest.raises(InputError, match="not trained on, found none"):
        imitators(phi, theirs, is_in, copied, np.ones_like(copies))
    with pytest.raises(InputError, match="Expected finite phi"):
        imitators(phi, theirs, is_in, np.where(copies, np.inf, copied), copies)

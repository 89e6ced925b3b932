"""The learnt ratio without IN models: its features against plain loops, its sign, its null, its laws, its refusals."""

import numpy as np
import pytest

from vestige.attacks._learnt import fit_offline, offline_features_of, order_of_models
from vestige.attacks.attack_r import attack_r
from vestige.attacks.base_score import base_score_offline
from vestige.attacks.calibration import calibration_loss
from vestige.attacks.empirical_bayes import empirical_bayes_offline
from vestige.attacks.learnt_ratio import OFFLINE_FEATURES, learnt_ratio_offline
from vestige.core.errors import InputError
from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.roc import roc


def drawn(n=300, *, n_models=8, seed=0, gap=2.0):
    """A target and models of a pool; how far members stand above depends on how difficult a record is."""
    rng = np.random.default_rng(seed)
    pool_is_in, member = complementary_pairs(n_models, n, seed=seed), rng.permutation(n) < n // 2
    hard, pool_hard = rng.normal(0, 2, n), rng.normal(0, 2, n)
    phi = hard + gap * np.exp(-hard / 4) * member + rng.normal(size=n)
    theirs = hard + rng.normal(size=(n_models, n))
    of_pool = pool_hard + gap * np.exp(-pool_hard / 4) * pool_is_in + rng.normal(size=(n_models, n))
    return (phi[:, None], theirs[:, :, None], np.zeros((n_models, n), bool), of_pool[:, :, None], pool_is_in), member


def test_features_are_other_attacks_of_out_models():
    (phi, theirs, *_), _ = drawn(60)
    is_in = complementary_pairs(8, 60, seed=5)
    found = dict(zip(OFFLINE_FEATURES, offline_features_of(phi, theirs, is_in).T, strict=True))
    given = phi[:, 0], theirs[:, :, 0], is_in
    np.testing.assert_allclose(found["out_residual"], empirical_bayes_offline(*given), rtol=1e-9)
    np.testing.assert_allclose(found["attack_r"], attack_r(*given), rtol=1e-12)
    np.testing.assert_allclose(found["calibrated_loss"], calibration_loss(*given), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["base_score"], base_score_offline(*given, scale=1.0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["log_confidence"], -np.log1p(np.exp(-phi[:, 0])), rtol=1e-9)


def test_rows_are_of_each_model_among_those_not_drawn_with_it():
    given, _ = drawn(120)
    of_pool, sides = given[3:]
    rows = [
        offline_features_of(of_pool[m], np.delete(of_pool, [m, m ^ 1], axis=0), np.delete(sides, [m, m ^ 1], axis=0))
        for m in range(8)
    ]
    weights = fit_offline(of_pool, sides)
    np.testing.assert_allclose(weights.centers, np.concatenate(rows).mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weights.scales, np.concatenate(rows).std(axis=0), rtol=1e-9)
    assert (weights.n_models, weights.n_rows) == (8, 960)
    np.testing.assert_array_equal(learnt_ratio_offline(*given), learnt_ratio_offline(*given, fitted=weights))


def test_members_score_higher_and_higher_than_by_the_residual():
    given, member = drawn(3_000)
    scores = learnt_ratio_offline(*given), empirical_bayes_offline(given[0][:, 0], given[1][:, :, 0], given[2])
    aucs = [roc(s[member], s[~member]).auc for s in scores]
    assert aucs[0] > aucs[1] + 0.005
    assert aucs[0] > 0.85


@pytest.mark.parametrize("gap", [0.0, 2.0])
def test_chance_where_the_target_leaks_nothing(gap):
    """Whether the pool's models leak or not."""
    aucs = []
    for seed in range(60):
        given, _ = drawn(seed=seed, gap=gap)
        hard_only, member = drawn(seed=seed, gap=0.0)
        scores = learnt_ratio_offline(hard_only[0], *given[1:])
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.std(aucs, ddof=1) / np.sqrt(60)


def test_as_many_out_models_are_taken_at_once_as_a_point_has():
    given, _ = drawn(100)
    phi, theirs, is_in, of_pool, sides = given
    weights = fit_offline(of_pool, sides)
    order = order_of_models(of_pool)
    taken = [order[[(first + step) % 8 for step in range(3)]] for first in range(8)]  # of 6 others half
    plain = [weights.log_odds(offline_features_of(phi, theirs[some], is_in[some])) for some in taken]
    np.testing.assert_allclose(learnt_ratio_offline(*given), np.mean(plain, axis=0), rtol=1e-9)


def test_order_of_records_points_and_models_does_not_matter():
    given, _ = drawn(100)
    phi, theirs, is_in, of_pool, sides = given
    rng = np.random.default_rng(5)
    rows, points, models = rng.permutation(100), rng.permutation(100), rng.permutation(8)
    of_pool_turned = of_pool[models][:, points], sides[models][:, points]
    turned = phi[rows], theirs[models][:, rows], is_in[models], *of_pool_turned
    np.testing.assert_allclose(learnt_ratio_offline(*turned), learnt_ratio_offline(*given)[rows], atol=1e-8)


def test_missing_answers_are_left_out():
    phi, theirs, is_in, of_pool, sides = drawn(100)[0]
    gone, gone_pool = theirs.copy(), of_pool.copy()
    gone[3, 7], gone_pool[2, 5] = np.nan, np.nan
    assert np.isfinite(learnt_ratio_offline(phi, gone, is_in, gone_pool, sides)).all()
    without = offline_features_of(phi, gone, is_in)[7]
    np.testing.assert_allclose(without[7], np.mean(np.delete(theirs[:, 7, 0], 3) <= phi[7, 0]))


def test_several_queries_are_means_of_features():
    phi, theirs, is_in, of_pool, sides = drawn(80)[0]
    twice = [np.concatenate([table, table], axis=-1) for table in (phi, theirs, of_pool)]
    np.testing.assert_allclose(
        learnt_ratio_offline(twice[0], twice[1], is_in, twice[2], sides),
        learnt_ratio_offline(phi, theirs, is_in, of_pool, sides),
        atol=1e-9,
    )


def test_what_is_refused():
    phi, theirs, is_in, of_pool, sides = drawn(50)[0]
    with pytest.raises(InputError, match="Expected 6 shadow models or more, in 3 pairs or groups, found 4"):
        learnt_ratio_offline(phi, theirs[:4], is_in[:4], of_pool[:4], sides[:4])
    with pytest.raises(InputError, match="Expected a penalty above 0"):
        learnt_ratio_offline(phi, theirs, is_in, of_pool, sides, penalty=0.0)
    with pytest.raises(InputError):
        learnt_ratio_offline(phi, theirs, ~is_in, of_pool, sides)

"""Online LiRA against its double loop, closed forms, and the null it must keep with complementary pairs."""

import numpy as np
import pytest
from scipy.stats import norm

from vestige.attacks.lira import Variance, lira_online
from vestige.core.errors import InputError
from vestige.data.designs import complementary_pairs, partner
from vestige.evaluation.roc import roc


def naive(phi, shadow_phi, is_in, variance, min_std):
    """Record by record, model by model, with the density of scipy."""
    n_models, n_records = shadow_phi.shape
    sides = []
    for j in range(n_records):
        ins = [shadow_phi[i, j] for i in range(n_models) if is_in[i, j]]
        outs = [shadow_phi[i, j] for i in range(n_models) if not is_in[i, j]]
        sides.append((ins, outs))
    pooled = [
        np.sqrt(np.mean([(value - np.mean(side[k])) ** 2 for side in sides for value in side[k]])) for k in (0, 1)
    ]
    scores = []
    for j, (ins, outs) in enumerate(sides):
        std = pooled if variance is Variance.POOLED else [np.std(ins), np.std(outs)]
        std = [max(s, min_std) for s in std]
        scores.append(norm.logpdf(phi[j], np.mean(ins), std[0]) - norm.logpdf(phi[j], np.mean(outs), std[1]))
    return np.array(scores)


def drawn(n_models, n_records, seed=0, shift=1.0):
    rng = np.random.default_rng(seed)
    is_in = complementary_pairs(n_models, n_records, seed=seed)
    centre = 3 * rng.normal(size=n_records)
    shadow_phi = rng.normal(size=is_in.shape) * (1 + is_in) + centre + shift * is_in
    return rng.normal(size=n_records) + centre, shadow_phi, is_in


@pytest.mark.parametrize("variance", list(Variance))
@pytest.mark.parametrize("min_std", [1e-3, 1.2])
@pytest.mark.parametrize("n_models", [4, 10, 16])
def test_scores_equal_the_double_loop(variance, min_std, n_models):
    phi, shadow_phi, is_in = drawn(n_models, 30)
    found = lira_online(phi, shadow_phi, is_in, variance=variance, min_std=min_std)
    np.testing.assert_allclose(found, naive(phi, shadow_phi, is_in, variance, min_std), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("variance", list(Variance))
def test_any_number_of_models_on_each_side(variance):
    rng = np.random.default_rng(1)
    is_in = rng.random((12, 40)) < np.linspace(0.3, 0.7, 40)
    is_in[:2], is_in[2:4] = True, False
    phi, shadow_phi = rng.normal(size=40), rng.normal(size=is_in.shape)
    found = lira_online(phi, shadow_phi, is_in, variance=variance)
    np.testing.assert_allclose(found, naive(phi, shadow_phi, is_in, variance, 1e-3), rtol=1e-10, atol=1e-10)


def test_g6_with_known_gaussians_the_score_is_the_analytic_ratio():
    """IN models at 2 + 1 and 2 - 1, OUT models at 0 + 2 and 0 - 2: N(2, 1) against N(0, 2)."""
    shadow_phi = np.array([[3.0], [1.0], [2.0], [-2.0]])
    is_in = np.array([[True], [True], [False], [False]])
    for phi in (-1.0, 0.5, 2.0, 7.0):
        expected = norm.logpdf(phi, 2, 1) - norm.logpdf(phi, 0, 2)
        for variance in Variance:
            found = lira_online(np.array([phi]), shadow_phi, is_in, variance=variance)
            assert found[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("variance", list(Variance))
def test_with_gaussian_signals_the_auc_is_phi_of_mu_over_root_2(mu, variance):
    """Scores are then linear in phi - its centre, N(0, 1) against N(mu, 1), up to what 400 models leave open."""
    rng = np.random.default_rng(2)
    n = 3000
    centre, member = 5 * rng.normal(size=n), np.arange(n) < n // 2
    is_in = complementary_pairs(400, n, seed=3)
    shadow_phi = rng.normal(size=is_in.shape) + centre + mu * is_in
    scores = lira_online(rng.normal(size=n) + centre + mu * member, shadow_phi, is_in, variance=variance)
    auc = roc(scores[member], scores[~member]).auc
    assert abs(auc - norm.cdf(mu / np.sqrt(2))) < 4 * 0.5 / np.sqrt(n)


@pytest.mark.parametrize(
    ("n_models", "variance"),
    [
        (4, Variance.POOLED),  # one on each side remains, too few for a variance of its own
        (8, Variance.POOLED),
        (8, Variance.PER_RECORD),
        (16, Variance.POOLED),
        (16, Variance.PER_RECORD),
    ],
)
def test_without_a_leak_complementary_pairs_are_at_chance(n_models, variance):
    """Every model in turn is the target, left out together with its partner; 40 sets of models."""
    aucs = []
    for seed in range(40):
        _, phi, is_in = drawn(n_models, 400, seed=seed, shift=0.0)
        phi = np.random.default_rng(1000 + seed).normal(size=phi.shape) + 3 * phi.mean(axis=0)
        target = seed % n_models
        others = np.delete(np.arange(n_models), [target, partner(target)])
        scores = lira_online(phi[target], phi[others], is_in[others], variance=variance)
        aucs.append(roc(scores[is_in[target]], scores[~is_in[target]]).auc)
    assert abs(np.mean(aucs) - 0.5) < 4 * np.sqrt(401 / (12 * 200 * 200) / len(aucs))


def test_leaving_the_target_out_alone_tilts_the_null():
    """Why the partner goes too: of what remains, a member's IN models are one fewer."""
    aucs = []
    for seed in range(40):
        _, phi, is_in = drawn(8, 400, seed=seed, shift=0.0)
        phi = np.random.default_rng(1000 + seed).normal(size=phi.shape)
        others = np.arange(1, 8)
        scores = lira_online(phi[0], phi[others], is_in[others], variance=Variance.PER_RECORD)
        aucs.append(roc(scores[is_in[0]], scores[~is_in[0]]).auc)
    assert np.mean(aucs) < 0.47


@pytest.mark.parametrize("variance", list(Variance))
def test_the_order_of_models_and_records_does_not_matter(variance):
    phi, shadow_phi, is_in = drawn(10, 50)
    rng = np.random.default_rng(4)
    models, records = rng.permutation(10), rng.permutation(50)
    expected = lira_online(phi, shadow_phi, is_in, variance=variance)
    found = lira_online(phi, shadow_phi[models], is_in[models], variance=variance)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    found = lira_online(phi[records], shadow_phi[:, records], is_in[:, records], variance=variance)
    np.testing.assert_allclose(found, expected[records], rtol=1e-12, atol=1e-12)


def test_with_its_own_variance_a_record_is_scored_by_itself():
    phi, shadow_phi, is_in = drawn(10, 50)
    together = lira_online(phi, shadow_phi, is_in, variance=Variance.PER_RECORD)
    apart = [
        lira_online(phi[[j]], shadow_phi[:, [j]], is_in[:, [j]], variance=Variance.PER_RECORD)[0] for j in range(50)
    ]
    np.testing.assert_allclose(together, apart, rtol=1e-12)


@pytest.mark.parametrize("variance", list(Variance))
def test_swapping_in_and_out_turns_the_score_around(variance):
    phi, shadow_phi, is_in = drawn(10, 50)
    np.testing.assert_allclose(
        lira_online(phi, shadow_phi, ~is_in, variance=variance),
        -lira_online(phi, shadow_phi, is_in, variance=variance),
        rtol=1e-12,
    )


@pytest.mark.parametrize("variance", list(Variance))
def test_a_standard_deviation_has_a_floor(variance):
    """Models that agree to the last digit, on a phi of 103.6 as that of certain answers, give finite scores."""
    shadow_phi = np.array([[103.6], [103.6], [103.6], [103.6]])
    is_in = np.array([[True], [True], [False], [False]])
    assert lira_online(np.array([50.0]), shadow_phi, is_in, variance=variance).tolist() == [0.0]
    shadow_phi[2:] = 102.6
    found = lira_online(np.array([103.6]), shadow_phi, is_in, variance=variance, min_std=0.5)
    assert found[0] == pytest.approx(0.5 * (1 / 0.5) ** 2)


@pytest.mark.parametrize(
    ("variance", "n_in", "said"),
    [
        (Variance.POOLED, 0, "at least 1 shadow models that were trained on each record and 1 that were not, found 0"),
        (Variance.POOLED, 6, "found 0 on one side for record 3; train more models"),
        (Variance.PER_RECORD, 1, "at least 2 shadow models .* and 2 that were not, found 1 on one side for record 3"),
        (Variance.PER_RECORD, 5, "found 1 on one side for record 3; train more models"),
    ],
)
def test_a_record_needs_models_on_both_sides(variance, n_in, said):
    is_in = complementary_pairs(6, 5, seed=0)
    is_in[:, 2] = np.arange(6) < n_in
    with pytest.raises(InputError, match=said):
        lira_online(np.zeros(5), np.zeros((6, 5)), is_in, variance=variance)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["phi", "shadow_phi"])
def test_phi_is_finite(bad, where):
    phi, shadow_phi, is_in = drawn(6, 5)
    {"phi": phi, "shadow_phi": shadow_phi[2]}[where][3] = bad
    with pytest.raises(InputError, match="finite phi of the target and of every shadow model, found NaN or infinity"):
        lira_online(phi, shadow_phi, is_in)

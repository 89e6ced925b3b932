"""LiRA against its double loop, closed forms, and the null it must keep with complementary pairs."""

from statistics import median

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm, rankdata

from vestige.attacks.lira import lira_in_only, lira_offline, lira_offline_two_sided, lira_online
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Center, Counts, Queries, Variance
from vestige.data.sets.designs import complementary_pairs, partner
from vestige.evaluation.roc import roc

OWN_SPREAD = [Variance.POOLED, Variance.PER_RECORD]
FAMILY = [lira_online, lira_offline, lira_offline_two_sided, lira_in_only]


def naive(phi, shadow_phi, is_in, variance, min_std, *, attack=lira_online, center=Center.MEAN):
    """Record by record, model by model, with the density of scipy."""
    n_models, n_records = shadow_phi.shape
    sides = []
    for j in range(n_records):
        ins = [shadow_phi[i, j] for i in range(n_models) if is_in[i, j] and not np.isnan(shadow_phi[i, j])]
        outs = [shadow_phi[i, j] for i in range(n_models) if not is_in[i, j] and not np.isnan(shadow_phi[i, j])]
        sides.append((ins, outs))
    one = [0.0, 0.0]
    for k in (0, 1):
        pooled = np.sqrt(np.mean([(value - np.mean(side[k])) ** 2 for side in sides for value in side[k]]))
        raw = np.std([value for side in sides for value in side[k]])
        one[k] = raw if variance is Variance.PUBLISHED_FIXED else pooled
    if variance is Variance.PUBLISHED_FIXED and attack is lira_online:
        one[1] = one[0]
    scores = []
    for j, side in enumerate(sides):
        std = [np.std(side[0]), np.std(side[1])] if variance is Variance.PER_RECORD else one
        std = [max(s, min_std) for s in std]
        at = [median(side[k]) if center is Center.MEDIAN else np.mean(side[k]) for k in (0, 1)]
        log_in, log_out = (norm.logpdf(phi[j], at[k], std[k]) for k in (0, 1))
        scores.append(
            {
                lira_online: log_in - log_out,
                lira_offline: (phi[j] - at[1]) / std[1],
                lira_offline_two_sided: -log_out,
                lira_in_only: log_in,
            }[attack]
        )
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
        for variance in OWN_SPREAD:
            found = lira_online(np.array([phi]), shadow_phi, is_in, variance=variance)
            assert found[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("variance", OWN_SPREAD)
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


@pytest.mark.parametrize("variance", OWN_SPREAD)
def test_swapping_in_and_out_turns_the_score_around(variance):
    phi, shadow_phi, is_in = drawn(10, 50)
    np.testing.assert_allclose(
        lira_online(phi, shadow_phi, ~is_in, variance=variance),
        -lira_online(phi, shadow_phi, is_in, variance=variance),
        rtol=1e-12,
    )


@pytest.mark.parametrize("variance", OWN_SPREAD)
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
        (Variance.POOLED, 0, "at least 1 shadow models per record that were trained on it, found 0 for record 3"),
        (Variance.POOLED, 6, "at least 1 shadow models per record that were not trained on it, found 0 for record 3"),
        (Variance.PER_RECORD, 1, "at least 2 shadow models per record that were trained on it, found 1 for record 3"),
        (Variance.PER_RECORD, 5, "were not trained on it, found 1 for record 3; train more models"),
    ],
)
def test_a_record_needs_models_on_both_sides(variance, n_in, said):
    is_in = complementary_pairs(6, 5, seed=0)
    is_in[:, 2] = np.arange(6) < n_in
    with pytest.raises(InputError, match=said):
        lira_online(np.zeros(5), np.zeros((6, 5)), is_in, variance=variance)


@pytest.mark.parametrize("attack", FAMILY)
@pytest.mark.parametrize(
    ("where", "bad"),
    [("phi", np.inf), ("phi", -np.inf), ("phi", np.nan), ("shadow_phi", np.inf), ("shadow_phi", -np.inf)],
)
def test_phi_is_finite(attack, where, bad):
    phi, shadow_phi, is_in = drawn(6, 5)
    {"phi": phi, "shadow_phi": shadow_phi[2]}[where][3] = bad
    with pytest.raises(InputError, match="finite phi of the target and of every shadow model, or NaN where one"):
        attack(phi, shadow_phi, is_in)


# ------------------------------------------------------------------------------------------------- the family


@pytest.mark.parametrize("attack", FAMILY)
@pytest.mark.parametrize("center", list(Center))
@pytest.mark.parametrize("variance", list(Variance))
@pytest.mark.parametrize("min_std", [1e-3, 1.2])
def test_every_score_equals_the_double_loop_with_answers_missing(attack, center, variance, min_std):
    phi, shadow_phi, is_in = drawn(14, 25, seed=5)
    shadow_phi[np.random.default_rng(6).random(shadow_phi.shape) < 0.1] = np.nan
    found = attack(phi, shadow_phi, is_in, center=center, variance=variance, min_std=min_std)
    expected = naive(phi, shadow_phi, is_in, variance, min_std, attack=attack, center=center)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def published_script(phi, shadow_phi, is_in, fixed, attack):
    """The authors' script by its steps: lists cut to the shortest over records, then medians and deviations."""
    n = is_in.shape[1]
    ins = [shadow_phi[is_in[:, j], j] for j in range(n)]
    outs = [shadow_phi[~is_in[:, j], j] for j in range(n)]
    shortest_in, shortest_out = min(map(len, ins)), min(map(len, outs))
    ins, outs = [one[:shortest_in] for one in ins], [one[:shortest_out] for one in outs]
    std_in = np.std(ins) if fixed else np.std(ins, axis=1)
    std_out = np.std(ins if attack is lira_online else outs) if fixed else np.std(outs, axis=1)
    log_in = norm.logpdf(phi, np.median(ins, axis=1), std_in + 1e-30)
    log_out = norm.logpdf(phi, np.median(outs, axis=1), std_out + 1e-30)
    return log_in - log_out if attack is lira_online else -log_out


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("attack", [lira_online, lira_offline_two_sided])
def test_the_smallest_counts_are_those_of_the_published_script(attack, fixed):
    rng = np.random.default_rng(11)
    is_in = rng.random((16, 80)) < 0.5  # a record is in 3 to 13 of them
    shadow_phi = rng.normal(size=is_in.shape) + 2 * is_in + 3 * rng.normal(size=80)
    phi = rng.normal(size=80)
    variance = Variance.PUBLISHED_FIXED if fixed else Variance.PER_RECORD
    how = {"center": Center.MEDIAN, "variance": variance, "min_std": 1e-12}
    found = attack(phi, shadow_phi, is_in, counts=Counts.SMALLEST, **how)
    np.testing.assert_allclose(found, published_script(phi, shadow_phi, is_in, fixed, attack), rtol=1e-9)
    assert not np.allclose(found, attack(phi, shadow_phi, is_in, **how))
    pairs = complementary_pairs(16, 80, seed=0)  # as many of every record: nothing to cut
    np.testing.assert_array_equal(
        attack(phi, shadow_phi, pairs, counts=Counts.SMALLEST, **how), attack(phi, shadow_phi, pairs, **how)
    )


def test_smallest_counts_leave_out_answers_that_are_missing():
    rng = np.random.default_rng(12)
    is_in = np.arange(8)[:, None] % 2 == np.zeros(3, dtype=int)
    shadow_phi = rng.normal(size=(8, 3))
    shadow_phi[0, 1] = np.nan  # so the first three that answered are left of the four IN models
    found = lira_in_only(np.zeros(3), shadow_phi, is_in, variance=Variance.PER_RECORD, counts=Counts.SMALLEST)
    left = [shadow_phi[[0, 2, 4], 0], shadow_phi[[2, 4, 6], 1], shadow_phi[[0, 2, 4], 2]]
    np.testing.assert_allclose(found, [norm.logpdf(0, one.mean(), one.std()) for one in left])


@pytest.mark.parametrize("attack", FAMILY)
@pytest.mark.parametrize("variance", OWN_SPREAD)
def test_an_answer_that_is_missing_is_as_if_the_model_were(attack, variance):
    phi, shadow_phi, is_in = drawn(12, 30)
    shadow_phi[4] = np.nan
    others = np.delete(np.arange(12), 4)
    found = attack(phi, shadow_phi, is_in, variance=variance)
    expected = attack(phi, shadow_phi[others], is_in[others], variance=variance)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("attack", FAMILY)
@pytest.mark.parametrize("variance", OWN_SPREAD)
def test_several_queries_give_the_mean_of_their_scores(attack, variance):
    rng = np.random.default_rng(7)
    is_in = complementary_pairs(10, 20, seed=7)
    phi, shadow_phi = rng.normal(size=(20, 2, 3)), rng.normal(size=(10, 20, 2, 3)) + is_in[:, :, None, None]
    apart = [attack(phi[:, a, b], shadow_phi[:, :, a, b], is_in, variance=variance) for a in (0, 1) for b in (0, 1, 2)]
    found = attack(phi, shadow_phi, is_in, variance=variance)
    np.testing.assert_allclose(found, np.mean(apart, axis=0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("attack", FAMILY)
def test_all_models_are_asked_the_same_queries(attack):
    phi, shadow_phi, is_in = correlated()
    with pytest.raises(InputError, match=r"same records and queries .* found \(30, 2\) and \(30, 3\); ask all models"):
        attack(phi[:, :2], shadow_phi, is_in)


def test_published_fixed_has_one_spread_for_all_queries():
    phi, shadow_phi, is_in = drawn(8, 10)
    twice = np.stack([shadow_phi, 3 * shadow_phi], axis=2)
    std = np.std(np.concatenate([twice[..., a][~is_in] for a in (0, 1)]))
    means = [(twice[..., a] * ~is_in).sum(axis=0) / (~is_in).sum(axis=0) for a in (0, 1)]
    expected = ((phi - means[0]) / std + (phi - means[1]) / std) / 2
    found = lira_offline(np.stack([phi, phi], axis=1), twice, is_in, variance=Variance.PUBLISHED_FIXED)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def correlated(n_models=12, n_records=30, seed=8):
    """Three queries that mostly agree."""
    rng = np.random.default_rng(seed)
    is_in = complementary_pairs(n_models, n_records, seed=seed)
    mix = np.array([[1.0, 0.9, 0.8], [0.0, 0.5, 0.2], [0.0, 0.0, 0.4]])
    shadow_phi = rng.normal(size=(n_models, n_records, 3)) @ mix + is_in[:, :, None]
    return rng.normal(size=(n_records, 3)) @ mix, shadow_phi, is_in


@pytest.mark.parametrize("center", list(Center))
def test_full_covariance_equals_the_double_loop(center):
    phi, shadow_phi, is_in = correlated()
    shadow_phi[3, 4, 1] = np.nan  # leaves that model out for that record
    residuals: tuple[list, list] = ([], [])
    at: tuple[list, list] = ([], [])
    for k, side in enumerate((is_in, ~is_in)):
        for j in range(len(phi)):
            rows = [row for row in shadow_phi[side[:, j], j] if not np.isnan(row).any()]
            at[k].append(np.median(rows, axis=0) if center is Center.MEDIAN else np.mean(rows, axis=0))
            residuals[k].extend(row - np.mean(rows, axis=0) for row in rows)
    covariance = [np.mean([np.outer(r, r) for r in side], axis=0) for side in residuals]
    logs = [
        np.array([multivariate_normal.logpdf(phi[j], at[k][j], covariance[k]) for j in range(len(phi))]) for k in (0, 1)
    ]
    weights = np.linalg.inv(covariance[1]) @ np.ones(3)
    z = (phi - np.array(at[1])) @ weights / np.sqrt(weights.sum())
    given = (phi, shadow_phi, is_in)
    for attack, expected in zip(FAMILY, (logs[0] - logs[1], z, -logs[1], logs[0]), strict=True):
        found = attack(*given, center=center, queries=Queries.FULL_COVARIANCE)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("attack", FAMILY)
def test_of_one_query_the_covariance_is_the_pooled_variance(attack):
    phi, shadow_phi, is_in = drawn(10, 40)
    found = attack(phi, shadow_phi, is_in, queries=Queries.FULL_COVARIANCE)
    np.testing.assert_allclose(found, attack(phi, shadow_phi, is_in), rtol=1e-12)


def test_full_covariance_has_a_floor_too():
    phi, shadow_phi, is_in = correlated()
    shadow_phi[:] = shadow_phi[:, :, :1]
    scores = lira_online(phi, shadow_phi, is_in, queries=Queries.FULL_COVARIANCE, min_std=0.1)
    assert np.isfinite(scores).all()


def test_full_covariance_needs_enough_models_and_the_pooled_variance():
    phi, shadow_phi, is_in = (part[..., :2, :] if part.ndim > 2 else part[..., :2] for part in correlated(4, 3))
    phi = np.zeros((2, 3))
    with pytest.raises(InputError, match="at least 3 more answers than records for the covariance of 3 queries, found"):
        lira_offline(phi, shadow_phi, is_in, queries=Queries.FULL_COVARIANCE)
    with pytest.raises(InputError, match="the pooled variance for the covariance of queries, found per_record"):
        lira_offline(phi, shadow_phi, is_in, queries=Queries.FULL_COVARIANCE, variance=Variance.PER_RECORD, min_std=0.1)


@pytest.mark.parametrize("attack", [lira_offline, lira_offline_two_sided])
@pytest.mark.parametrize("variance", list(Variance))
def test_offline_scores_need_no_in_models_and_do_not_look_at_them(attack, variance):
    phi, shadow_phi, is_in = drawn(12, 30)
    expected = attack(phi, shadow_phi, is_in, variance=variance)
    without = np.where(is_in, np.nan, shadow_phi)
    np.testing.assert_array_equal(attack(phi, without, is_in, variance=variance), expected)
    alone = attack(phi, shadow_phi[:4], np.zeros((4, 30), dtype=bool), variance=variance)
    assert np.isfinite(alone).all()
    with pytest.raises(InputError, match="shadow models per record that were not trained on it, found 0 for record 1;"):
        attack(phi, shadow_phi[:4], np.ones((4, 30), dtype=bool), variance=variance)


def test_in_only_does_not_look_at_out_models():
    phi, shadow_phi, is_in = drawn(12, 30)
    expected = lira_in_only(phi, shadow_phi, is_in)
    np.testing.assert_array_equal(lira_in_only(phi, np.where(is_in, shadow_phi, np.nan), is_in), expected)
    with pytest.raises(InputError, match="at least 1 shadow models per record that were trained on it, found 0"):
        lira_in_only(phi, shadow_phi, np.zeros((12, 30), dtype=bool))


def test_g6_offline_with_a_pooled_variance_ranks_like_phi_less_its_mean_under_out_models():
    phi, shadow_phi, is_in = drawn(16, 200)
    calibrated = phi - np.mean(shadow_phi, axis=0, where=~is_in)
    np.testing.assert_array_equal(rankdata(lira_offline(phi, shadow_phi, is_in)), rankdata(calibrated))


def test_the_one_sided_score_takes_a_low_phi_for_a_nonmember_and_the_two_sided_one_for_a_member():
    shadow_phi, is_in = np.array([[-1.0] * 3, [1.0] * 3]), np.zeros((2, 3), dtype=bool)
    phi = np.array([-5.0, 0.0, 5.0])
    assert lira_offline(phi, shadow_phi, is_in).tolist() == [-5.0, 0.0, 5.0]
    low, middle, high = lira_offline_two_sided(phi, shadow_phi, is_in)
    assert low == high > middle


def test_far_out_scores_keep_their_order():
    """Tail probabilities would be 1 for all of them."""
    phi, shadow_phi = np.array([9.0, 10.0, 60.0]), np.array([[-1.0] * 3, [1.0] * 3])
    scores = lira_offline(phi, shadow_phi, np.zeros((2, 3), dtype=bool))
    assert scores.tolist() == sorted(set(scores.tolist()))


@pytest.mark.parametrize("attack", FAMILY)
@pytest.mark.parametrize("variance", list(Variance))
@pytest.mark.parametrize("queries", list(Queries))
def test_the_family_does_not_depend_on_order(attack, variance, queries):
    if queries is Queries.FULL_COVARIANCE and variance is not Variance.POOLED:
        variance = Variance.POOLED
    phi, shadow_phi, is_in = correlated()
    options = {"variance": variance, "queries": queries, "center": Center.MEDIAN}
    expected = attack(phi, shadow_phi, is_in, **options)
    assert (expected.dtype, expected.shape) == (np.float64, (30,))
    assert np.isfinite(expected).all()
    rng = np.random.default_rng(9)
    models, records, asked = rng.permutation(12), rng.permutation(30), rng.permutation(3)
    found = attack(phi, shadow_phi[models], is_in[models], **options)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    found = attack(phi[records], shadow_phi[:, records], is_in[:, records], **options)
    np.testing.assert_allclose(found, expected[records], rtol=1e-9, atol=1e-9)
    found = attack(phi[:, asked], shadow_phi[:, :, asked], is_in, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("attack", FAMILY)
@pytest.mark.parametrize("queries", list(Queries))
def test_a_planted_leak_points_at_the_members_and_without_one_the_family_is_at_chance(attack, queries):
    aucs: dict[float, list[float]] = {0.0: [], 2.0: []}
    for leak, found in aucs.items():
        for seed in range(20):
            rng = np.random.default_rng(seed)
            is_in = complementary_pairs(12, 400, seed=seed)
            centre, member = 5 * rng.normal(size=(400, 1)), np.arange(400) < 200
            shadow_phi = rng.normal(size=(12, 400, 2)) + centre + leak * is_in[:, :, None]
            phi = rng.normal(size=(400, 2)) + centre + leak * member[:, None]
            scores = attack(phi, shadow_phi, is_in, queries=queries)
            found.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs[0.0]) - 0.5) < 3 * np.sqrt(401 / (12 * 200 * 200) / 20)
    assert np.mean(aucs[2.0]) > 0.75


def test_float32_answers_are_worked_on_in_float64():
    phi, shadow_phi, is_in = drawn(10, 40)
    narrow = lira_online(phi.astype(np.float32), shadow_phi.astype(np.float32), is_in)
    assert narrow.dtype == np.float64
    np.testing.assert_allclose(narrow, lira_online(phi, shadow_phi, is_in), rtol=1e-4, atol=1e-4)

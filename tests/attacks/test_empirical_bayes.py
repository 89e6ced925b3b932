"""Empirical Bayes against its loop, what it becomes with many and with few models, and where it degenerates."""

from math import lgamma, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from scipy.stats import t as student

from vestige.attacks.empirical_bayes import empirical_bayes_offline, empirical_bayes_online
from vestige.attacks.lira import lira_offline, lira_online
from vestige.core.errors import InputError
from vestige.core.likelihood_ratio import Variance
from vestige.data.sets.designs import complementary_pairs, partner
from vestige.evaluation.roc import roc

BOTH = pytest.mark.parametrize("attack", [empirical_bayes_online, empirical_bayes_offline])


def drawn(n_models, n_records=60, *, seed=0, leak=1.0):
    """Records differ in difficulty and in how much models disagree on them; a leak is smaller for hard records."""
    rng = np.random.default_rng(seed)
    is_in = complementary_pairs(n_models, n_records, seed=seed)
    centre, spread = 3 * rng.normal(size=n_records), np.exp(0.3 * rng.normal(size=n_records))
    member = rng.permutation(n_records) < n_records // 2
    rise = leak * (1 + 0.3 * np.tanh(centre))
    shadow_phi = centre + spread * rng.normal(size=is_in.shape) + rise * is_in
    return centre + spread * rng.normal(size=n_records) + rise * member, shadow_phi, is_in, member


def values(shadow_phi, side):
    return [
        [shadow_phi[i, j] for i in range(len(side)) if side[i, j] and not np.isnan(shadow_phi[i, j])]
        for j in range(side.shape[1])
    ]


def pooled(records):
    squares = sum(sum((v - np.mean(r)) ** 2 for v in r) for r in records if r)
    return squares / sum(len(r) - 1 for r in records if r)


def posteriors(records, priors, within, shape, floor):
    """Murphy's updates, one record at a time."""
    known = [(r, m) for r, m in zip(records, priors, strict=True) if r]
    between = np.mean([(np.mean(r) - m) ** 2 for r, m in known]) - within * np.mean([1 / len(r) for r, _ in known])
    k0, a0, b0 = within / max(floor, between), shape, shape * within
    found = []
    for r, m0 in zip(records, priors, strict=True):
        n, mean = len(r), np.mean(r) if r else 0.0
        kn = k0 + n
        mn, an = (k0 * m0 + n * mean) / kn, a0 + n / 2
        bn = b0 + 0.5 * sum((v - mean) ** 2 for v in r) + k0 * n * (mean - m0) ** 2 / (2 * kn)
        found.append((2 * an, mn, sqrt(bn * (kn + 1) / (an * kn))))
    return found


def log_t(x, freedom, mean, scale):
    z = (x - mean) / scale
    constant = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * log(pi * freedom) - log(scale)
    return constant - (freedom + 1) / 2 * log(1 + z * z / freedom)


def naive(phi, shadow_phi, is_in, shape, floor_in, floor_out, online):
    ins, outs = values(shadow_phi, is_in), values(shadow_phi, ~is_in)
    everything = [v for r in outs for v in r]
    of_out = posteriors(outs, [np.mean(everything)] * len(phi), pooled(outs), shape, floor_out)
    if not online:
        return np.array([(x - mean) / scale for x, (_, mean, scale) in zip(phi, of_out, strict=True)])
    at = [mean for _, mean, _ in of_out]
    slope, intercept = np.polyfit([m for m, r in zip(at, ins, strict=True) if r], [np.mean(r) for r in ins if r], 1)
    of_in = posteriors(ins, [slope * m + intercept for m in at], pooled(ins), shape, floor_in)
    return np.array([log_t(x, *i) - log_t(x, *o) for x, i, o in zip(phi, of_in, of_out, strict=True)])


@BOTH
@pytest.mark.parametrize("n_models", [4, 8, 16])
@pytest.mark.parametrize("shape", [2.0, 4.0])
@pytest.mark.parametrize("floor", [0.05, 30.0])
def test_scores_equal_the_loop_with_answers_missing(attack, n_models, shape, floor):
    phi, shadow_phi, is_in, _ = drawn(n_models)
    shadow_phi[np.random.default_rng(1).random(shadow_phi.shape) < 0.3] = np.nan
    shadow_phi[is_in[:, 0], 0] = np.nan  # no IN model at all
    shadow_phi[~is_in[:, 1], 1] = np.nan  # no OUT model at all
    if attack is empirical_bayes_online:
        found = attack(phi, shadow_phi, is_in, shape=shape, min_between_in=floor, min_between_out=2 * floor)
    else:
        found = attack(phi, shadow_phi, is_in, shape=shape, min_between=2 * floor)
    expected = naive(phi, shadow_phi, is_in, shape, floor, 2 * floor, attack is empirical_bayes_online)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_the_density_is_student_s():
    assert log_t(0.7, 9.0, 0.2, 1.3) == pytest.approx(student.logpdf(0.7, 9.0, 0.2, 1.3), abs=1e-12)


def test_with_many_models_it_ranks_like_lira_with_each_record_s_own_variance():
    phi, shadow_phi, is_in, _ = drawn(512, 300)
    own = lira_online(phi, shadow_phi, is_in, variance=Variance.PER_RECORD)
    assert spearmanr(empirical_bayes_online(phi, shadow_phi, is_in), own).statistic > 0.998
    own = lira_offline(phi, shadow_phi, is_in, variance=Variance.PER_RECORD)
    assert spearmanr(empirical_bayes_offline(phi, shadow_phi, is_in), own).statistic > 0.998


def test_with_few_models_it_is_closer_to_lira_with_a_pooled_variance():
    phi, shadow_phi, is_in, _ = drawn(4, 1000)
    found = empirical_bayes_online(phi, shadow_phi, is_in)
    one = spearmanr(found, lira_online(phi, shadow_phi, is_in)).statistic
    own = spearmanr(found, lira_online(phi, shadow_phi, is_in, variance=Variance.PER_RECORD)).statistic
    assert one > 0.8
    assert one > own + 0.1


@pytest.mark.parametrize("n_models", [2, 4, 8, 16])
def test_with_records_of_all_difficulties_it_is_never_worse_than_either_lira(n_models):
    """By .003 of the AUC at most, on the mean of 12 draws of 1,000 records, whose standard error is about that."""
    found: dict[str, list[float]] = {"bayes": [], "one": [], "own": [], "offline": [], "offline one": []}
    for seed in range(12):
        phi, shadow_phi, is_in, member = drawn(n_models, 1000, seed=seed, leak=1.5)
        given = (phi, shadow_phi, is_in)
        scores = {
            "bayes": empirical_bayes_online(*given),
            "one": lira_online(*given),
            "offline": empirical_bayes_offline(*given),
            "offline one": lira_offline(*given),
        }
        if n_models > 2:
            scores["own"] = lira_online(*given, variance=Variance.PER_RECORD)
        for name, values_ in scores.items():
            found[name].append(roc(values_[member], values_[~member]).auc)
    mean = {name: np.mean(aucs) for name, aucs in found.items() if aucs}
    assert mean["bayes"] > max(mean["one"], mean.get("own", 0.0)) - 0.003
    assert mean["offline"] > mean["offline one"] - 0.003
    assert mean["bayes"] > 0.7


# ------------------------------------------------------------------------------------------------------------- laws


@BOTH
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_models=st.sampled_from([2, 4, 10]), shift=st.floats(-100, 100))
def test_order_and_a_constant_change_nothing(attack, seed, n_models, shift):
    phi, shadow_phi, is_in, _ = drawn(n_models, 20, seed=seed)
    expected = attack(phi, shadow_phi, is_in)
    assert (expected.dtype, expected.shape) == (np.float64, (20,))
    assert np.isfinite(expected).all()
    rng = np.random.default_rng(seed)
    models, records = rng.permutation(n_models), rng.permutation(20)
    found = attack(phi, shadow_phi[models], is_in[models])
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    found = attack(phi[records], shadow_phi[:, records], is_in[:, records])
    np.testing.assert_allclose(found, expected[records], rtol=1e-8, atol=1e-8)
    found = attack(phi + shift, shadow_phi + shift, is_in)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n_models", [2, 4, 10])
@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_another_unit_of_phi_and_of_the_floors_changes_nothing(n_models, scale):
    phi, shadow_phi, is_in, _ = drawn(n_models)
    found = empirical_bayes_online(
        scale * phi,
        scale * shadow_phi,
        is_in,
        min_between_in=0.05 * scale**2,
        min_between_out=0.1 * scale**2,
        min_std=1e-3 * scale,
    )
    np.testing.assert_allclose(found, empirical_bayes_online(phi, shadow_phi, is_in), rtol=1e-9, atol=1e-9)
    found = empirical_bayes_offline(
        scale * phi, scale * shadow_phi, is_in, min_between=0.1 * scale**2, min_std=1e-3 * scale
    )
    np.testing.assert_allclose(found, empirical_bayes_offline(phi, shadow_phi, is_in), rtol=1e-9, atol=1e-9)


@BOTH
@pytest.mark.parametrize("n_models", [4, 8, 16])
def test_without_a_leak_complementary_pairs_are_at_chance(attack, n_models):
    aucs = []
    for seed in range(40):
        _, shadow_phi, is_in, _ = drawn(n_models, 400, seed=seed, leak=0.0)
        target = seed % n_models
        others = np.delete(np.arange(n_models), [target, partner(target)])
        scores = attack(shadow_phi[target], shadow_phi[others], is_in[others])
        aucs.append(roc(scores[is_in[target]], scores[~is_in[target]]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.sqrt(401 / (12 * 200 * 200) / len(aucs))


@BOTH
@pytest.mark.parametrize("n_models", [2, 4, 16])
def test_a_planted_leak_points_at_the_members(attack, n_models):
    phi, shadow_phi, is_in, member = drawn(n_models, 2000, leak=2.0)
    scores = attack(phi, shadow_phi, is_in)
    assert roc(scores[member], scores[~member]).auc > 0.7


def test_offline_does_not_look_at_in_models():
    phi, shadow_phi, is_in, _ = drawn(8)
    without = np.where(is_in, np.nan, shadow_phi)
    np.testing.assert_array_equal(
        empirical_bayes_offline(phi, without, is_in), empirical_bayes_offline(phi, shadow_phi, is_in)
    )


def test_offline_a_low_phi_speaks_against_membership():
    _, shadow_phi, is_in, _ = drawn(8, 2)
    low, middle, high = (empirical_bayes_offline(np.full(2, phi), shadow_phi, is_in) for phi in (-50.0, 0.0, 50.0))
    assert (low < middle).all()
    assert (middle < high).all()


# ------------------------------------------------------------------------------------------------- where it is forced


def test_offline_with_one_out_model_ranks_by_the_difference_and_a_record_without_gets_0():
    phi, shadow_phi, is_in, _ = drawn(2)
    out = np.where(is_in, 0.0, shadow_phi).sum(axis=0)
    scores = empirical_bayes_offline(phi, shadow_phi, is_in)
    np.testing.assert_allclose(scores / (phi - out), (scores / (phi - out))[0], rtol=1e-9)
    shadow_phi[~is_in[:, 5], 5] = np.nan
    scores = empirical_bayes_offline(phi, shadow_phi, is_in)
    assert scores[5] == 0.0
    assert np.isfinite(scores).all()


def test_with_two_models_the_spread_is_that_across_the_line_through_in_and_out_answers():
    """Answers on a line leave none but the floor: the prior says all, and a phi on the IN line is a member's."""
    out = np.array([-4.0, -1.0, 0.0, 2.0])
    shadow_phi, is_in = np.stack([0.5 * out + 2, out]), np.stack([np.ones(4, dtype=bool), np.zeros(4, dtype=bool)])
    assert (empirical_bayes_online(0.5 * out + 2, shadow_phi, is_in) > 5).all()
    assert (empirical_bayes_online(out, shadow_phi, is_in) < -5).all()


@pytest.mark.parametrize("more_on", ["in", "out"])
def test_a_side_with_one_model_per_record_takes_the_other_side_s_spread(more_on):
    rng = np.random.default_rng(3)
    is_in = np.repeat([[True], [False], [more_on == "in"], [more_on == "in"]], 50, axis=1)
    centre = 3 * rng.normal(size=50)
    shadow_phi = rng.normal(size=is_in.shape) + centre + 4 * is_in
    assert empirical_bayes_online(centre + 4, shadow_phi, is_in).mean() > 1
    assert empirical_bayes_online(centre, shadow_phi, is_in).mean() < -1


@BOTH
def test_a_single_record_and_models_that_agree_to_the_last_digit_are_finite(attack):
    is_in = np.array([[True], [False]])
    assert np.isfinite(attack(np.array([103.6]), np.array([[103.6], [103.6]]), is_in)).all()
    wide = np.repeat(np.repeat(is_in, 3, axis=0), 4, axis=1)
    scores = attack(np.full(4, 50.0), np.full((6, 4), 103.6), wide)
    assert np.isfinite(scores).all()
    assert len(set(scores.tolist())) == 1


def test_float32_answers_are_worked_on_in_float64():
    phi, shadow_phi, is_in, _ = drawn(8)
    narrow = shadow_phi.astype(np.float32)
    found = empirical_bayes_online(phi, narrow, is_in)
    np.testing.assert_array_equal(found, empirical_bayes_online(phi, narrow.astype(np.float64), is_in))


@BOTH
def test_what_cannot_be_is_refused(attack):
    phi, shadow_phi, is_in, _ = drawn(4)
    for bad in (np.inf, -np.inf, np.nan):
        with pytest.raises(InputError, match="finite phi of the target and of every shadow model, or NaN where one"):
            attack(np.where(np.arange(60) == 3, bad, phi), shadow_phi, is_in)
    with pytest.raises(InputError, match="finite phi of the target"):
        attack(phi, np.where(is_in, np.inf, shadow_phi), is_in)
    with pytest.raises(InputError, match="shape and floors above 0, found 0; without floors"):
        attack(phi, shadow_phi, is_in, min_std=0.0)
    with pytest.raises(InputError, match="shape and floors above 0, found -1;"):
        attack(phi, shadow_phi, is_in, shape=-1.0)
    with pytest.raises(InputError, match="answers of a shadow model to records it was not trained on, found none"):
        attack(phi, shadow_phi, np.ones_like(is_in))


def test_online_needs_an_answer_of_an_in_model():
    phi, shadow_phi, is_in, _ = drawn(4)
    with pytest.raises(InputError, match="answers of a shadow model to records it was trained on, found none; train"):
        empirical_bayes_online(phi, shadow_phi, np.zeros_like(is_in))

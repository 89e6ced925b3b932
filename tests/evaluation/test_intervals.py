"""Intervals against their own definitions; how well they cover is `coverage_study`'s business."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from vestige.evaluation.intervals import (
    auc_interval,
    balanced_accuracy_bounds,
    bonferroni,
    f1_bounds,
    is_resolvable,
    nonmembers_needed,
    precision_bounds,
    rate_bounds,
    tpr_at_fpr_bounds,
)
from vestige.evaluation.roc import Roc, roc

LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)


@st.composite
def counts(draw):
    """True positives, members, false positives, nonmembers; the ends often."""
    m, n = draw(st.integers(1, 2000)), draw(st.integers(1, 2000))
    return (
        draw(st.sampled_from([0, m]) | st.integers(0, m)),
        m,
        draw(st.sampled_from([0, n]) | st.integers(0, n)),
        n,
    )


# ------------------------------------------------------------------------------------ one rate


@settings(deadline=None)
@given(c=counts(), level=st.sampled_from(LEVELS))
def test_a_rates_bounds_are_wilsons(c, level):
    hits, n = c[:2]
    expected = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(rate_bounds(hits, n, level), [expected.low, expected.high], atol=1e-13)


def test_a_rates_bounds_take_arrays_and_are_exact_at_the_ends():
    lower, upper = rate_bounds(np.array([0, 5, 10]), 10)
    assert lower[0] == 0.0
    assert upper[2] == 1.0
    assert (lower[1], upper[1]) == tuple(float(b) for b in rate_bounds(5, 10))


def test_without_units_there_are_no_bounds():
    assert np.isnan(rate_bounds(0, 0)).all()


# --------------------------------------------------------------------- metrics at a threshold


def f1(tp, m, fp, n):
    return 2 * tp / (2 * tp + (m - tp) + fp)


def precision(tp, m, fp, n, prior):
    accused = prior * tp / m + (1 - prior) * fp / n
    return prior * tp / m / accused if accused else None


@settings(deadline=None, max_examples=300)
@given(c=counts(), level=st.sampled_from(LEVELS))
def test_bounds_at_a_threshold_contain_the_estimate_and_stay_in_the_unit_interval(c, level):
    tp, m, fp, n = c
    cases = [
        ((tp / m + 1 - fp / n) / 2, balanced_accuracy_bounds(tp, m, fp, n, level)),
        (f1(tp, m, fp, n), f1_bounds(tp, m, fp, n, level)),
        *(
            (precision(tp, m, fp, n, prior), precision_bounds(tp, m, fp, n, prior, level))
            for prior in (0.5, 0.1, 0.01, m / (m + n))
        ),
    ]
    for estimate, (lower, upper) in cases:
        assert 0 <= lower <= upper <= 1
        if estimate is None:  # nobody accused: nothing is known
            assert [float(lower), float(upper)] == [0, 1]
        else:
            assert lower - 1e-12 <= estimate <= upper + 1e-12


@settings(deadline=None)
@given(c=counts())
def test_bounds_at_a_threshold_nest_in_the_level(c):
    tp, m, fp, n = c
    for bounds in (
        lambda level: balanced_accuracy_bounds(tp, m, fp, n, level),
        lambda level: f1_bounds(tp, m, fp, n, level),
        lambda level: precision_bounds(tp, m, fp, n, 0.1, level),
    ):
        narrow, wide = bounds(0.9), bounds(0.99)
        assert wide.lower <= narrow.lower + 1e-12
        assert narrow.upper <= wide.upper + 1e-12


def test_balanced_accuracy_is_newcombes_published_example():
    lower, upper = balanced_accuracy_bounds(56, 70, 48, 80)  # 56/70 - 48/80: 0.0524 to 0.3339 (Newcombe 1998)
    assert [2 * lower - 1, 2 * upper - 1] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_the_ends_of_precision_and_f1():
    assert precision_bounds(0, 50, 10, 50, 0.5).lower == 0.0
    assert precision_bounds(10, 50, 0, 50, 0.5).upper == 1.0
    assert f1_bounds(0, 50, 10, 50).lower == 0.0
    assert f1_bounds(50, 50, 0, 50).upper == 1.0
    assert 0.9 < f1_bounds(50, 50, 0, 50).lower < 1.0
    assert 0.0 < precision_bounds(0, 50, 10, 50, 0.5).upper < 0.4


def test_precision_at_a_prior_is_one_odds_ratio_away_from_that_at_a_half():
    lower, upper = (float(b) for b in precision_bounds(80, 100, 30, 100, 0.5))
    for prior in (0.1, 0.01):
        odds = prior / (1 - prior)
        expected = [b * odds / (b * odds + 1 - b) for b in (lower, upper)]
        np.testing.assert_allclose(precision_bounds(80, 100, 30, 100, prior), expected, rtol=1e-12)


@settings(deadline=None)
@given(tp=st.integers(1, 99), fp=st.integers(1, 99), level=st.sampled_from(LEVELS))
def test_a_ratios_bounds_are_where_the_difference_touches_zero(tp, fp, level):
    """MOVER-R by its definition: R is a bound where the score interval of `FPR - R TPR` has an end at 0."""
    (t, t_lb, t_ub), (f, f_lb, f_ub) = ((k / 100, *(float(b) for b in rate_bounds(k, 100, level))) for k in (tp, fp))
    lower, upper = (float(b) for b in precision_bounds(tp, 100, fp, 100, 0.5, level))
    low, high = 1 / upper - 1, 1 / lower - 1  # as ratios FPR / TPR
    assert f - low * t == pytest.approx(sqrt((f - f_lb) ** 2 + low**2 * (t_ub - t) ** 2), rel=1e-6, abs=1e-9)
    assert high * t - f == pytest.approx(sqrt((f_ub - f) ** 2 + high**2 * (t - t_lb) ** 2), rel=1e-6, abs=1e-9)


def test_f1_with_a_certain_fpr_is_the_recalls_bound_carried_over():
    lower, upper = f1_bounds(400, 1000, 10**7, 10**8)  # 10 % of so many nonmembers: known
    t_lb, t_ub = rate_bounds(400, 1000)
    expected = [2 * t / (t + 1 + 10**7 / 1000) for t in (t_lb, t_ub)]
    np.testing.assert_allclose([lower, upper], expected, rtol=0.01)


# -------------------------------------------------------------------------------------- looks


@pytest.mark.parametrize("n_looks", [1, 2, 6, 40])
def test_bonferroni_shares_the_error(n_looks):
    assert (1 - bonferroni(0.95, n_looks)) * n_looks == pytest.approx(0.05)


def test_no_look_is_one_look():
    assert bonferroni(0.95, 0) == bonferroni(0.95, 1) == 0.95


@pytest.mark.parametrize("fpr", [0.3, 0.1, 0.05, 0.01, 0.007, 0.001, 0.0001])
def test_the_nonmembers_needed_are_the_fewest_that_resolve(fpr):
    n = nonmembers_needed(fpr)
    assert is_resolvable(fpr, n)
    assert not is_resolvable(fpr, n - 1)


# ---------------------------------------------------------------------------------------- AUC


def twin_of_auc_interval(members, nonmembers, level):
    psi = (members[:, None] > nonmembers) + (members[:, None] == nonmembers) / 2
    area, m, n = psi.mean(), members.size, nonmembers.size
    variance = psi.mean(axis=1).var(ddof=1) / m + psi.mean(axis=0).var(ddof=1) / n

    def plain(a):  # Newcombe 2006, method 5
        half = (m + n) / 2 - 1
        return a * (1 - a) / (m * n) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a))

    seen = min((members <= nonmembers.max()).sum(), (nonmembers >= members.min()).sum())
    ratio = variance / plain(area)
    ratio = max(ratio, (seen * ratio + 4) / (seen + 4))
    quantile = stats.t(seen + 3).ppf((1 + level) / 2)

    def beyond(other):
        return (area - other) ** 2 - quantile**2 * ratio * plain(other)

    return [optimize.brentq(beyond, area, end, xtol=1e-14) for end in (0.0, 1.0)]


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("decimals", [0, 1, 15])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_auc_interval_is_its_definition_pair_by_pair(shift, decimals, level):
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(shift, size=60).round(decimals), rng.normal(size=45).round(decimals)
    found = auc_interval(roc(members, nonmembers), level)
    np.testing.assert_allclose(found, twin_of_auc_interval(members, nonmembers, level), atol=1e-10)


def test_few_overlapping_units_widen_the_auc_interval():
    nonmembers = np.arange(1000.0)
    curve = roc(np.append(np.arange(2000.0, 2999.0), 900.5), nonmembers)  # one member out of order
    normal = 2 * stats.norm.ppf(0.975) * sqrt(curve.auc_variance)
    assert np.diff(np.array(auc_interval(curve)))[0] > 1.5 * normal


def test_right_or_wrong_is_a_difference_of_rates():
    """Newcombe's method 10, with Student's quantiles, by its formula."""
    for tp, m, fp, n in ((9, 10, 30, 200), (1, 20, 0, 20), (20, 20, 12, 180)):
        members, nonmembers = np.repeat([1.0, 0.0], [tp, m - tp]), np.repeat([1.0, 0.0], [fp, n - fp])
        bounds = []
        for hits, of in ((tp, m), (fp, n)):
            z2, p = stats.t(of - 1).ppf(0.975) ** 2, hits / of
            half = sqrt(z2) * sqrt(p * (1 - p) / of + z2 / (4 * of**2))
            bounds.append(((p + z2 / (2 * of) - half) / (1 + z2 / of), (p + z2 / (2 * of) + half) / (1 + z2 / of)))
        (t_lb, t_ub), (f_lb, f_ub) = bounds
        t, f = tp / m, fp / n
        area = (t + 1 - f) / 2
        expected = area - np.hypot(t - t_lb, f_ub - f) / 2, area + np.hypot(t_ub - t, f - f_lb) / 2
        assert tuple(auc_interval(roc(members, nonmembers))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("values", [np.array([0.0, 1.0]), np.array([0.0, 0.5, 1.0])])
def test_the_interval_of_few_values_turns_with_sides_and_scores(values):
    rng = np.random.default_rng(4)
    members, nonmembers = rng.choice(values, size=12), rng.choice(values, size=150)
    found = auc_interval(roc(members, nonmembers))
    for other in (auc_interval(roc(-members, -nonmembers)), auc_interval(roc(nonmembers, members))):
        assert (1 - other.upper, 1 - other.lower) == pytest.approx(tuple(found), abs=1e-9)


SMALL = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30).map(np.array)


@settings(deadline=None)
@given(members=SMALL, nonmembers=SMALL)
def test_auc_interval_contains_the_area_and_nests(members, nonmembers):
    curve = roc(members, nonmembers)
    narrow, wide = auc_interval(curve, 0.8), auc_interval(curve, 0.99)
    assert 0 <= wide.lower <= narrow.lower <= curve.auc <= narrow.upper <= wide.upper <= 1


def test_auc_interval_turns_with_the_scores():
    nonmembers = np.arange(1000.0)
    members = np.append(np.arange(2000.0, 2999.0), 900.5)
    above, below = auc_interval(roc(members, nonmembers)), auc_interval(roc(-members, -nonmembers))
    assert (1 - below.upper, 1 - below.lower) == pytest.approx(tuple(above), abs=1e-9)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 50), (20, 30), (1000, 1000)])
def test_a_perfect_separation_has_the_exact_one_sided_bound(m, n):
    members, nonmembers = np.arange(m) + 100.0 + n, np.arange(n) * 1.0
    edge = 0.025 ** (1 / min(m, n))  # so many pairs without a common unit are all in order
    assert tuple(auc_interval(roc(members, nonmembers))) == pytest.approx((edge, 1.0))
    assert tuple(auc_interval(roc(-members, -nonmembers))) == pytest.approx((0.0, 1 - edge))


def test_the_perfect_separations_bound_holds_where_separation_is_likely():
    rng = np.random.default_rng(1)
    shift, m, n, draws = 3.2, 20, 20, 3000
    area = stats.norm.cdf(shift / sqrt(2))
    separated, missed = 0, 0
    for _ in range(draws):
        curve = roc(rng.normal(shift, size=m), rng.normal(size=n))
        separated += curve.auc == 1.0
        missed += curve.auc == 1.0 and auc_interval(curve).lower > area
    assert separated > draws / 5
    assert missed / draws <= 0.025 + 3 * sqrt(0.025 / draws)


@pytest.mark.parametrize("members", [np.array([1.0]), np.full(5, 0.0)])
def test_where_there_is_no_variance_nothing_is_claimed(members):
    nonmembers = np.array([0.0, 2.0]) if members.size == 1 else np.zeros(5)
    assert tuple(auc_interval(roc(members, nonmembers))) == (0.0, 1.0)


# -------------------------------------------------------------------------- TPR at a fixed FPR


def curves_of_all_kinds() -> list[tuple[Roc, float]]:
    rng = np.random.default_rng(2)
    cases = []
    for shift in (0.0, 1.0, 3.5):
        cases.append((roc(rng.normal(shift, size=300), rng.normal(size=200)), 0.1))
        cases.append((roc(rng.normal(shift, size=400), rng.normal(size=3000)), 0.01))
    cases.append((roc(rng.normal(1, size=500).round(2), rng.normal(size=1000).round(2)), 0.05))
    cases.append((roc(rng.normal(1, size=30), rng.normal(size=100)), 0.1))
    return cases


CASES = curves_of_all_kinds()


def places(curve: Roc) -> np.ndarray:
    """Members strictly above the j-th highest nonmember, j = 1..n."""
    nonmembers = np.sort(np.repeat(curve.thresholds[1:], np.diff(curve.false_positives)))[::-1]
    members = np.sort(np.repeat(curve.thresholds[1:], np.diff(curve.true_positives)))
    return curve.n_members - np.searchsorted(members, nonmembers, side="right")


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_tpr_bounds_are_the_quantiles_of_their_definition_but_for_the_grid(case, level):
    """Every place the threshold can have, with its probability; 41 nodes may miss 3 % of the width."""
    curve, fpr = CASES[case]
    m, n, above = curve.n_members, curve.n_nonmembers, places(curve)
    r = round(fpr * n)
    up_to = stats.beta(r + 0.5, n - r + 0.5).cdf((np.arange(n + 1) + 0.5) / n)
    up_to[0], up_to[-1] = 0.0, 1.0  # the first and the last place take what rounds beyond them
    weights = np.diff(up_to)
    (lower,), (upper,) = tpr_at_fpr_bounds([curve], [fpr], level)
    for bound, probability in ((lower, (1 - level) / 2), (upper, (1 + level) / 2)):
        low, high = (bound + s * 0.03 * (upper - lower) for s in (-1, 1))
        at_low, at_high = (
            weights @ special.betainc(above + 0.5, m - above + 0.5, np.clip(x, 0, 1)) for x in (low, high)
        )
        assert at_low <= probability <= at_high


def test_tpr_bounds_are_the_quantiles_of_200_000_draws():
    """Draw the threshold's place, then the rate above it."""
    draws = 200_000
    for case, (curve, fpr) in enumerate(CASES):
        m, n, above = curve.n_members, curve.n_nonmembers, places(curve)
        rng, r = np.random.default_rng(case), round(fpr * n)
        place = np.clip(np.rint(n * rng.beta(r + 0.5, n - r + 0.5, size=draws)), 1, n).astype(int)
        rates = rng.beta(above[place - 1] + 0.5, m - above[place - 1] + 0.5)
        bounds = tpr_at_fpr_bounds([curve], [fpr])
        for bound, probability in zip(bounds, (0.025, 0.975), strict=True):
            standard_error = sqrt(probability * (1 - probability) / draws)
            assert abs(np.mean(rates <= bound[0]) - probability) < 3 * standard_error


@pytest.mark.parametrize(("tied", "wider"), [(0, "neither"), (1, "neither"), (400, "both")])
def test_members_tied_at_the_wanted_rate_may_be_in_or_out(tied, wider):
    """100 of 1,000 nonmembers above a score that many members share: whether its rate is .1 is an even bet."""
    nonmembers = np.arange(1000.0)
    members = np.sort(np.append(np.full(tied, 899.5), np.linspace(0, 1100, 1000 - tied)))
    (lower,), (upper,) = tpr_at_fpr_bounds([roc(members, nonmembers)], [0.1])
    without, with_it = int((members > 899.5).sum()), int((members >= 899.5).sum())
    if wider == "both":
        tail = 0.0125
        assert lower == pytest.approx(stats.beta(without + 0.5, 1000 - without + 0.5).ppf(tail), abs=1e-6)
        assert upper == pytest.approx(stats.beta(with_it + 0.5, 1000 - with_it + 0.5).ppf(1 - tail), abs=1e-6)
    else:
        assert lower > stats.beta(without + 0.5, 1000 - without + 0.5).ppf(1e-4)
        assert upper < stats.beta(with_it + 0.5, 1000 - with_it + 0.5).ppf(1 - 1e-4)


def test_tpr_bounds_nest_in_the_level_and_are_the_same_every_time():
    curves, fprs = [c for c, _ in CASES], [f for _, f in CASES]
    previous = tpr_at_fpr_bounds(curves, fprs, 0.5)
    for level in (0.8, 0.95, 0.99, 0.9999):
        bounds = tpr_at_fpr_bounds(curves, fprs, level)
        again = tpr_at_fpr_bounds(curves, fprs, level)
        np.testing.assert_array_equal(bounds, again)
        assert (bounds.lower >= 0).all()
        assert (bounds.lower <= previous.lower).all()
        assert (bounds.upper >= previous.upper).all()
        assert (bounds.upper <= 1).all()
        previous = bounds


def test_tpr_bounds_of_one_curve_do_not_depend_on_the_others():
    curves, fprs = [c for c, _ in CASES], [f for _, f in CASES]
    together = tpr_at_fpr_bounds(curves, fprs)
    for i, (curve, fpr) in enumerate(CASES):
        alone = tpr_at_fpr_bounds([curve], [fpr])
        np.testing.assert_allclose([together.lower[i], together.upper[i]], np.ravel(alone), rtol=1e-7)


def test_tpr_bounds_contain_the_estimate_here():
    for curve, fpr in CASES:
        (lower,), (upper,) = tpr_at_fpr_bounds([curve], [fpr])
        assert lower < curve.tpr[np.searchsorted(curve.fpr, fpr, side="right") - 1] < upper or upper == 1.0


@pytest.mark.parametrize(("fpr", "n"), [(0.1, 99), (0.01, 999), (0.001, 5000)])
def test_below_ten_expected_false_positives_there_are_no_bounds(fpr, n):
    rng = np.random.default_rng(3)
    too_small, enough = (roc(rng.normal(size=200), rng.normal(size=size)) for size in (n, nonmembers_needed(fpr)))
    lower, upper = tpr_at_fpr_bounds([too_small, enough], [fpr, fpr])
    assert np.isnan([lower[0], upper[0]]).all()
    assert np.isfinite([lower[1], upper[1]]).all()


def test_no_curves_no_bounds():
    assert tpr_at_fpr_bounds([], []).lower.size == 0


def test_recognising_nobody_or_everybody_reaches_the_end_of_the_scale_but_is_no_point():
    nobody, everybody = roc(np.zeros(50), np.arange(1.0, 201)), roc(np.full(50, 999.0), np.arange(200.0))
    (low_0, low_1), (up_0, up_1) = tpr_at_fpr_bounds([nobody, everybody], [0.1, 0.1])
    assert low_0 == 0.0 < up_0 < 0.1
    assert 0.9 < low_1 < up_1 == 1.0


def test_all_scores_equal_resolve_nothing_above_zero():
    (lower,), (upper,) = tpr_at_fpr_bounds([roc(np.ones(500), np.ones(500))], [0.1])
    assert lower == 0.0
    assert upper < 0.02  # nobody stands above the tie, wherever the threshold falls


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), decimals=st.sampled_from([0, 1, 15]))
def test_order_and_increasing_transforms_change_no_interval(seed, decimals):
    rng = np.random.default_rng(seed)
    members, nonmembers = rng.normal(1, size=150).round(decimals), rng.normal(size=120).round(decimals)
    curve = roc(members, nonmembers)
    other = roc(np.exp(rng.permutation(members)), np.exp(rng.permutation(nonmembers)))
    assert auc_interval(curve) == auc_interval(other)
    np.testing.assert_array_equal(tpr_at_fpr_bounds([curve], [0.1]), tpr_at_fpr_bounds([other], [0.1]))

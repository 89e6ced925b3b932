"""The privacy risk score, against the published lookup carried out a record at a time."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.evaluation.risk import RiskTable, fit_risk, reliability, risk_scores

RULES = pytest.mark.parametrize("published", [False, True], ids=["default", "published"])
PRIORS = (0.5, 0.1, 0.9)


def literal_fit(inside, outside, n_bins, published):
    """Two histograms on log-spaced edges, counted a record at a time."""
    a, b = [max(v, 1e-10) for v in inside], [max(v, 1e-10) for v in outside]
    low, high = min(a + b), max(a + b)
    edges = np.logspace(np.log10(low), np.log10(high), n_bins + 1).tolist()
    if not published:
        edges[0], edges[-1] = low, high

    def counted(values):
        counts = [0] * n_bins
        for v in values:
            for i in range(n_bins):
                if edges[i] <= v < edges[i + 1] or (i == n_bins - 1 and v == edges[-1]):
                    counts[i] += 1
                    break
        return counts

    ours, theirs = counted(a), counted(b)
    if published:
        return edges, [c / len(a) for c in ours], [c / len(b) for c in theirs]
    seen = [c + d > 0 for c, d in zip(ours, theirs, strict=True)]
    return (
        edges,
        [(c + 1) / (len(a) + n_bins) if s else 0 for c, s in zip(ours, seen, strict=True)],
        [(c + 1) / (len(b) + n_bins) if s else 0 for c, s in zip(theirs, seen, strict=True)],
    )


def literal_score(edges, h1, h2, value, prior):
    """Last bin, first bin, else the largest left edge at or below; then outwards from an empty bin, lower first."""
    value, last = max(value, 1e-10), len(h1) - 1
    if value >= edges[-1]:
        index = last
    elif value <= edges[0]:
        index = 0
    else:
        index = max(i for i in range(last + 1) if edges[i] <= value)
    for t in range(last + 1):
        for i in (index - t, index + t):
            if 0 <= i <= last and h1[i] + h2[i] > 0:
                return prior * h1[i] / (prior * h1[i] + (1 - prior) * h2[i])
    return np.nan


def known(rng, n=240, n_classes=3):
    labels, member = np.arange(n) % n_classes, rng.random(n) < 0.5
    entropy = np.exp(rng.normal(scale=4, size=n) - 3 * member)
    entropy[rng.random(n) < 0.1] = 0.0  # certain and right
    return entropy, labels, member


@RULES
@pytest.mark.parametrize("n_bins", [1, 5, 30])
def test_the_published_lookup_record_by_record(published, n_bins):
    rng = np.random.default_rng(0)
    for _ in range(10):
        entropy, labels, member = known(rng)
        table = fit_risk(entropy, labels, member, 3, n_bins=n_bins, published=published)
        asked = np.concatenate([np.exp(rng.normal(scale=8, size=150)), entropy, [0.0, 1e9], table.edges.ravel()])
        classes = rng.integers(3, size=asked.size)
        for prior in PRIORS:
            found = risk_scores(table, asked, classes, prior)
            for c in range(3):
                in_class = labels == c
                edges, h1, h2 = literal_fit(entropy[in_class & member], entropy[in_class & ~member], n_bins, published)
                np.testing.assert_allclose(table.edges[c], edges, rtol=1e-15)
                expected = [literal_score(edges, h1, h2, v, prior) for v in asked[classes == c].tolist()]
                np.testing.assert_allclose(found[classes == c], expected, rtol=1e-12)


def test_an_empty_bin_takes_the_nearest_with_mass_and_the_lower_of_two():
    table = RiskTable(
        np.array([[1.0, 2, 3, 4, 5, 6, 7]]), np.array([[0.5, 0, 0, 0, 0.5, 0]]), np.array([[0, 0, 0, 0, 1.0, 0]]), ()
    )
    third = 0.5 / 1.5
    np.testing.assert_allclose(table.risk_of_bins(0.5), [[1, 1, 1, third, third, third]])


@settings(deadline=None, max_examples=200)
@given(
    values=st.lists(st.floats(0, 150) | st.just(0.0) | st.just(138.15510557964274), min_size=2, max_size=30),
    n_bins=st.integers(1, 12),
    data=st.data(),
)
def test_the_default_edges_lose_no_point(values, n_bins, data):
    member = np.array(data.draw(st.permutations([True, False, *[i % 2 == 0 for i in range(len(values) - 2)]])))
    table = fit_risk(np.array(values), np.zeros(len(values), dtype=int), member, 1, n_bins=n_bins)
    for shares, side in ((table.members, member), (table.nonmembers, ~member)):
        counted = shares * (side.sum() + n_bins) - (shares > 0)
        assert counted.sum() == pytest.approx(side.sum(), abs=1e-9)
    assert (np.diff(table.edges[0]) >= 0).all()
    assert np.isfinite(risk_scores(table, np.array(values), np.zeros(len(values), dtype=int))).all()


def test_the_published_edges_lose_an_extreme_point():
    largest = next(v for v in np.linspace(1, 2, 101) if 10 ** np.log10(v) < v)
    entropy, member = np.array([0.01, 0.02, 0.05, largest]), np.array([True, True, False, False])
    labels = np.zeros(4, dtype=int)
    published = fit_risk(entropy, labels, member, 1, published=True)
    default = fit_risk(entropy, labels, member, 1)
    assert published.nonmembers.sum() == 0.5
    assert published.members.sum() == 1.0
    assert default.nonmembers[0, -1] == 2 / 7  # one of two, and one more in each of five bins


@RULES
@pytest.mark.parametrize("prior", PRIORS)
def test_g7_identical_distributions_say_the_prior(published, prior):
    values = np.exp(np.random.default_rng(1).normal(size=50))
    entropy, member = np.tile(values, 2), np.repeat([True, False], 50)
    labels = np.zeros(100, dtype=int)
    table = fit_risk(entropy, labels, member, 1, published=published)
    np.testing.assert_allclose(risk_scores(table, entropy, labels, prior), prior, rtol=1e-12)


@RULES
def test_g7_disjoint_distributions_say_1_and_0(published):
    rng = np.random.default_rng(2)
    entropy, member = np.append(rng.uniform(0.001, 0.01, 50), rng.uniform(1, 2, 50)), np.repeat([True, False], 50)
    labels = np.zeros(100, dtype=int)
    table = fit_risk(entropy, labels, member, 1, published=published)
    for prior in PRIORS:
        found = risk_scores(table, entropy, labels, prior)
        if published:
            np.testing.assert_array_equal(found, member)
        else:  # nearly: fifty records are no proof
            odds = found / (1 - found) * (1 - prior) / prior
            assert (np.where(member, odds, 1 / odds) > 5).all()
            assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize(("n", "prior"), [(15, 0.5), (15, 0.1), (40, 0.1)])
def test_few_known_records_of_no_leak_prove_nothing(n, prior):
    """Without a leak a score that says p is right in a share p: the published counts say 1 of those it knows least."""
    rng = np.random.default_rng(8)
    errors: dict[bool, list[float]] = {True: [], False: []}
    highest = []
    for _ in range(200):
        entropy, member = np.exp(rng.normal(size=2 * n)), np.repeat([True, False], n)
        others = np.exp(rng.normal(size=200))
        labels = np.zeros(200, dtype=int)
        for published in errors:
            table = fit_risk(entropy, labels[: 2 * n], member, 1, published=published)
            risk = risk_scores(table, others, labels, prior)
            errors[published].append(np.mean((risk - prior) ** 2))  # what is true of every record is the prior
            if not published:
                highest.append(risk.max())
    assert np.mean(errors[False]) < 0.8 * np.mean(errors[True])
    assert np.mean(np.array(highest) > 0.95) < 0.01


def test_sides_of_unequal_sizes_say_the_prior_where_nothing_leaks():
    rng = np.random.default_rng(9)
    for n_in in (10, 90):
        found = []
        for _ in range(400):
            entropy, member = np.exp(rng.normal(size=100)), np.arange(100) < n_in
            table = fit_risk(entropy, np.zeros(100, dtype=int), member, 1)
            found.append(risk_scores(table, np.exp(rng.normal(size=100)), np.zeros(100, dtype=int)).mean())
        assert np.mean(found) == pytest.approx(0.5, abs=0.07)


def test_g7_the_even_prior_is_the_unweighted_formula():
    entropy, labels, member = known(np.random.default_rng(3))
    table = fit_risk(entropy, labels, member, 3)
    total = table.members + table.nonmembers
    assert (total > 0).any(axis=1).all()
    found = table.risk_of_bins(0.5)[total > 0]
    np.testing.assert_array_equal(found, (table.members / np.where(total > 0, total, 1))[total > 0])


def test_g7_the_risk_rises_with_the_prior_and_is_no_rescaling():
    entropy, labels, member = known(np.random.default_rng(4))
    table = fit_risk(entropy, labels, member, 3)
    risks = np.array([risk_scores(table, entropy, labels, prior) for prior in (0.01, 0.1, 0.3, 0.5, 0.9, 0.99)])
    assert (np.diff(risks, axis=0) >= 0).all()
    inner = (risks[3] > 0) & (risks[3] < 1)
    assert (np.diff(risks[:, inner], axis=0) > 0).all()
    assert np.ptp(risks[1, inner] / risks[3, inner]) > 0.05


def test_the_permutation_of_records_changes_nothing():
    rng = np.random.default_rng(5)
    entropy, labels, member = known(rng)
    order = rng.permutation(entropy.size)
    table, other = fit_risk(entropy, labels, member, 3), fit_risk(entropy[order], labels[order], member[order], 3)
    np.testing.assert_array_equal(
        risk_scores(table, entropy, labels)[order], risk_scores(other, entropy[order], labels[order])
    )


def test_a_class_without_both_sides_uses_everybodys_histograms():
    rng = np.random.default_rng(6)
    entropy, labels, member = known(rng)
    member[labels == 1] = True
    table = fit_risk(entropy, labels, member, 4)  # class 3 has no record at all
    everybody = fit_risk(entropy, np.zeros_like(labels), member, 1)
    assert table.fallback_classes == (1, 3)
    for c in (1, 3):
        np.testing.assert_array_equal(table.edges[c], everybody.edges[0])
        np.testing.assert_array_equal(table.members[c], everybody.members[0])
        np.testing.assert_array_equal(table.nonmembers[c], everybody.nonmembers[0])


# --------------------------------------------------------------------------------- reliability


def test_reliability_by_hand():
    risk = np.array([0.02, 0.06, 0.55, 0.65, 0.95, 1.0])
    member = np.array([False, True, False, False, True, True])
    found = reliability(risk, member)
    assert found.risk == pytest.approx((0.04, 0.55, 0.65, 0.975))
    assert found.member_fraction == pytest.approx((0.5, 0.0, 0.0, 1.0))
    squares = [0.46**2, 0.55**2, 0.65**2, 0.025**2]
    assert found.rmse == pytest.approx(sqrt(sum(squares) / 4))
    assert found.rmse_weighted == pytest.approx(sqrt((2 * squares[0] + squares[1] + squares[2] + 2 * squares[3]) / 6))


def test_reliability_weights_both_sides_to_the_prior():
    risk, member = np.full(5, 0.75), np.array([True, False, False, False, False])
    assert reliability(risk, member).member_fraction == pytest.approx((0.5,))
    assert reliability(risk, member, prior=0.2).member_fraction == pytest.approx((0.2,))


def test_a_calibrated_score_is_reliable():
    rng = np.random.default_rng(7)
    entropy, member = np.exp(rng.normal(size=40_000)), rng.random(40_000) < 0.5
    entropy[member] *= 0.3
    labels = np.zeros(entropy.size, dtype=int)
    half = np.arange(entropy.size) < 20_000
    table = fit_risk(entropy[half], labels[half], member[half], 1, n_bins=10)
    found = reliability(risk_scores(table, entropy[~half], labels[~half]), member[~half])
    assert found.rmse_weighted < 0.03
    shifted = reliability(risk_scores(table, entropy[~half] / 20, labels[~half]), member[~half])
    assert shifted.rmse_weighted > 0.2

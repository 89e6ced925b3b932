"""One test for all attacks together: uniform without a leak, sharp with one."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from vestige.core.options import SubjectScore
from vestige.evaluation import permutation
from vestige.evaluation.permutation import familywise_test, ks_p_value
from vestige.evaluation.roc import roc
from vestige.evaluation.units import make_units


def three_attacks(n, rng):
    """Correlated scores of n subjects, one of them with heavy ties."""
    subjects = np.repeat(np.arange(n), 3)
    units = make_units(subjects, np.zeros(subjects.size, dtype=bool), SubjectScore.MEAN)
    shared = rng.normal(size=n)[subjects]
    a, b, c = (units.score(shared + rng.normal(size=subjects.size)) for _ in range(3))
    return [a, b.round(1), (c > 0).astype(float)]


@pytest.mark.parametrize(("n", "fpr"), [(60, 0.1), (6000, 0.01)])
def test_without_a_leak_p_values_are_uniform(n, fpr):
    rng = np.random.default_rng(n)
    p_values = []
    for _ in range(300):
        member = rng.permutation(n) < n // 2
        p_values.append(familywise_test(three_attacks(n, rng), member, fpr, rng).p_value)
    for level in (0.05, 0.2, 0.5):
        assert abs(np.mean(np.array(p_values) <= level) - level) < 3 * sqrt(level * (1 - level) / 300)


def test_shuffling_and_rotation_agree(monkeypatch):
    rng = np.random.default_rng(1)
    n = 3000
    for shift in (0.0, 0.05):
        member = rng.permutation(n) < n // 3
        scores = [s + shift * member for s in three_attacks(n, rng)]
        shuffled = familywise_test(scores, member, 0.05, np.random.default_rng(2))
        with monkeypatch.context() as patch:
            patch.setattr(permutation, "_MANY", 1)
            rotated = familywise_test(scores, member, 0.05, np.random.default_rng(2))
        assert shuffled.p_value * 2000 == pytest.approx(round(shuffled.p_value * 2000))  # 1,999 shuffles
        assert rotated.p_value * n == pytest.approx(round(rotated.p_value * n))  # n - 1 rotations
        assert rotated.z == pytest.approx(shuffled.z, rel=1e-9)
        assert rotated.critical_z == pytest.approx(shuffled.critical_z, abs=0.15)
        p = (rotated.p_value + shuffled.p_value) / 2
        assert abs(rotated.p_value - shuffled.p_value) < 4 * sqrt(p * (1 - p) * (1 / 1999 + 1 / (n - 1)))


def test_small_samples_have_the_exact_p_value():
    """All 70 relabellings of 4 members among 8 units, one attack's rank sum (the tail holds everybody)."""
    scores, member = np.array([8.0, 7, 5, 3, 6, 4, 2, 1]), np.arange(8) < 4
    from itertools import combinations

    sums = [sum(scores[list(chosen)]) for chosen in combinations(range(8), 4)]
    exact = np.mean(np.array(sums) >= scores[member].sum())
    found = familywise_test([scores], member, 1.0, np.random.default_rng(0)).p_value
    assert abs(found - exact) < 4 * sqrt(exact * (1 - exact) / 2000)


@pytest.mark.parametrize("n", [400, 8000])
def test_z_is_the_rank_sums_standard_score(n):
    rng = np.random.default_rng(3)
    member, scores = rng.permutation(n) < n // 4, rng.normal(size=n).round(1)
    found = familywise_test([scores], member, 1.0, rng)
    ranks = stats.rankdata(scores)
    m = member.sum()
    variance = m * (n - m) / (n - 1) * ranks.var()
    assert found.z == pytest.approx((ranks[member].sum() - m * (n + 1) / 2) / sqrt(variance))


def test_z_of_the_tail_is_the_hypergeometric_standard_score():
    rng = np.random.default_rng(4)
    n, m, top = 1000, 300, 50
    member = np.arange(n) < m
    scores = rng.normal(size=n)
    scores[:20] = 100 + np.arange(20)  # twenty members on top, the others anywhere
    found = familywise_test([scores], member, top / n, rng)
    hits = member[np.argsort(scores)[::-1][:top]].sum()
    assert found.z == pytest.approx((hits - top * m / n) / stats.hypergeom(n, m, top).std())


def test_a_tie_across_the_border_of_the_tail_counts_by_its_fraction():
    n, m = 100, 50
    scores = np.repeat([2.0, 1.0, 0.0], [4, 12, 84])  # ten are the tail: 4 for certain, and half of the 12
    member = np.zeros(n, dtype=bool)
    member[:4] = member[4:7] = member[16:59] = True
    of_tail, of_rank = np.repeat([1.0, 0.5, 0.0], [4, 12, 84]), stats.rankdata(scores)
    z = [(c[member].sum() - m * c.mean()) / (c.std() * sqrt(m * (n - m) / (n - 1))) for c in (of_tail, of_rank)]
    assert z[0] > z[1]
    assert familywise_test([scores], member, 0.1, np.random.default_rng(5)).z == pytest.approx(z[0])


@pytest.mark.parametrize("n", [1000, 10_000])
def test_a_leak_on_average_is_seen(n):
    rng = np.random.default_rng(6)
    member = rng.permutation(n) < n // 2
    scores = three_attacks(n, rng)
    scores[1] = scores[1] + 0.3 * member
    assert familywise_test(scores, member, 0.01, rng).p_value < 0.005


def test_a_leak_in_the_tail_alone_is_seen():
    rng = np.random.default_rng(7)
    n = 10_000
    member = rng.permutation(n) < n // 2
    scores = rng.normal(size=n)
    scores[np.flatnonzero(member)[:100]] += 100  # 2 % of the members on top
    assert 0.5 < roc(scores[member], scores[~member]).auc < 0.52
    other = rng.normal(size=n)
    assert familywise_test([other, scores], member, 0.01, rng).p_value == 1 / n
    assert familywise_test([other, scores], member, 0.01, rng).z > 8
    assert familywise_test([other, scores], member, 1.0, rng).p_value > 1 / n  # the average alone hardly sees it


def test_scores_that_run_the_wrong_way_are_no_leak():
    rng = np.random.default_rng(8)
    member = np.arange(400) < 200
    assert familywise_test([rng.normal(size=400) - 2 * member], member, 0.1, rng).p_value > 0.9


def test_looking_at_more_attacks_does_not_find_more():
    rng = np.random.default_rng(9)
    member = rng.permutation(500) < 250
    few = [rng.normal(size=500) for _ in range(2)]
    one, many = (
        familywise_test(s, member, 0.1, np.random.default_rng(0)) for s in (few, [*few, *rng.normal(size=(20, 500))])
    )
    assert many.critical_z > one.critical_z + 0.3
    again = familywise_test([*few, *few], member, 0.1, np.random.default_rng(0))
    assert again.p_value == one.p_value  # copies of an attack cost nothing


def test_increasing_transforms_and_the_order_of_attacks_change_nothing():
    rng = np.random.default_rng(10)
    member = rng.permutation(300) < 100
    scores = three_attacks(300, rng)
    found = familywise_test(scores, member, 0.1, np.random.default_rng(0))
    other = familywise_test([np.exp(s) for s in scores[::-1]], member, 0.1, np.random.default_rng(0))
    assert other.p_value == found.p_value
    assert [other.z, other.critical_z] == pytest.approx([found.z, found.critical_z])


def test_an_attack_that_says_nothing_is_ignored():
    rng = np.random.default_rng(11)
    member, scores = rng.permutation(300) < 150, rng.normal(size=300)
    alone = familywise_test([scores], member, 0.1, np.random.default_rng(0))
    assert familywise_test([np.full(300, 0.1), scores], member, 0.1, np.random.default_rng(0)) == alone


def test_attacks_that_all_say_nothing_show_nothing():
    """Such as correctness, where every record is classified rightly."""
    for n in (100, 6000):
        found = familywise_test([np.full(n, 0.1)] * 2, np.arange(n) < n // 2, 0.1, np.random.default_rng(0))
        assert (found.p_value, found.z) == (1.0, 0.0)
        assert np.isfinite(found.critical_z)


def test_exceeding_the_critical_z_is_being_significant():
    rng = np.random.default_rng(12)
    for _ in range(100):
        member, scores = rng.permutation(60) < 30, (rng.random(60) < 0.8).astype(float)
        found = familywise_test([scores], member, 0.1, rng)
        assert (found.p_value <= 0.05) >= (found.z > found.critical_z + 1e-9)


# ----------------------------------------------------------------------------------- within strata


def people(n_in, n_out, rng, leak=0.0, combine=SubjectScore.MEAN):
    """Scores of three attacks of people with so many records each, members first."""
    counts = np.concatenate([n_in, n_out])
    subjects = np.repeat(np.arange(counts.size), counts)
    member = subjects < len(n_in)
    units = make_units(subjects, member, combine)
    one = rng.normal(0, 0.7, size=counts.size)[subjects] + rng.normal(size=subjects.size) + leak * member
    scores = [one, -np.exp(-one), (one + rng.normal(size=one.size) > 0).astype(float)]
    return [units.score(s) for s in scores], units.member, counts


@pytest.mark.parametrize("combine", list(SubjectScore))
@pytest.mark.parametrize(("n", "draws"), [(120, 200), (2600, 25)])
def test_people_with_twice_as_many_records_are_no_leak(combine, n, draws):
    rng = np.random.default_rng([n, 1])
    within: list[float] = []
    as_if_alike: list[float] = []
    for _ in range(draws):
        n_in, n_out = rng.integers(1, 7, size=n), 2 * rng.integers(1, 7, size=n)
        if combine is SubjectScore.MAXIMUM:  # the side with more has the larger maximum
            n_in, n_out = n_out, n_in
        scores, member, counts = people(n_in, n_out, rng, combine=combine)
        within.append(familywise_test(scores, member, 0.1, rng, counts).p_value)
        if len(as_if_alike) < 40:
            as_if_alike.append(familywise_test(scores, member, 0.1, rng).p_value)
    for level in (0.05, 0.2, 0.5):
        assert abs(np.mean(np.array(within) <= level) - level) < 3 * sqrt(level * (1 - level) / draws)
    assert np.mean(np.array(as_if_alike) <= 0.05) > 0.2


@pytest.mark.parametrize("n", [150, 2600])
def test_a_leak_is_seen_among_those_with_equal_numbers(n):
    rng = np.random.default_rng(20)
    found = []
    for _ in range(15):
        scores, member, counts = people(rng.integers(1, 7, size=n), rng.integers(2, 9, size=n), rng, leak=0.6)
        found.append(familywise_test(scores, member, 0.1, rng, counts).p_value <= 0.05)
    assert np.mean(found) >= 0.9


def test_strata_cost_little_where_the_numbers_are_alike():
    rng = np.random.default_rng(21)
    with_strata, without = [], []
    for _ in range(100):
        scores, member, counts = people(rng.geometric(0.25, size=150), rng.geometric(0.25, size=150), rng, leak=0.3)
        with_strata.append(familywise_test(scores, member, 0.1, rng, counts).p_value <= 0.05)
        without.append(familywise_test(scores, member, 0.1, rng).p_value <= 0.05)
    assert 0.5 < np.mean(without) < 0.95
    assert np.mean(with_strata) > np.mean(without) - 0.1


def test_small_strata_have_the_exact_p_value():
    """All 6 x 3 relabellings of two strata; the tail holds everybody."""
    from itertools import combinations, product

    scores = np.array([8.0, 1, 7, 2, 60, 30, 50])
    strata, member = np.array([4, 4, 4, 4, 9, 9, 9]), np.array([1, 0, 1, 0, 1, 0, 0], dtype=bool)
    normal = stats.norm.ppf(stats.rankdata(scores) / 8)
    centred = np.concatenate([part - part.mean() for part in (normal[:4], normal[4:])])
    squares = [float(part @ part) for part in (centred[:4], centred[4:])]
    common = sum(squares) / 5
    spread = np.sqrt([(s + 5 * common) / (k + 5) for s, k in zip(squares, (3, 2), strict=True)])
    ranks = stats.rankdata(centred / np.repeat(spread, [4, 3]))
    sums = [ranks[[*a, b]].sum() for a, b in product(combinations(range(4), 2), range(4, 7))]
    exact = np.mean(np.array(sums) >= ranks[member].sum() - 1e-9)
    found = familywise_test([scores], member, 1.0, np.random.default_rng(0), strata)
    assert abs(found.p_value - exact) < 4 * sqrt(exact * (1 - exact) / 2000)
    assert found.z == pytest.approx((ranks[member].sum() - np.mean(sums)) / np.std(sums))


def test_shuffling_and_rotation_within_strata_agree(monkeypatch):
    rng = np.random.default_rng(22)
    for leak in (0.0, 0.1):
        scores, member, counts = people(rng.integers(1, 5, size=900), rng.integers(1, 6, size=1500), rng, leak=leak)
        shuffled = familywise_test(scores, member, 0.05, np.random.default_rng(2), counts)
        with monkeypatch.context() as patch:
            patch.setattr(permutation, "_MANY", 1)
            rotated = familywise_test(scores, member, 0.05, np.random.default_rng(2), counts)
        assert rotated.z == pytest.approx(shuffled.z, rel=1e-9)
        assert rotated.critical_z == pytest.approx(shuffled.critical_z, abs=0.15)
        p = (rotated.p_value + shuffled.p_value) / 2
        assert abs(rotated.p_value - shuffled.p_value) < 4 * sqrt(p * (1 - p) * (1 / 1999 + 1 / 9999)) + 1 / 1999


@pytest.mark.parametrize("n", [200, 6000])
def test_one_stratum_is_none(n):
    rng = np.random.default_rng(23)
    member, scores = rng.permutation(n) < n // 3, three_attacks(n, rng)
    without = familywise_test(scores, member, 0.05, np.random.default_rng(0))
    assert familywise_test(scores, member, 0.05, np.random.default_rng(0), np.full(n, 7)) == without


@pytest.mark.parametrize("n", [100, 3000])
def test_strata_of_one_side_say_nothing(n):
    rng = np.random.default_rng(24)
    scores, member, counts = people(rng.integers(1, 4, size=n), rng.integers(1, 4, size=n), rng, leak=0.1)
    alone = familywise_test(scores, member, 0.1, np.random.default_rng(0), counts)
    more = [np.append(s, [s.max() + 5] * 60) for s in scores]  # members with numbers of their own, on top
    sides, numbers = np.append(member, [True] * 60), np.append(counts, np.repeat([50, 0], 30))
    assert familywise_test(more, sides, 0.1, np.random.default_rng(0), numbers) == alone
    assert familywise_test([more[0][-60:]], sides[-60:], 0.1, rng, numbers[-60:]).comparable is False
    assert alone.comparable


@pytest.mark.parametrize("n", [100, 3000])
def test_within_strata_sides_and_increasing_transforms_keep_the_level(n):
    """The sides swapped, scores infinite and tied: still a p-value, and a separate order in each stratum is enough."""
    rng = np.random.default_rng(25)
    scores, member, counts = people(rng.integers(1, 4, size=n), rng.integers(2, 6, size=n), rng)
    scores = [np.where(s > np.quantile(s, 0.9), np.inf, s.round(1)) for s in scores[:2]]
    for sides in (member, ~member):
        found = familywise_test(scores, sides, 0.1, rng, counts)
        assert np.isfinite([found.z, found.critical_z]).all()
        assert 0 < found.p_value <= 1
    same = [
        familywise_test(s, member, 0.1, np.random.default_rng(0), counts) for s in (scores, [3 * s + 1 for s in scores])
    ]
    assert same[0] == same[1]
    constant = familywise_test([counts.astype(float)], member, 0.1, rng, counts)  # the number itself as the score
    assert (constant.p_value, constant.comparable) == (1.0, True)


# -------------------------------------------------------------------------- Kolmogorov-Smirnov


@pytest.mark.parametrize(("m", "n"), [(20, 30), (500, 500), (1, 40)])
@pytest.mark.parametrize("decimals", [0, 15])
def test_ks_is_scipys_exact_one(m, n, decimals):
    rng = np.random.default_rng(13)
    for shift in (-0.5, 0.0, 0.3):
        members, nonmembers = rng.normal(shift, size=m).round(decimals), rng.normal(size=n).round(decimals)
        expected = stats.ks_2samp(members, nonmembers, alternative="less", method="exact").pvalue
        assert ks_p_value(roc(members, nonmembers)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(600, 700), (501, 10), (5000, 2000)])
def test_ks_is_scipys_asymptotic_one(m, n):
    rng = np.random.default_rng(14)
    for shift in (-0.2, 0.0, 0.1):
        members, nonmembers = rng.normal(shift, size=m), rng.normal(size=n)
        expected = stats.ks_2samp(members, nonmembers, alternative="less", method="asymp").pvalue
        assert ks_p_value(roc(members, nonmembers)) == pytest.approx(expected, rel=1e-9)


def test_ks_is_one_sided():
    low, high = np.arange(600.0), np.arange(600.0) + 300
    assert ks_p_value(roc(high, low)) < 1e-20
    assert ks_p_value(roc(low, high)) == 1.0

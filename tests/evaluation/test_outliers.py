"""Outliers: the plain definition, the wanted share, duplicates, and precision on them."""

import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.evaluation import outliers
from vestige.evaluation.outliers import find_outliers, neighbour_distances, precision_on_outliers


def features(n=500, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 8)) + np.repeat(3 * rng.normal(size=(5, 8)), n // 5, axis=0)


@pytest.mark.parametrize("n_neighbours", [1, 10])
@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.5])
def test_an_outlier_has_fewer_than_so_many_neighbours_within_the_radius(fraction, n_neighbours):
    x = features()
    found = find_outliers(x, fraction=fraction, n_neighbours=n_neighbours)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    neighbours = (distances <= found.radius + 1e-12).sum(axis=1)
    np.testing.assert_array_equal(found.is_outlier, neighbours < n_neighbours)
    # g11: the wanted share, to a record: two may be nearest to each other
    assert round(fraction * 500) - 1 <= found.is_outlier.sum() <= round(fraction * 500)


def test_it_is_the_direction_of_features_that_counts_and_not_the_order_or_the_blocks(monkeypatch):
    x = features()
    scale, order = np.random.default_rng(1).uniform(0.1, 10, size=(500, 1)), np.random.default_rng(2).permutation(500)
    before = find_outliers(x)
    np.testing.assert_array_equal(find_outliers(x * scale).is_outlier, before.is_outlier)
    np.testing.assert_array_equal(find_outliers(x[order]).is_outlier, before.is_outlier[order])
    np.testing.assert_array_equal(find_outliers(x.astype(np.float32)).is_outlier, before.is_outlier)
    monkeypatch.setattr(outliers, "_BLOCK_VALUES", 7 * 500)
    np.testing.assert_allclose(neighbour_distances(x), before.distances, atol=1e-12)


def test_g11_copies_of_a_record_are_no_outliers_if_there_are_as_many_others():
    x = features()
    far = np.full((1, 8), -1.0) * np.arange(1, 9)
    x[:11] = far * np.arange(1, 12)[:, None]  # eleven of one direction: ten others each
    found = find_outliers(x, fraction=0.3, n_neighbours=10)
    assert not found.is_outlier[:11].any()
    assert (found.distances[:11] == 0).all()
    assert find_outliers(x[1:], fraction=0.3, n_neighbours=10).is_outlier[:10].all()  # nine others each
    assert not find_outliers(np.ones((50, 4)), fraction=0.1).is_outlier.any()


def test_precision_on_outliers_is_found_with_intervals_that_cover():
    rng = np.random.default_rng(3)
    n, hits, hits_all, improves = 4000, 0, 0, 0
    is_outlier = np.arange(n) % 20 == 0
    for _ in range(200):
        member = rng.permutation(n) < n // 2
        p = np.where(member, np.where(is_outlier, 0.9, 0.6), np.where(is_outlier, 0.3, 0.5))
        found = precision_on_outliers(rng.random(n) < p, member, is_outlier)
        truth, everyone = 0.9 / 1.2, (0.9 * 0.05 + 0.6 * 0.95) / (0.9 * 0.05 + 0.6 * 0.95 + 0.3 * 0.05 + 0.5 * 0.95)
        hits += found.outliers.interval.lower <= truth <= found.outliers.interval.upper
        hits_all += found.everyone.interval.lower <= everyone <= found.everyone.interval.upper
        improves += found.interval.lower <= truth - everyone <= found.interval.upper
        assert found.improvement == found.outliers.value - found.everyone.value
    for covered in (hits, hits_all, improves):
        assert covered / 200 >= 0.93 - 3 * (0.95 * 0.05 / 200) ** 0.5


def test_precision_is_for_the_prior_and_unknown_where_nobody_was_called():
    member, called = np.arange(30) < 10, np.arange(30) % 2 == 0
    found = precision_on_outliers(called, member, np.ones(30, bool))
    assert found.outliers == found.everyone
    assert found.outliers.value == 0.5  # half of both sides, though members are a third
    assert (found.outliers.n_called, found.outliers.n_members, found.outliers.n_nonmembers) == (15, 10, 20)
    nobody = precision_on_outliers(called, member, np.zeros(30, bool))
    assert np.isnan(nobody.outliers.value)
    assert np.isnan(nobody.interval.lower)
    assert nobody.outliers.interval == (0.0, 1.0)


def test_what_cannot_be_is_refused():
    x = features()
    with pytest.raises(InputError, match="Expected a number of neighbours from 1 to 499, the other records, found 500"):
        neighbour_distances(x, 500)
    for fraction in (0.0, 1.0):
        with pytest.raises(InputError, match="Expected a fraction of outliers between 0 and 1"):
            find_outliers(x, fraction=fraction)
    x[3] = 0
    with pytest.raises(InputError, match="found 0 only for record 4; leave it out"):
        find_outliers(x)
    x[3] = np.nan
    with pytest.raises(InputError, match="found others for record 4"):
        find_outliers(x)

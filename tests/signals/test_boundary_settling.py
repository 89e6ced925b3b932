"""Records that end early: the same side of the threshold, in fewer queries."""

import numpy as np
import pytest
from tests.signals.boundaries import linear

from vestige.core.errors import InputError
from vestige.signals.boundary import BoundaryDistances, Settlement, hop_skip_jump, settlement, surfree

CHECKPOINTS = (30, 50, 100, 200, 300, 400, 600, 800)
BOTH = pytest.mark.parametrize("estimator", [hop_skip_jump, surfree])


def _distances(trace, settled=False):
    n = len(trace)
    no = np.zeros(n, dtype=bool)
    return BoundaryDistances(
        distances=trace[:, -1],
        n_queries=np.full(n, 500),
        robust=~np.isfinite(trace[:, -1]),
        correct=~no,
        consistent=~no,
        settled=no | settled,
        budgets=tuple(range(100, 100 + trace.shape[1])),
        trace=trace,
        nearest=trace,
    )


@BOTH
def test_few_change_sides_in_half_of_the_queries(estimator):
    target, x, y, records = linear(40, 160)
    half = len(x) // 2
    source, audited = slice(0, half), slice(half, None)
    options = {"n_queries": 800, "budgets": CHECKPOINTS}
    known = estimator(target, x[source], y[source], records[source], (0, 1), **options)
    whole = estimator(target, x[audited], y[audited], records[audited], (0, 1), **options)
    threshold = float(np.median(known.distances))
    rule = settlement(known, threshold, missed=0.03)
    early = estimator(target, x[audited], y[audited], records[audited], (0, 1), settled=rule, **options)
    assert early.n_queries.sum() < 0.5 * whole.n_queries.sum()
    assert (early.distances >= whole.distances).all()
    changed = (early.distances > threshold) != (whole.distances > threshold)
    assert changed.mean() <= 0.1
    assert (whole.distances[early.distances <= threshold] <= threshold).all()  # a nonmember stays one
    assert early.settled.any()
    unsettled = ~early.settled
    assert (early.distances[unsettled] == whole.distances[unsettled]).all()
    assert (early.trace[:, -1] == early.distances).all()


def test_a_record_at_the_threshold_has_ended_and_one_above_only_where_it_is_sure():
    rule = Settlement(1.0, (100, 200), np.array([5.0, 2.0]))
    best = np.array([1.0, 1.1, 5.1, 5.1, 2.1, 2.1, np.inf])
    n_used = np.array([3, 500, 99, 100, 199, 200, 100])
    assert rule(best, n_used).tolist() == [True, False, False, True, False, True, True]


def _falling(n, rng):
    steps = rng.exponential(size=(n, 8)) * (1 + rng.exponential(size=(n, 1)))
    return np.minimum.accumulate(steps + np.linspace(3, 0.2, 8), axis=1)


def test_no_more_than_the_share_is_missed_on_records_like_the_source():
    rng = np.random.default_rng(0)
    for missed in (0.01, 0.05):
        missed_shares = []
        for _ in range(60):
            rule = settlement(_distances(_falling(300, rng)), 1.5, missed=missed)
            assert (rule.enough >= 1.5).all()
            trace = _falling(300, rng)
            low = trace[:, -1] <= 1.5
            missed_shares.append((low & (trace > rule.enough).any(axis=1)).mean())
        error = np.std(missed_shares) / np.sqrt(60)
        assert missed / 3 < np.mean(missed_shares) < missed + 3 * error


def test_where_too_little_is_known_nobody_ends():
    rng = np.random.default_rng(0)
    trace = np.concatenate([np.full((30, 2), 9.0), np.column_stack([rng.uniform(2, 4, 70), np.ones(70)])])
    assert np.isinf(settlement(_distances(trace[1:]), 1.0, missed=0.01).enough).all()
    assert np.isfinite(settlement(_distances(trace), 1.0, missed=0.01).enough).all()
    nobody_falls = settlement(_distances(trace[:30]), 1.0, missed=0.05)
    assert nobody_falls.enough.tolist() == [1.0, 1.0]


def test_who_had_no_start_yet_is_not_counted_as_slow():
    trace = np.array([[np.inf, 4.0, 0.5], [np.inf, 3.0, 0.6], [6.0, 2.0, 0.7]])
    rule = settlement(_distances(trace), 1.0, missed=0.4)
    assert np.isfinite(rule.enough).all()
    assert not rule(np.array([4.0]), np.array([101]))[0]


def test_a_source_that_was_ended_early_is_refused():
    with pytest.raises(InputError, match="2 records that were ended early"):
        settlement(_distances(np.array([[2.0, 1.0], [3.0, 2.0]]), settled=True), 1.0)
    with pytest.raises(InputError, match="a share in"):
        settlement(_distances(np.array([[2.0, 1.0]])), 1.0, missed=1.0)


@BOTH
def test_of_signed_distances_wrong_records_end_at_once(estimator):
    target, x, y, records = linear(10, 6)
    y[:2] = 1
    rule = Settlement(0.0, (100,), np.array([np.inf]))
    found = estimator(target, x, y, records, (0, 1), n_queries=200, signed=True, settled=rule)
    assert found.settled.tolist() == [True, True, *[False] * (len(x) - 2)]
    assert (found.distances[:2] < 0).all()
    assert found.n_queries[:2].max() < 20

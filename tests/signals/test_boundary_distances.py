"""Boundary distances: exact boundaries, exact counts, one record like many, and what cannot be searched."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.signals.boundaries import Constant, Dying, Linear, Undecided, linear

from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import PredictedLabels, Probabilities
from vestige.core.targets import AnswerBatch
from vestige.signals.boundary import Starts, distances_of_copies, hop_skip_jump, search, surfree
from vestige.targets.access import MeteredLabels, labels_only
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter

BOTH = pytest.mark.parametrize("estimator", [hop_skip_jump, surfree])


# ---------------------------------------------------------------------------------- exact boundaries


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize(
    ("n_features", "n_queries", "least", "most"),
    [(5, 2_500, 1.0, 1.03), (50, 2_500, 1.0, 1.05), (446, 2_500, 1.02, 1.22), (784, 2_500, 1.1, 1.35)],
)
def test_g5_hop_skip_jump_is_a_nearly_constant_factor_above_the_true_distance(
    n_features, n_queries, least, most, orthogonal
):
    target, x, y, records = linear(n_features, 12)
    found = hop_skip_jump(target, x, y, records, (0, 1), n_queries=n_queries, orthogonal=orthogonal)
    factors = found.distances / target.distances(x)
    assert (factors >= 1).all()
    assert least <= np.median(factors) <= most
    assert factors.std() < 0.03
    assert not found.robust.any()
    assert found.correct.all()
    assert found.consistent.all()


def test_g5_as_many_features_as_cifar_has():
    target, x, y, records = linear(3072, 4)
    found = hop_skip_jump(target, x, y, records, (0, 1), orthogonal=False)
    factors = found.distances / target.distances(x)
    assert (factors >= 1).all()
    assert 1.7 < np.median(factors) < 1.95
    assert factors.std() < 0.05


@pytest.mark.parametrize(("n_features", "most"), [(5, 1.001), (446, 1.1)])
def test_g5_surfree_comes_closer_at_as_many_queries(n_features, most):
    target, x, y, records = linear(n_features, 12)
    found = surfree(target, x, y, records, (0, 1))
    factors = found.distances / target.distances(x)
    assert (factors >= 1 - 1e-12).all()
    assert np.median(factors) < most
    by_gradients = hop_skip_jump(target, x, y, records, (0, 1))
    assert np.median(found.distances / by_gradients.distances) < 1
    at_250 = [np.median(f.trace[:, f.budgets.index(250)]) for f in (found, by_gradients)]
    assert at_250[0] < 0.95 * at_250[1]


@BOTH
def test_g5_ranks_are_those_of_the_true_distances_of_a_curved_boundary(estimator):
    """A ball: the distance to its surface is known, and gradients change from place to place."""

    class Ball:
        n_classes = 2

        def labels(self, inputs, records):
            return (np.linalg.norm(inputs - 0.5, axis=1) > 0.8).astype(np.int64)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 20))
    x *= rng.uniform(0.2, 0.7, 30)[:, None] / np.linalg.norm(x, axis=1)[:, None]
    x += 0.5
    true = 0.8 - np.linalg.norm(x - 0.5, axis=1)
    found = estimator(Ball(), x, np.zeros(30, dtype=int), np.arange(30), (-1, 2), n_queries=1_000)
    assert (found.distances >= true - 1e-12).all()
    assert np.median(found.distances / true) < 1.3
    assert spearmanr(found.distances, true).statistic > 0.97


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_numbers_of_less_precision_are_searched_within_what_they_can_tell_apart(estimator, dtype):
    target, x, y, records = linear(50, 12)
    scale = 255 if dtype is np.uint8 else 1
    target = Linear(target.normal, target.offset * scale)
    x = (x * scale).astype(dtype)
    found = estimator(target, x, y, records, (0, scale), n_queries=1_000)
    factors = found.distances / target.distances(x)
    assert (factors >= 1 - 1e-5).all()
    assert np.median(factors) < 1.06
    assert found.nearest.dtype == np.float32
    assert found.consistent.all()


# ---------------------------------------------------------------------------------------- counting


@BOTH
@pytest.mark.parametrize("n_queries", [30, 50, 99, 1_000])
def test_every_query_is_counted_and_no_budget_is_exceeded(estimator, n_queries):
    target, x, y, records = linear(50, 20)
    y[:3] = 1  # three the model is wrong about
    found = estimator(target, x, y, records, (0, 1), n_queries=n_queries)
    assert found.n_queries.tolist() == np.bincount(target.records, minlength=20)[records].tolist()
    assert found.n_queries.max() <= n_queries
    assert found.n_queries[3:].min() > n_queries - 20
    assert found.n_queries[:3].tolist() == [1, 1, 1]
    assert found.distances[:3].tolist() == [0, 0, 0]
    assert not found.correct[:3].any()


@BOTH
def test_what_is_found_only_gets_better(estimator):
    target, x, y, records = linear(50, 20)
    budgets = (1, 20, 50, 100, 250, 500, 1_000, 2_500)
    found = estimator(target, x, y, records, (0, 1), n_queries=1_000, budgets=budgets)
    assert np.isinf(found.trace[:, 0]).all()
    assert np.isfinite(found.trace[:, 1:]).all()
    assert (np.diff(found.trace[:, 1:], axis=1) <= 0).all()
    assert (found.trace[:, -1] == found.distances).all()
    assert np.allclose(np.linalg.norm(found.nearest - x, axis=1), found.distances)
    assert (target.labels(found.nearest, records) == 1).all()


@BOTH
def test_the_trace_is_what_a_twin_finds_that_looks_at_every_answer(estimator):
    target, x, y, records = linear(20, 4)
    budgets = (30, 100, 300)
    found = estimator(target, x, y, records, (0, 1), n_queries=300, budgets=budgets)
    owners = np.array(target.records)
    asked = np.stack([np.frombuffer(row) for row in target.asked])
    for i, record in enumerate(records):
        own = asked[owners == record]
        lengths = np.where(own @ target.normal + target.offset > 0, np.linalg.norm(own - x[i], axis=1), np.inf)
        for column, budget in enumerate(budgets):
            # Probes of gradients are not looked at, which may be nearer by no more than their radius.
            assert lengths[:budget].min() <= found.trace[i, column] * (1 + 1e-12)
        if estimator is surfree:
            assert found.trace[i].tolist() == [pytest.approx(lengths[:budget].min()) for budget in budgets]


# ------------------------------------------------------------------------------ one record like many


@BOTH
def test_a_record_alone_is_searched_as_among_others(estimator, monkeypatch):
    target, x, y, records = linear(30, 5)
    together = estimator(target, x, y, records, (0, 1), n_queries=200, seed=3)
    for i in range(len(x)):
        rows = slice(i, i + 1)
        alone = estimator(target, x[rows], y[rows], records[rows], (0, 1), n_queries=200, seed=3)
        assert alone.distances[0] == pytest.approx(together.distances[i], rel=1e-9)
        assert alone.n_queries[0] == together.n_queries[i]
    backwards = estimator(target, x[::-1], y[::-1], records[::-1], (0, 1), n_queries=200, seed=3)
    assert backwards.distances[::-1] == pytest.approx(together.distances, rel=1e-9)
    monkeypatch.setattr(search, "_GROUP_NUMBERS", 70)  # two records at a time
    grouped = estimator(target, x, y, records, (0, 1), n_queries=200, seed=3)
    assert grouped.distances == pytest.approx(together.distances, rel=1e-9)
    assert grouped.trace.shape == together.trace.shape
    other = estimator(target, x, y, records, (0, 1), n_queries=200, seed=4)
    assert (other.distances != together.distances).all()


@BOTH
def test_copies_of_a_record_are_searched_one_like_the_other(estimator):
    target, x, y, records = linear(30, 5)
    copies = np.stack([x, np.roll(x, 1, axis=1), x], axis=1)
    found = distances_of_copies(estimator, target, copies, y, records, (0, 1), n_queries=200)
    assert found.shape == (5, 3)
    assert found[:, 0] == pytest.approx(found[:, 2])
    assert found[:, 0] == pytest.approx(estimator(target, x, y, records, (0, 1), n_queries=200).distances)
    assert len(target.asked) <= 200 * 5 * 4
    with pytest.raises(InputError, match="copies"):
        distances_of_copies(estimator, target, x, y, records, (0, 1))


class _Far:
    """A remote plane that keeps what it was asked, and may die."""

    identity, n_classes = "http://far.example", 2

    def __init__(self, plane):
        self.plane = plane

    def answers_in_batches(self, inputs, allowance=None):
        for start in range(0, len(inputs), 64):
            rows = np.arange(start, min(start + 64, len(inputs)))
            yield AnswerBatch(rows, PredictedLabels(self.plane.labels(inputs[rows], rows)))

    def answers(self, inputs):
        raise AssertionError


@BOTH
def test_a_search_that_died_pays_nothing_twice(estimator, tmp_path):
    whole, x, y, records = linear(20, 6)
    expected = estimator(whole, x, y, records, (0, 1), n_queries=300)
    dying, *_ = linear(20, 6, kind=Dying, lives=700)
    living, *_ = linear(20, 6)
    # Within one pass, inputs that are equal (such as the nearest one again) are asked once too.
    with pytest.raises(TargetError):
        _asked_through_a_ledger(estimator, dying, x, y, records, tmp_path)
    assert 500 < len(dying.asked) <= 700
    resumed = _asked_through_a_ledger(estimator, living, x, y, records, tmp_path)
    assert resumed.distances.tolist() == expected.distances.tolist()
    assert dying.asked + living.asked == list(dict.fromkeys(whole.asked))


def _asked_through_a_ledger(estimator, plane, x, y, records, folder):
    ledger = Ledger(folder / "queries.sqlite", 6)
    try:
        target = MeteredLabels(Meter(_Far(plane), ledger), "boundary_distance")
        return estimator(target, x, y, records, (0, 1), n_queries=300)
    finally:
        ledger.close()


# ------------------------------------------------------------------------------ what cannot be searched


@BOTH
def test_a_constant_classifier_is_robust_and_never_at_zero(estimator):
    target = Constant()
    x = np.full((4, 5), 0.5)
    found = estimator(target, x, np.array([0, 0, 0, 1]), np.arange(4), (0, 1), n_queries=500, n_draws=20)
    assert found.robust.tolist() == [True, True, True, False]
    assert found.distances.tolist() == [math.inf, math.inf, math.inf, 0]
    assert (found.trace[:3] == math.inf).all()
    assert found.n_queries.tolist() == [21, 21, 21, 1]
    assert target.n_asked == found.n_queries.sum()


@BOTH
def test_records_of_other_classes_are_where_it_starts_if_noise_fails(estimator):
    """At distance 1.7 noise of 784 features is never on the other side."""
    target, x, y, records = linear(784, 6)
    target.offset -= 1.5
    there = x + 2.5 * target.normal
    few = Starts(np.concatenate([x, there]), np.repeat([0, 1], len(x)))
    noise = estimator(target, x, y, records, (-1, 2), n_queries=300, n_draws=10, starts=None)
    # The box is wider here, so that noise may be lucky: whoever was not is robust, and flagged.
    assert (noise.robust == np.isinf(noise.distances)).all()
    found = estimator(target, x, y, records, (-1, 2), n_queries=300, n_draws=0, starts=few)
    assert not found.robust.any()
    assert (found.distances >= target.distances(x)).all()
    assert (found.distances < 1.2 * target.distances(x)).all()
    assert found.n_queries.max() <= 300
    nowhere = Starts(x, np.ones(len(x), dtype=int))  # said to be of the other class, and are not
    none = estimator(target, x, y, records, (-1, 2), n_queries=300, n_draws=0, starts=nowhere)
    assert none.robust.all()
    assert none.n_queries.tolist() == [1 + min(10, len(x))] * len(x)


@BOTH
def test_signed_distances_tell_how_far_a_wrong_answer_is(estimator):
    target, x, y, records = linear(20, 8)
    wrong = y.copy()
    wrong[:4] = 1
    right = estimator(target, x, y, records, (0, 1), n_queries=300)
    signed = estimator(target, x, wrong, records, (0, 1), n_queries=300, signed=True)
    assert signed.distances[:4] == pytest.approx(-right.distances[:4])
    assert signed.distances[4:] == pytest.approx(right.distances[4:])
    assert (np.sign(signed.trace[:, 1:]) == np.where(signed.correct, 1, -1)[:, None]).all()


@BOTH
def test_a_target_that_does_not_answer_twice_alike_is_refused(estimator):
    target, x, y, records = linear(20, 30, kind=Undecided)
    with pytest.raises(TargetError, match="equal answers to equal inputs"):
        estimator(target, x, y, records, (0, 1), n_queries=300)


@BOTH
def test_bad_input_is_named(estimator):
    target, x, y, records = linear(20, 5)
    with pytest.raises(InputError, match="at least 13 queries"):
        estimator(target, x, y, records, (0, 1), n_queries=12)
    outside = x.copy()
    outside[3, 7] = 1.5
    with pytest.raises(InputError, match=r"in 0\.\.1 .*found 1.5 for record 4"):
        estimator(target, outside, y, records, (0, 1))
    missing = x.copy()
    missing[0, 0] = np.nan
    with pytest.raises(InputError, match="finite inputs"):
        estimator(target, missing, y, records, (0, 1))
    with pytest.raises(InputError, match="finite bounds"):
        estimator(target, x, y, records, (-np.inf, 1))
    assert not target.asked


@BOTH
def test_it_works_behind_the_wrapper_that_holds_no_probability(estimator):
    """G10: all that an estimator is given are labels, and the meter counts what it counts."""

    class Certain:
        n_classes = 2

        def answers(self, inputs):
            p = 1 / (1 + np.exp(-10 * (inputs.sum(axis=1) - 1)))
            return Probabilities(np.stack([1 - p, p], axis=1))

    ledger = Ledger(None, 3)
    target = MeteredLabels(Meter(labels_only(Certain()), ledger), "boundary_distance")
    assert {name for name in dir(target) if not name.startswith("_")} == {"labels", "n_classes"}
    x = np.array([[0.2, 0.2], [0.4, 0.3], [0.1, 0.1]])
    found = estimator(target, x, np.zeros(3, dtype=int), np.arange(3), (0, 1), n_queries=300)
    assert found.distances == pytest.approx((1 - x.sum(axis=1)) / 2**0.5, rel=0.02)
    assert ledger.per_record().tolist() == found.n_queries.tolist()

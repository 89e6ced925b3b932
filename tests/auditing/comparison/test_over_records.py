"""Intervals over records, against DeLong's variance, the bootstrap, and their own coverage."""

from typing import Any

import numpy as np
import pytest

from vestige.auditing.comparison.over_records import area, half_width, mean, rate
from vestige.evaluation.roc import point_at_fpr, roc


def drawn(n: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    side = rng.permutation(np.arange(n) < n // 2)
    return rng.normal(size=n) + shift * side, side


def curve_of(scores: np.ndarray, side: np.ndarray) -> Any:
    return roc(scores[side], scores[~side])


@pytest.mark.parametrize("digits", [8, 0])
def test_the_interval_of_an_area_is_delong_s(digits):
    scores, side = drawn(400, 0.8, 0)
    curve = curve_of(scores.round(digits), side)
    found = half_width(area(curve, scores.round(digits), side).influence, None)
    assert found == pytest.approx(1.959964 * curve.auc_variance**0.5, rel=0.01)


@pytest.mark.parametrize("of_some", [False, True])
def test_the_interval_of_a_mean_of_rates_is_the_bootstrap_s(of_some):
    """Of four models on the same records, drawn anew together."""
    models, rng = [drawn(4_000, 2.0, seed) for seed in range(4)], np.random.default_rng(2)
    some = np.arange(4_000) % 5 == 0 if of_some else None
    measured = [rate(curve_of(scores, side), 0.01, scores, side, some) for scores, side in models]
    influence = np.mean([one.influence for one in measured if one.influence is not None], axis=0)
    seen = [_mean_rate(models, some, rng.integers(4_000, size=4_000)) for _ in range(300)]
    assert half_width(influence, None) == pytest.approx(1.96 * np.std(seen), rel=0.2)
    assert np.mean([one.value for one in measured]) == pytest.approx(_mean_rate(models, some, np.arange(4_000)))


def _mean_rate(models: Any, some: np.ndarray | None, rows: np.ndarray) -> float:
    found = []
    for scores, side in models:
        s, m = scores[rows], side[rows]
        curve = curve_of(s, m)
        called = s >= curve.thresholds[point_at_fpr(curve, 0.01)]
        found.append(called[m if some is None else m & some[rows]].mean())
    return float(np.mean(found))


def test_intervals_cover_what_other_records_would_show():
    """Of a difference of two attacks on the same records, as paired ones do."""
    truth = np.mean([_difference(seed, 20_000)[0] for seed in range(5)])
    covered = [abs(value - truth) <= half for value, half in (_difference(seed, 2_000) for seed in range(100, 300))]
    assert 0.90 <= np.mean(covered) <= 0.985


def _difference(seed: int, n: int) -> tuple[float, float]:
    scores, side = drawn(n, 2.0, seed)
    worse = scores + 0.7 * np.random.default_rng(seed + 10_000).normal(size=n)
    one, other = (rate(curve_of(s, side), 0.05, s, side) for s in (scores, worse))
    assert one.influence is not None
    assert other.influence is not None
    return one.value - other.value, half_width(one.influence - other.influence, None)


def test_people_s_records_count_as_one():
    values = np.repeat(np.random.default_rng(0).normal(size=50), 4)
    once, people = mean(values[::4], np.ones(50, dtype=bool)), mean(values, np.ones(200, dtype=bool))
    assert people.influence is not None
    subjects = np.repeat(np.arange(50), 4)
    assert half_width(people.influence, subjects) == pytest.approx(half_width(once.influence, None))
    assert half_width(people.influence, None) < 0.6 * half_width(people.influence, subjects)


def test_one_record_has_no_interval():
    assert np.isnan(half_width(np.zeros(1), None))

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from vestige.evaluation.preflight.mann_whitney import MannWhitney, mann_whitney
from vestige.evaluation.roc import roc

SCORES = st.lists(st.integers(0, 5), min_size=3, max_size=30)


@given(a=SCORES, b=SCORES)
def test_agrees_with_scipy_ties_included(a, b):
    members, nonmembers = np.array(a, dtype=float), np.array(b, dtype=float)
    test = mann_whitney(roc(members, nonmembers))
    if test.null_variance == 0:
        assert (test.p_above, test.p_below, test.p_two_sided) == (1.0, 1.0, 1.0)
        return
    scipy_test: Any = mannwhitneyu
    for mine, side in ((test.p_above, "greater"), (test.p_below, "less"), (test.p_two_sided, "two-sided")):
        theirs = scipy_test(members, nonmembers, alternative=side, method="asymptotic", use_continuity=False)
        assert mine == pytest.approx(theirs.pvalue, abs=1e-9)


def test_estimated_variance_is_that_of_the_placements():
    rng = np.random.default_rng(0)
    members, nonmembers = rng.integers(0, 9, 40) + 2.0, rng.integers(0, 9, 60) * 1.0
    wins = (members[:, None] > nonmembers) + 0.5 * (members[:, None] == nonmembers)
    expected = wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 60
    assert mann_whitney(roc(members, nonmembers)).variance == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_bounds_cover(shift):
    rng = np.random.default_rng(0)
    truth = NormalDist().cdf(shift / np.sqrt(2))
    tests = [mann_whitney(roc(rng.normal(size=60) + shift, rng.normal(size=40))) for _ in range(2000)]
    assert np.mean([t.lower(0.95) <= truth for t in tests]) >= 0.935
    assert np.mean([t.upper(0.95) >= truth for t in tests]) >= 0.935


def test_bounds_stay_in_the_unit_interval():
    sure = MannWhitney(1.0, 0.1, 0.0)
    assert 0 < sure.lower(0.95) < 1
    assert sure.upper(0.95) == 1.0

"""Binned scores, against plain counting, and what may be released of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.core.curves import RocBand, precision_at
from vestige.core.errors import InputError
from vestige.evaluation.histograms import MOST_BINS, histogram_of
from vestige.evaluation.roc import best_point, roc

SCORES = st.lists(st.sampled_from([-np.inf, 0.0, 1.0, np.inf]) | st.floats(-1e3, 1e3), min_size=1, max_size=60)


@settings(deadline=None, max_examples=200)
@given(members=SCORES, nonmembers=SCORES, fewest=st.integers(1, 12))
def test_counts_are_those_of_plain_counting_and_every_bin_holds_enough(members, nonmembers, fewest):
    found = histogram_of(roc(np.array(members), np.array(nonmembers)), fewest=fewest)
    for side, counts in ((members, found.members), (nonmembers, found.nonmembers)):
        plain = [0] * (found.edges.size + 1)
        for score in side:
            plain[sum(score >= edge for edge in found.edges)] += 1
        assert counts.tolist() == plain
    together = found.members + found.nonmembers
    assert together.size <= MOST_BINS
    assert together.size == 1 or together.min() >= fewest


def test_members_that_score_higher_lie_in_higher_bins_whatever_the_order():
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(1.0, size=2_000), rng.normal(size=2_000)
    found = histogram_of(roc(members, nonmembers))
    again = histogram_of(roc(rng.permutation(members), rng.permutation(nonmembers)))
    assert found.edges.tolist() == again.edges.tolist()
    assert found.members.tolist() == again.members.tolist()
    assert np.corrcoef(np.arange(found.members.size), found.members / (found.members + found.nonmembers))[0, 1] > 0.9


def test_no_edge_is_a_score():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=5_000)
    assert not np.isin(histogram_of(roc(scores[:2_500], scores[2_500:])).edges, scores).any()


def test_a_bin_of_nobody_is_refused():
    with pytest.raises(InputError, match="at least 1 unit"):
        histogram_of(roc(np.ones(2), np.zeros(2)), fewest=0)


@settings(deadline=None, max_examples=100)
@given(members=SCORES, nonmembers=SCORES, prior=st.sampled_from([0.01, 0.1, 0.3]))
def test_the_best_threshold_at_a_member_ratio_by_brute_force(members, nonmembers, prior):
    curve = roc(np.array(members), np.array(nonmembers))
    accuracies = (
        [1 - prior]
        + [  # of calling nobody a member, and of every score as the threshold
            prior * np.mean(np.array(members) >= t) + (1 - prior) * np.mean(np.array(nonmembers) < t)
            for t in curve.thresholds[1:]
        ]
    )
    assert accuracies[best_point(curve, prior)] == pytest.approx(max(accuracies), abs=1e-11)


def test_precision_of_a_curve_at_a_member_ratio():
    band = RocBand(
        attack="loss", fpr=(0.0, 0.1), tpr=(0.0, 0.5), lower=(0.0, 0.4), upper=(0.0, 0.6), best_fpr=0.1, best_tpr=0.5
    )
    assert math.isnan(band.precision(0.01)[0])
    assert band.precision(0.5)[1] == pytest.approx(5 / 6)  # 50 of 60 called members
    assert band.best_precision(0.1) == precision_at(0.5, 0.1, 0.1) == pytest.approx(0.05 / 0.14)

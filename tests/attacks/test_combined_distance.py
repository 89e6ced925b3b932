"""The combined attack: standardised by the source, finite whatever was found, and a leak in any copy is seen."""

import numpy as np
import pytest

from vestige.attacks._finite_distances import finite_distances
from vestige.attacks.combined_distance import combined_distance
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc


def test_a_copy_counts_by_how_far_it_is_for_the_source_s():
    source = np.array([[1.0, 10.0], [3.0, 30.0]])
    np.testing.assert_allclose(combined_distance(np.array([[4.0, 20.0], [2.0, 40.0]]), source), [1.0, 1.0])
    np.testing.assert_allclose(combined_distance(source, source), [-1.0, 1.0])


def test_what_cannot_be_left_is_as_far_as_the_farthest_and_no_farther():
    distances = np.array([[0.0, 1.0], [2.0, np.inf]])
    np.testing.assert_array_equal(finite_distances(distances), [[0.0, 1.0], [2.0, 2.0]])
    np.testing.assert_array_equal(finite_distances(np.array([0.0, np.inf, -np.inf])), [0.0, 1.0, -1.0])
    assert np.isfinite(combined_distance(distances, np.full((3, 2), np.inf))).all()


def test_more_copies_tell_more_than_one():
    rng = np.random.default_rng(0)
    member = np.arange(2000) < 1000
    leak = lambda seed: np.abs(np.random.default_rng(seed).normal(size=(2000, 5))) + 0.4 * member[:, None]  # noqa: E731
    scores, one = combined_distance(leak(1), leak(2)), leak(1)[:, 0]
    assert roc(scores[member], scores[~member]).auc > roc(one[member], one[~member]).auc + 0.1
    order = rng.permutation(2000)
    np.testing.assert_array_equal(combined_distance(leak(1)[order], leak(2)), scores[order])


def test_copies_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="Expected distances of as many copies"):
        combined_distance(np.ones((3, 5)), np.ones((3, 4)))
    with pytest.raises(InputError, match="not a number"):
        combined_distance(np.full((3, 5), np.nan), np.ones((3, 5)))

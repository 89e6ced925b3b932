"""Boundary distance: farther is member, and who was not left at all is the farthest."""

import numpy as np
import pytest

from vestige.attacks.boundary_distance import boundary_distance


def test_the_score_is_the_distance():
    distances = np.array([0.3, 0.0, -0.2, 1e-12])
    scores = boundary_distance(distances)
    assert scores.tolist() == distances.tolist()
    assert scores.dtype == np.float64
    assert scores is not distances


def test_a_record_that_is_robust_is_the_farthest_whoever_it_is_scored_with():
    distances = np.array([np.inf, 1e6, 0.0, -np.inf])
    scores = boundary_distance(distances)
    assert np.isfinite(scores).all()
    assert np.argsort(scores).tolist() == [3, 2, 1, 0]
    alone = [boundary_distance(distances[i : i + 1])[0] for i in range(4)]
    assert scores.tolist() == alone


def test_what_is_no_distance_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        boundary_distance(np.array([0.1, np.nan]))

"""Predicted labels: the first largest answer, by hand."""

import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.signals import predicted_labels


def test_the_largest_answer_wins_and_the_first_of_equal_ones():
    answers = [[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [-3.0, -1.0, -2.0], [0.0, -np.inf, 1e-300]]
    found = predicted_labels(np.array(answers))
    assert found.tolist() == [1, 0, 1, 2]
    assert found.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_models_and_queries_stay_axes(dtype):
    answers = np.random.default_rng(0).normal(size=(2, 7, 3, 5)).astype(dtype)
    found = predicted_labels(answers)
    assert found.shape == (2, 7, 3)
    for at in np.ndindex(found.shape):
        row = answers[at].tolist()
        assert found[at] == row.index(max(row))


def test_what_has_no_label_is_refused():
    with pytest.raises(InputError, match="Expected answers that are numbers, found NaN"):
        predicted_labels(np.array([[0.0, 1.0], [np.nan, 2.0]]))
    with pytest.raises(InputError, match=r"at least 2 classes last, found float64 of shape \(4,\)"):
        predicted_labels(np.zeros(4))

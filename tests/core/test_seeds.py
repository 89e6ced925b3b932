"""Streams: the same for the same purpose, unrelated for another."""

import numpy as np
import pytest

from vestige.core.seeds import stream


def test_the_same_seed_and_purpose_give_the_same_numbers():
    np.testing.assert_array_equal(stream(3, "folds").random(5), stream(3, "folds").random(5))


@pytest.mark.parametrize("other", [(3, "fold"), (4, "folds"), (4, "fold")])
def test_another_seed_or_purpose_gives_other_numbers(other):
    assert not np.isin(stream(3, "folds").random(50), stream(*other).random(50)).any()


def test_streams_are_uncorrelated():
    a, b = stream(0, "a").normal(size=10_000), stream(0, "b").normal(size=10_000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / 100


def test_the_stream_does_not_touch_the_global_generator():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.RandomState(0).random_sample()
    stream(0, "a").random(100)
    assert np.random.random() == expected  # noqa: NPY002


def test_the_numbers_of_a_stream_stay_from_version_to_version():
    assert stream(0, "known half").integers(1000, size=5).tolist() == [224, 554, 900, 53, 677]

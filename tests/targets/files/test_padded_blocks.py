"""Blocks have every record once and in order, and never fewer or more rows than a model takes."""

import numpy as np
import pytest

from vestige.targets.files.padded_blocks import padded_blocks


@pytest.mark.parametrize(("n", "least", "most"), [(10, 1, 4), (10, 4, 4), (3, 8, 8), (8, 8, 8), (9, 2, 4), (1, 1, 1)])
def test_every_record_comes_once_and_every_block_has_a_size_that_is_taken(n, least, most):
    blocks = list(padded_blocks(n, least, most))
    own = np.concatenate([rows[:n_own] for rows, n_own in blocks])
    np.testing.assert_array_equal(own, np.arange(n))
    assert all(least <= len(rows) <= most for rows, _ in blocks)


def test_a_short_block_repeats_the_last_record():
    assert [(rows.tolist(), n) for rows, n in padded_blocks(5, 3, 3)] == [([0, 1, 2], 3), ([3, 4, 4], 2)]


def test_no_records_are_no_block():
    assert list(padded_blocks(0, 4, 4)) == []

"""An array read in blocks is the array."""

import numpy as np
import pytest

from vestige.core.blocks import ArrayTable, BlockTable


@pytest.mark.parametrize("n_rows", [1, 3, 7, 100])
def test_blocks_are_consecutive_views(n_rows):
    array = np.arange(14).reshape(7, 2)
    table = ArrayTable(array, "a")
    blocks = list(table.blocks(n_rows))
    assert isinstance(table, BlockTable)
    assert all(len(b) <= n_rows and b.base is array.base for b in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), array)
    np.testing.assert_array_equal(np.concatenate(list(table.blocks(n_rows))), array)

"""An order of a table's rows that is the same however they are given: what is drawn for them cannot hang on it."""

import numpy as np
from jaxtyping import Int, Shaped


def order_of_contents(table: Shaped[np.ndarray, "row column"]) -> Int[np.ndarray, " row"]:
    """Sort rows by their bytes: no order that means anything.

    Example:
        >>> table = np.array([[3.0, 1.0], [0.0, 2.0], [3.0, 0.5]])
        >>> moved = table[[2, 0, 1]]
        >>> bool((table[order_of_contents(table)] == moved[order_of_contents(moved)]).all())
        True
    """
    table = np.ascontiguousarray(table) + 0.0  # no -0.0 beside 0.0
    return np.argsort(table.view(np.dtype((np.void, table.itemsize * table.shape[1]))).ravel(), kind="stable")

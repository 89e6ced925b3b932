"""Records in blocks of a bounded size, for models that need a least or a largest number of records at once."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int


def padded_blocks(n_records: int, least: int, most: int) -> Iterator[tuple[Int[np.ndarray, " row"], int]]:
    """Yield the rows of every block, and how many of them are its own: a short block repeats the last record.

    Args:
        n_records: Number of records.
        least: Fewest rows of a block.
        most: Most rows of a block.

    Example:
        >>> [(rows.tolist(), n) for rows, n in padded_blocks(5, 3, 3)]
        [([0, 1, 2], 3), ([3, 4, 4], 2)]
    """
    for start in range(0, n_records, most):
        n_own = min(most, n_records - start)
        yield np.minimum(np.arange(start, start + max(n_own, least)), n_records - 1), n_own

"""Tables too large to hold: read once, in blocks of rows."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class BlockTable(Protocol):
    """An array that is read in order, a block of rows at a time.

    `name` says where it is from, for error messages; `blocks` may be called more than once.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""


class ArrayTable:
    """An array in memory (or mapped into it) as a `BlockTable`."""

    def __init__(self, array: np.ndarray, name: str) -> None:
        self.array = array
        self.name = name
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield views of consecutive rows."""
        for start in range(0, self.shape[0], n_rows):
            yield self.array[start : start + n_rows]

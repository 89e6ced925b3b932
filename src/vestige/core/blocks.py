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


class SecondOfTwo:
    """One column of a binary model, that of the second class, as two: the first is a number, or the rest to 1."""

    def __init__(self, table: BlockTable, first: float | None) -> None:
        self._table, self._first, self.name = table, first, table.name
        self.shape: tuple[int, ...] = (table.shape[0], 2)
        self.dtype: np.dtype[Any] = np.dtype(np.float64)

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""
        for block in self._table.blocks(n_rows):
            second = block[:, 0].astype(np.float64)
            yield np.column_stack([1 - second if self._first is None else np.full_like(second, self._first), second])

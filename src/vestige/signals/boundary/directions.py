"""Random numbers of boundary searches: keyed by record and step, and directions from a bank that all records share.

A number depends on the seed, the record and the step, never on which other records are in the call: a search that is
started again with the same seed sends the same inputs in the same order, and a target that keeps answers by content
is paid for none of them twice.

Drawing a unit direction of d numbers costs more than a small model's answer to it (about 14 ns a number against 5 ns
for a multilayer perceptron's first layer of 128). So directions are rows of a bank, drawn once, and each record and
step multiplies them by signs of its own: `signs * row` is as uniform on the sphere as the row, and because signs of
different records or steps are independent, the products are uncorrelated whoever shares the row. The signs go into the
factor that scales the direction anyway, and so cost nothing.
"""

from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import Any

import numpy as np

PIECE = 512
"""Directions at most that share one record's signs: one read of the bank, whose rows are distinct."""

_BANK_ROWS = 1024, 16_384  # least and most: more where they are short, so that they are many different ones
_BANK_NUMBERS = 1 << 19
_BANK_BYTES = 1 << 26
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


def keyed_words(seed: int, purpose: int, records: np.ndarray, step: Any, n_words: int) -> np.ndarray:
    """Return 64 random bits a word, which depend on these arguments alone.

    Args:
        seed: Seed of the search.
        purpose: Keeps what draws for different ends apart.
        records: Number of each record.
        step: Number of the step: one, or one per record.
        n_words: Words for each record.

    Returns:
        Unsigned 64-bit words, records x words.

    Example:
        >>> both = keyed_words(0, 1, np.array([3, 8]), 2, 4)
        >>> bool((both[1] == keyed_words(0, 1, np.array([8]), 2, 4)[0]).all())
        True

    Source:
        Steele, Lea & Flood 2014, SplitMix64, whose increments here are the arguments.
    """
    with np.errstate(over="ignore"):
        key = _mixed(np.uint64(seed) * _GOLDEN + np.uint64(purpose))
        key = _mixed(key + np.asarray(records).astype(np.uint64) * _GOLDEN)
        key = _mixed(key + np.asarray(step).astype(np.uint64) * _GOLDEN)
        return np.asarray(_mixed(key[:, None] + np.arange(1, n_words + 1, dtype=np.uint64) * _GOLDEN))


def _mixed(words: Any) -> Any:
    for shift, factor in _MIX:
        words = (words ^ (words >> shift)) * factor
    return words ^ (words >> np.uint64(31))


def keyed_uniform(seed: int, purpose: int, records: np.ndarray, step: Any, n: int) -> np.ndarray:
    """Return records x numbers, uniform on [0, 1), keyed as `keyed_words`."""
    return np.asarray((keyed_words(seed, purpose, records, step, n) >> np.uint64(11)) * 2.0**-53)


class DirectionBank:
    """Unit directions, uniform on the sphere, that all records of a search share.

    Args:
        n_features: Numbers of a direction.
        seed: Seed of the search.
        dtype: Type of the numbers.
        orthogonal: Whether the rows of a block, at most 512 and at most `n_features`, are orthogonal to each other.
            Each is uniform on the sphere all the same, and sums over a block vary less than of independent ones.

    Attributes:
        rows: Directions; the first `piece` of them once more at the end, so that no read wraps around.
        piece: Directions that one read gives at most.
    """

    def __init__(self, n_features: int, seed: int, dtype: Any, *, orthogonal: bool) -> None:
        self._n_features, self._dtype = n_features, np.dtype(dtype)
        affordable = max(1, _BANK_BYTES // (n_features * self._dtype.itemsize))
        self._block = max(1, min(n_features, PIECE, affordable))
        least, most = _BANK_ROWS
        wanted = min(affordable, most, max(least, _BANK_NUMBERS // n_features))
        self._n_blocks = max(1, wanted // self._block)
        n_rows = self._n_blocks * self._block
        self.piece = min(PIECE, n_rows)
        rng = np.random.default_rng([seed, n_features, 0x5EED])
        rows = np.empty((n_rows + self.piece, n_features), dtype=self._dtype)
        drawn = rng.standard_normal((self._n_blocks, self._block, n_features), dtype=np.float32)
        rows[:n_rows] = (_orthogonal(drawn) if orthogonal else drawn).reshape(n_rows, n_features)
        rows[:n_rows] /= np.linalg.norm(rows[:n_rows], axis=1, keepdims=True)
        rows[n_rows:] = rows[: self.piece]
        rows.setflags(write=False)
        self.rows = rows

    def draws(self, seed: int, purpose: int, records: np.ndarray, step: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return for each record the first row it reads, and the signs that it multiplies what it reads with."""
        words = keyed_words(seed, purpose, records, step, 1 + -(-self._n_features // 64))
        first = (words[:, 0] % np.uint64(self._n_blocks)).astype(np.intp) * self._block
        bits = np.unpackbits(np.ascontiguousarray(words[:, 1:]).view(np.uint8), axis=1, count=self._n_features)
        signs = np.multiply(bits, -2, dtype=self._dtype)
        signs += 1
        return first, signs


@lru_cache(maxsize=2)
def shared_bank(n_features: int, seed: int, dtype: str, orthogonal: bool) -> DirectionBank:
    """Return the bank of these arguments, made once."""
    return DirectionBank(n_features, seed, dtype, orthogonal=orthogonal)


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # comes with scikit-learn

    return ThreadpoolController()  # NumPy's library is loaded by now, and only loaded ones are seen


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep NumPy's small products to one thread: where cores are shared, threads that wait took four times as long."""
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


def _orthogonal(blocks: np.ndarray) -> np.ndarray:
    """Orthogonal rows that span what the rows of each block span, uniform if those are normal."""
    with one_blas_thread():
        basis, upper = np.linalg.qr(blocks.swapaxes(1, 2).astype(np.float64))
    diagonals = np.diagonal(upper, axis1=1, axis2=2)
    return np.asarray((basis * np.where(diagonals < 0, -1.0, 1.0)[:, None, :]).swapaxes(1, 2))

"""Random numbers that depend on the seed, the record and the number of the draw, and on nothing else.

Whoever asks again, in another order, in other batches, or about some of the records, gets the same draws: answers
that were paid for are found again. More draws leave the earlier ones as they are.
"""

import zlib
from collections.abc import Callable

import numpy as np

DRAWS_PER_STREAM = 64
"""Draws that come from one stream, in order: between streams one may begin anywhere."""

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""From a generator and a number n to n draws, of which the first m are what m draws would have been."""


class KeyedDraws:
    """Draws for one purpose.

    Args:
        seed: Other seeds give other draws.
        purpose: So do other purposes.
        draw: Makes the draws of one stream; first axis the draw.

    Example:
        >>> uniform = KeyedDraws(0, "noise", lambda rng, n: rng.random((n, 2)))
        >>> bool((uniform.of(7, 60, 70) == uniform.of(7, 0, 100)[60:70]).all())
        True
    """

    def __init__(self, seed: int, purpose: str, draw: Draw) -> None:
        self._draw = draw
        self._key = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]).generate_state(1, np.uint64)[0]

    def generator(self, record: int, stream: int) -> np.random.Generator:
        """Return the generator of one stream of a record."""
        key = np.array([self._key, record], dtype=np.uint64)
        # Philox counts upwards in the first words: with the last one, streams cannot meet.
        return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, stream], dtype=np.uint64)))

    def of(self, record: int, first: int, last: int) -> np.ndarray:
        """Return draws `first` to `last - 1` of a record."""
        parts = []
        for stream in range(first // DRAWS_PER_STREAM, -(-last // DRAWS_PER_STREAM)):
            start = stream * DRAWS_PER_STREAM
            drawn = self._draw(self.generator(record, stream), min(last - start, DRAWS_PER_STREAM))
            parts.append(drawn[max(0, first - start) :])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

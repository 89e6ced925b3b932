"""HopSkipJump: the distance to the decision boundary from labels alone, for all records at once."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from vestige.core.targets import LabelTarget
from vestige.signals.boundary.directions import DirectionBank, one_blas_thread, shared_bank
from vestige.signals.boundary.search import BUDGETS, BoundaryDistances, Search, Settings, Settled, Starts, found_by

_GRADIENT = 2  # purpose of the keyed numbers
_MOST = 10_000  # queries of one gradient
_HALVINGS = 25  # of a step, before the search stays where it is
_STEP_TESTS = 4  # kept back from the last gradient, for the step that it is for
_CHUNK_NUMBERS = 1 << 19  # of the probes that are asked about at once: what is written should be read from the cache
_CHUNK_ROWS = 512  # at least, so that a network for images is asked full batches


def hop_skip_jump(
    target: LabelTarget,
    inputs: Shaped[np.ndarray, " record *features"],
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    bounds: tuple[Any, Any],
    *,
    n_queries: int = 2_500,
    seed: int = 0,
    starts: Starts | None = None,
    settled: Settled | None = None,
    n_draws: int = 100,
    signed: bool = False,
    budgets: tuple[int, ...] = BUDGETS,
    first_batch: int = 100,
    orthogonal: bool = True,
) -> BoundaryDistances:
    """Find how far each record is from the decision boundary [L2, unit of the inputs], from labels alone.

    All records go through a step together: their gradients' probes, their steps and their bisections are asked about
    in full batches. Random numbers depend on the seed, the record's number and the step, so that a record's distance
    does not depend on who else is in the call, and a search that died is repeated probe by probe. Probes are
    overwritten once they are answered.

    Args:
        target: Gives labels, and counts.
        inputs: Numbers, records x anything; whole numbers are moved as fractions, in the same unit.
        labels: True class.
        records: Number of each record in the audit, for the ledger and for its random numbers.
        bounds: Least and largest value, as `InputSpace.bounds` gives them.
        n_queries: Queries a record at most, all counted: the record itself, starts, probes, steps, bisections.
        seed: Seed.
        starts: Where to start from if noise is of no other class.
        settled: Ends records early, see `Settlement`.
        n_draws: Draws of noise before other starts are tried.
        signed: Whether records the model is wrong about get minus the distance to where its answer changes (Watson et
            al. 2022), instead of 0 for one query (Choquette-Choo et al. 2021).
        budgets: Numbers of queries at which the best distance so far is noted.
        first_batch: Queries of the first gradient; the t-th has sqrt(t) times as many.
        orthogonal: Whether the directions of a gradient are orthogonal to each other, block by block; else they are
            independent, as published.

    Returns:
        The distances, never below the true ones.

    Raises:
        InputError: The inputs are no numbers within the bounds, or the budget is smaller than one start.
        TargetError: The target does not answer, or not twice alike.
        BudgetError: The target's own budget is spent.

    Example:
        >>> class Plane:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs.sum(axis=1) > 1).astype(int)
        >>> x, y = np.array([[0.2, 0.2], [0.9, 0.9]]), np.array([0, 0])
        >>> found = hop_skip_jump(Plane(), x, y, np.arange(2), (0, 1), n_queries=1_000)
        >>> print(found.distances.round(2), "of", round(0.6 / 2**0.5, 4))
        [0.42 0.  ] of 0.4243

    Source:
        Chen, Jordan & Wainwright 2020, algorithm 2, L2, untargeted. Deviations: the crossing is found at once as
        exactly as later ones (not first to 1e-3), and to a thousandth at least; the nearest point ever asked about
        counts, not the last; steps and precision end at what the numbers can tell apart; where features differ in
        range, the first probes' radius is a tenth of the mean range; directions, see `orthogonal`.
    """
    settings = Settings(
        n_queries=n_queries, seed=seed, n_draws=n_draws, signed=signed, budgets=budgets, starts=starts, settled=settled
    )

    def moves(search: Search) -> Iterator[None]:
        bank = shared_bank(search.n_features, seed, search.dtype.str, orthogonal)
        return _moves(search, bank, first_batch)

    return found_by(moves, target, inputs, labels, records, bounds, settings)


def _moves(search: Search, bank: DirectionBank, first_batch: int) -> Iterator[None]:
    step = 0
    radius = 0.1 * float(np.mean(search.high - search.low))
    while True:
        yield
        step += 1
        precision = search.precision(search.reach)
        kept_back = search.n_halvings(precision) + _STEP_TESTS
        n_probes = np.minimum(min(int(first_batch * step**0.5), _MOST), search.left() - kept_back)
        rows = np.flatnonzero(search.live & (n_probes >= 2) & (search.reach > 0))
        if not rows.size:
            return
        # As far as the point may be off the boundary, scaled by how much of a unit direction lies along any other.
        radii = np.full(rows.size, radius) if step == 1 else search.n_features**0.5 * (precision * search.reach)[rows]
        gradients = _gradients(search, bank, rows, n_probes[rows], radii, step)
        rows, far = _stepped(search, rows, gradients, search.reach[rows] / step**0.5, kept_back)
        search.project(rows, far)


def _gradients(
    search: Search, bank: DirectionBank, rows: np.ndarray, n_probes: np.ndarray, radii: np.ndarray, step: int
) -> np.ndarray:
    """Estimate the boundary's normal, of unit length, pointing to the other class.

    A probe costs three passes over its numbers before it is answered (scale, add, clip) and two after (subtract, sum):
    each of a piece of a record's probes, which fits the second-level cache.
    """
    d, dtype = search.n_features, search.dtype
    sums = np.zeros((rows.size, 2, d))  # of the directions that were answered, and of those of the other class
    n_others = np.zeros(rows.size, dtype=np.int64)
    buffer = np.empty((max(_CHUNK_ROWS, _CHUNK_NUMBERS // d, bank.piece), d), dtype=dtype)
    for chunk in _chunks(n_probes, bank.piece, len(buffer)):
        at, pieces, sizes = (np.array(column) for column in zip(*chunk, strict=True))
        first, signs = bank.draws(search.settings.seed, _GRADIENT, search.records[rows[at]], (step << 8) + pieces)
        signs *= radii[at, None].astype(dtype)
        ends = np.cumsum(sizes)
        for i, (start, end, size) in enumerate(zip(ends - sizes, ends, sizes, strict=True)):
            probes = buffer[start:end]
            np.multiply(bank.rows[first[i] : first[i] + size], signs[i], out=probes)
            probes += search.points[rows[at[i]]]
            np.maximum(probes, search.low, out=probes)
            np.minimum(probes, search.high, out=probes)
        others = search.of_another_class(rows[at], buffer[: ends[-1]], sizes)
        with one_blas_thread():
            for i, (start, end, size) in enumerate(zip(ends - sizes, ends, sizes, strict=True)):
                probes, weights = buffer[start:end], np.ones((2, size), dtype=dtype)
                probes -= search.points[rows[at[i]]]  # what was asked about, after clipping
                weights[1] = others[start:end]
                sums[at[i]] += weights @ probes
                n_others[at[i]] += int(weights[1].sum())
    # The mean over probes of (f - mean f) u with f = 2D - 1, up to a factor; of f u where all are on one side.
    share = (n_others / n_probes)[:, None]
    mixed = (share > 0) & (share < 1)
    gradients = np.where(mixed, sums[:, 1] - share * sums[:, 0], np.where(share > 0, sums[:, 0], -sums[:, 0]))
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    return np.asarray((gradients / np.where(lengths > 0, lengths, 1)).astype(dtype))


def _chunks(n_probes: np.ndarray, piece: int, most: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield (position, number of the piece, size) of pieces of each record's probes, as many as are asked at once."""
    chunk: list[tuple[int, int, int]] = []
    total = 0
    for position, n in enumerate(n_probes.tolist()):
        for number, start in enumerate(range(0, n, piece)):
            size = min(piece, n - start)
            if total + size > most:
                yield chunk
                chunk, total = [], 0
            chunk.append((position, number, size))
            total += size
    yield chunk


def _stepped(
    search: Search, rows: np.ndarray, gradients: np.ndarray, lengths: np.ndarray, kept_back: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Step along the normal, half as far until the other class is met; return who did, and where."""
    far, moved = search.points[rows], np.zeros(rows.size, dtype=bool)
    lengths = lengths.copy()
    for _ in range(_HALVINGS):
        at = np.flatnonzero(~moved & (search.left()[rows] > kept_back[rows] - _STEP_TESTS))
        if not at.size:
            break
        probes = search.points[rows[at]] + lengths[at, None].astype(search.dtype) * gradients[at]
        np.clip(probes, search.low, search.high, out=probes)
        others = search.ask(rows[at], probes)
        far[at[others]] = probes[others]
        moved[at[others]] = True
        lengths[at] /= 2
    return rows[moved], far[moved]

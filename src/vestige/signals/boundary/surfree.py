"""SurFree: the distance to the decision boundary from labels alone, by moves on circles and without a gradient."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from vestige.core.targets import LabelTarget
from vestige.signals.boundary.directions import DirectionBank, shared_bank
from vestige.signals.boundary.search import (
    BUDGETS,
    BoundaryDistances,
    Search,
    Settings,
    Settled,
    Starts,
    found_by,
    of_rows,
)

_DIRECTION = 3  # purpose of the keyed numbers
_LEAST_ANGLE, _MOST_ANGLE = 1e-4, np.pi / 2 - 1e-3


def surfree(
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
    n_angles: int = 1,
    n_bisections: int = 1,
    first_angle: float = 30.0,
    shrinkage: float = 0.9,
) -> BoundaryDistances:
    """Find how far each record is from the decision boundary [L2, unit of the inputs] in few queries.

    A point of another class at distance r in direction u is turned towards a random direction v: on the circle through
    the record and the point, `r cos(a) (cos(a) u + sin(a) v)` is nearer the record the larger the angle a is. A few
    angles are tried, on both sides; of the first that is of another class, the largest that still is is found by
    bisection. Every answer counts as soon as it is there, so that a budget may end anywhere.

    Args:
        target: As of `hop_skip_jump`, as all that is not named here.
        inputs: As of `hop_skip_jump`.
        labels: As of `hop_skip_jump`.
        records: As of `hop_skip_jump`.
        bounds: As of `hop_skip_jump`.
        n_queries: As of `hop_skip_jump`.
        seed: As of `hop_skip_jump`.
        starts: As of `hop_skip_jump`.
        settled: As of `hop_skip_jump`.
        n_draws: As of `hop_skip_jump`.
        signed: As of `hop_skip_jump`.
        budgets: As of `hop_skip_jump`.
        n_angles: Angles tried in a direction: the whole, then so many parts of it, on both sides.
        n_bisections: Queries spent on the largest angle.
        first_angle: Largest angle tried at first [degrees]; it follows what is found.
        shrinkage: Factor of that angle after a direction in which nothing was found; its inverse after another.

    Returns:
        The distances, never below the true ones.

    Raises:
        InputError: As of `hop_skip_jump`.
        TargetError: As of `hop_skip_jump`.
        BudgetError: As of `hop_skip_jump`.

    Example:
        >>> class Plane:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs.sum(axis=1) > 1).astype(int)
        >>> x, y = np.array([[0.2, 0.2], [0.9, 0.9]]), np.array([0, 0])
        >>> found = surfree(Plane(), x, y, np.arange(2), (0, 1), n_queries=200)
        >>> print(found.distances.round(2), "of", round(0.6 / 2**0.5, 4))
        [0.42 0.  ] of 0.4243

    Source:
        Maho, Furon & Le Merrer 2021, algorithm 1, in the space of all features. Deviations: directions are orthogonal
        to each other within a block of the shared bank before the current direction is taken out of them, instead of
        to the last hundred; fewer angles and bisections, which serve a budget of hundreds better.
    """
    settings = Settings(
        n_queries=n_queries, seed=seed, n_draws=n_draws, signed=signed, budgets=budgets, starts=starts, settled=settled
    )

    def moves(search: Search) -> Iterator[None]:
        bank = shared_bank(search.n_features, seed, search.dtype.str, True)
        tried = np.repeat(np.arange(n_angles, 0, -1) / n_angles, 2) * np.tile([1.0, -1.0], n_angles)
        return _moves(_Circles(search, bank, np.radians(first_angle), shrinkage), tried, n_bisections)

    return found_by(moves, target, inputs, labels, records, bounds, settings)


class _Circles:
    """Where each record's turn stands: in the plane of `towards` (to the point) and `aside` (the new direction)."""

    def __init__(self, search: Search, bank: DirectionBank, first_angle: float, shrinkage: float) -> None:
        n = len(search.x)
        self.search, self._bank, self._shrinkage = search, bank, shrinkage
        self.towards, self.aside = np.zeros_like(search.x), np.zeros_like(search.x)
        self.widest = np.full(n, first_angle)
        self.n_directions = np.zeros(n, dtype=np.int64)
        self.kept = search.points.copy()

    def aim(self, rows: np.ndarray) -> None:
        """Take each row's next direction, at right angles to the one its point lies in."""
        search, bank = self.search, self._bank
        turn, row = np.divmod(self.n_directions[rows], bank.piece)
        first, aside = bank.draws(search.settings.seed, _DIRECTION, search.records[rows], turn)
        self.n_directions[rows] += 1
        towards = search.points[rows]
        towards -= of_rows(search.x, rows)
        towards /= search.reach[rows, None].astype(search.dtype)
        aside *= bank.rows[first + row]
        aside -= np.einsum("ij,ij->i", aside, towards)[:, None] * towards
        aside /= np.sqrt(np.maximum(np.einsum("ij,ij->i", aside, aside), 1e-30))[:, None]
        self.towards[rows], self.aside[rows] = towards, aside

    def probes(self, rows: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """Return the points on the rows' circles at these angles."""
        search, dtype = self.search, self.search.dtype
        radii = search.reach[rows] * np.cos(angles)
        probes: np.ndarray = of_rows(self.towards, rows) * (radii * np.cos(angles)).astype(dtype)[:, None]
        probes += of_rows(self.aside, rows) * (radii * np.sin(angles)).astype(dtype)[:, None]
        probes += of_rows(search.x, rows)
        np.maximum(probes, search.low, out=probes)
        np.minimum(probes, search.high, out=probes)
        return probes

    def turned(self, rows: np.ndarray, *, found: bool) -> None:
        """End the rows' directions: where something was found, they stand at it."""
        if found:
            self.search.move(rows, self.kept[rows])
        factor = 1 / self._shrinkage if found else self._shrinkage
        self.widest[rows] = np.clip(self.widest[rows] * factor, _LEAST_ANGLE, _MOST_ANGLE)


def _moves(circles: _Circles, tried: np.ndarray, n_bisections: int) -> Iterator[None]:
    """Ask one query about every live record at a time, each wherever its own turn stands."""
    search = circles.search
    n = len(search.x)
    place = np.full(n, -1)  # number of the angle that is tried; -1 before the first
    halving = np.full(n, -1)  # number of the bisection; -1 while angles are tried
    inner, outer = np.zeros(n), np.zeros(n)  # angles: of the other class, and not
    while True:
        yield
        rows = np.flatnonzero(search.live & (search.left() > 0) & (search.reach > 0))
        if not rows.size:
            return
        new = rows[place[rows] < 0]
        if new.size:
            circles.aim(new)
            place[new] = 0
        trying = halving[rows] < 0
        angles = np.where(trying, circles.widest[rows] * tried[place[rows]], (inner[rows] + outer[rows]) / 2)
        probes = circles.probes(rows, angles)
        others = search.ask(rows, probes)
        circles.kept[rows[others]] = probes[others]

        hit, missed = rows[trying & others], rows[trying & ~others]
        inner[hit] = angles[trying & others]
        whole = np.abs(tried[place[hit]])
        larger = np.where(whole == 1, np.minimum(2 * circles.widest[hit], np.pi / 2),
                          circles.widest[hit] * (whole + 1 / (len(tried) // 2)))  # fmt: skip
        outer[hit] = np.sign(inner[hit]) * larger
        halving[hit] = 0
        place[missed] += 1
        given_up = missed[place[missed] >= len(tried)]

        bisected = rows[~trying]
        inner[rows[~trying & others]] = angles[~trying & others]
        outer[rows[~trying & ~others]] = angles[~trying & ~others]
        halving[bisected] += 1
        done = bisected[halving[bisected] >= n_bisections]
        if n_bisections == 0:
            done = hit
        for ended, found in ((given_up, False), (done, True)):
            circles.turned(ended, found=found)
            place[ended], halving[ended] = -1, -1

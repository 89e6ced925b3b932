"""The state of a boundary search: what every record was asked, what was found, and the budget; distances of copies."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vestige.core.errors import InputError, TargetError
from vestige.core.input_values import check_values
from vestige.core.targets import LabelTarget
from vestige.signals.boundary.directions import keyed_uniform

BUDGETS = (50, 100, 250, 1_000, 2_500, 10_000)
"""Queries at which the best distance so far is noted."""

Settled = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From each record's best distance so far and its queries so far to whether it need not be asked about any more."""

Moves = Callable[["Search"], Iterator[None]]
"""An estimator: it asks through a search, and yields where records may be stopped."""

_INIT = 1  # purpose of the keyed numbers
_COARSEST = 1e-3  # share of a segment: 1 / d^1.5 alone would stop after two halvings where there are two features
_GROUP_NUMBERS = 1 << 23  # of the records whose state is held at once
_CHANGED_SIDES = 0.1  # share of the points that were asked again: more is no rounding on the boundary


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryDistances:
    """How far each record is from the nearest input found that the model decides otherwise about.

    Attributes:
        distances: L2 distance [unit of the inputs], never below the true one; 0 where the model is wrong about the
            record itself (or, if signed, minus the distance from there), infinite where nothing was found.
        n_queries: Queries that were asked about each record. A target that keeps answers counts fewer.
        robust: Whether no input of another class was found.
        correct: Whether the model's class of the record itself is the true one.
        consistent: Whether the nearest input was of another class when it was asked about again.
        settled: Whether the record was stopped before its budget, because nothing more was wanted of it.
        budgets: Numbers of queries.
        trace: Distance after at most so many queries, a column per budget; as `distances`.
        nearest: The input that has the distance; the record itself where none was found or wanted.
    """

    distances: Float[np.ndarray, " record"]
    n_queries: Int[np.ndarray, " record"]
    robust: Bool[np.ndarray, " record"]
    correct: Bool[np.ndarray, " record"]
    consistent: Bool[np.ndarray, " record"]
    settled: Bool[np.ndarray, " record"]
    budgets: tuple[int, ...]
    trace: Float[np.ndarray, "record budget"]
    nearest: np.ndarray


@dataclass(frozen=True, eq=False)
class Starts:
    """Inputs that a search may start from where noise is of no other class, such as records of a source data set.

    Attributes:
        inputs: Of the shape of the records.
        labels: Class of each, as far as it is known; the target is asked before one is used.
        n_tried: How many, the nearest first, are tried for a record.
    """

    inputs: np.ndarray
    labels: Int[np.ndarray, " start"]
    n_tried: int = 10


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What searches have in common; see `hop_skip_jump`."""

    n_queries: int
    seed: int
    n_draws: int
    signed: bool
    budgets: tuple[int, ...]
    starts: Starts | None = None
    settled: Settled | None = None


def found_by(
    moves: Moves,
    target: LabelTarget,
    inputs: np.ndarray,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    bounds: tuple[Any, Any],
    settings: Settings,
) -> BoundaryDistances:
    """Run an estimator on all records, as many at once as memory should hold."""
    _check(inputs, labels, records)
    is_short = inputs.dtype.itemsize <= (4 if inputs.dtype.kind == "f" else 2)  # float32 holds all of its values
    dtype = np.dtype(np.float32 if is_short else np.float64)
    low, high = spread_over(bounds, inputs.shape[1:], dtype)
    size = max(1, _GROUP_NUMBERS // max(1, low.size))
    parts = []
    for first in range(0, len(inputs), size):
        rows = slice(first, first + size)
        check_values(inputs[rows].reshape(len(inputs[rows]), -1), low, high, first)
        search = Search(target, inputs[rows], labels[rows], records[rows], (low, high), dtype, settings)
        search.begin()
        for _ in moves(search):
            if settings.settled is not None:
                search.settle(settings.settled)
        search.verify()
        parts.append(search.result(inputs.shape[1:]))
    names = set(BoundaryDistances.__dataclass_fields__) - {"budgets"}
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    n_changed = int((~whole["consistent"]).sum())
    if n_changed > 1 + _CHANGED_SIDES * len(inputs):
        raise TargetError(
            f"Expected equal answers to equal inputs, found {n_changed:,} of {len(inputs):,} records whose nearest "
            "input changed its class when it was asked about again; switch dropout and random transforms off."
        )
    return BoundaryDistances(budgets=settings.budgets, **whole)


def spread_over(
    bounds: tuple[Any, Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]:
    """Return the least and the largest value of every feature.

    Raises:
        InputError: They are not finite, or there is no room between them.
    """
    low, high = (np.broadcast_to(np.asarray(side, dtype), shape).reshape(-1) for side in bounds)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all() and (low < high).any()):
        raise InputError("Expected finite bounds, low below high, found others; give those of InputSpace.bounds.")
    return low, high


class Search:
    """Some records, where the search for each stands, and the only way to the target.

    Attributes:
        x: The records, one row each, as fractions.
        low: Least value of each feature.
        high: Largest value.
        points: Where each search stands: an input of another class.
        reach: Distance of that from the record.
        live: Whether a record is still searched for.
        best: Least distance found so far.
        n_used: Queries so far.
    """

    def __init__(
        self,
        target: LabelTarget,
        inputs: np.ndarray,
        labels: np.ndarray,
        records: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray],
        dtype: np.dtype[Any],
        settings: Settings,
    ) -> None:
        n, self._shape = len(inputs), inputs.shape[1:]
        self.x = np.ascontiguousarray(inputs.reshape(n, -1), dtype=dtype)
        self.low, self.high = bounds
        self.settings, self.records, self.dtype = settings, records, dtype
        self.points, self.nearest = self.x.copy(), self.x.copy()
        self.reach, self.best, self.n_used = np.zeros(n), np.full(n, np.inf), np.zeros(n, dtype=np.int64)
        self.live, self.settled = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
        self._target, self._own, self._budgets = target, labels.copy(), np.array(settings.budgets)
        self._trace, self._consistent = np.full((n, len(self._budgets)), np.inf), np.ones(n, dtype=bool)
        self.correct = np.ones(n, dtype=bool)
        d = self.n_features = self.x.shape[1]
        # A move by a share p of a segment of length s is p * s / sqrt(d) a feature, which must be seen in its type.
        largest = float(np.maximum(np.abs(self.low), np.abs(self.high)).max())
        self._unseen = 2.0 * float(np.finfo(dtype).eps) * largest * np.sqrt(d)
        self._precision = min(float(d) ** -1.5, _COARSEST)
        self._n_crossing = int(self.n_halvings(np.float64(self._precision)))  # queries of one at the finest

    def precision(self, lengths: np.ndarray) -> np.ndarray:
        """Return to which share of segments of these lengths their crossings are found.

        That is `1 / d^1.5`, at most a thousandth, and at least what the numbers can tell apart.
        """
        return np.asarray(np.clip(self._unseen / np.maximum(lengths, 1e-300), self._precision, 0.25))

    def left(self) -> np.ndarray:
        """Queries left for each record, less the one that asks about the nearest input again."""
        return self.settings.n_queries - 1 - self.n_used

    # ------------------------------------------------------------------------------------- asking

    def ask(self, rows: np.ndarray, probes: np.ndarray) -> np.ndarray:
        """Ask about one probe for each row; return which are of another class, and remember the nearest."""
        others = self.of_another_class(rows, probes)
        if others.any():
            hit, inputs = rows[others], probes[others]
            lengths = _lengths(inputs - self.x[hit])
            better = lengths < self.best[hit]
            self.best[hit[better]] = lengths[better]
            self.nearest[hit[better]] = inputs[better]
        return others

    def of_another_class(self, rows: np.ndarray, probes: np.ndarray, n_each: Any = 1) -> np.ndarray:
        """Ask about some probes for each row, in order; return which are of another class than the row's."""
        self._note(rows, n_each)
        return np.asarray(self._labels(rows, probes, n_each) != np.repeat(self._own[rows], n_each))

    def _labels(self, rows: np.ndarray, probes: np.ndarray, n_each: Any = 1) -> np.ndarray:
        shaped = probes.reshape(len(probes), *self._shape)
        return np.asarray(self._target.labels(shaped, np.repeat(self.records[rows], n_each)))

    def _note(self, rows: np.ndarray, n_each: Any = 1) -> None:
        if (rows[1:] == rows[:-1]).any():  # pieces of one record's probes
            rows, piece = np.unique(rows, return_inverse=True)
            n_each = np.bincount(piece, weights=n_each).astype(np.int64)
        before = self.n_used[rows]
        self.n_used[rows] = after = before + n_each
        passed = (before[:, None] <= self._budgets) & (self._budgets < after[:, None])
        if passed.any():
            at, column = np.nonzero(passed)
            self._trace[rows[at], column] = self.best[rows[at]]

    # ----------------------------------------------------------------------------------- starting

    def begin(self) -> None:
        """Find an input of another class for every record, and the crossing on the way there."""
        rows, settings = np.arange(len(self.x)), self.settings
        if settings.n_queries < 3 + self._n_crossing:
            raise InputError(
                f"Expected at least {3 + self._n_crossing} queries a record, which one start costs for "
                f"{self.n_features:,} features, found {settings.n_queries}; allow more."
            )
        self._note(rows)
        predicted = self._labels(rows, self.x)
        self.correct = predicted == self._own
        if settings.signed:
            self._own = predicted.astype(self._own.dtype)
        else:
            self.best[~self.correct] = 0.0
            self.live = self.correct.copy()
        self._start_from_noise()
        if settings.starts is not None:
            self._start_from_records(settings.starts)
        self.live &= np.isfinite(self.best)
        rows = np.flatnonzero(self.live)
        self.project(rows, self.nearest[rows])

    def _without_start(self) -> np.ndarray:
        """Rows that may be asked about another start and keep enough for the crossing."""
        return np.flatnonzero(self.live & ~np.isfinite(self.best) & (self.left() > self._n_crossing))

    def _start_from_noise(self) -> None:
        for draw in range(self.settings.n_draws):
            rows = self._without_start()
            if not rows.size:
                break
            numbers = keyed_uniform(self.settings.seed, _INIT, self.records[rows], draw, self.n_features)
            probes = numbers.astype(self.dtype) * (self.high - self.low) + self.low
            self.ask(rows, np.clip(probes, self.low, self.high))

    def _start_from_records(self, starts: Starts) -> None:
        candidates = starts.inputs.reshape(len(starts.inputs), -1).astype(self.dtype)
        candidates = np.clip(candidates, self.low, self.high)
        nearest = {
            row: _nearest_of_others(self.x[row], self._own[row], candidates, starts)
            for row in np.flatnonzero(self.live & ~np.isfinite(self.best)).tolist()
        }
        for attempt in range(starts.n_tried):
            rows = [row for row in self._without_start().tolist() if attempt < nearest[row].size]
            if not rows:
                break
            self.ask(np.array(rows), candidates[[nearest[row][attempt] for row in rows]])

    # ---------------------------------------------------------------------------------- projecting

    def n_halvings(self, precision: np.ndarray | np.float64) -> np.ndarray:
        """Return how many queries a crossing costs at a precision."""
        return np.asarray(np.ceil(np.log2(1 / precision) - 1e-9).astype(np.int64))

    def project(self, rows: np.ndarray, far: np.ndarray) -> None:
        """Move to where the segments from records to inputs of another class cross the boundary, on the far side.

        Args:
            rows: Rows whose points are set.
            far: Inputs of another class; each has to have been asked about.
        """
        x, kept = self.x[rows], far.copy()
        segments = far - x
        todo = self.n_halvings(self.precision(_lengths(segments)))
        near, end = np.zeros(len(rows)), np.ones(len(rows))
        for halving in range(int(todo.max(initial=0))):
            at = np.flatnonzero((halving < todo) & (self.left()[rows] > 0))
            if not at.size:
                break
            middle = (near[at] + end[at]) / 2
            probes = segments[at] * middle[:, None].astype(self.dtype)
            probes += x[at]
            others = self.ask(rows[at], probes)
            end[at[others]], near[at[~others]] = middle[others], middle[~others]
            kept[at[others]] = probes[others]
        self.move(rows, kept)

    def move(self, rows: np.ndarray, points: np.ndarray) -> None:
        """Let searches stand at points of another class."""
        self.points[rows] = points
        self.reach[rows] = _lengths(points - self.x[rows])

    # -------------------------------------------------------------------------------------- ending

    def settle(self, settled: Settled) -> None:
        """Stop the records of which nothing more is wanted."""
        rows = np.flatnonzero(self.live)
        done = rows[np.asarray(settled(self.best[rows], self.n_used[rows])) | ~self.correct[rows]]
        self.live[done], self.settled[done] = False, True

    def verify(self) -> None:
        """Ask about the nearest inputs again, to see whether the target answers twice alike."""
        rows = np.flatnonzero(np.isfinite(self.best) & (self.best > 0) & ~self.settled)
        rows = rows[self.n_used[rows] < self.settings.n_queries]
        if rows.size:
            self._consistent[rows] = self.of_another_class(rows, self.nearest[rows])

    def result(self, shape: Sequence[int]) -> BoundaryDistances:
        """Return what was found."""
        sign = np.where(self.correct, 1.0, -1.0) if self.settings.signed else np.ones(len(self.x))
        ended = self._budgets >= self.n_used[:, None]
        trace = np.where(ended, self.best[:, None], self._trace)
        return BoundaryDistances(
            distances=sign * self.best,
            n_queries=self.n_used,
            robust=~np.isfinite(self.best),
            correct=self.correct,
            consistent=self._consistent,
            settled=self.settled,
            budgets=self.settings.budgets,
            trace=sign[:, None] * trace,
            nearest=self.nearest.reshape(-1, *shape),
        )


def distances_of_copies(
    estimator: Callable[..., BoundaryDistances],
    target: LabelTarget,
    copies: Shaped[np.ndarray, " record copy *features"],
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    bounds: tuple[Any, Any],
    **options: Any,
) -> Float[np.ndarray, "record copy"]:
    """Find the boundary distance of every copy of each record [L2, unit of the inputs].

    All copies go through the estimator at once. Each has the whole budget, so that a record costs as many times
    `n_queries` as it has copies; those of one record share its random numbers.

    Args:
        estimator: `hop_skip_jump` or `surfree`.
        target: Gives labels, and counts.
        copies: Of each record, within the bounds.
        labels: True class of each record.
        records: Number of each record in the audit.
        bounds: Least and largest value of the features of a copy.
        options: Further arguments of the estimator.

    Returns:
        The distances: 0 for copies the model is wrong about, infinite where nothing was found.

    Raises:
        InputError: As the estimator, or there is no axis of copies.
        TargetError: As the estimator.
        BudgetError: As the estimator.

    Example:
        >>> from vestige.signals.boundary import surfree
        >>> class Plane:
        ...     n_classes = 2
        ...
        ...     def labels(self, inputs, records):
        ...         return (inputs.sum(axis=1) > 1).astype(int)
        >>> copies = np.array([[[0.2, 0.2], [0.4, 0.4]]])
        >>> found = distances_of_copies(surfree, Plane(), copies, np.array([0]), np.array([0]), (0, 1), n_queries=99)
        >>> print(found.round(2))
        [[0.42 0.14]]

    Source:
        Choquette-Choo et al. 2021, section 3.4, combined attack; the copies are its translates.
    """
    if copies.ndim < 3:
        raise InputError(f"Expected records x copies x features, found shape {copies.shape}; give copies an axis.")
    n_records, n_copies = copies.shape[:2]
    flat = copies.reshape(n_records * n_copies, *copies.shape[2:])
    of_copies = estimator(target, flat, np.repeat(labels, n_copies), np.repeat(records, n_copies), bounds, **options)
    return of_copies.distances.reshape(n_records, n_copies)


def of_rows(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return these rows of a table, in order; the table itself, and no copy, where they are all of them."""
    return table if len(rows) == len(table) else table[rows]


def _lengths(moves: np.ndarray) -> np.ndarray:
    """L2 norms, summed in double."""
    wide = moves.astype(np.float64, copy=False)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", wide, wide)))


def _nearest_of_others(x: np.ndarray, own: Any, candidates: np.ndarray, starts: Starts) -> np.ndarray:
    others = np.flatnonzero(starts.labels != own)
    order = np.argsort(_lengths(candidates[others] - x), kind="stable")
    return others[order][: starts.n_tried]


def _check(inputs: Any, labels: np.ndarray, records: np.ndarray) -> None:
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "biuf" or inputs.ndim < 2 or not len(inputs):
        raise InputError(
            "Expected records x features as an array of numbers, at least one record, found "
            f"{getattr(inputs, 'dtype', type(inputs).__name__)} of shape {np.shape(inputs)}; a table with categories "
            "has no straight line to the boundary, encode it before."
        )
    if labels.shape != (len(inputs),) or records.shape != (len(inputs),):
        raise InputError(
            f"Expected a label and a number for each of {len(inputs):,} records, found {labels.shape} and "
            f"{records.shape}; give one each."
        )
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        raise InputError("Expected finite inputs, found missing or infinite ones; fill them in or leave them out.")

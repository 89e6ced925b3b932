"""Distances to the decision boundary by gradients: Carlini & Wagner 2017, for whoever knows the parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.core.input_values import check_values
from vestige.core.targets import MarginTarget
from vestige.signals.boundary.search import spread_over

_GROUP_NUMBERS = 1 << 21  # of the records whose state is held at once: five numbers in double precision for each
_INSIDE = 0.999999  # of the way to the border of the inputs: arctanh is infinite there
_STALLED = 0.9999  # a search whose loss is still above this share of what it was a tenth of its steps ago is over
_MOMENTS = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Descent:
    """How long, and how fast, gradients are followed.

    Attributes:
        n_steps: Of Adam in one search; most searches stop before.
        n_searches: One for each weight of the margin against the distance: ten times the weight after a failure, half
            way between failure and success afterwards.
        learning_rate: Of Adam, where the range of an input is 2 at its middle.
        weight: Of the margin in the first search [square of the range of the inputs, per logit].

    Raises:
        InputError: A number is not above 0.

    Source:
        Choquette-Choo et al. 2021's code takes the defaults of cleverhans: these.
    """

    n_steps: int = 1_000
    n_searches: int = 5
    learning_rate: float = 5e-3
    weight: float = 1e-2

    def __post_init__(self) -> None:
        if min(self.n_steps, self.n_searches, self.learning_rate, self.weight) <= 0:
            raise InputError(f"Expected numbers above 0 for searches by gradients, found {self}.")


def carlini_wagner(
    target: MarginTarget,
    inputs: Any,
    labels: Int[np.ndarray, " record"],
    records: Int[np.ndarray, " record"],
    bounds: tuple[Any, Any],
    descent: Descent | None = None,
) -> Float[np.ndarray, " record"]:
    """Return how far each record is from the nearest input found that the model decides otherwise about.

    Each record is searched for by itself: neither the order of the records nor which others there are matters.

    Args:
        target: Gives margins, and their gradients in the inputs.
        inputs: Records, fractions of any shape.
        labels: Their true classes.
        records: Which record of the audit each is, for the ledger.
        bounds: Least and largest value of the features, finite.
        descent: How long gradients are followed; cleverhans' defaults if omitted.

    Returns:
        L2 distance [unit of the inputs], never below the true one; 0 where the model is wrong about the record itself,
        infinite where nothing was found.

    Raises:
        InputError: Inputs are no fractions, or not within bounds, or the bounds are not finite.
        TargetError: A margin is not finite.
        BudgetError: The target's budget is spent.

    Example:
        >>> class Line:  # of two classes, with the boundary at 1
        ...     def margins(self, inputs, labels, records):
        ...         sign = np.where(labels == 1, 1.0, -1.0)
        ...         return sign * (inputs[:, 0] - 1.0), sign[:, None] * np.ones_like(inputs)
        >>> given = np.array([[1.5], [0.2]]), np.array([1, 1]), np.arange(2)
        >>> carlini_wagner(Line(), *given, (0.0, 2.0)).round(2)
        array([0.5, 0. ])

    Source:
        Carlini & Wagner 2017, L2, untargeted, no confidence; Choquette-Choo et al. 2021, section 3.4. Deviations: a
        search is over for a record where its own loss stalls, not where that of its batch does; a record that was not
        left is infinitely far, where cleverhans gives the record itself, at 0.
    """
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind != "f":
        found = getattr(inputs, "dtype", type(inputs).__name__)
        raise InputError(
            f"Expected inputs as an array of fractions for gradients in them, found {found}; convert the records, such "
            "as bytes to inputs / 255, and let the model take those."
        )
    low, high = spread_over(bounds, inputs.shape[1:], np.dtype(np.float64))
    size = max(1, _GROUP_NUMBERS // max(1, low.size))
    found = np.empty(len(inputs))
    for first in range(0, len(inputs), size):
        rows = slice(first, first + size)
        check_values(inputs[rows].reshape(len(inputs[rows]), -1), low, high, first)
        found[rows] = _Group(target, inputs[rows], labels[rows], records[rows], (low, high)).searched(
            descent or Descent()
        )
    return found


class _Group:
    """Some records, and the nearest input of another class found for each."""

    def __init__(
        self,
        target: MarginTarget,
        inputs: np.ndarray,
        labels: np.ndarray,
        records: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.target, self.labels, self.records = target, labels, records
        self.shape, self.dtype = inputs.shape[1:], inputs.dtype
        self.low, self.range = bounds[0], bounds[1] - bounds[0]
        self.x = inputs.reshape(len(inputs), -1).astype(np.float64)
        self.best = np.full(len(inputs), np.inf)

    def searched(self, descent: Descent) -> Float[np.ndarray, " record"]:
        """Search with one weight after the other; return the distances."""
        right = self._margins(self.x, np.arange(len(self.x)))[0] > 0
        self.best[~right] = 0.0
        weight = np.full(len(self.x), descent.weight * float(self.range.max()) ** 2)
        least, most = np.zeros(len(self.x)), np.full(len(self.x), np.inf)
        for _ in range(descent.n_searches):
            won = self._descended(weight, descent, right)
            most[won] = np.minimum(most[won], weight[won])
            least[~won] = np.maximum(least[~won], weight[~won])
            is_open = np.isinf(most)
            weight = np.where(is_open, 10 * weight, (least + np.where(is_open, 0.0, most)) / 2)
        return self.best

    def _descended(
        self, weight: np.ndarray, descent: Descent, live: Bool[np.ndarray, " record"]
    ) -> Bool[np.ndarray, " record"]:
        """Follow gradients from the records themselves; return of which another class was found."""
        won, live = np.zeros(len(self.x), dtype=bool), live.copy()
        share = (self.x - self.low) / np.where(self.range > 0, self.range, 1.0)
        w = np.arctanh(_INSIDE * (2 * share - 1))
        mean, square = np.zeros_like(w), np.zeros_like(w)
        before = np.full(len(w), np.inf)
        first, second, least = _MOMENTS
        for step in range(descent.n_steps):
            rows = np.flatnonzero(live)
            if not rows.size:
                break
            tanh = np.tanh(w[rows])
            points = self.low + (tanh + 1) / 2 * self.range
            margins, slopes = self._margins(points, rows)
            moved = points.astype(self.dtype).astype(np.float64) - self.x[rows]
            squares = (moved**2).sum(axis=1)
            out = rows[margins < 0]
            won[out] = True
            self.best[out] = np.minimum(self.best[out], np.sqrt(squares[margins < 0]))
            if step % max(1, descent.n_steps // 10) == 0:
                loss = squares + weight[rows] * np.maximum(margins, 0.0)
                live[rows[loss > _STALLED * before[rows]]] = False
                before[rows] = loss
            slope = 2 * moved + (weight[rows] * (margins > 0))[:, None] * slopes
            slope *= (1 - tanh**2) / 2 * self.range
            mean[rows] = first * mean[rows] + (1 - first) * slope
            square[rows] = second * square[rows] + (1 - second) * slope**2
            scale = np.sqrt(square[rows] / (1 - second ** (step + 1))) + least
            w[rows] -= descent.learning_rate * mean[rows] / (1 - first ** (step + 1)) / scale
        return won

    def _margins(self, points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked = points.astype(self.dtype).reshape(-1, *self.shape)
        return self.target.margins(asked, self.labels[rows], self.records[rows])

"""Fewer queries, the same verdict: records end as soon as their side of a transferred threshold is settled."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.signals.boundary.search import BoundaryDistances

CHECKPOINTS = (30, 40, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1_000, 1_250, 1_500, 2_000, 2_500, 5_000)
"""Budgets of a run that settlements are fitted on."""


@dataclass(frozen=True, eq=False)
class Settlement:
    """When a record need not be asked about any more; given to an estimator as `settled`.

    A distance found so far only falls. At or below the threshold the verdict stands: nonmember, as after all
    queries. Above it, a record ends as a member where it is so far above that hardly any record like it of the source
    model came down to the threshold later.

    Attributes:
        threshold: Distance above which a record is called a member.
        checkpoints: Numbers of queries.
        enough: Distance above which a record ends, from each checkpoint on.
    """

    threshold: float
    checkpoints: tuple[int, ...]
    enough: Float[np.ndarray, " checkpoint"]

    def __call__(
        self, best: Float[np.ndarray, " record"], n_used: Int[np.ndarray, " record"]
    ) -> Bool[np.ndarray, " record"]:
        """Return which records are settled, given their best distances and their queries so far."""
        passed = np.searchsorted(self.checkpoints, n_used, side="right")
        enough = np.concatenate([[np.inf], self.enough])[passed]
        return np.asarray((best <= self.threshold) | (best > enough))


def settlement(source: BoundaryDistances, threshold: float, *, missed: float = 0.02) -> Settlement:
    """Fit when records end, on records of the source model that were searched for to the end of the budget.

    Args:
        source: Distances of records of the source (shadow) model, by the same estimator with the same budget, noted at
            checkpoints such as `CHECKPOINTS`.
        threshold: Distance above which a record is called a member, chosen on the source.
        missed: Share of the source's records that end at or below the threshold which may be called members.

    Returns:
        The rule. What it calls a nonmember is one after all queries too; of the others, about that share is not.

    Raises:
        InputError: The source was stopped early itself, or the share is none.

    Example:
        >>> import numpy as np
        >>> trace = np.array([[9.0, 1.0], [8.0, 2.0], [20.0, 15.0], [12.0, 11.0]])
        >>> no, n = np.zeros(4, dtype=bool), np.full(4, 500)
        >>> source = BoundaryDistances(trace[:, 1], n, no, ~no, ~no, no, (100, 500), trace, trace)
        >>> rule = settlement(source, 5.0)
        >>> rule(np.array([4.0, 8.5, 9.5]), np.array([100, 100, 100]))
        array([ True, False,  True])

    Source:
        Ours. The budgets of Choquette-Choo et al. 2021, figure 2c, are the same for all records.
    """
    if source.settled.any() or not 0 <= missed < 1:
        raise InputError(
            f"Expected a source searched for to the end and a share in [0, 1) as missed, found "
            f"{int(source.settled.sum()):,} records that were ended early and {missed}; run it without `settled`."
        )
    low = (source.distances <= threshold) & source.correct & ~source.robust
    n_low = int(low.sum())
    enough = np.full(len(source.budgets), np.inf)
    gone = np.zeros(len(low), dtype=bool)
    for column in range(len(source.budgets)):
        found = source.trace[:, column]
        started = np.isfinite(found)  # others are not asked about the rule yet
        # What may be missed is spread over the checkpoints, so that the first does not take all.
        allowed = int(missed * n_low * (column + 1) / len(source.budgets)) - int((gone & low).sum())
        falling = np.sort(found[low & ~gone & started])[::-1]
        enough[column] = max(threshold, falling[allowed]) if falling.size > allowed else threshold
        if not n_low:
            enough[column] = np.inf  # nothing is known about records that come down
        gone |= started & (found > enough[column])
    return Settlement(threshold, source.budgets, enough)

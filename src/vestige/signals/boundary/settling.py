"""Fewer queries, the same verdict: records end as soon as their side of a transferred threshold is settled."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.core.errors import InputError
from vestige.signals.boundary.search import BoundaryDistances

CHECKPOINTS = (30, 40, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1_000, 1_250, 1_500, 2_000, 2_500, 5_000)
"""Budgets of a run that settlements are fitted on."""

_USUAL = 0.9  # share of the records that come down which have reached what is usual at a checkpoint


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


def settlement(source: BoundaryDistances, threshold: float, *, missed: float = 0.01) -> Settlement:
    """Fit when records end, on records of the source model that were searched for to the end of the budget.

    Args:
        source: Distances of records of the source (shadow) model, by the same estimator with the same budget, noted at
            checkpoints such as `CHECKPOINTS`.
        threshold: Distance above which a record is called a member, chosen on the source.
        missed: Share of all records that may be called members though all queries would bring them down to the
            threshold: what balanced accuracy may lose, at most.

    Returns:
        The rule. What it calls a nonmember is one after all queries too; of records like the source's, the share
        above is expected to be missed at most. Nobody ends above the threshold if the source has fewer than
        `1 / missed` records.

    Raises:
        InputError: The source was stopped early itself, or the share is none.

    Example:
        >>> trace = np.column_stack([np.linspace(5.0, 9.0, 99), np.linspace(1.0, 2.0, 99)])
        >>> no, n = np.zeros(99, dtype=bool), np.full(99, 500)
        >>> source = BoundaryDistances(
        ...     distances=trace[:, 1],
        ...     n_queries=n,
        ...     robust=no,
        ...     correct=~no,
        ...     consistent=~no,
        ...     settled=no,
        ...     budgets=(100, 500),
        ...     trace=trace,
        ...     nearest=trace,
        ... )
        >>> rule = settlement(source, 3.0, missed=0.1)
        >>> rule.enough.round(1), rule(np.array([3.0, 8.5, 9.5]), np.array([100, 100, 100]))
        (array([8.7, 3. ]), array([ True, False,  True]))

    Source:
        Ours: a conformal quantile (Vovk, Gammerman & Shafer 2005) of how slowly records of the source come down, the
        largest ratio over the checkpoints to what nine tenths of them have reached there. The budgets of
        Choquette-Choo et al. 2021, figure 2c, are the same for all records.
    """
    if source.settled.any() or not 0 <= missed < 1:
        raise InputError(
            f"Expected a source searched for to the end and a share in [0, 1) as missed, found "
            f"{int(source.settled.sum()):,} records that were ended early and {missed}; run it without `settled`."
        )
    low = (source.distances <= threshold) & source.correct & ~source.robust
    falling = np.where(np.isfinite(source.trace), source.trace, 0.0)[low]  # without a start it is not asked about yet
    rank = len(falling) + 1 - int(missed * len(low) + 1e-9)
    if rank > len(falling):  # too few to know how slowly records come down
        return Settlement(threshold, source.budgets, np.full(len(source.budgets), np.inf))
    if rank < 1:  # too few that come down to matter
        return Settlement(threshold, source.budgets, np.full(len(source.budgets), threshold))
    # One number per record over all checkpoints: the largest of as many separate quantiles would miss many times more.
    usual = np.maximum(np.quantile(falling, _USUAL, axis=0), threshold)
    with np.errstate(invalid="ignore"):
        slowest = np.nan_to_num(falling / usual).max(axis=1)
    enough = np.maximum(usual * np.sort(slowest)[rank - 1], threshold)
    return Settlement(threshold, source.budgets, enough)

"""Scores of members and nonmembers in bins that may be released: each holds some units, and no edge is a score."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vestige.core.errors import InputError
from vestige.evaluation.roc import Roc

MOST_BINS = 40
_TAIL = 0.01  # share of the units on either side of the grid, which its outer bins take in


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of both sides by score.

    Attributes:
        edges: Inner edges, rising; the first and the last bin are open.
        members: Members in each bin.
        nonmembers: Nonmembers in each bin.
    """

    edges: Float[np.ndarray, " edge"]
    members: Int[np.ndarray, " bin"]
    nonmembers: Int[np.ndarray, " bin"]


def histogram_of(curve: Roc, *, fewest: int = 10) -> Histogram:
    """Count the units of both sides between edges of equal distance, neighbours joined until each bin holds enough.

    The edges are round numbers between the scores of the outermost hundredths, so that none of them is a record's own.

    Args:
        curve: The ROC of the scores, which holds all of them.
        fewest: Units, members and nonmembers together, that every bin holds at least.

    Returns:
        At most `MOST_BINS` bins; a single one, without edges, if there are not twice so many units.

    Raises:
        InputError: Fewer than one unit to a bin.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> found = histogram_of(roc(np.array([0.9, 0.9, 0.9, 0.2]), np.array([0.1, 0.1, 0.2, 0.2])), fewest=3)
        >>> found.members.tolist(), found.nonmembers.tolist()
        ([1, 3], [4, 0])

    Source:
        Watson et al. 2022, figure 1. Ours: joined bins, because a bin with one unit tells whose score it is.
    """
    if fewest < 1:
        raise InputError(f"Expected at least 1 unit in each bin, found {fewest}.")
    scores = curve.thresholds[1:][::-1]
    members, nonmembers = (np.diff(counts)[::-1] for counts in (curve.true_positives, curve.false_positives))
    grid = _grid(scores, members + nonmembers)
    bins = np.searchsorted(grid, scores, side="right")
    of_members = np.bincount(bins, members, grid.size + 1).astype(np.int64)
    of_nonmembers = np.bincount(bins, nonmembers, grid.size + 1).astype(np.int64)
    kept = _kept(of_members + of_nonmembers, fewest)
    first = np.append(0, kept + 1)  # of the bins that each joined bin begins with
    return Histogram(grid[kept], np.add.reduceat(of_members, first), np.add.reduceat(of_nonmembers, first))


def _grid(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Edges of equal distance over all but the outermost scores, rounded to a tenth of a step."""
    below = np.cumsum(counts) / counts.sum()
    low, high = (float(scores[np.searchsorted(below, share)]) for share in (_TAIL, 1 - _TAIL))
    if not np.isfinite([low, high]).all() or low == high:
        return np.empty(0)
    step = (high - low) / MOST_BINS
    digits = int(1 - np.floor(np.log10(step)))
    return np.unique(np.round(np.linspace(low, high, MOST_BINS + 1)[1:-1], digits))


def _kept(counts: np.ndarray, fewest: int) -> np.ndarray:
    """Which edges remain: after each the units since the last one are enough, and those behind the last are too."""
    kept, since = [], 0
    for edge, count in enumerate(counts[:-1]):
        since += int(count)
        if since >= fewest:
            kept.append(edge)
            since = 0
    since += int(counts[-1])
    if kept and since < fewest:
        kept.pop()
    return np.array(kept, dtype=np.int64)

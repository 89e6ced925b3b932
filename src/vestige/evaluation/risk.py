"""Privacy risk score: the probability that a record was trained on, given what the model says about it.

Estimated per class from two histograms of modified entropy, of known members and of known nonmembers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.evaluation.units import rows_of_levels

SMALLEST_ENTROPY = 1e-10
"""Modified entropies are clamped below at this, as in Song & Mittal's code; a logarithm needs it."""


@dataclass(frozen=True, eq=False)
class RiskTable:
    """Histograms of modified entropy per class.

    Attributes:
        edges: Rising bin edges [nats].
        members: Share of the class's known members in each bin, smoothed but for the published form.
        nonmembers: Share of its known nonmembers in each bin.
        fallback_classes: Classes without both sides, which use the histograms of all classes together.
    """

    edges: Float[np.ndarray, "label edge"]
    members: Float[np.ndarray, "label bin"]
    nonmembers: Float[np.ndarray, "label bin"]
    fallback_classes: tuple[int, ...]

    def risk_of_bins(self, prior: float) -> Float[np.ndarray, "class bin"]:
        """Posterior of every bin; an empty bin takes that of the nearest one with mass, the lower first."""
        inside = prior * self.members
        outside = (1 - prior) * self.nonmembers
        n_classes, n_bins = self.members.shape
        risk = np.full((n_classes, n_bins), np.nan)
        np.divide(inside, inside + outside, out=risk, where=inside + outside > 0)
        filled = risk.copy()
        for step in range(1, n_bins):
            for neighbour in (np.arange(n_bins) - step, np.arange(n_bins) + step):
                reachable = (neighbour >= 0) & (neighbour < n_bins)
                candidate = np.where(reachable, risk[:, np.clip(neighbour, 0, n_bins - 1)], np.nan)
                filled = np.where(np.isnan(filled), candidate, filled)
        return np.where(np.isnan(filled), prior, filled)  # empty histograms say nothing


def fit_risk(
    modified_entropy: Float[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    n_classes: int,
    *,
    n_bins: int = 5,
    of_unit: Int[np.ndarray, " record"] | None = None,
    published: bool = False,
) -> RiskTable:
    """Histogram the modified entropies of known members and nonmembers of every class on a log scale.

    One unit more is counted on each side of every bin that is not empty on both: where few are known, a bin with
    members alone is no proof of membership. The records of a unit, such as a person, count as one in that.

    Args:
        modified_entropy: Of each known record [nats].
        labels: Its class.
        member: Its side.
        n_classes: Number of classes.
        n_bins: Bins per class, evenly spaced in the logarithm between the class's extremes.
        of_unit: Number of each record's unit; records are units if omitted.
        published: As Song & Mittal's script. It adds nothing to a bin; it computes edges in the entropies' own type as
            `10 ** log10(x)`, which can fall a rounding inside the extremes, and then drops the extreme point from the
            histogram. Otherwise the outer edges are exact.

    Returns:
        The table that `risk_scores` reads.

    Example:
        >>> m = np.array([0.01, 0.01, 5.0, 5.0])
        >>> table = fit_risk(m, np.zeros(4, dtype=int), np.array([True, True, False, False]), 1)
        >>> risk_scores(table, np.array([0.001, 9.0]), np.array([0, 0]))
        array([0.75, 0.25])

    Source:
        Song & Mittal 2021, eq. 14 and 15, published code; the unit more, after Laplace, is ours.
    """
    entropy = np.maximum(modified_entropy, SMALLEST_ENTROPY)
    edges = np.empty((n_classes, n_bins + 1))
    shares = np.zeros((2, n_classes, n_bins))
    everyone = np.ones(entropy.size, dtype=bool)
    fallback = []
    for c, rows in enumerate(rows_of_levels(labels, n_classes)):
        if not member[rows].any() or member[rows].all():
            fallback.append(c)
            rows = everyone
        values, is_in = entropy[rows], member[rows]
        edges[c] = _log_edges(values, n_bins, published)
        counts = np.stack([np.histogram(values[is_in == side], bins=edges[c])[0] for side in (True, False)])
        known = np.array([[np.count_nonzero(is_in == side)] for side in (True, False)])
        if published:
            shares[:, c] = counts / known
        else:
            units = known
            if of_unit is not None:
                units = np.array([[np.unique(of_unit[rows][is_in == side]).size] for side in (True, False)])
            shares[:, c] = np.where(counts.any(axis=0), (counts * units / known + 1) / (units + n_bins), 0.0)
    return RiskTable(edges, shares[0], shares[1], tuple(fallback))


def _log_edges(values: Float[np.ndarray, " record"], n_bins: int, published: bool) -> Float[np.ndarray, " edge"]:
    low, high = values.min(), values.max()
    edges = np.logspace(np.log10(low), np.log10(high), n_bins + 1)
    if not published:
        edges[0], edges[-1] = low, high
    return np.asarray(np.maximum.accumulate(edges))


def risk_scores(
    table: RiskTable,
    modified_entropy: Float[np.ndarray, " record"],
    labels: Int[np.ndarray, " record"],
    prior: float = 0.5,
) -> Float[np.ndarray, " record"]:
    """Look up the posterior probability of membership of each record.

    Args:
        table: Histograms fitted on known records.
        modified_entropy: Of each record to score [nats].
        labels: Its class.
        prior: Probability of membership before looking.

    Returns:
        Risk in [0, 1]; beyond the known extremes the outermost bin's.

    Source:
        Song & Mittal 2021, eq. 12, published code.
    """
    risk = table.risk_of_bins(prior)
    n_bins = risk.shape[1]
    entropy = np.maximum(modified_entropy, SMALLEST_ENTROPY)
    scores = np.empty(entropy.size)
    for c, rows in enumerate(rows_of_levels(labels, risk.shape[0])):
        if rows.size:
            place = np.searchsorted(table.edges[c], entropy[rows], side="right") - 1
            place[entropy[rows] <= table.edges[c, 0]] = 0
            scores[rows] = risk[c, np.clip(place, 0, n_bins - 1)]
    return scores


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Whether a score that says p is right in a share p of the cases.

    Attributes:
        risk: Mean score of each bin that is not empty.
        member_fraction: Share of members there, both sides weighted to the prior.
        n_members: Members in it.
        n_nonmembers: Nonmembers in it.
        rmse: Root mean square difference over bins, unweighted.
        rmse_weighted: The same, weighted by the units in a bin.
    """

    risk: tuple[float, ...]
    member_fraction: tuple[float, ...]
    n_members: tuple[int, ...]
    n_nonmembers: tuple[int, ...]
    rmse: float
    rmse_weighted: float


def reliability(
    risk: Float[np.ndarray, " unit"], member: Bool[np.ndarray, " unit"], prior: float = 0.5, n_bins: int = 10
) -> Reliability:
    """Compare mean risk with the share of members in equal bins of [0, 1].

    Song & Mittal state neither the number of bins nor the weights; ten equal bins and both RMSE are ours. The sides
    are weighted to the prior, which for Song & Mittal's equal-sized sides and prior 1/2 changes nothing.

    Source:
        Song & Mittal 2021, section 4.2.1, figures 3 and 4.
    """
    place = np.clip((risk * n_bins).astype(np.int64), 0, n_bins - 1)
    weight = np.where(member, prior / member.sum(), (1 - prior) / (~member).sum())
    mass = np.bincount(place, weights=weight, minlength=n_bins)
    seen = np.bincount(place, minlength=n_bins) > 0
    mean = np.bincount(place, weights=weight * risk, minlength=n_bins)[seen] / mass[seen]
    fraction = np.bincount(place, weights=weight * member, minlength=n_bins)[seen] / mass[seen]
    difference = (mean - fraction) ** 2
    counts = np.bincount(place, minlength=n_bins)[seen]
    inside = np.bincount(place[member], minlength=n_bins)[seen]
    return Reliability(
        risk=tuple(mean.tolist()),
        member_fraction=tuple(fraction.tolist()),
        n_members=tuple(inside.tolist()),
        n_nonmembers=tuple((counts - inside).tolist()),
        rmse=float(np.sqrt(difference.mean())),
        rmse_weighted=float(np.sqrt(np.average(difference, weights=counts))),
    )

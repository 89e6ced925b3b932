"""Outliers: records unlike the others for a model, and how precise an attack is on them.

A record is an outlier if it has few neighbours within a cosine distance in the features of a model that the adversary
has; the distance follows from the share of records that are wanted.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vestige.core.errors import InputError
from vestige.evaluation.intervals import NO_INTERVAL, Interval, precision_bounds

_BLOCK_VALUES = 1 << 22  # distances held at once: 32 MB
_ROUNDING = 1e-9  # cosine distances of equal features, and of those that rounding cannot tell from equal


def neighbour_distances(
    features: Float[np.ndarray, "record feature"], n_neighbours: int = 10
) -> Float[np.ndarray, " record"]:
    """Return the cosine distance of every record to its n-th nearest other one, in 0..2.

    Distances are worked out for a block of records at a time; records x records are never held.

    Args:
        features: Such as the inputs of a source model's last layer; no row is all 0.
        n_neighbours: Which neighbour, 1 for the nearest.

    Returns:
        One distance per record; exactly 0 where only rounding is left of it.

    Raises:
        InputError: There are not so many other records, or a record's features are not finite or all 0.

    Example:
        >>> features = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        >>> neighbour_distances(features, 1)
        array([0., 0., 1.])

    Source:
        Choquette-Choo et al. 2021, section 7.
    """
    n = len(features)
    if not 1 <= n_neighbours < n:
        raise InputError(
            f"Expected a number of neighbours from 1 to {n - 1:,}, the other records, found {n_neighbours}."
        )
    lengths = np.linalg.norm(features.astype(np.float64), axis=1)
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        record = int(np.argmin(np.isfinite(lengths) & (lengths > 0)))
        raise InputError(
            f"Expected finite features with a direction, found {'0 only' if lengths[record] == 0 else 'others'} for "
            f"record {record + 1:,}; leave it out."
        )
    unit = features / lengths[:, None]
    found = np.empty(n)
    step = max(1, _BLOCK_VALUES // n)
    for start in range(0, n, step):
        closeness = unit[start : start + step] @ unit.T
        rows = np.arange(len(closeness))
        closeness[rows, start + rows] = -np.inf  # a record is not its own neighbour
        found[start : start + step] = np.partition(closeness, n - n_neighbours, axis=1)[:, n - n_neighbours]
    distances = 1 - found
    return np.where(distances < _ROUNDING, 0.0, distances)


@dataclass(frozen=True, eq=False)
class Outliers:
    """Records with few neighbours.

    Attributes:
        is_outlier: Which ones.
        radius: Cosine distance within which neighbours are counted: the paper's beta.
        distances: Of every record to its n-th nearest other one; an outlier's is above the radius.
    """

    is_outlier: Bool[np.ndarray, " record"]
    radius: float
    distances: Float[np.ndarray, " record"]


def find_outliers(
    features: Float[np.ndarray, "record feature"], *, fraction: float = 0.02, n_neighbours: int = 10
) -> Outliers:
    """Find the share of records that have fewer than so many neighbours within a radius that makes it that share.

    The radius is in closed form: a record has fewer than n neighbours within it exactly if its n-th nearest other one
    is farther, so it is the distance that all but the wanted records keep to theirs. Of equal distances at that place
    none is an outlier, and there are fewer than wanted; copies of a record are never outliers if there are n others.

    Args:
        features: Of the records that are compared with each other, by a model that is not the target.
        fraction: Share of them that is wanted.
        n_neighbours: Fewer than this many neighbours make an outlier: the paper's gamma.

    Returns:
        The outliers, rounded down to whole records.

    Raises:
        InputError: The share is not between 0 and 1; as `neighbour_distances`.

    Example:
        >>> angle = np.append(np.linspace(0, 1, 99), 3.0)
        >>> found = find_outliers(np.column_stack([np.cos(angle), np.sin(angle)]), fraction=0.01)
        >>> np.flatnonzero(found.is_outlier).tolist()
        [99]

    Source:
        Choquette-Choo et al. 2021, section 7 and figure 11 (2 %, 10 neighbours); the closed form is ours.
    """
    if not 0 < fraction < 1:
        raise InputError(f"Expected a fraction of outliers between 0 and 1, found {fraction:g}; such as 0.02.")
    distances = neighbour_distances(features, n_neighbours)
    n = distances.size
    wanted = math.floor(fraction * n * (1 + 1e-12))
    radius = float(np.partition(distances, n - wanted - 1)[n - wanted - 1])
    return Outliers(distances > radius, radius, distances)


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How many of the records that were called members are.

    Attributes:
        value: The precision [fraction]; NaN if no record was called, or there are no members or no nonmembers.
        interval: Of it; the whole of 0..1 if no record was called.
        n_called: Records that were called members.
        n_members: Members among all of these records.
        n_nonmembers: Nonmembers among them.
    """

    value: float
    interval: Interval
    n_called: int
    n_members: int
    n_nonmembers: int


@dataclass(frozen=True)
class OutlierPrecision:
    """Precision on outliers, against that on all records.

    Attributes:
        outliers: On the outliers.
        everyone: On all records, outliers among them.
        improvement: By how much the former is larger [fraction].
        interval: Of that.
    """

    outliers: Precision
    everyone: Precision
    improvement: float
    interval: Interval


def precision_on_outliers(
    called: Bool[np.ndarray, " record"],
    member: Bool[np.ndarray, " record"],
    is_outlier: Bool[np.ndarray, " record"],
    *,
    prior: float = 0.5,
    level: float = 0.95,
) -> OutlierPrecision:
    """Compare how precise the same calls are on outliers and on all records.

    Args:
        called: Records that the attack calls members, by a threshold that was set elsewhere.
        member: True membership.
        is_outlier: Which records are outliers.
        prior: Share of members that both precisions are for; among few outliers it would else differ by chance.
        level: Confidence.

    Returns:
        Both, and the difference.

    Raises:
        InputError: Lengths do not fit.

    Example:
        >>> member = np.arange(400) < 200
        >>> called = np.arange(400) % 4 != 0
        >>> called[:20], called[200:220] = True, False
        >>> found = precision_on_outliers(called, member, np.arange(400) % 200 < 20)
        >>> found.outliers.value, round(found.everyone.value, 3), found.interval.lower > 0.2
        (1.0, 0.534, True)

    Source:
        Choquette-Choo et al. 2021, figure 11. The interval of the difference is Newcombe's, as if the two samples were
        independent; the few outliers among all records make it a little too wide.
    """
    if not called.shape == member.shape == is_outlier.shape:
        raise InputError(
            f"Expected a call, a side and a verdict per record, found {called.size:,}, {member.size:,} and "
            f"{is_outlier.size:,}; give one of each."
        )
    some, everyone = (
        _precision(called[rows], member[rows], prior, level) for rows in (is_outlier, np.ones_like(is_outlier))
    )
    interval = NO_INTERVAL
    if not (math.isnan(some.value) or math.isnan(everyone.value)):
        below = math.hypot(some.value - some.interval.lower, everyone.interval.upper - everyone.value)
        above = math.hypot(some.interval.upper - some.value, everyone.value - everyone.interval.lower)
        difference = some.value - everyone.value
        interval = Interval(max(-1.0, difference - below), min(1.0, difference + above))
    return OutlierPrecision(some, everyone, some.value - everyone.value, interval)


def _precision(called: np.ndarray, member: np.ndarray, prior: float, level: float) -> Precision:
    n_members, n_nonmembers = int(member.sum()), int((~member).sum())
    tp, fp = int((called & member).sum()), int((called & ~member).sum())
    if not (n_members and n_nonmembers and tp + fp):
        return Precision(
            value=math.nan,
            interval=Interval(0.0, 1.0),
            n_called=tp + fp,
            n_members=n_members,
            n_nonmembers=n_nonmembers,
        )
    share = prior * tp / n_members
    bounds = precision_bounds(tp, n_members, fp, n_nonmembers, prior, level)
    interval = Interval(float(bounds.lower), float(bounds.upper))
    return Precision(
        value=share / (share + (1 - prior) * fp / n_nonmembers),
        interval=interval,
        n_called=tp + fp,
        n_members=n_members,
        n_nonmembers=n_nonmembers,
    )

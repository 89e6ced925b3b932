"""One permutation test for all attacks together: how often does the best of them look this good by chance?

Under "membership has nothing to do with the scores" every relabelling of the units is as likely as the real one.
The largest of all statistics is compared with its own distribution over relabellings, so looking at many attacks costs
nothing extra. Nothing in the statistics is fitted on membership: they are sums, over members, of numbers computed
from all units together.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from vestige.evaluation.roc import Roc

_MANY = 5_000
"""From so many units on, relabellings are rotations of one random order instead of fresh shuffles."""
_DRAWS = 1999


@dataclass(frozen=True)
class FamilywiseTest:
    """Result of the test.

    Attributes:
        p_value: Share of relabellings (the real one included) whose largest statistic is at least as large.
        z: The largest standardised statistic.
        critical_z: What the largest must exceed for a p-value of at most .05.
    """

    p_value: float
    z: float
    critical_z: float


def familywise_test(
    scores: Sequence[Float[np.ndarray, " unit"]],
    member: Bool[np.ndarray, " unit"],
    fpr: float,
    rng: np.random.Generator,
) -> FamilywiseTest:
    """Test all attacks at once for any leak, on average (AUC) or in the tail (the top `fpr` of all units).

    Two statistics an attack, each standardised by its exact mean and variance over all relabellings: the rank sum of
    the members, which is the AUC, and the number of members among the highest `fpr` of the units, which is the power
    at a low false-positive rate. Ties count by mid-ranks and by fractions.

    Args:
        scores: Score of every unit, one array per attack; higher means member.
        member: Side of every unit. Subjects are relabelled whole because they are the units.
        fpr: Share of the units that makes the tail.
        rng: Random stream of the relabellings.

    Returns:
        The p-value, familywise over attacks and both statistics.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> member = np.arange(200) < 100
        >>> familywise_test([rng.normal(size=200) + 2 * member], member, 0.1, rng).p_value
        0.0005

    Source:
        Westfall & Young 1993 (max-T); Lehmann & Romano 2005, theorem 15.2.1 (any group of relabellings will do).
    """
    columns: Iterator[np.ndarray] = (c for s in scores for c in _columns(s, fpr))
    first = next(columns, None)
    if first is None:  # every attack gives everybody the same score
        return FamilywiseTest(p_value=1.0, z=0.0, critical_z=float(special.ndtri(0.95)))
    columns = chain([first], columns)
    observed, others = (_by_rotation if member.size >= _MANY else _by_shuffling)(columns, member, rng)
    scale = _standardiser(member)
    # A relabelling can reproduce the observed value up to rounding; it must then count as at least as large.
    as_large = int(np.count_nonzero(others >= observed - 1e-9 * max(1.0, abs(observed))))
    return FamilywiseTest(
        p_value=(1 + as_large) / (1 + others.size),
        z=observed * scale,
        critical_z=float(np.quantile(others, 0.95)) * scale,
    )


def _columns(scores: Float[np.ndarray, " unit"], fpr: float) -> Iterator[Float[np.ndarray, " unit"]]:
    """Mid-ranks and membership of the top share, each with mean 0 and variance 1 over the units."""
    n = scores.size
    order = np.argsort(scores)
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ends = np.append(starts[1:], n)
    sizes = ends - starts
    top = max(1, int(np.ceil(fpr * n)))
    for of_tie in ((starts + ends - 1) / 2, np.clip(ends - (n - top), 0, sizes) / sizes):
        column = np.empty(n)
        column[order] = np.repeat(of_tie, sizes)
        column -= column.mean()
        spread = column.std()
        if spread > 0:
            yield column / spread


def _standardiser(member: Bool[np.ndarray, " unit"]) -> float:
    """One over the standard deviation of a sum over m of n units drawn without replacement, for unit variance."""
    n, m = member.size, int(member.sum())
    return float(np.sqrt((n - 1) / (m * (n - m))))


def _by_shuffling(
    columns: Iterator[Float[np.ndarray, " unit"]], member: Bool[np.ndarray, " unit"], rng: np.random.Generator
) -> tuple[float, Float[np.ndarray, " draw"]]:
    """Largest statistic of the real labels and of `_DRAWS` independent shuffles of them."""
    matrix = np.column_stack(list(columns))
    labels = member.astype(np.float64)
    block = max(1, 2_000_000 // member.size)
    largest = []
    for start in range(0, _DRAWS, block):
        rows = np.tile(labels, (min(block, _DRAWS - start), 1))
        largest.append((rng.permuted(rows, axis=1) @ matrix).max(axis=1))
    return float((labels @ matrix).max()), np.concatenate(largest)


def _by_rotation(
    columns: Iterator[Float[np.ndarray, " unit"]], member: Bool[np.ndarray, " unit"], rng: np.random.Generator
) -> tuple[float, Float[np.ndarray, " draw"]]:
    """Largest statistic of the real labels and of all rotations of them along one random order of the units.

    A shuffle costs a random number per unit; all rotations together are one correlation, and one Fourier transform
    an attack. Rotations are a group, so the test stays exact, and as the order is random they are as good as
    independent shuffles.
    """
    from scipy import fft

    order = rng.permutation(member.size)
    labels = np.conj(fft.rfft(member[order].astype(np.float64), workers=2))
    largest = np.full(member.size, -np.inf)
    for column in columns:
        sums = fft.irfft(fft.rfft(column[order], workers=2) * labels, n=member.size, workers=2)
        np.maximum(largest, sums, out=largest)
    return float(largest[0]), largest[1:]


def ks_p_value(curve: Roc) -> float:
    """One-sided Kolmogorov-Smirnov p-value of "members score higher": the honest companion of an oracle threshold.

    Example:
        >>> from vestige.evaluation.roc import roc
        >>> round(ks_p_value(roc(np.arange(20.0) + 5, np.arange(20.0))), 4)
        0.2918

    Source:
        Hodges 1958, eq. 5.3 (asymptotic with his correction); ties make it conservative. Up to 500 units a side the
        exact distribution, by his recursion over the order of the units; what `scipy.stats.ks_2samp` gives, which takes
        half a second to import.
    """
    m, n = curve.n_members, curve.n_nonmembers
    distance = float((curve.tpr - curve.fpr).max())
    if max(m, n) <= 500:
        return _exact_ks_p_value(m, n, distance)
    large, small = max(m, n), min(m, n)
    z = np.sqrt(m * n / (m + n)) * distance
    exponent = -2 * z**2 - 2 * z * (large + 2 * small) / np.sqrt(large * small * (large + small)) / 3
    return float(np.clip(np.exp(exponent), 0.0, 1.0))


def _exact_ks_p_value(m: int, n: int, distance: float) -> float:
    """Probability that the order of m members and n nonmembers, all equally likely, gives at least this distance.

    A state is how many of each are among the lowest scores; it is reached by one more member or one more nonmember.
    """
    common = math.gcd(m, n)
    per_member, per_nonmember = n // common, m // common
    wanted = round(distance * per_member * m)
    if wanted <= 0:
        return 1.0
    reached = np.zeros(m + 1)  # by members among the lowest; whether the distance was reached on the way
    for total in range(1, m + n + 1):
        members = np.arange(max(0, total - n), min(m, total) + 1)
        nonmembers = total - members
        before = np.where(members > 0, reached[members - 1], 0.0) * (members / total)
        here = before + reached[members] * (nonmembers / total)
        reached[members] = np.where(nonmembers * per_nonmember - members * per_member >= wanted, 1.0, here)
    return float(min(1.0, reached[m]))

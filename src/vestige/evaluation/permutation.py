"""One permutation test for all attacks together: how often does the best of them look this good by chance?

Under "membership has nothing to do with the scores" every relabelling of the units is as likely as the real one.
The largest of all statistics is compared with its own distribution over relabellings, so looking at many attacks costs
nothing extra. The statistics are sums, over members, of numbers computed from all units together, and these numbers
must not depend on what is relabelled. An attack that learnt from the membership of some units scores only the others,
and only these are relabelled for it.

A person's mean or largest score is distributed as the number of its records makes it: one of two records strays
farther than one of twenty. People with different numbers are then not alike, leak or no leak, and a side with more
records looks like a leak. Relabelled within equal numbers, they are.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from vestige.evaluation.roc import Roc

_MANY = 5_000
"""From so many units on, relabellings are rotations of one random order instead of fresh shuffles."""
_DRAWS = 1999
_SHIFTS = 9_999
"""Rotations within strata: there are more than could all be looked at, so they are drawn."""
TAILS = (1, 2)
"""Tails that are counted, in times the wanted share: recognised members that stand just above the threshold fill the
second where they cannot reach into the first."""
_PRIOR_UNITS = 5
"""Weight of the common spread, in units, against a stratum's own: two units alone hardly show a spread."""


@dataclass(frozen=True)
class FamilywiseTest:
    """Result of the test.

    Attributes:
        p_value: Share of relabellings (the real one included) whose largest statistic is at least as large; of several
            sets of units the smallest, times their number.
        z: The largest standardised statistic, of the set with the smallest share.
        critical_z: What the largest must exceed, in any set, for a p-value of at most .05.
        comparable: False where no stratum has units of both sides, so that nothing could be tested.
    """

    p_value: float
    z: float
    critical_z: float
    comparable: bool = True


def familywise_test(
    scores: Sequence[Float[np.ndarray, " unit"]],
    member: Bool[np.ndarray, " unit"],
    fpr: float,
    rng: np.random.Generator,
    strata: Int[np.ndarray, " unit"] | None = None,
) -> FamilywiseTest:
    """Test all attacks at once for any leak, on average (AUC) or in the tail (the top `fpr` of all units).

    Three statistics an attack, standardised by their exact means and variances over all relabellings: the members' rank
    sum, which is the AUC, and their number among the highest `fpr` and 2 `fpr` of the units. Ties count by fractions.

    With strata, units change sides only with units of the same stratum: the test is exact wherever membership says
    nothing about the scores *of units of one stratum*, however the sides are spread over strata. Scores are first
    brought to one centre and spread per stratum, so that none fills the tail alone. One of one side is left out.

    Attacks that score the same units are tested together. Of several such sets, because some attacks learnt from the
    units that they do not score, p-values are combined by Bonferroni, which holds however they depend on each other.

    Args:
        scores: Score of every unit, one array per attack; NaN where an attack gives no score. The others must not
            depend on the membership of the units that it scores.
        member: Side of every unit. Subjects are relabelled whole because they are the units.
        fpr: Share of the units that makes the tail.
        rng: Of the relabellings.
        strata: Units with one number are alike but for membership, such as people with as many records; None: all.

    Returns:
        The p-value, familywise over attacks and all statistics; 1 if no stratum has both sides.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> member = np.arange(200) < 100
        >>> familywise_test([rng.normal(size=200) + 2 * member], member, 0.1, rng).p_value
        0.0005
        >>> n_records = np.where(member, 2, 9)
        >>> familywise_test([rng.normal(size=200) + n_records], member, 0.1, rng, n_records).comparable
        False

    Source:
        Westfall & Young 1993 (max-T); Lehmann & Romano 2005, theorem 15.2.1 (any group of relabellings, or a random
        choice from one); Hodges & Lehmann 1962 (ranks of scores aligned within strata). Deviation: aligned in spread as
        well, after a transformation to normal scores, so that infinite scores are numbers too.
    """
    sets: dict[bytes, tuple[np.ndarray, list[np.ndarray]]] = {}
    for values in scores:
        scored = ~np.isnan(values)
        sets.setdefault(scored.tobytes(), (scored, []))[1].append(values[scored])
    level = 0.05 / max(1, len(sets))
    alike = np.zeros(member.size, dtype=np.int64) if strata is None else strata
    tests = [_test_together(s, member[scored], fpr, rng, alike[scored], level) for scored, s in sets.values()]
    if not tests:
        return _nothing_to_test(level)
    strongest = min(tests, key=lambda test: test.p_value)
    return FamilywiseTest(
        p_value=min(1.0, len(tests) * strongest.p_value),
        z=strongest.z,
        critical_z=max(test.critical_z for test in tests),
        comparable=any(test.comparable for test in tests),
    )


def _nothing_to_test(level: float, comparable: bool = True) -> FamilywiseTest:
    return FamilywiseTest(1.0, 0.0, float(special.ndtri(1 - level)), comparable)


def _test_together(
    scores: Sequence[Float[np.ndarray, " unit"]],
    member: Bool[np.ndarray, " unit"],
    fpr: float,
    rng: np.random.Generator,
    strata: Int[np.ndarray, " unit"],
    level: float,
) -> FamilywiseTest:
    """The test of attacks that all score the same units; its critical value is for a p-value of at most `level`."""
    units, bounds = _mixed_strata(strata, member)
    if not units.size:
        return _nothing_to_test(level, comparable=False)
    scores, member = [s[units] for s in scores], member[units]
    if bounds.size > 2:
        scores = [_aligned(s, bounds) for s in scores]
    columns = _standardised_within((c for s in scores for c in _columns(s, fpr)), member, bounds)
    first = next(columns, None)
    if first is None:  # every attack gives everybody the same score
        return _nothing_to_test(level)
    columns = chain([first], columns)
    if member.size < _MANY:
        observed, others = _by_shuffling(columns, member, bounds, rng)
    elif bounds.size == 2:
        observed, others = _by_rotation(columns, member, rng)
    else:
        observed, others = _by_rotation_within(columns, member, bounds, rng)
    # A relabelling can reproduce the observed value up to rounding; it must then count as at least as large.
    as_large = int(np.count_nonzero(others >= observed - 1e-9 * max(1.0, abs(observed))))
    return FamilywiseTest(
        p_value=(1 + as_large) / (1 + others.size),
        z=observed,
        critical_z=float(np.quantile(others, 1 - level)),
    )


def tail_size(share: float, n: int) -> int:
    """How many of n units are a tail of this share: at least one, at most all.

    Example:
        >>> tail_size(0.01, 150), tail_size(2.0, 150)
        (2, 150)
    """
    return min(n, max(1, math.ceil(share * n)))


def _columns(scores: Float[np.ndarray, " unit"], fpr: float) -> Iterator[Float[np.ndarray, " unit"]]:
    """Mid-ranks and membership of the top shares, each with mean 0 and variance 1 over the units."""
    n = scores.size
    order = np.argsort(scores)
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ends = np.append(starts[1:], n)
    sizes = ends - starts
    tops = {tail_size(times * fpr, n) for times in TAILS}
    for of_tie in ((starts + ends - 1) / 2, *(np.clip(ends - (n - top), 0, sizes) / sizes for top in sorted(tops))):
        column = np.empty(n)
        column[order] = np.repeat(of_tie, sizes)
        column -= column.mean()
        spread = column.std()
        if spread > 0:
            yield column / spread


def _mixed_strata(
    strata: Int[np.ndarray, " unit"], member: Bool[np.ndarray, " unit"]
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " bound"]]:
    """Units of strata with both sides, stratum after stratum in their own order, and where each begins and ends."""
    _, codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    inside = np.bincount(codes, weights=member)
    mixed = (inside > 0) & (inside < sizes)
    order = np.argsort(codes, kind="stable")
    return order[mixed[codes[order]]], np.append(0, np.cumsum(sizes[mixed]))


def _sums(values: Float[np.ndarray, " unit"], bounds: Int[np.ndarray, " bound"]) -> Float[np.ndarray, " stratum"]:
    return np.asarray(np.add.reduceat(values, bounds[:-1]))


def _aligned(scores: Float[np.ndarray, " unit"], bounds: Int[np.ndarray, " bound"]) -> Float[np.ndarray, " unit"]:
    """Scores brought to one centre and spread per stratum; their order within each stays as it is, ties included."""
    values, codes = np.unique(scores, return_inverse=True)
    below = np.cumsum(np.bincount(codes, minlength=values.size))
    middle = (below + np.append(0, below[:-1]) + 1) / 2
    normal = special.ndtri(middle / (scores.size + 1))[codes]
    sizes = np.diff(bounds)
    centred = normal - np.repeat(_sums(normal, bounds) / sizes, sizes)
    squares = _sums(centred**2, bounds)
    common = squares.sum() / max(1, int((sizes - 1).sum()))
    if common <= 1e-24:  # nobody differs from anybody in their stratum
        return np.zeros(scores.size)
    spread = np.sqrt((squares + _PRIOR_UNITS * common) / (sizes - 1 + _PRIOR_UNITS))
    return np.asarray(centred / np.repeat(spread, sizes))


def _standardised_within(
    columns: Iterator[Float[np.ndarray, " unit"]], member: Bool[np.ndarray, " unit"], bounds: Int[np.ndarray, " bound"]
) -> Iterator[Float[np.ndarray, " unit"]]:
    """Columns whose sum over members has mean 0 and variance 1 over the relabellings within strata."""
    sizes = np.diff(bounds)
    m = _sums(member.astype(np.float64), bounds)
    weight = m * (sizes - m) / (sizes * (sizes - 1))
    for column in columns:
        centred = column - np.repeat(_sums(column, bounds) / sizes, sizes)
        variance = float(weight @ _sums(centred**2, bounds))
        if variance > 1e-9:
            yield centred / np.sqrt(variance)


def _by_shuffling(
    columns: Iterator[Float[np.ndarray, " unit"]],
    member: Bool[np.ndarray, " unit"],
    bounds: Int[np.ndarray, " bound"],
    rng: np.random.Generator,
) -> tuple[float, Float[np.ndarray, " draw"]]:
    """Largest statistic of the real labels and of `_DRAWS` independent shuffles of them within strata."""
    matrix = np.column_stack(list(columns))
    labels = member.astype(np.float64)
    block = max(1, 2_000_000 // member.size)
    largest = []
    for start in range(0, _DRAWS, block):
        rows = np.tile(labels, (min(block, _DRAWS - start), 1))
        for first, end in pairwise(bounds.tolist()):
            rows[:, first:end] = rng.permuted(rows[:, first:end], axis=1)
        largest.append((rows @ matrix).max(axis=1))
    return float((labels @ matrix).max()), np.concatenate(largest)


def _by_rotation(
    columns: Iterator[Float[np.ndarray, " unit"]], member: Bool[np.ndarray, " unit"], rng: np.random.Generator
) -> tuple[float, Float[np.ndarray, " draw"]]:
    """Largest statistic of the real labels and of all rotations of them along one random order of the units.

    A shuffle costs a random number per unit; all rotations together are one correlation, and one Fourier transform
    a column. Rotations are a group, so the test stays exact, and as the order is random they are as good as
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


def _by_rotation_within(
    columns: Iterator[Float[np.ndarray, " unit"]],
    member: Bool[np.ndarray, " unit"],
    bounds: Int[np.ndarray, " bound"],
    rng: np.random.Generator,
) -> tuple[float, Float[np.ndarray, " draw"]]:
    """The same where every stratum has a random order of its own, along which it is rotated.

    Each stratum may be rotated by any number, whatever the others are: that is a group, and `_SHIFTS` elements are
    drawn from it.
    """
    from scipy import fft

    strata = list(pairwise(bounds.tolist()))
    orders = [first + rng.permutation(end - first) for first, end in strata]
    shifts = [rng.integers(order.size, size=_SHIFTS) for order in orders]
    labels = [np.conj(fft.rfft(member[order].astype(np.float64))) for order in orders]
    observed, largest = -np.inf, np.full(_SHIFTS, -np.inf)
    for column in columns:
        unmoved, moved = 0.0, np.zeros(_SHIFTS)
        for order, shift, label in zip(orders, shifts, labels, strict=True):
            sums = fft.irfft(fft.rfft(column[order]) * label, n=order.size)
            unmoved += float(sums[0])
            moved += sums[shift]
        observed = max(observed, unmoved)
        np.maximum(largest, moved, out=largest)
    return observed, largest


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

    Orders are paths over a grid, counted by where they first reach the distance: that is at a nonmember. With at most
    500 a side there are fewer than 10^300.
    """
    common = math.gcd(m, n)
    per_member, per_nonmember = n // common, m // common
    wanted = round(distance * per_member * m)
    if wanted <= 0:
        return 1.0
    members = np.arange(m + 1)
    reached_at = -(-(wanted + members * per_member) // per_nonmember)  # nonmembers among the lowest, by members
    below = np.append(1.0, np.zeros(n))  # paths that have not reached it, by nonmembers
    first = np.zeros(m + 1)
    for place, at in enumerate(np.minimum(reached_at, n + 1).tolist()):
        below = np.cumsum(below)
        below[at:] = 0.0
        first[place] = below[at - 1] if at <= n else 0.0
    can = reached_at <= n
    rest = special.comb(m + n - members[can] - reached_at[can], m - members[can])
    return float(min(1.0, first[can] @ (rest / special.comb(m + n, m))))

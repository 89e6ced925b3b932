"""One permutation test for all attacks together: how often does the best of them look this good by chance?

Under "membership has nothing to do with the scores" every relabelling of the units is as likely as the real one.
The largest of all statistics is compared with its own distribution over relabellings, so looking at many attacks costs
nothing extra. The statistics are sums, over members, of numbers computed from all units together, and these numbers
must not depend on what is relabelled. An attack that learnt from the membership of some units scores only the others,
and only these are relabelled for it.
"""

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
        p_value: Share of relabellings (the real one included) whose largest statistic is at least as large; of several
            sets of units the smallest, times their number.
        z: The largest standardised statistic, of the set with the smallest share.
        critical_z: What the largest must exceed, in any set, for a p-value of at most .05.
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

    Attacks that score the same units are tested together, on these units alone. Where there are several such sets,
    because some attacks learnt from the membership of the units that they do not score, their p-values are combined by
    Bonferroni, which holds however they depend on each other.

    Args:
        scores: Score of every unit, one array per attack; higher means member. NaN where an attack scores nobody; its
            other scores must not depend on the membership of the units that it scores.
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
    sets: dict[bytes, tuple[np.ndarray, list[np.ndarray]]] = {}
    for values in scores:
        scored = ~np.isnan(values)
        sets.setdefault(scored.tobytes(), (scored, []))[1].append(values[scored])
    level = 0.05 / max(1, len(sets))
    tests = [_test_together(of_set, member[scored], fpr, rng, level) for scored, of_set in sets.values()]
    if not tests:
        return _nothing_to_test(level)
    strongest = min(tests, key=lambda test: test.p_value)
    return FamilywiseTest(
        p_value=min(1.0, len(tests) * strongest.p_value),
        z=strongest.z,
        critical_z=max(test.critical_z for test in tests),
    )


def _nothing_to_test(level: float) -> FamilywiseTest:
    return FamilywiseTest(p_value=1.0, z=0.0, critical_z=float(special.ndtri(1 - level)))


def _test_together(
    scores: Sequence[Float[np.ndarray, " unit"]],
    member: Bool[np.ndarray, " unit"],
    fpr: float,
    rng: np.random.Generator,
    level: float,
) -> FamilywiseTest:
    """The test of attacks that all score the same units; its critical value is for a p-value of at most `level`."""
    columns: Iterator[np.ndarray] = (c for s in scores for c in _columns(s, fpr))
    first = next(columns, None)
    if first is None:  # every attack gives everybody the same score
        return _nothing_to_test(level)
    columns = chain([first], columns)
    observed, others = (_by_rotation if member.size >= _MANY else _by_shuffling)(columns, member, rng)
    scale = _standardiser(member)
    # A relabelling can reproduce the observed value up to rounding; it must then count as at least as large.
    as_large = int(np.count_nonzero(others >= observed - 1e-9 * max(1.0, abs(observed))))
    return FamilywiseTest(
        p_value=(1 + as_large) / (1 + others.size),
        z=observed * scale,
        critical_z=float(np.quantile(others, 1 - level)) * scale,
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
        Hodges 1958, eq. 5.3 (asymptotic with his correction); ties make it conservative. Below 500 units a side the
        exact distribution of `scipy.stats.ks_2samp` is used.
    """
    m, n = curve.n_members, curve.n_nonmembers
    distance = float((curve.tpr - curve.fpr).max())
    if max(m, n) <= 500:
        from scipy import stats  # half a second to import

        levels = np.arange(curve.thresholds.size - 1, 0, -1)  # only the order of the scores matters
        members = np.repeat(levels, np.diff(curve.true_positives))
        nonmembers = np.repeat(levels, np.diff(curve.false_positives))
        return float(stats.ks_2samp(members, nonmembers, alternative="less", method="exact").pvalue)
    large, small = max(m, n), min(m, n)
    z = np.sqrt(m * n / (m + n)) * distance
    exponent = -2 * z**2 - 2 * z * (large + 2 * small) / np.sqrt(large * small * (large + small)) / 3
    return float(np.clip(np.exp(exponent), 0.0, 1.0))

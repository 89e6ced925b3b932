"""The finding: LEAK SHOWN, NO LEAK SHOWN ABOVE u, or UNDECIDED, as a sentence that cannot be read as reassurance."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from vestige.core.messages import percent
from vestige.core.result import DECISIVE_FPR, Finding, FindingState
from vestige.evaluation.hypergeometric import hypergeometric_tail, log_choose
from vestige.evaluation.intervals import nonmembers_needed
from vestige.evaluation.permutation import TAILS, FamilywiseTest, tail_size
from vestige.evaluation.roc import allowed_false_positives

LEVEL = 0.05
"""A leak is shown when the familywise p-value is at most this."""
DECISIVE_TPR = 0.05
"""Nor can one whose upper bound on the recognised members is above this."""
_STEPS = 32
"""Probabilities at which a distribution is looked at."""
_NOBODY_TO_COMPARE = (
    "No leak could be looked for: a person's score depends on how many records they have, and no number of records "
    "occurs on both sides"
)
_INVERTED = (
    "Members score significantly lower than nonmembers: the scores tell them apart, but the wrong way round; see the "
    "validity of the test before anything else"
)


@dataclass(frozen=True)
class Headline:
    """The worst attack at the lowest false-positive rate that n resolves, with simultaneous bounds."""

    fpr: float
    tpr: float
    tpr_lb: float
    tpr_ub: float


def find(
    headline: Headline | None,
    test: FamilywiseTest,
    n: tuple[int, int],
    unit: str,
    not_tested: str,
    *,
    inverted: bool = False,
    share: float = 1.0,
    auc: float = math.nan,
) -> Finding:
    """Say what the attacks showed.

    LEAK SHOWN if the familywise permutation p-value is at most .05. Otherwise NO LEAK SHOWN ABOVE u, if the audit
    resolves a false-positive rate of .01, its simultaneous upper bound u is at most .05, and no attack scores members
    significantly lower: turned round, such an attack would recognise them. Otherwise UNDECIDED.

    Args:
        headline: The worst attack's power, None where no rate is resolvable.
        test: The familywise permutation test.
        n: Units on the members' and on the nonmembers' side, of the attack that scores the fewest.
        unit: `record` or `subject`.
        not_tested: The stronger attackers that were not played, such as "attackers with reference models".
        inverted: Whether an attack scores members significantly lower than nonmembers.
        share: Of all units, how many that attack scores: one that learnt from the other half scores half of them.
        auc: The largest AUC of an attack, named where the rate alone does not show the leak; NaN if not known.

    Returns:
        The finding; `smallest_visible_tpr` from planted controls.
    """
    if not test.comparable:
        headline = None
    visible = smallest_visible_tpr(*n, tail_fpr(headline), test.critical_z) if test.comparable else math.nan
    crowd = "members" if unit == "record" else "people the model was trained on"
    state = _state(headline, test, inverted)
    n_needed = math.ceil(_needed(headline, test, min(n)) / share) if state is FindingState.UNDECIDED else 0
    limits = f"{not_tested} were not tested"
    if state is FindingState.LEAK_SHOWN:
        sentence = _leak_sentence(headline, test, crowd, auc)
    elif state is FindingState.NO_LEAK_SHOWN and headline is not None:
        sentence = _no_leak_sentence(headline, visible, crowd)
        limits += " and are stronger, so this does not clear the model"
    elif not test.comparable:
        sentence = _NOBODY_TO_COMPARE
    elif inverted:
        sentence = _INVERTED
    else:
        sentence = _undecided_sentence(tail_fpr(headline), visible, crowd, f"{n_needed:,} {unit}s")
    rates = headline or Headline(math.nan, math.nan, math.nan, math.nan)
    return Finding(
        state=state,
        sentence=f"{sentence}; {limits}.",
        fpr=rates.fpr,
        tpr=rates.tpr,
        tpr_lb=rates.tpr_lb,
        tpr_ub=rates.tpr_ub,
        p_value=test.p_value,
        smallest_visible_tpr=visible,
        n_needed=n_needed,
    )


def tail_fpr(headline: Headline | None) -> float:
    """The share of the units whose members the permutation test counts: the headline's, or .1 where there is none.

    The planted control is computed at the same rate, so both must ask here.
    """
    return headline.fpr if headline else 0.1


def _state(headline: Headline | None, test: FamilywiseTest, inverted: bool) -> FindingState:
    if test.p_value <= LEVEL:
        return FindingState.LEAK_SHOWN
    if inverted or headline is None or headline.fpr > DECISIVE_FPR or headline.tpr_ub > DECISIVE_TPR:
        return FindingState.UNDECIDED
    return FindingState.NO_LEAK_SHOWN


def _no_leak_sentence(headline: Headline, visible: float, crowd: str) -> str:
    control = (
        ""
        if math.isnan(visible)
        else f", and a planted leak of {percent(visible)}, on top of all scores or just above the threshold, would "
        "have been seen in 4 of 5 cases"
    )
    return (
        f"At {percent(headline.fpr)} false positives the attacks identify at most {percent(headline.tpr_ub)} of the "
        f"{crowd} (guessing: {percent(headline.fpr)}){control}"
    )


def _undecided_sentence(fpr: float, visible: float, crowd: str, needed: str) -> str:
    seen = (
        "it could not have noticed any leak"
        if math.isnan(visible)
        else f"at {percent(fpr)} false positives it would have noticed, in 4 of 5 cases, a leak of {percent(visible)} "
        f"of the {crowd} or more, and could miss a smaller one"
    )
    return (
        f"No leak was shown, and this audit is too small to rule one out: {seen}; about {needed} on each side would "
        "decide it"
    )


def _leak_sentence(headline: Headline | None, test: FamilywiseTest, crowd: str, auc: float) -> str:
    """Name the rate, or where its interval includes guessing, the test and the area that show the leak."""
    area = "" if math.isnan(auc) else f"; the largest AUC is {auc:.3f}, guessing 0.5"
    shown = f"Members score higher than chance allows (p = {test.p_value:.2g}{area})"
    if headline is None:
        return f"{shown}, with too few nonmembers to resolve any error rate"
    rate, low, high = percent(headline.fpr), percent(headline.tpr_lb), percent(headline.tpr_ub)
    power = f"{low.removesuffix('%')}–{high} of the {crowd}"
    if headline.tpr_ub < headline.fpr:  # such as labels alone: right or wrong, and most nonmembers are right
        return f"{shown}, but only at more false positives than {rate}: at that rate the attack identifies {power}"
    if headline.tpr_lb > headline.fpr:
        return f"At {rate} false positives the attack identifies {power} (guessing: {rate})"
    return f"{shown}; at {rate} false positives the attack identifies {power}, which guessing ({rate}) may explain"


def smallest_visible_tpr(n_members: int, n_nonmembers: int, fpr: float, critical_z: float, power: float = 0.8) -> float:
    """The smallest planted leak that the permutation test sees with the given power, wherever above the threshold.

    The planted control: q members are recognised at the false-positive rate `fpr`, and everything else stays a chance
    order. They may stand on top of all scores, or just above the threshold, below as many nonmembers as the rate
    allows: the same rate, and harder to see. What stands anywhere between is seen as well as the lower of the two. A
    control is seen if one of the test's statistics exceeds its critical value, the members among the highest `fpr` or
    the highest 2 `fpr` of the units or the AUC; the most powerful one of them counts alone, so that the power is at
    least what is said. Counts in a tail are hypergeometric, given how many other members stand above the planted ones;
    the AUC is a constant and a rank sum, taken as normal.

    Args:
        n_members: Units on the members' side.
        n_nonmembers: Units on the nonmembers' side.
        fpr: The false-positive rate of the headline.
        critical_z: What the largest standardised statistic must exceed.
        power: Probability of seeing it.

    Returns:
        TPR of the planted leak at that rate, `q/m + (1 - q/m) fpr`, the larger of the two; NaN if even all members
        would not do.

    Example:
        >>> round(smallest_visible_tpr(1000, 1000, 0.01, 2.4), 3)
        0.03

    Source:
        Ours.
    """
    planted = 0
    for above in (0, allowed_false_positives(fpr, n_nonmembers)):
        seen = partial(_power, above, n_members, n_nonmembers, fpr, critical_z)
        if seen(n_members) < power:
            return float("nan")
        planted = max(planted, bisect_left(range(n_members + 1), power, key=seen))
    share = planted / n_members
    return share + (1 - share) * fpr


def _power(above: int, m: int, n: int, fpr: float, critical_z: float, planted: int) -> float:
    """With what probability the best of the statistics sees members planted directly below so many nonmembers."""
    # Nonmembers below each planted member are known; those below the others are a rank sum of a chance order.
    wanted = m * n / 2 + critical_z * math.sqrt(m * n * (m + n + 1) / 12) - planted * (n - above)
    others = m - planted
    spread = math.sqrt(others * n * (others + n + 1) / 12)
    by_auc = float(special.ndtr((others * n / 2 - wanted) / spread)) if spread else float(wanted < 0)
    tails = (tail_size(times * fpr, m + n) for times in TAILS)
    return max(by_auc, *(_power_of_tail(top, above, m, n, critical_z, planted) for top in tails))


def _power_of_tail(top: int, above: int, m: int, n: int, critical_z: float, planted: int) -> float:
    """The same for the number of members among the highest units."""
    total = m + n
    mean = top * m / total
    spread = math.sqrt(mean * n / total * (total - top) / (total - 1))
    wanted = math.floor(mean + critical_z * spread + 1e-9) + 1
    if wanted > min(top, m):
        return 0.0
    others = m - planted
    if not above:  # nobody stands above them
        return hypergeometric_tail(wanted - planted, total - planted, others, max(0, top - planted))
    seen = 0.0
    members_above = _members_above(above, others, n)
    for x in members_above:
        place = above + x  # of the first planted member; after the last, the next nonmember stands
        if top <= place:
            seen += hypergeometric_tail(wanted, place, x, top)
        elif top <= place + planted:
            seen += float(top - above >= wanted)
        else:
            rest = total - place - planted - 1
            seen += hypergeometric_tail(wanted - x - planted, rest, others - x, min(rest, top - place - planted - 1))
    return seen / len(members_above)


def _members_above(above: int, m: int, n: int) -> list[int]:
    """How many of m members stand above the next nonmember after so many, at evenly spread probabilities."""
    mean = m * (above + 1) / (n + 1)
    spread = math.sqrt(max(1.0, mean * (1 + mean / (above + 1))))
    step = 1 + int(spread / 100)
    x = np.arange(max(0, int(mean - 12 * spread)), min(m, int(mean + 12 * spread) + 12) + 1, step)
    log_p = (
        log_choose(x + above, x) + log_choose(m + n - above - 1 - x, m - x) - log_choose(m + n, m)
    )  # negative hypergeometric
    reached = np.cumsum(np.exp(log_p))
    return [int(count) for count in x[np.searchsorted(reached / reached[-1], (np.arange(_STEPS) + 0.5) / _STEPS)]]


def _needed(headline: Headline | None, test: FamilywiseTest, now: int) -> int:
    """Units per side that would decide, were the estimates to stay; at least what the decisive rate needs."""
    least = nonmembers_needed(DECISIVE_FPR)
    if headline is None or headline.fpr > DECISIVE_FPR:
        return max(least, now)
    if headline.tpr < DECISIVE_TPR:  # the bound shrinks with the root of n
        factor = (headline.tpr_ub - headline.tpr) / (DECISIVE_TPR - headline.tpr)
    else:  # so large an estimate will become significant
        factor = test.critical_z / max(test.z, 0.5)
    return max(least, 1 + math.ceil(now * max(1.0, factor) ** 2))

"""What a study says of a claim, which is one of four things.

*Not comparable*: the study is of other conditions than the claim. *Undecided*: of fewer than `FEWEST_PAIRS` independent
pairs of models, or the interval lies on both sides of what is claimed. *Holds*: the whole interval agrees.
*Contradicted*: each of two sets of trainings says so, `FEWEST_PAIRS` pairs at least in each, with Holm's correction
over all claims of the same paper. The two sets are the first and the second half of the pairs: each pair has seeds of
its own, though neighbours share shadow models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, sqrt
from typing import Any

import numpy as np
from scipy.stats import t as student
from tests.experiments.targets_in_turn import LEVEL, LIMITS, Mean, finding, mean_of

FEWEST_PAIRS = 5
MOST_PAIRS = 1_000
"""No more are named as those that would decide."""


class Verdict(StrEnum):
    """What may be concluded."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one study has on one claim.

    Attributes:
        agrees: Whether the whole interval is what the claim says.
        p_against: That the pairs are this far on the other side by chance, the larger one of two sets of trainings; 1
            without a second set.
        n_pairs: Independent pairs of models, or trials.
        fewest: Pairs that a verdict needs.
        enough: Pairs that would decide, if the next ones are like these; None: more than `MOST_PAIRS`, or unknown.
        unmet: The condition of the claim that the study does not meet; empty: it meets all.
        unit: What pairs are called here.
    """

    agrees: bool
    p_against: float
    n_pairs: int
    fewest: int = FEWEST_PAIRS
    enough: int | None = None
    unmet: str = ""
    unit: str = "pair"


def evidence(
    relation: str,
    differences: Sequence[float] | np.ndarray,
    *,
    unmet: str = "",
    fewest: int = FEWEST_PAIRS,
    unit: str = "pair",
) -> Evidence:
    """Of the differences of all pairs, in the order in which they were trained."""
    values = np.asarray(differences, dtype=np.float64)
    halves = values[: len(values) // 2], values[len(values) // 2 :]
    is_twice = min(map(len, halves)) >= fewest
    return Evidence(
        agrees=finding(relation, mean_of(values)) == "shown",
        p_against=min(max(side) for side in zip(*(_against(relation, h) for h in halves), strict=True))
        if is_twice
        else 1.0,
        n_pairs=len(values),
        fewest=fewest,
        enough=enough_pairs(relation, mean_of(values), len(values), fewest),
        unmet=unmet,
        unit=unit,
    )


def _against(relation: str, values: np.ndarray) -> tuple[float, float]:
    """One-sided p-values that the mean is below what is claimed, and above it."""
    low, high = LIMITS[relation]
    error = float(values.std(ddof=1)) / sqrt(len(values))
    beyond = (low - float(values.mean()), float(values.mean()) - high)
    return tuple(  # type: ignore[return-value]
        1.0 if gap <= 0 else float(student.sf(gap / error if error > 0 else inf, len(values) - 1)) for gap in beyond
    )


def enough_pairs(relation: str, difference: Mean, n_pairs: int, fewest: int = FEWEST_PAIRS) -> int | None:
    """Pairs that decide if mean and spread stay as they are, on either side; two sets of them to contradict."""
    spread = (difference.upper - difference.value) * sqrt(n_pairs) / _quantile(n_pairs)
    value, (low, high) = difference.value, LIMITS[relation]
    sets = 1 if low <= value <= high else 2
    distance = min(abs(value - limit) for limit in (low, high))
    sizes = np.arange(fewest, MOST_PAIRS // sets + 1)
    decided = np.flatnonzero(_quantile(sizes) * spread / np.sqrt(sizes) < distance)
    return int(sets * sizes[decided[0]]) if decided.size else None


def _quantile(n: Any) -> Any:
    return student.ppf((1 + LEVEL) / 2, n - 1)


@dataclass(frozen=True)
class Judged:
    """A verdict, its reason where there is one, and the pairs that would decide what is undecided, where known."""

    verdict: Verdict
    why: str = ""
    enough: int | None = None


def verdicts(found: Sequence[Evidence]) -> list[Judged]:
    """A verdict on each claim of one paper, in the order given."""
    family = [e for e in found if not e.unmet and e.n_pairs >= e.fewest]
    rejected = _holm([e.p_against for e in family])
    against = {id(e) for e, is_rejected in zip(family, rejected, strict=True) if is_rejected}
    return [_verdict(e, id(e) in against) for e in found]


def _verdict(e: Evidence, is_against: bool) -> Judged:
    if e.unmet:
        return Judged(Verdict.NOT_COMPARABLE, e.unmet)
    pairs = f"{e.n_pairs} {e.unit}{'s' * (e.n_pairs != 1)}"
    if e.n_pairs < e.fewest:
        return Judged(Verdict.UNDECIDED, f"{pairs}, of the {e.fewest} that a verdict needs", e.enough)
    if e.agrees:
        return Judged(Verdict.HOLDS)
    if is_against:
        return Judged(Verdict.CONTRADICTED)
    if e.enough is None:
        return Judged(Verdict.UNDECIDED, f"{pairs}, and {MOST_PAIRS:,} would not decide")
    if e.enough <= e.n_pairs:
        return Judged(Verdict.UNDECIDED, f"{pairs} are against it, but not both halves of them after Holm's correction")
    return Judged(Verdict.UNDECIDED, f"{pairs}, about {e.enough} would decide", e.enough)


def _holm(p_values: Sequence[float]) -> list[bool]:
    """Which are rejected together, at the level of one side of an interval."""
    rejected, level = [False] * len(p_values), (1 - LEVEL) / 2
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] > level / (len(p_values) - rank):
            break
        rejected[i] = True
    return rejected


def claim_row(what: dict[str, Any], relation: str, differences: Any, **conditions: Any) -> dict[str, Any]:
    """A claim as it is stored: mean difference, interval, pairs, and what a verdict is made of.

    `judged` reads `evidence` and puts a verdict in its place.
    """
    return what | rounded(mean_of(differences)) | {"evidence": evidence(relation, differences, **conditions)}


def as_stored(told: Judged) -> dict[str, Any]:
    """Its verdict as a word; the number of pairs only where something is undecided."""
    enough = {"enough": told.enough} if told.verdict is Verdict.UNDECIDED else {}
    return {"verdict": told.verdict.value, "why": told.why} | enough


def marked(claim: dict[str, Any]) -> str:
    """What a cell of a table shows of a verdict; of one that is undecided, with the pairs that would decide."""
    verdict = Verdict(claim["verdict"])
    if verdict is Verdict.UNDECIDED:
        return f" ? {claim['enough']}" if claim["enough"] else " ?"
    return {Verdict.HOLDS: "", Verdict.CONTRADICTED: " ✗", Verdict.NOT_COMPARABLE: " ≠"}[verdict]


def named(claim: dict[str, Any]) -> str:
    return f"{claim['better']} {claim['relation']} {claim['other']}"


def reasons(claims: Sequence[dict[str, Any]], named: Callable[[dict[str, Any]], str] = named) -> list[str]:
    """What stands below a table of claims of one study: why some are not comparable, and that there are few pairs."""
    of_reason: dict[str, set[str]] = {}
    for claim in claims:
        if claim["verdict"] == Verdict.NOT_COMPARABLE:
            of_reason.setdefault(claim["why"], set()).add(named(claim))
    everything = {named(claim) for claim in claims}
    lines = [
        f"- Not comparable, {'all claims' if names == everything else '; '.join(sorted(names))}: {why}."
        for why, names in of_reason.items()
    ]
    few = {claim["why"] for claim in claims if claim["verdict"] == Verdict.UNDECIDED and claim["trials"] < FEWEST_PAIRS}
    return lines + [f"- Undecided, all {'others' if lines else 'claims'}: {why}." for why in few]


def rounded(mean: Mean) -> dict[str, float]:
    return {name: round(value, 5) for name, value in vars(mean).items()}


def judged(claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Claims with verdicts in place of their evidence, corrected over all claims of a paper that are here."""
    papers = [claim["source"].split(",")[0] for claim in claims]
    found: dict[int, dict[str, Any]] = {}
    for paper in dict.fromkeys(papers):
        mine = [i for i, of in enumerate(papers) if of == paper]
        said = verdicts([claims[i]["evidence"] for i in mine])
        for i, told in zip(mine, said, strict=True):
            rest = {key: value for key, value in claims[i].items() if key != "evidence"}
            found[i] = rest | {"trials": claims[i]["evidence"].n_pairs} | as_stored(told)
    return [found[i] for i in range(len(claims))]

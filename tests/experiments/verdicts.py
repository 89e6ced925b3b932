"""Claims of studies as they are stored: what a verdict is made of, then the verdict, and how a table shows it."""

from collections.abc import Callable, Sequence
from typing import Any

from vestige.evaluation.trials import Mean, mean_of
from vestige.papers.reproduction.verdicts import FEWEST, Judged, Verdict, evidence, verdicts


def claim_row(what: dict[str, Any], relation: str, differences: Any, **conditions: Any) -> dict[str, Any]:
    """A claim as it is stored: mean difference, interval, pairs, and what a verdict is made of.

    `judged` reads `evidence` and puts a verdict in its place.
    """
    told = evidence(relation, differences, **{"unit": "pair"} | conditions)
    return what | rounded(mean_of(differences)) | {"evidence": told}


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
    few = {claim["why"] for claim in claims if claim["verdict"] == Verdict.UNDECIDED and claim["trials"] < FEWEST}
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
            found[i] = rest | {"trials": claims[i]["evidence"].n_trials} | as_stored(told)
    return [found[i] for i in range(len(claims))]

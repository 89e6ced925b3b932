"""The gate: a condition that must not hold, read from the result table. It fails closed."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import IntEnum

from vestige.attacks import CATALOGUE
from vestige.auditing.results.operating_points import FPRS
from vestige.auditing.results.rows import PRIORS
from vestige.core.errors import InputError
from vestige.core.messages import nearest
from vestige.core.result import AuditResult, Status, Validity
from vestige.evaluation.intervals import nonmembers_needed

METRICS = (
    "auc",
    *(f"tpr_at_fpr_{f:g}" for f in FPRS),
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    *(f"precision_at_prior_{p:g}" for p in PRIORS),
)
"""Metrics a gate can name: those where more means more leakage."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {">": operator.gt, ">=": operator.ge}
_PATTERN = re.compile(
    r"\s*(?:(?P<attack>[^\W\d]\w*):)?(?P<metric>[a-z0-9_]+(?:_\d+(?:\.\d+)?)?)\.(?P<bound>value|lower|upper)"
    r"\s*(?P<comparison>>=|>|<=|<|==)\s*(?P<limit>[-+0-9.eE]+)\s*"
)


class Outcome(IntEnum):
    """What a gate says, as the exit code of the command line."""

    PASSED = 0
    BROKEN = 3
    UNDECIDED = 4


@dataclass(frozen=True)
class Policy:
    """A condition that must not hold, such as `tpr_at_fpr_0.01.upper > 0.03`.

    Attributes:
        text: The condition as written.
        attack: The attack it names; `worst` reads the worst of all, with simultaneous bounds.
        metric: A name of `METRICS`.
        bound: `value`, `lower` or `upper`.
        comparison: `>` or `>=`.
        limit: The number compared with.
    """

    text: str
    _: KW_ONLY
    attack: str
    metric: str
    bound: str
    comparison: str
    limit: float


@dataclass(frozen=True)
class Judgement:
    """What a policy says of a result, and why in one sentence."""

    outcome: Outcome
    reason: str


def parse_policy(text: str, own: Sequence[str] = ()) -> Policy:
    """Read `[ATTACK:]METRIC.BOUND > NUMBER`.

    Args:
        text: The condition.
        own: Names of the custom attacks that it may name beside ours.

    Raises:
        InputError: The text is not such a condition, or names an unknown attack or metric.

    Example:
        >>> policy = parse_policy("confidence:tpr_at_fpr_0.01.upper > 0.03")
        >>> policy.attack, policy.metric, policy.bound, policy.limit
        ('confidence', 'tpr_at_fpr_0.01', 'upper', 0.03)
    """
    match = _PATTERN.fullmatch(text)
    example = "such as 'tpr_at_fpr_0.01.upper > 0.03' or 'confidence:auc.upper > 0.6'"
    if match is None:
        raise InputError(f"Expected [ATTACK:]METRIC.value|lower|upper > NUMBER, {example}, found {text!r}.")
    if match["comparison"] not in _COMPARISONS:
        raise InputError(
            f"Expected > or >= in {text!r}, found {match['comparison']}; a policy names the leakage that is too much."
        )
    attack = match["attack"] or "worst"
    names = ("worst", *own, *(a.name for a in CATALOGUE))
    if attack not in names:
        raise InputError(f"Expected an attack in {text!r}, found {attack}, which is none; {nearest(attack, names)}.")
    if match["metric"] not in METRICS:
        raise InputError(f"Expected a metric among {', '.join(METRICS)} in {text!r}, found {match['metric']}.")
    try:
        limit = float(match["limit"])
    except ValueError:
        raise InputError(
            f"Expected a number after {match['comparison']} in {text!r}, found {match['limit']}."
        ) from None
    if not (0 <= limit < 1 or (limit == 1 and match["comparison"] == ">=")):
        raise InputError(
            f"Expected a limit that can be passed, from 0 to 1, in {text!r}, found {limit:g}; rates are fractions, "
            "3 percent is 0.03."
        )
    return Policy(
        text.strip(),
        attack=attack,
        metric=match["metric"],
        bound=match["bound"],
        comparison=match["comparison"],
        limit=limit,
    )


def judge(policy: Policy, result: AuditResult) -> Judgement:
    """Apply a policy to group `all`, oracle rows apart. What cannot be read never passes.

    Args:
        policy: The condition that must not hold.
        result: A finished audit.

    Returns:
        PASSED, BROKEN, or UNDECIDED: the test is confounded, the row is not there, or n does not resolve it.
    """
    table = result.results
    rows = table[
        (table["attack"] == policy.attack)
        & (table["metric"] == policy.metric)
        & (table["group"] == "all")
        & table["threshold"].isin(["roc", "any"])  # of several thresholds, the worst with simultaneous bounds
    ]
    usable = rows[(rows["status"] == str(Status.OK)) & rows[policy.bound].notna()]
    worst = float(usable[policy.bound].max())
    shown = f"{policy.attack} {policy.metric}.{policy.bound} is {worst:.4g}"
    if result.validity is Validity.CONFOUNDED:
        unclear = "the test is CONFOUNDED, see its remedies"
    elif rows.empty:
        unclear = f"{policy.attack} has no {policy.metric}"
    elif len(usable) < len(rows) and rows["value"].isna().any():
        unclear = "undefined, no record is called a member"
    elif len(usable) < len(rows):
        unclear = f"not resolvable{_needed(policy.metric, int(rows['n_nonmembers'].iloc[0]))}"
    elif _COMPARISONS[policy.comparison](worst, policy.limit):
        return Judgement(Outcome.BROKEN, f"'{policy.text}' holds: {shown}.")
    elif any(c.name == "inverted_scores" and c.validity is not Validity.VALID for c in result.preflight.checks):
        unclear = "an attack scores members lower than others"
    else:
        return Judgement(Outcome.PASSED, f"'{policy.text}' does not hold: {shown}.")
    return Judgement(Outcome.UNDECIDED, f"'{policy.text}' is undecided: {unclear}.")


def _needed(metric: str, n_nonmembers: int) -> str:
    """How many nonmembers would resolve a rate."""
    if not metric.startswith("tpr_at_fpr_"):
        return ""
    n = nonmembers_needed(float(metric.rsplit("_", 1)[1]))
    return f"; {n:,} nonmembers would decide it, this audit scores {n_nonmembers:,}"

"""The gate: conditions that must not hold, read from a result. It fails closed."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vestige.attacks import CATALOGUE
from vestige.auditing.results.operating_points import FPRS
from vestige.auditing.results.rows import PRIORS
from vestige.core.errors import InputError
from vestige.core.messages import nearest
from vestige.core.result import AuditResult, FindingState, Status, Validity
from vestige.evaluation.intervals import nonmembers_needed

if TYPE_CHECKING:
    import pandas as pd

_DIFFERENCE = "difference_"
_OF_CURVES = ("auc", *(f"tpr_at_fpr_{f:g}" for f in FPRS))
METRICS = (
    *_OF_CURVES,
    *(f"{_DIFFERENCE}{metric}" for metric in _OF_CURVES),
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    *(f"precision_at_prior_{p:g}" for p in PRIORS),
)
"""Metrics a gate can name: those where more means more leakage."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LIMIT = re.compile(
    r"\s*(?:(?P<attack>[^\W\d]\w*):)?(?P<metric>[a-z0-9_]+(?:_\d+(?:\.\d+)?)?)\.(?P<bound>value|lower|upper)"
    r"(?:\[(?P<group>[^\]]+)\])?\s*(?P<comparison>>=|>|<=|<|==)\s*(?P<limit>[-+0-9.eE]+)\s*"
)
_P_VALUE = re.compile(r"\s*p_value\s*(?P<comparison>>=|>|<=|<|==)\s*(?P<limit>[-+0-9.eE]+)\s*")
_ANSWER = re.compile(r"\s*(?P<which>validity|finding) is (?P<state>[A-Z ]+?)\s*")
_EXAMPLES = (
    "such as 'tpr_at_fpr_0.01.upper > 0.03', 'confidence:auc.upper > 0.6', 'auc.upper[worst_group] > 0.7', "
    "'p_value < 0.01', 'finding is LEAK SHOWN' or 'validity is LIMITED'"
)


class Outcome(IntEnum):
    """What a gate says, as the exit code of the command line."""

    PASSED = 0
    BROKEN = 3
    UNDECIDED = 4


@dataclass(frozen=True)
class Judgement:
    """What a condition says of a result, and why in one sentence."""

    outcome: Outcome
    reason: str


@runtime_checkable
class Policy(Protocol):
    """A condition that must not hold."""

    @property
    def text(self) -> str:
        """The condition as written."""
        ...

    def judge(self, result: AuditResult) -> Judgement:
        """Judge a result that is not CONFOUNDED."""
        ...


def judge(policy: Policy, result: AuditResult) -> Judgement:
    """Apply a condition to a result. What cannot be read never passes.

    Args:
        policy: The condition that must not hold.
        result: A finished audit.

    Returns:
        PASSED, BROKEN, or UNDECIDED: the test is confounded, the number is not there, or n does not resolve it.
    """
    if result.validity is Validity.CONFOUNDED:
        return _undecided(policy.text, "the test is CONFOUNDED, see its remedies")
    return policy.judge(result)


def outcome_of(judgements: Sequence[Judgement]) -> Outcome:
    """Return what a gate says of all conditions: a broken one weighs more than an undecided one.

    Example:
        >>> outcome_of([Judgement(Outcome.PASSED, ""), Judgement(Outcome.UNDECIDED, "")]).name
        'UNDECIDED'
    """
    outcomes = {judgement.outcome for judgement in judgements}
    return next((one for one in (Outcome.BROKEN, Outcome.UNDECIDED) if one in outcomes), Outcome.PASSED)


def parse_policy(text: str, own: Sequence[str] = ()) -> Policy:
    """Read a condition.

    Args:
        text: `[ATTACK:]METRIC.BOUND[GROUP] > NUMBER`, `p_value < NUMBER`, `validity is ANSWER` or `finding is ANSWER`.
        own: Names of the custom attacks that it may name beside ours.

    Raises:
        InputError: The text is not such a condition, or names an unknown attack, metric or answer.

    Example:
        >>> policy = parse_policy("confidence:tpr_at_fpr_0.01.upper[ward=b] > 0.03")
        >>> policy.attack, policy.metric, policy.bound, policy.group, policy.limit
        ('confidence', 'tpr_at_fpr_0.01', 'upper', 'ward=b', 0.03)
    """
    if match := _ANSWER.fullmatch(text):
        return _answer(text, match)
    if match := _P_VALUE.fullmatch(text):
        return PValue(text.strip(), _below(text, match), _number(text, match))
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise InputError(f"Expected [ATTACK:]METRIC.value|lower|upper > NUMBER, {_EXAMPLES}, found {text!r}.")
    if match["comparison"] not in (">", ">="):
        raise InputError(
            f"Expected > or >= in {text!r}, found {match['comparison']}; a policy names the leakage that is too much."
        )
    attack = match["attack"] or "worst"
    names = ("worst", *own, *(a.name for a in CATALOGUE))
    if attack not in names:
        raise InputError(f"Expected an attack in {text!r}, found {attack}, which is none; {nearest(attack, names)}.")
    if match["metric"] not in METRICS:
        raise InputError(f"Expected a metric among {', '.join(METRICS)} in {text!r}, found {match['metric']}.")
    if match["metric"].startswith(_DIFFERENCE) and match["group"] is None:
        raise InputError(
            f"Expected a group after {match['metric']}.{match['bound']} in {text!r}, found none; write [COLUMN=VALUE], "
            "[class=NAME], [worst_group] or [worst_class], whose difference from all other records is meant."
        )
    limit = _number(text, match)
    if limit == 1 and match["comparison"] == ">":
        raise _impossible(text, limit)
    return Limit(
        text=text.strip(),
        attack=attack,
        metric=match["metric"],
        bound=match["bound"],
        group=match["group"] or "all",
        comparison=match["comparison"],
        limit=limit,
    )


def read_policy(path: Path, own: Sequence[str] = ()) -> tuple[Policy, ...]:
    """Read the conditions of a policy file: `fail_if` of its table `[policy]`, as in an AUDIT.toml.

    Args:
        path: The file.
        own: Names of custom attacks that it may name beside ours.

    Raises:
        InputError: There is no such file, or it holds no condition, or something that is none.
    """
    from vestige.auditing.files.tables import read_toml

    table = read_toml(path).get("policy")
    conditions = table.get("fail_if") if isinstance(table, dict) else None
    if not isinstance(conditions, list) or not conditions or not all(isinstance(text, str) for text in conditions):
        raise InputError(
            f"Expected a table [policy] with fail_if = [CONDITION, ...] in {path.name}, found none; {_EXAMPLES}."
        )
    return tuple(parse_policy(text, own) for text in conditions)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A number that must not be larger, such as `tpr_at_fpr_0.01.upper > 0.03`; of oracle thresholds nothing is read.

    Attributes:
        text: The condition as written.
        attack: The attack it names; `worst` reads the worst of all, with simultaneous bounds, or of differences
            between groups the attack whose they are.
        metric: A name of `METRICS`.
        bound: `value`, `lower` or `upper`.
        group: Which units: `all`, `class=NAME`, `GROUP=VALUE`, `worst_class` or `worst_group`.
        comparison: `>` or `>=`.
        limit: The number compared with.
    """

    text: str
    attack: str
    metric: str
    bound: str
    group: str
    comparison: str
    limit: float

    def judge(self, result: AuditResult) -> Judgement:
        """Judge the largest such number of a result."""
        table = result.results
        rows = table[
            self._is_meant(table)
            & self._is_in_group(table["group"])
            & table["threshold"].isin(["roc", "any"])  # of several thresholds, the worst with simultaneous bounds
        ]
        usable = rows[(rows["status"] == str(Status.OK)) & rows[self.bound].notna()]
        worst = float(usable[self.bound].max())
        of = "" if self.group == "all" else f" of {self.group}"
        shown = f"{next(iter(rows['attack']), self.attack)} {self.metric}.{self.bound}{of} is {worst:.4g}"
        if rows.empty:
            return _undecided(self.text, f"{self.attack} has no {self.metric}{of}{self._known_groups(table)}")
        if len(usable) < len(rows):
            return _undecided(self.text, self._why_unusable(rows))
        if _COMPARISONS[self.comparison](worst, self.limit):
            return Judgement(Outcome.BROKEN, f"'{self.text}' holds: {shown}.")
        if any(c.name == "inverted_scores" and c.validity is not Validity.VALID for c in result.preflight.checks):
            return _undecided(self.text, "an attack scores members lower than others")
        return Judgement(Outcome.PASSED, f"'{self.text}' does not hold: {shown}.")

    def _is_meant(self, table: "pd.DataFrame") -> "pd.Series[bool]":
        """Rows of the number, of the attack; differences between groups are those of one attack, the strongest."""
        of_metric = table["metric"] == self.metric
        if self._is_difference and self.attack == "worst":
            return of_metric
        return of_metric & (table["attack"] == self.attack)

    def _is_in_group(self, groups: "pd.Series[str]") -> "pd.Series[bool]":
        """The group that was named; no row says which difference is the worst, so all are read."""
        if self._is_difference and self.group in ("worst_class", "worst_group"):
            return groups.str.startswith("class=") == (self.group == "worst_class")
        return groups == self.group

    @property
    def _is_difference(self) -> bool:
        return self.metric.startswith(_DIFFERENCE)

    def _known_groups(self, table: "pd.DataFrame") -> str:
        """Groups of which the attack has the number, where it is not known of the group that was named."""
        those = table[self._is_meant(table)]["group"].unique().tolist()
        return f"; {nearest(self.group, those)}" if self.group != "all" and those else ""

    def _why_unusable(self, rows: "pd.DataFrame") -> str:
        statuses = set(rows["status"])
        if str(Status.SUPPRESSED) in statuses:
            return "hidden, so few units does it concern"
        if rows["value"].isna().any():
            return "undefined, no record is called a member"
        if not self.metric.startswith("tpr_at_fpr_"):
            return "not resolvable"
        n = nonmembers_needed(float(self.metric.rsplit("_", 1)[1]))
        here = int(rows["n_nonmembers"].iloc[0])
        return f"not resolvable; {n:,} nonmembers would decide it, this audit scores {here:,}"


@dataclass(frozen=True)
class PValue:
    """A familywise p-value that must not be smaller, such as `p_value < 0.01`."""

    text: str
    comparison: str
    limit: float

    def judge(self, result: AuditResult) -> Judgement:
        """Judge the p-value of all attacks together."""
        p = result.finding.p_value
        if p != p:
            return _undecided(self.text, "this audit has no p-value")
        if _COMPARISONS[self.comparison](p, self.limit):
            return Judgement(Outcome.BROKEN, f"'{self.text}' holds: the p-value is {p:.4g}.")
        return Judgement(Outcome.PASSED, f"'{self.text}' does not hold: the p-value is {p:.4g}.")


@dataclass(frozen=True)
class Answer:
    """An answer that must not be given, such as `finding is LEAK SHOWN`."""

    text: str
    which: str
    state: Validity | FindingState

    def judge(self, result: AuditResult) -> Judgement:
        """Judge the answer; where no leak may be shown, an undecided finding decides nothing."""
        found = result.validity if self.which == "validity" else result.finding.state
        if found is self.state:
            return Judgement(Outcome.BROKEN, f"'{self.text}' holds.")
        if self.state is FindingState.LEAK_SHOWN and found is FindingState.UNDECIDED:
            return _undecided(self.text, "the finding is UNDECIDED")
        return Judgement(Outcome.PASSED, f"'{self.text}' does not hold: the {self.which} is {found}.")


def _answer(text: str, match: re.Match[str]) -> Answer:
    states: type[Validity] | type[FindingState] = Validity if match["which"] == "validity" else FindingState
    named = {str(state).removesuffix(" ABOVE"): state for state in states}
    found = match["state"].removesuffix(" ABOVE")
    if found not in named or named[found] is Validity.VALID or named[found] is FindingState.NO_LEAK_SHOWN:
        bad = [name for name in named if name not in ("VALID", "NO LEAK SHOWN")]
        raise InputError(
            f"Expected one of {', '.join(bad)} in {text!r}, found {match['state']}; name what must not be."
        )
    return Answer(text.strip(), match["which"], named[found])


def _below(text: str, match: re.Match[str]) -> str:
    if match["comparison"] in ("<", "<="):
        return match["comparison"]
    raise InputError(f"Expected < or <= in {text!r}, found {match['comparison']}; a small p-value is the leak.")


def _number(text: str, match: re.Match[str]) -> float:
    try:
        limit = float(match["limit"])
    except ValueError:
        raise InputError(
            f"Expected a number after {match['comparison']} in {text!r}, found {match['limit']}."
        ) from None
    if not 0 <= limit <= 1:
        raise _impossible(text, limit)
    return limit


def _impossible(text: str, limit: float) -> InputError:
    return InputError(
        f"Expected a limit that can be passed, from 0 to 1, in {text!r}, found {limit:g}; rates are fractions, "
        "3 percent is 0.03."
    )


def _undecided(text: str, why: str) -> Judgement:
    return Judgement(Outcome.UNDECIDED, f"'{text}' is undecided: {why}.")

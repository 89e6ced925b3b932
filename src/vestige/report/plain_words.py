"""What an audit found in sentences for people without statistics: of a hundred, how many; and what follows."""

import math
from collections.abc import Sequence

from vestige.core.messages import brief, few
from vestige.core.result import AuditResult, Check, FindingState, Validity
from vestige.report import wording
from vestige.report.rows import Cell, Rows

MOST = 320
"""Letters of one remark, so that all of them fit on a page."""

_PEOPLE = "people whose data", "person whose data", "whose did not"
_RECORDS = "records that", "record that", "that did not"


def verdict(result: AuditResult) -> str:
    """Name validity and finding together; the finding of a CONFOUNDED test is none."""
    return f"{result.validity}, {result.answer}"


def answer(result: AuditResult) -> str:
    """Say in a word or two whether somebody can tell whose data trained the model."""
    if result.validity is Validity.CONFOUNDED:
        return "This test cannot tell"
    limit = ", in a limited test" if result.validity is Validity.LIMITED else ""
    return {
        FindingState.LEAK_SHOWN: "Yes: a leak was shown",
        FindingState.NO_LEAK_SHOWN: "Not much, by the attacks that were tested",
        FindingState.UNDECIDED: "Undecided: more records are needed",
    }[result.finding.state] + limit


def tone(result: AuditResult) -> str:
    """Return how an answer is coloured; nothing is green, because that no leak was shown is no reassurance."""
    if result.validity is Validity.CONFOUNDED or result.finding.state is FindingState.UNDECIDED:
        return "warn"
    return "alarm" if result.finding.state is FindingState.LEAK_SHOWN else "plain"


def what_was_tested(result: AuditResult) -> str:
    """Say who attacked, and how many records were to be told apart."""
    rows = Rows(result.results)
    cells = [cell for name in rows.attacks if (cell := rows.get(name, "roc", "auc"))]
    most = max(cells, key=lambda cell: cell.n_nonmembers or 0, default=Cell())
    many, _, _ = _crowd(result)
    sizes = f"{wording.count(most.n_members)} {many} trained the model from {wording.count(most.n_nonmembers)} others"
    n = len(rows.attacks)
    how, _, _ = result.adversary.sentence.rpartition("; ")
    return (
        f"Attackers who may question the model tried to tell {sizes}, with {n} attack{'' if n == 1 else 's'}. "
        f"The attacker {how[:1].lower()}{how[1:]}."
    )


def _crowd(result: AuditResult) -> tuple[str, str, str]:
    """Words for many who trained the model, for one, and for one who did not."""
    return _PEOPLE if Rows(result.results).unit == "subject" else _RECORDS


def _reasons(result: AuditResult) -> list[Check]:
    worst = [check for check in result.preflight.checks if check.validity is result.validity]
    return [] if result.validity is Validity.VALID else worst


def of_validity(result: AuditResult) -> str:
    """Say whether the test can say anything, and the first reason why not."""
    if result.validity is Validity.VALID:
        return "No check found a reason to doubt the test."
    why = brief(_reasons(result)[0].message, MOST)
    if result.validity is Validity.CONFOUNDED:
        return f"The test says nothing about the model, because a check of the test itself failed: {why}"
    return f"The test has a limit, so take its numbers with care: {why}"


def found(result: AuditResult) -> str:
    """Return the finding in natural frequencies, beside what guessing would find."""
    if result.validity is Validity.CONFOUNDED:
        return "What the attacks found may have reasons outside the model, so no number is given here."
    finding = result.finding
    base = 100 if math.isnan(finding.fpr) or finding.fpr >= 0.01 else round(1 / finding.fpr)
    many, one, other = _crowd(result)
    of = f"Of {base:,} {many} trained the model"
    [guess] = wording.frequencies(base * finding.fpr)
    wrong = f"wrongly naming at most {guess} of {base:,} others. Somebody who guesses finds {guess} of {base:,}."
    low, value, high = wording.frequencies(*(base * rate for rate in (finding.tpr_lb, finding.tpr, finding.tpr_ub)))
    if finding.state is FindingState.NO_LEAK_SHOWN:
        [most] = wording.frequencies(base * finding.tpr_ub)
        return f"{of}, the tested attacks find at most about {most}, {wrong}"
    if finding.tpr_lb > finding.fpr or (finding.state is FindingState.UNDECIDED and not math.isnan(finding.fpr)):
        return f"{of}, the strongest attack finds about {value} (between {low} and {high}), {wrong}"
    area = Rows(result.results).get("worst", "roc", "auc")
    if area is None or not area.is_ok:
        return finding.sentence
    low, value, high = wording.frequencies(*(100 * share for share in (area.lower, area.value, area.upper)))
    return (
        f"Shown one {one} trained the model and one {other}, the strongest attack picks the right one in about "
        f"{value} of 100 cases (between {low} and {high}). Somebody who guesses is right in 50 of 100."
    )


def release(result: AuditResult) -> str:
    """Say what the finding means for a release; the decision is the reader's."""
    if result.validity is Validity.CONFOUNDED:
        return "This audit gives no reason for a release and none against it: mend the test, and decide nothing before."
    said = {
        FindingState.LEAK_SHOWN: "Do not release it as it is. Only those who answer for the data may decide to take "
        "this risk.",
        FindingState.NO_LEAK_SHOWN: "These attacks give no reason against a release. That is evidence for a decision, "
        "not a clearance: stronger attackers may find more.",
        FindingState.UNDECIDED: "This audit gives no reason for a release and none against it: do not decide by it.",
    }[result.finding.state]
    if result.validity is Validity.LIMITED:
        return f"As far as this limited test goes, {said[:1].lower()}{said[1:]}"
    return said


def for_whom(result: AuditResult) -> str:
    """Name the classes and groups whose members are shown to be easier to find."""
    if result.validity is Validity.CONFOUNDED:
        return "This test cannot tell."
    rows = Rows(result.results)
    leading = rows.leading(result.finding) or ""
    found = [one for names in (rows.groups, rows.classes) for one in rows.differences(names, leading)]
    worse = [wording.group(name) for name, area, _ in found if area.lower > 0]
    if worse:
        others = (
            "That does not make the others safe."
            if result.finding.state is FindingState.LEAK_SHOWN
            else "That their members are found more often than by guessing was not shown."
        )
        return f"By the AUC easier to find than all others, beyond chance: {few(worse, 6)}. {others}"
    if not found:
        return "That was not looked at: no groups were given."
    looked = f"No group or class, of {len(found)} that were looked at, is shown to be easier to find than all others"
    return f"{looked}, by the AUC; small differences cannot be ruled out."


def untested(result: AuditResult) -> tuple[str, ...]:
    """Say what the audit does not speak of."""
    _, _, stronger = result.adversary.sentence.rpartition("; ")
    n = len(result.not_run)
    played = f" {n} known attack{' was' if n == 1 else 's were'} not played: report.html says what each needs."
    others = played if n else ""
    return (
        f"{stronger[:1].upper()}{stronger[1:]}{others}",
        "Other leaks, such as of attributes or whole records, other ways to reach the model, and later versions of it.",
    )


def next_steps(result: AuditResult, defences: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Say what to do now: the cures of checks first, then what follows from the finding."""
    remedies = list(dict.fromkeys(check.remedy for check in _reasons(result) if check.remedy))
    found = [brief(remedy, MOST) for remedy in remedies[:2]]
    found += [f"{len(remedies) - 2} more remedies are in report.html."] if len(remedies) > 2 else []
    if result.validity is Validity.CONFOUNDED:
        return tuple(found)
    return (*found, brief(wording.remedy(result.finding, result.validity, defences), 2 * MOST))

"""`vestige gate`: whether a finished run may be released, by rules that were written down before."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vestige.cli.printing import printing
from vestige.cli.settings import AsJson, Quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vestige.auditing.policy import Judgement, Outcome, Policy

_MARKS = {"PASSED": "✅", "BROKEN": "❌", "UNDECIDED": "❔"}


def gate_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    policy: Annotated[Path, typer.Argument(metavar="POLICY.toml", help="Conditions that must not hold.")],
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report there too.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a summary in Markdown there, as CI systems show it.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Judge a finished run by a policy. Exit code 0: passed; 3: a condition holds; 4: one cannot be decided.

    \b
    \\[policy]
    fail_if = \\[
      "finding is LEAK SHOWN",
      "validity is LIMITED",
      "tpr_at_fpr_0.01.upper > 0.03",      # [ATTACK:]METRIC.value|lower|upper > NUMBER
      "auc.upper\\[worst_group] > 0.7",     # or class=NAME, COLUMN=VALUE, worst_class
      "p_value < 0.01",
    ]

    What cannot be read never passes: a number that is not there, hidden, or not resolved by so few records, and every
    number of a CONFOUNDED test. An AUDIT.toml with such a table serves too.
    """  # noqa: D301 - typer's own mark for lines to keep
    from vestige.auditing.policy import judge, outcome_of, read_policy
    from vestige.auditing.runs.opening import open_run
    from vestige.report.files import replacing

    opened = open_run(run)
    played = opened.results["attack"].unique().tolist()
    judged = [(one, judge(one, opened)) for one in read_policy(policy, played)]
    outcome = outcome_of([judgement for _, judgement in judged])
    if junit is not None:
        with replacing(junit) as file:
            file.write(_junit(judged, run.name).encode())
    if markdown is not None:
        _append(markdown, _markdown(judged, outcome, str(opened)))
    with printing("the exit code says it too"):
        if as_json:
            rules = [{"rule": p.text, "outcome": j.outcome.name.lower(), "reason": j.reason} for p, j in judged]
            print(json.dumps({"outcome": outcome.name.lower(), "rules": rules}, indent=1))
        elif not quiet:
            for _, judgement in judged:
                print(f"{judgement.outcome.name.lower()}: {judgement.reason}")
    return int(outcome)


def _append(path: Path, text: str) -> None:
    from vestige.core.errors import OutputError

    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"Expected to write {path}, found {error.strerror}; name another place.") from None


def _junit(judged: "Sequence[tuple[Policy, Judgement]]", name: str) -> str:
    """A test per condition; one that cannot be decided is an error, which fails a build as well."""
    from xml.etree.ElementTree import Element, SubElement, tostring

    from vestige.auditing.policy import Outcome
    from vestige.core.names import harmless

    kinds = {Outcome.BROKEN: "failure", Outcome.UNDECIDED: "error"}
    counts = {kind: sum(j.outcome is outcome for _, j in judged) for outcome, kind in kinds.items()}
    suite = Element("testsuite", name=harmless(f"vestige gate {name}"), tests=str(len(judged)))
    suite.attrib |= {"failures": str(counts["failure"]), "errors": str(counts["error"])}
    for policy, judgement in judged:
        case = SubElement(suite, "testcase", classname="vestige.gate", name=harmless(policy.text))
        if kind := kinds.get(judgement.outcome):
            SubElement(case, kind, message=harmless(judgement.reason))
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _markdown(judged: "Sequence[tuple[Policy, Judgement]]", outcome: "Outcome", answers: str) -> str:
    from vestige.core.names import harmless

    lines = [f"### Privacy gate: {outcome.name.lower()}", "", "| | condition that must not hold | what was seen |"]
    lines.append("| --- | --- | --- |")
    for policy, judgement in judged:
        cells = (_MARKS[judgement.outcome.name], f"`{policy.text}`", judgement.reason)
        lines.append("| " + " | ".join(harmless(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"> {harmless(line)}" for line in answers.split("\n")), "", ""])

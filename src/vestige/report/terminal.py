"""The audit on a terminal or in a pipe: three answers, one table that fits 80 columns, and where the page is."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vestige.core.names import harmless
from vestige.core.result import NOTHING_SAID, AuditResult, FindingState, Status, Validity
from vestige.report import wording
from vestige.report.rows import Cell, Rows

_STYLE = {
    Validity.VALID: "bold",
    Validity.LIMITED: "bold yellow",
    Validity.CONFOUNDED: "bold red",
    FindingState.LEAK_SHOWN: "bold red",
    FindingState.NO_LEAK_SHOWN: "bold",
    FindingState.UNDECIDED: "bold yellow",
}
_LABEL_WIDTH = 11
_TABLE_WIDTH = 92  # wider, and the eye loses the line


def print_result(result: AuditResult, console: Console, page: str | None, *, verbose: bool = False) -> None:
    """Print what an audit found.

    Args:
        result: What an audit found. Its table of records is not looked at.
        console: Where to print; without a terminal behind it, plain text comes out.
        page: Where the page is, printed last; None where there is none.
        verbose: Whether it is said of every attack what it saw and knew, or what it would need.
    """
    _print_answers(result, console)
    console.print()
    rows = Rows(result.results)
    fprs = _two_rates(rows, result.finding.fpr)
    console.print(_table(rows, fprs, min(console.width, _TABLE_WIDTH)))
    _print_notes(result, rows, fprs, console)
    for note in _every_attack(result) if verbose else _left_out(result):
        console.print(_text(note), style="dim")
    if page is not None:
        # Never wrapped: a path that is broken over lines cannot be copied.
        console.print(_text(f"Page: {page}"), soft_wrap=True)


def _print_answers(result: AuditResult, console: Console) -> None:
    reasons = [check for check in result.preflight.checks if check.validity is not Validity.VALID]
    why = " ".join(f"{check.message} {check.remedy}".strip() for check in reasons)
    finding = result.finding
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(_text("Validity"), _answer(str(result.validity), _STYLE[result.validity], why))
    grid.add_row(_text("Adversary"), _text(result.adversary.sentence))
    if result.queries is not None:
        grid.add_row(_text("Queries"), _text(str(result.queries)))
    if result.validity is Validity.CONFOUNDED:
        grid.add_row(_text("Finding"), _answer("none", "bold red", f"{NOTHING_SAID} {finding.sentence}"))
    else:
        grid.add_row(_text("Finding"), _answer(finding.answer, _STYLE[finding.state], finding.sentence))
    remedy = wording.remedy(finding, result.validity)
    if remedy and finding.state is FindingState.LEAK_SHOWN:
        grid.add_row(_text("Remedy"), _text(remedy))
    console.print(grid)


def _text(words: str, style: str = "") -> Text:
    """Text in which a terminal finds nothing to obey, whatever the names in it are."""
    return Text(harmless(words), style=style)


def _answer(answer: str, style: str, why: str) -> Text:
    return Text.assemble((answer, style), harmless(f": {why}") if why else "")


def _table(rows: Rows, fprs: list[str], width: int) -> Table:
    """A line per attack; attacks whose numbers are the same share one."""
    rule = next(iter(sorted(rows.plain_rules, key=lambda name: not name.endswith("per_class"))), None)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", width=width, expand=True)
    table.add_column("attack", overflow="fold")
    table.add_column("AUC", justify="right")
    for fpr in fprs:
        table.add_column(f"TPR in %\nat FPR {wording.rate(float(fpr))}", justify="right")
    if rule:
        short = rule.replace("known_half", "half").replace("_", " ")
        table.add_column(f"bal. acc. in %\n{short}", justify="right")
    alike: dict[tuple[str, ...], tuple[list[str], list[Text]]] = {}
    for attack in ["worst", *rows.attacks]:
        cells = [_cell(rows.get(attack, "roc", "auc"), is_area=True)]
        cells += [_cell(rows.get(attack, "roc", f"tpr_at_fpr_{fpr}"), wording.digits_at(float(fpr))) for fpr in fprs]
        cells += [_cell(rows.get(attack, rule, "balanced_accuracy"))] if rule else []
        alike.setdefault((str(attack == "worst"), *map(str, cells)), ([], cells))[0].append(attack)
    for names, cells in alike.values():
        table.add_row(_text(", ".join(names), style="bold" if names == ["worst"] else ""), *cells)
    return table


def _two_rates(rows: Rows, headline_fpr: float) -> list[str]:
    """Choose the headline rate, or the highest without one, and the next lower one if an attack resolves it."""
    start = next((i for i, fpr in enumerate(rows.fprs) if float(fpr) == headline_fpr), 0)
    chosen = rows.fprs[start : start + 2]
    return [fpr for fpr in chosen if fpr == chosen[0] or rows.resolves(fpr)]


def _cell(cell: Cell | None, places: int = 1, *, is_area: bool = False) -> Text:
    if cell is None:
        return _text("-", style="dim")
    if cell.status == Status.SUPPRESSED:
        return _text(wording.HIDDEN, style="dim")
    if cell.status == Status.NOT_RESOLVABLE:
        return _text(wording.needed(cell), style="dim italic")
    if not cell.is_ok:
        return _text(str(cell.status), style="dim")
    # The header says percent: the sign in every cell would not fit 80 columns.
    value = f"{cell.value:.3f}" if is_area else wording.percent(cell.value, places).removesuffix("%")
    bounds = wording.area_bounds(cell).replace("0.", ".") if is_area else wording.percent_bounds(cell, places)
    return Text.assemble(value, (f" {bounds.removesuffix('%')}" if bounds else "", "dim"))


def _print_notes(result: AuditResult, rows: Rows, fprs: list[str], console: Console) -> None:
    # A check that is VALID and yet warns, or says what was assumed, is seen nowhere else on a terminal.
    notes = [check.message for check in result.preflight.checks if check.message.startswith(("Warning", "Read: "))]
    if rows.get("worst", "roc", "auc"):
        notes.append("worst: the largest value of all attacks; its interval allows for having chosen the largest.")
    cells = [rows.get(attack, "roc", f"tpr_at_fpr_{fpr}") for attack in rows.attacks for fpr in fprs]
    if any(cell and cell.status == Status.NOT_RESOLVABLE for cell in cells):
        notes.append("needs n: this rate needs n nonmembers, so that 10 false positives are expected.")
    if not math.isnan(result.finding.p_value):
        notes.insert(0, f"Familywise p-value: {wording.p_value(result.finding.p_value)}.")
    given, left_out = result.provenance.n_records, result.provenance.n_left_out
    notes.insert(0, f"Records given: {given:,}{f', of which {left_out:,} were left out' if left_out else ''}.")
    for note in notes:
        console.print(_text(note), style="dim")


def _left_out(result: AuditResult) -> list[str]:
    """How many attacks were left out, and where it is said what each needs."""
    if not result.not_run:
        return ["What each attack saw and knew: --verbose, or the page."]
    few = [left.attack for left in result.not_run[:3]]
    more = f" and {len(result.not_run) - 3} more" if len(result.not_run) > 3 else ""
    return [f"Not run: {', '.join(few)}{more}; what each needs, and what each attack saw: --verbose, or the page."]


def _every_attack(result: AuditResult) -> list[str]:
    """What each attack that was left out needs, and what each that was played saw and knew."""
    needs: dict[str, list[str]] = {}
    for left in result.not_run:
        needs.setdefault(left.needs, []).append(left.attack)
    listed = [f"Not run: {', '.join(attacks)} (needs {need})." for need, attacks in needs.items()]
    return [*listed, _threats(result)]


def _threats(result: AuditResult) -> str:
    """What each attack sees and knows, those that are alike together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for model in result.threat_models:
        knows = wording.listing(list(model.knowledge)) or "nothing else"
        alike.setdefault((model.interface, knows), []).append(model.attack)
    listed = [f"{', '.join(attacks)} (sees {sees}; knows {knows})" for (sees, knows), attacks in alike.items()]
    return f"Threat models: {'; '.join(listed)}."

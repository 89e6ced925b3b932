"""`report.html`: one self-contained page for a person who decides, without scripts, network, ids, inputs or paths."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vestige.core.names import harmless
from vestige.core.result import AuditResult, Check, Finding, Power, RiskSummary, Spread, Status, ThreatModel, Validity
from vestige.report import wording
from vestige.report.files import replacing
from vestige.report.renderer import NotDrawn
from vestige.report.rows import Cell, Rows, fixed_fpr

if TYPE_CHECKING:
    import jinja2

PRIORS = ("0.5", "0.1", "0.01")


@dataclass(frozen=True)
class Shown:
    """A table cell as it is printed: a number, its interval, a remark; grey where it may not be used."""

    main: str
    bounds: str = ""
    remark: str = ""
    grey: bool = False
    title: str = ""


@dataclass(frozen=True)
class Line:
    """A table row: its name, its cells, and whether it is the selected worst one."""

    name: str
    cells: tuple[Shown, ...]
    is_worst: bool = False


@dataclass(frozen=True)
class Block:
    """Rows of a table under a heading of their own."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Figure:
    """A chart with its description for those who cannot see it, and its caption.

    Attributes:
        svg: The picture, or why there is none.
        alt: What is to be seen.
        caption: What it says.
        is_drawn: Whether there is a picture.
    """

    svg: Any
    alt: str
    caption: str
    is_drawn: bool = True


def write_page(result: AuditResult, folder: Path) -> None:
    """Write `report.html`; where it cannot be drawn, it says so.

    Args:
        result: What an audit found.
        folder: Where to write; it exists.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        page = render_page(result)
    except Exception as error:  # the numbers are in the other files, and right without it
        page = _NO_PAGE.format(why=type(error).__name__)
    with replacing(folder / "report.html") as file:
        file.write(page.encode())


_NO_PAGE = (
    '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Vestige</title>\n'
    "<p>This page could not be drawn ({why}), which is our fault. The audit itself is whole: see report.json and "
    "results.csv.</p></html>\n"
)


def render_page(result: AuditResult) -> str:
    """Render the page.

    Args:
        result: What an audit found. Its table of records is not looked at.

    Returns:
        A whole HTML document that loads nothing.
    """
    rows = Rows(result.results)
    leading = rows.leading(result.finding)
    return _template().render(
        result=result,
        rows=rows,
        words=wording,
        source="a shadow model" if any(name.startswith("shadow_") for name in rows.thresholds) else "a known half",
        facts=_facts(result, rows),
        answers=_answers(result),
        reasons=[check for check in result.preflight.checks if check.validity is not Validity.VALID],
        checks=sorted(result.preflight.checks, key=_by_severity),
        headline=_headline(rows),
        notes=_notes(rows),
        spread=_spread(result.spread),
        power=_power(result.power),
        threats=[_threat(model) for model in result.threat_models],
        thresholds=_thresholds(rows),
        fixed=_fixed(rows),
        optimism=_optimism(rows),
        risk=None if result.risk is None else _risk_lines(result.risk),
        slices=_slices(rows, leading, result.finding),
        figures=_figures(result, rows, leading),
    )


@cache
def _template() -> "jinja2.Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_harmless
    )
    return environment.from_string((files("vestige.report") / "template.html.j2").read_text(encoding="utf-8"))


def _harmless(value: Any) -> Any:
    """Text of names that come from files, on its way into the page."""
    return harmless(value) if type(value) is str else value


# ------------------------------------------------------------------------------------------- the three answers


def _facts(result: AuditResult, rows: Rows) -> list[tuple[str, str]]:
    """List what was audited, in the order a reader asks."""
    cells = [cell for name in rows.attacks if (cell := rows.get(name, "roc", "auc"))]
    sizes = max(cells, key=lambda cell: cell.n_nonmembers or 0, default=Cell())  # what learns scores half of them
    unit = f"{rows.unit}s"
    facts = [
        (f"Member {unit}", wording.count(sizes.n_members)),
        (f"Nonmember {unit}", wording.count(sizes.n_nonmembers)),
        ("Records given", wording.count(result.provenance.n_records)),
        ("Records left out", wording.count(result.provenance.n_left_out)),
        ("Audited on", result.provenance.created[:10]),
        ("Vestige", result.provenance.vestige_version),
    ]
    return [(name, value) for name, value in facts if value != "0"]


def _answers(result: AuditResult) -> dict[str, Any]:
    finding = result.finding
    return {
        "validity": str(result.validity),
        "finding": finding.answer,
        "tone": {"VALID": "calm", "LIMITED": "warn", "CONFOUNDED": "alarm"}[result.validity],
        # No green for the finding: that no leak was shown is no reassurance.
        "finding_tone": {"LEAK SHOWN": "alarm", "UNDECIDED": "warn"}.get(finding.state, "plain"),
        "numbers": _finding_numbers(finding),
    }


def _finding_numbers(finding: Finding) -> list[tuple[str, str, str, str]]:
    """Name, value, interval and remark of the numbers behind the finding; those that are not known are left out."""
    numbers = []
    if not math.isnan(finding.fpr):
        bounds = wording.percent_bounds(Cell(finding.tpr, finding.tpr_lb, finding.tpr_ub))
        remark = f"at {wording.rate(finding.fpr)} false positives; 95% interval, simultaneous over all attacks"
        numbers.append(("Members recognised", wording.percent(finding.tpr), bounds, remark))
    if not math.isnan(finding.p_value):
        remark = "chance of a result this strong if nothing leaked, over all attacks"
        numbers.append(("p-value", wording.p_value(finding.p_value), "", remark))
    if not math.isnan(finding.smallest_visible_tpr):
        remark = "of the members recognised, on top of all scores or just above the threshold; seen in 4 of 5 cases"
        numbers.append(("Smallest visible leak", wording.percent(finding.smallest_visible_tpr), "", remark))
    if finding.n_needed:
        numbers.append(("Needed to decide", wording.count(finding.n_needed), "", "members and as many nonmembers"))
    return numbers


def _by_severity(check: Check) -> int:
    return -list(Validity).index(check.validity)


# --------------------------------------------------------------------------------------------------- the tables


def _shown(cell: Cell | None, *, is_area: bool = False, count: bool = False, places: int | None = None) -> Shown:
    if cell is None:
        return Shown(wording.DASH, grey=True)
    if cell.status == Status.SUPPRESSED:
        return Shown(wording.HIDDEN, wording.small_cell(cell), grey=True)
    main = wording.area(cell.value) if is_area else wording.percent(cell.value, places)
    if cell.status == Status.NOT_RESOLVABLE:
        return Shown(main, wording.needed(cell), grey=True, title=cell.definition)
    if not cell.is_ok:
        return Shown(str(Status.UNDEFINED), grey=True, title=cell.definition)
    bounds = wording.area_bounds(cell) if is_area else wording.percent_bounds(cell, places)
    remark = f"{cell.false_positives:,} FP" if count and cell.false_positives is not None else ""
    return Shown(main, bounds, remark, title=cell.definition)


def _headline(rows: Rows) -> list[Line]:
    names = ["worst", *rows.attacks]
    return [
        Line(
            wording.attack(name),
            (
                _shown(rows.get(name, "roc", "auc"), is_area=True),
                *(
                    _shown(rows.get(name, "roc", f"tpr_at_fpr_{fpr}"), count=True, places=wording.digits_at(float(fpr)))
                    for fpr in rows.fprs
                ),
            ),
            is_worst=name == "worst",
        )
        for name in names
        if rows.get(name, "roc", "auc")
    ]


def _threat(model: ThreatModel) -> dict[str, str]:
    return {
        "name": wording.attack(model.attack),
        "interface": model.interface,
        "feature": model.feature,
        "knowledge": wording.listing(list(model.knowledge)) if model.knowledge else wording.DASH,
        "n_queries": wording.count(model.n_queries),
        "source": model.source,
    }


def _spread(spread: Sequence[Spread]) -> dict[str, Any]:
    """Build the table over training runs: a line per attack, a column per metric."""
    metrics = list(dict.fromkeys(one.metric for one in spread))
    by_name = {(one.attack, one.metric): one for one in spread}
    attacks = list(dict.fromkeys(one.attack for one in spread))
    lines = []
    for attack in attacks:
        found = [by_name.get((attack, metric)) for metric in metrics]
        n_targets = Shown(wording.count(max(one.n_targets for one in found if one)))
        lines.append(Line(wording.attack(attack), (*map(_shown_spread, found), n_targets)))
    return {"titles": [_title(metric) for metric in metrics], "lines": lines}


def _power(power: Sequence[Power]) -> dict[str, Any]:
    """Build the table of label-only attacks with fewer queries: a line per attack and number, a column per metric."""
    metrics = list(dict.fromkeys(one.metric for one in power))
    by_name = {(one.attack, one.n_queries, one.metric): one for one in power}
    lines = [
        Line(
            f"{wording.attack(attack)}, {wording.count(n_queries)}",
            tuple(_shown_power(by_name.get((attack, n_queries, metric))) for metric in metrics),
        )
        for attack, n_queries in dict.fromkeys((one.attack, one.n_queries) for one in power)
    ]
    return {"titles": [_title(metric) for metric in metrics], "lines": lines}


def _title(metric: str) -> str:
    return "AUC" if metric == "auc" else f"TPR at {wording.rate(float(metric.removeprefix('tpr_at_fpr_')))}"


def _shown_power(one: Power | None) -> Shown:
    if one is None:
        return Shown(wording.DASH)
    cell = Cell(one.value, one.lower, one.upper)
    if one.metric == "auc":
        return Shown(wording.area(one.value), wording.area_bounds(cell))
    places = wording.digits_at(float(one.metric.removeprefix("tpr_at_fpr_")))
    return Shown(wording.percent(one.value, places), wording.percent_bounds(cell, places))


def _shown_spread(one: Spread | None) -> Shown:
    if one is None:
        return Shown(wording.DASH)
    cell = Cell(one.mean, one.lower, one.upper)
    if one.metric == "auc":
        return Shown(wording.area(one.mean), wording.area_bounds(cell), f"sd {one.std:.3f}")
    places = wording.digits_at(float(one.metric.removeprefix("tpr_at_fpr_")))
    std = wording.percent(one.std, places)
    return Shown(wording.percent(one.mean, places), wording.percent_bounds(cell, places), f"sd {std}")


def _notes(rows: Rows) -> list[str]:
    """List what the grey cells of the headline table need, each once."""
    cells = (rows.get(name, "roc", f"tpr_at_fpr_{fpr}") for fpr in rows.fprs for name in rows.attacks)
    return list(dict.fromkeys(c.definition for c in cells if c and c.status == Status.NOT_RESOLVABLE and c.definition))


def _thresholds(rows: Rows) -> list[Block]:
    """Build a block per rule; the oracle has one only where it has more than its balanced accuracy."""
    rules = [rule for rule in [*rows.plain_rules, "oracle"] if rows.has(rule, "fpr")]
    return [Block(wording.rule(rule), tuple(_lines(rows, rule))) for rule in rules]


def _lines(rows: Rows, rule: str) -> Iterable[Line]:
    metrics = ["balanced_accuracy", "fpr", "recall", *(f"precision_at_prior_{prior}" for prior in PRIORS)]
    for attack in rows.attacks:
        cells = {metric: rows.get(attack, rule, metric) for metric in metrics}
        cells["recall"] = cells["recall"] or rows.get(attack, rule, "tpr")  # two names of one rate
        if any(cells.values()):
            yield Line(wording.attack(attack), tuple(map(_shown, cells.values())))


def _fixed(rows: Rows) -> dict[str, Any]:
    """Build the table of thresholds set for a wanted false-positive rate: what they realise."""
    wanted = [(rule, metric) for rule in rows.fixed_rules for metric in ("fpr", "tpr")]
    lines = [
        Line(
            wording.attack(attack),
            tuple(
                _shown(rows.get(attack, rule, metric), places=wording.digits_at(fixed_fpr(rule)))
                for rule, metric in wanted
            ),
        )
        for attack in rows.attacks
    ]
    return {"titles": [wording.rule(rule) for rule in rows.fixed_rules], "lines": lines if wanted else []}


def _optimism(rows: Rows) -> list[Line]:
    """Set the oracle beside the honest threshold of the same kind, one for all records."""
    honest = next((rule for rule in rows.plain_rules if rule.endswith("_global")), None)
    lines = []
    for attack in rows.attacks:
        fair = rows.get(attack, honest or "", "balanced_accuracy")
        oracle = rows.get(attack, "oracle", "balanced_accuracy")
        if fair and oracle and fair.is_ok and oracle.is_ok:
            p = rows.get(attack, "oracle", "p_value")
            p_shown = Shown(wording.p_value(p.value) if p else wording.DASH, title=p.definition if p else "")
            lines.append(
                Line(
                    wording.attack(attack),
                    (_shown(fair, places=1), _shown(oracle, places=1), _gap(fair, oracle), p_shown),
                )
            )
    return lines


def _gap(fair: Cell, oracle: Cell) -> Shown:
    # The only subtraction of this room: of the two numbers printed left of it, so that a reader can check it.
    points = round(round(100 * oracle.value, 1) - round(100 * fair.value, 1), 1) + 0.0
    return Shown(f"{points:+.1f} points".replace("-", "−"))


def _risk_lines(risk: RiskSummary) -> list[tuple[str, str, str]]:
    hidden = "hidden: too few"
    triples = zip(risk.thresholds, risk.precision, risk.recall, strict=True)
    return [
        (
            f"{level:g}",
            wording.percent(precision) if precision == precision else hidden if recall != recall else "nobody selected",
            wording.percent(recall) if recall == recall else hidden,
        )
        for level, precision, recall in triples
    ]


def _slices(rows: Rows, attack: str | None, finding: Finding) -> list[dict[str, Any]]:
    """Build the tables of classes and of groups, worst first, each led by its simultaneous worst."""
    if attack is None:
        return []
    kinds = (("Classes", "class", rows.classes, "worst_class"), ("Groups", "group", rows.groups, "worst_group"))
    return [
        {
            "title": title,
            "noun": noun,
            "attack": wording.attack(attack),
            "chart": noun,
            "total": len(names),
            "lines": [
                *([_slice_line(rows, "worst", worst)] if rows.get("worst", "roc", "auc", worst) else []),
                *(_slice_line(rows, attack, name) for name in rows.worst_first(names, attack)),
            ],
        }
        for title, noun, names, worst in kinds
        if names
    ]


def _slice_line(rows: Rows, attack: str, group: str) -> Line:
    cell = rows.get(attack, "roc", "auc", group)
    small = cell is not None and cell.status == Status.SUPPRESSED
    sizes = (None, None) if cell is None or small else (cell.n_members, cell.n_nonmembers)
    counts = [Shown(wording.count(size), grey=size is None) for size in sizes]
    return Line(wording.group(group), (_shown(cell, is_area=True), *counts), is_worst=attack == "worst")


# --------------------------------------------------------------------------------------------------- the charts


def _figures(result: AuditResult, rows: Rows, leading: str | None) -> dict[str, Figure]:
    from vestige.report import charts

    drawn: dict[str, Figure] = {}
    if result.rocs:
        drawn["roc"] = _figure(
            lambda: charts.roc_chart(result.rocs, leading, result.finding), "roc", *_roc_words(result, leading)
        )
    if rows.has("oracle", "balanced_accuracy") or rows.plain_rules:
        drawn["thresholds"] = _figure(lambda: charts.thresholds_chart(rows), "thresholds", *_thresholds_words(rows))
    risk = result.risk
    if risk is not None:
        drawn["risk"] = _figure(lambda: charts.risk_chart(risk), "risk", *_RISK_WORDS)
        drawn["reliability"] = _figure(lambda: charts.reliability_chart(risk), "reliability", *_RELIABILITY_WORDS)
    for noun, groups in (("class", rows.classes), ("group", rows.groups)):
        if leading and any((cell := rows.get(leading, "roc", "auc", name)) and cell.is_ok for name in groups):
            names = rows.worst_first(groups, leading)
            draw = partial(charts.groups_chart, rows, names, leading)
            drawn[noun] = _figure(draw, noun, *_groups_words(noun, leading))
    return drawn


def _figure(draw: Callable[[], Any], name: str, alt: str, caption: str) -> Figure:
    from altair.utils.schemapi import debug_mode
    from markupsafe import Markup

    from vestige.report.charts import to_svg

    try:
        with debug_mode(False):  # to hold every part of our own charts against the schema takes as long as to draw them
            chart = draw()
        # vl-convert escapes every name that it draws.
        return Figure(Markup(to_svg(chart, name)), alt, caption)
    except Exception as error:  # whatever is wrong with a picture, the numbers are right without it
        why = str(error) if isinstance(error, NotDrawn) else type(error).__name__
        return Figure(f"This picture could not be drawn: {why}. The numbers are in the tables.", alt, caption, False)


_RISK_WORDS = (
    "Cumulative distribution of the privacy risk score over members, from 0 to 1.",
    "How many members have a risk at or below each score. The further the curve lies to the right, the more members "
    "are at risk. Steps of a few members are drawn with the next one.",
)
_RELIABILITY_WORDS = (
    "Share of members among units of about the same risk score, against that score, with the diagonal.",
    "Whether the score means what it says: on the dashed line, of the units with risk 0.8, 80% are members.",
)


def _roc_words(result: AuditResult, leading: str | None) -> tuple[str, str]:
    names = wording.listing([wording.attack(roc.attack).lower() for roc in result.rocs])
    alt = (
        f"Receiver operating characteristic on logarithmic axes for {names}: members recognised against outsiders "
        "wrongly accused, with the diagonal of guessing and the region that is not resolvable greyed."
    )
    has_band = any(roc.attack == leading and not all(map(math.isnan, roc.lower)) for roc in result.rocs)
    band = f"The light band is pointwise (95%) for {wording.attack(leading or '').lower()}. " if has_band else ""
    dot = "" if math.isnan(result.finding.fpr) else "The black dot is the headline with its simultaneous interval. "
    caption = (
        f"The dashed diagonal is guessing; a curve above it recognises members. {band}{dot}In the grey region fewer "
        "than 10 false positives are expected: curves there are not evidence. Attacks that rank alike share a line."
    )
    return alt, caption


def _thresholds_words(rows: Rows) -> tuple[str, str]:
    rules = wording.listing([wording.rule(rule) for rule in [*rows.plain_rules, "oracle"]])
    alt = f"Balanced accuracy of each attack under each threshold rule: {rules}. Guessing is at 50%."
    caption = (
        "Marks are balanced accuracies with 95% intervals. The hollow mark is the oracle, which picked its threshold "
        "with the answers in view: it has no interval and no attacker has it. The dashed line is guessing."
    )
    return alt, caption


def _groups_words(noun: str, attack: str) -> tuple[str, str]:
    name = wording.attack(attack).lower()
    alt = f"Area under the ROC of the {name} attack, worst {noun} first, with 95% intervals, from 0.5, guessing."
    return alt, f"Area under the ROC of the {name} attack per {noun}, worst first, with pointwise 95% intervals."

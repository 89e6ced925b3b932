"""`report.html`: one self-contained page for a person who decides, without scripts, network, ids, inputs or paths."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vestige.core.names import harmless
from vestige.core.options import Options
from vestige.core.result import AuditResult, Power, Spread, Status, Validity
from vestige.report import plain_words as plain
from vestige.report import wording
from vestige.report.files import replacing
from vestige.report.renderer import NotDrawn
from vestige.report.rows import Cell, Rows, fixed_fpr

if TYPE_CHECKING:
    import jinja2

PRIORS = ("0.5", "0.1", "0.01")


@dataclass(frozen=True, kw_only=True)
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


def write_page(result: AuditResult, folder: Path, defences: Sequence[tuple[str, ...]] = ()) -> None:
    """Write `report.html`; where it cannot be drawn, it says so.

    Args:
        result: What an audit found.
        folder: Where to write; it exists.
        defences: What a comparison of defences found, as of `wording.remedy`.

    Raises:
        OutputError: The folder cannot be written.
    """
    page = drawn(partial(render_page, result, defences))
    with replacing(folder / "report.html") as file:
        file.write(page.encode())


def drawn(render: Callable[[], str]) -> str:
    """Return a page, or one that says why it could not be drawn: the numbers are in other files, and right without."""
    try:
        return render()
    except Exception as error:
        return _NO_PAGE.format(why=type(error).__name__)


_NO_PAGE = (
    '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Vestige</title>\n'
    "<p>This page could not be drawn ({why}), which is our fault. The audit itself is whole: see report.json and "
    "results.csv.</p></html>\n"
)


def render_page(result: AuditResult, defences: Sequence[tuple[str, ...]] = ()) -> str:
    """Render the page.

    Args:
        result: What an audit found. Its table of records is not looked at.
        defences: What a comparison of defences found, as of `wording.remedy`.

    Returns:
        A whole HTML document that loads nothing.
    """
    rows, risk, finding = Rows(result.results), result.risk, result.finding
    leading = rows.leading(finding)
    named, shown = best_of_each_access(result, rows), [fpr for fpr in rows.fprs if rows.resolves(fpr)]
    name, author = name_of(result), str(result.provenance.options.get("author", ""))
    return _with_contents(
        template("template.html.j2").render(
            name=name,
            title=f"{name + ': ' if name else ''}{plain.verdict(result)} - membership-inference audit",
            best=_best(rows),
            shown_fprs=shown,
            folded=[wording.rate(float(fpr)) for fpr in rows.fprs if fpr not in shown],
            n_thin=len(result.rocs) - len(named),
            result=result,
            rows=rows,
            words=wording,
            plain=plain,
            remedy=wording.remedy(finding, result.validity, defences),
            about=[(name, said) for name in ("purpose", "author") if (said := result.provenance.options.get(name))],
            running=_css_text(" - ".join(filter(None, (name, plain.verdict(result), author)))),
            source="a shadow model" if any(name.startswith("shadow_") for name in rows.thresholds) else "a known half",
            facts=_facts(result, rows),
            headline_bounds=wording.percent_bounds(Cell(value=finding.tpr, lower=finding.tpr_lb, upper=finding.tpr_ub)),
            unchecked=_unchecked(result),
            reasons=[check for check in result.preflight.checks if check.validity is not Validity.VALID],
            checks=sorted(result.preflight.checks, key=lambda check: -list(Validity).index(check.validity)),
            headline=_headline(rows, shown),
            notes=_notes(rows, shown),
            spread=_spread(result.spread),
            power=_power(result.power),
            drawn_first=wording.attack(named[0] if named else "").lower(),
            leader=wording.attack(leading or "").lower(),
            roc_names=wording.listing([wording.attack(roc.attack).lower() for roc in result.rocs]),
            has_band=any(roc.attack == named[0] and not all(map(math.isnan, roc.lower)) for roc in result.rocs),
            rule_names=wording.listing([wording.rule(rule) for rule in [*rows.plain_rules, "oracle"]]),
            thresholds={
                wording.rule(rule): list(_lines(rows, rule))
                for rule in [*rows.plain_rules, "oracle"]
                if rows.has(rule, "fpr")  # the oracle has nothing but its balanced accuracy
            },
            fixed=_fixed(rows),
            optimism=_optimism(rows),
            risk=() if risk is None else zip(risk.thresholds, risk.precision, risk.recall, strict=True),
            slices=_slices(rows, leading),
            figures={name: _figure(draw, name) for name, draw in charts_of(result, rows, leading, named).items()},
        )
    )


def _css_text(text: str) -> str:
    """Return text as it may stand between the quotes of a style sheet; no sign of it can end them, or the sheet."""
    plain = harmless(text)
    return "".join(c if c == " " or (c.isascii() and c.isalnum()) else f"\\{ord(c):x} " for c in plain)


_HEADING = re.compile(r'<h2 id="([a-z-]+)">(.*?)</h2>')


def _with_contents(page: str) -> str:
    """Fill in the list of contents from the headings of the page, which are our words."""
    items = "".join(f'<li><a href="#{place}">{words}</a></li>' for place, words in _HEADING.findall(page))
    return page.replace("<!-- contents -->", items, 1)


def name_of(result: AuditResult) -> str:
    """What the model is called; empty where nobody said it."""
    names = result.results["target"].unique().tolist() if "target" in result.results else []
    return "" if names in ([], [Options.name]) else str(names[0])


def best_of_each_access(result: AuditResult, rows: Rows) -> list[str]:
    """Choose the attacks that are drawn in colour: the strongest of each kind of access, the strongest of all first."""
    references = result.results.groupby("attack")["n_references"].max().fillna(0).to_dict()
    kinds: dict[str, list[str]] = {}
    for threat in result.threat_models:
        kind = "copies" if threat.n_queries > 1 else "references" if references.get(threat.attack) else threat.interface
        kinds.setdefault(kind, []).append(threat.attack)
    order = rows.strongest_first(result.finding)
    chosen = [min((name for name in kind if name in order), key=order.index, default=None) for kind in kinds.values()]
    return sorted((name for name in chosen if name is not None), key=order.index) or order[:4]


def _best(rows: Rows) -> list[tuple[str, str, str, str]]:
    """The largest area and balanced accuracy of all attacks, with simultaneous bounds."""
    found = []
    area, right = rows.get("worst", "roc", "auc"), rows.get("worst", "any", "balanced_accuracy")
    if area is not None and area.is_ok:
        found.append(
            ("AUC", wording.area(area.value), wording.area_bounds(area), "0.5 is guessing; the largest of all attacks")
        )
    if right is not None and right.is_ok:
        words = "correct answers if half are members; 50% is guessing; the largest at a threshold set elsewhere"
        found.append(("Balanced accuracy", wording.percent(right.value), wording.percent_bounds(right), words))
    return found


@cache
def template(name: str) -> "jinja2.Template":
    """Return a page's template of this folder; what comes from files is made harmless on its way into the page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_harmless
    )
    return environment.from_string((files("vestige.report") / name).read_text(encoding="utf-8"))


def _harmless(value: Any) -> Any:
    """Text of names that come from files, on its way into the page."""
    return harmless(value) if type(value) is str else value


# ------------------------------------------------------------------------------------------- the three answers


def _facts(result: AuditResult, rows: Rows) -> list[tuple[str, str]]:
    """List what was audited, in the order a reader asks."""
    cells = [cell for name in rows.attacks if (cell := rows.get(name, "roc", "auc"))]
    sizes = max(cells, key=lambda cell: cell.n_nonmembers or 0, default=Cell())  # what learns scores half of them
    unit = f"{rows.unit}s"
    accuracy = _accuracy(rows)
    facts = [
        *(("Accuracy on " + side, wording.percent(share)) for side, share in accuracy.items()),
        (f"Member {unit}", wording.count(sizes.n_members)),
        (f"Nonmember {unit}", wording.count(sizes.n_nonmembers)),
        ("Records given", wording.count(result.provenance.n_records)),
        ("Records left out", wording.count(result.provenance.n_left_out)),
        ("Audited on", result.provenance.created[:10]),
    ]
    return [(name, value) for name, value in facts if value != "0"]


def _unchecked(result: AuditResult) -> str:
    """Say in what the sides were not compared, because inputs were not given, or columns not named."""
    made = {check.name.partition(":")[0] for check in result.preflight.checks}
    missing = [words for name, words in _CHECKED_IF_GIVEN.items() if name not in made]
    return f"Not checked: {wording.listing(missing)}." if missing else ""


_CHECKED_IF_GIVEN = {
    "blind_inputs": "whether the inputs of members and nonmembers differ (they were not given)",
    "blind_order": "whether the sides come from different times or places (no column of order was named)",
}


def _accuracy(rows: Rows) -> dict[str, float]:
    """Accuracy on members and nonmembers: the attack by correctness calls members the records the model is right of."""
    for rule in rows.plain_rules if rows.unit == "record" else ():
        right = [rows.get("correctness", rule, metric) or Cell() for metric in ("recall", "fpr")]
        if all(cell.is_ok for cell in right) and 0 < right[1].value < 1:  # else a rule that calls all, or nobody
            return {"members": right[0].value, "nonmembers": right[1].value}
    return {}


# --------------------------------------------------------------------------------------------------- the tables


def _shown(cell: Cell | None, *, is_area: bool = False, count: bool = False, places: int | None = None) -> Shown:
    if cell is None:
        return Shown(main=wording.DASH, grey=True)
    if cell.status == Status.SUPPRESSED:
        return Shown(main=wording.HIDDEN, bounds=wording.small_cell(cell), grey=True)
    main = wording.area(cell.value) if is_area else wording.percent(cell.value, places)
    if cell.status == Status.NOT_RESOLVABLE:
        return Shown(main=main, bounds=wording.needed(cell), grey=True, title=cell.definition)
    if not cell.is_ok:
        return Shown(main=str(Status.UNDEFINED), grey=True, title=cell.definition)
    bounds = wording.area_bounds(cell) if is_area else wording.percent_bounds(cell, places)
    remark = f"{cell.false_positives:,} FP" if count and cell.false_positives is not None else ""
    return Shown(main=main, bounds=bounds, remark=remark, title=cell.definition)


def _headline(rows: Rows, fprs: Sequence[str]) -> list[Line]:
    """Build a line per attack; attacks whose numbers are the same share one."""
    alike: dict[tuple[bool, tuple[Shown, ...]], list[str]] = {}
    for name in ["worst", *rows.attacks]:
        if rows.get(name, "roc", "auc"):
            cells = (
                _shown(rows.get(name, "roc", "auc"), is_area=True),
                *(
                    _shown(rows.get(name, "roc", f"tpr_at_fpr_{fpr}"), count=True, places=wording.digits_at(float(fpr)))
                    for fpr in fprs
                ),
            )
            alike.setdefault((name == "worst", cells), []).append(wording.attack(name))
    return [Line(", ".join(names), cells, is_worst=is_worst) for (is_worst, cells), names in alike.items()]


def _spread(spread: Sequence[Spread]) -> dict[str, Any]:
    """Build the table over training runs: a line per attack, a column per metric."""
    cells = {
        (wording.attack(one.attack), one.metric): _measured(one.metric, one.mean, one.lower, one.upper, one.std)
        for one in spread
    }
    most = {one.attack: max(other.n_targets for other in spread if other.attack == one.attack) for one in spread}
    return _by_metric(cells, {wording.attack(name): (Shown(main=wording.count(n)),) for name, n in most.items()})


def _power(power: Sequence[Power]) -> dict[str, Any]:
    """Build the table of label-only attacks with fewer queries: a line per attack and number, a column per metric."""
    return _by_metric(
        {
            (f"{wording.attack(one.attack)}, {wording.count(one.n_queries)}", one.metric): _measured(
                one.metric, one.value, one.lower, one.upper
            )
            for one in power
        },
        {},
    )


def _by_metric(cells: dict[tuple[str, str], Shown], ends: dict[str, tuple[Shown, ...]]) -> dict[str, Any]:
    metrics = list(dict.fromkeys(metric for _, metric in cells))
    titles = ["AUC" if metric == "auc" else f"TPR at {wording.rate(_fpr_of(metric))}" for metric in metrics]
    lines = [
        Line(name, (*(cells.get((name, metric), Shown(main=wording.DASH)) for metric in metrics), *ends.get(name, ())))
        for name in dict.fromkeys(name for name, _ in cells)
    ]
    return {"titles": titles, "lines": lines}


def _measured(metric: str, value: float, lower: float, upper: float, std: float | None = None) -> Shown:
    cell = Cell(value=value, lower=lower, upper=upper)
    if metric == "auc":
        return Shown(
            main=wording.area(value), bounds=wording.area_bounds(cell), remark="" if std is None else f"sd {std:.3f}"
        )
    places = wording.digits_at(_fpr_of(metric))
    remark = "" if std is None else f"sd {wording.percent(std, places)}"
    return Shown(main=wording.percent(value, places), bounds=wording.percent_bounds(cell, places), remark=remark)


def _fpr_of(metric: str) -> float:
    return float(metric.removeprefix("tpr_at_fpr_"))


def _notes(rows: Rows, fprs: Sequence[str]) -> list[str]:
    """List what the grey cells of the headline table need, each once."""
    cells = (rows.get(name, "roc", f"tpr_at_fpr_{fpr}") for fpr in fprs for name in rows.attacks)
    return list(dict.fromkeys(c.definition for c in cells if c and c.status == Status.NOT_RESOLVABLE and c.definition))


def _lines(rows: Rows, rule: str) -> Iterable[Line]:
    """Build the lines of a threshold rule."""
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
            p = rows.get(attack, "oracle", "p_value") or Cell()
            # The only subtraction of this room: of the two numbers printed left of it, so that a reader can check it.
            points = round(round(100 * oracle.value, 1) - round(100 * fair.value, 1), 1) + 0.0
            gap = Shown(main=f"{points:+.1f} points".replace("-", "−"))
            p_shown = Shown(main=wording.p_value(p.value), title=p.definition)
            cells = (_shown(fair, places=1), _shown(oracle, places=1), gap, p_shown)
            lines.append(Line(wording.attack(attack), cells))
    return lines


def _slices(rows: Rows, attack: str | None) -> list[dict[str, Any]]:
    """Build the tables of classes and of groups, worst first, each led by its simultaneous worst."""
    if attack is None:
        return []
    slices = []
    for title, noun, names in (("Classes", "class", rows.classes), ("Groups", "group", rows.groups)):
        worst = f"worst_{noun}"
        lines = [_slice_line(rows, "worst", worst)] if rows.get("worst", "roc", "auc", worst) else []
        lines += [_slice_line(rows, attack, name) for name in rows.worst_first(names, attack)]
        between = _differences(rows.differences(names, attack))
        part = {"title": title, "noun": noun, "total": len(names), "lines": lines, "differences": between}
        slices += [part] if names else []
    return slices


def _differences(found: Sequence[tuple[str, Cell, Mapping[str, Cell]]]) -> dict[str, Any]:
    """Build the table of how far each group is from all others: in area, and in what is found at the headline rate."""
    fprs = list(dict.fromkeys(fpr for _, _, rates in found for fpr in rates))
    lines = []
    for name, area, rates in found:
        of_rates = [rates.get(fpr) for fpr in fprs]
        shown = [Shown(main=wording.DASH, grey=True) if c is None else _difference(c, is_area=False) for c in of_rates]
        said = Shown(main=wording.difference(area))
        lines.append(Line(wording.group(name), (_difference(area, is_area=True), *shown, said)))
    return {"titles": [f"TPR at {wording.rate(float(fpr))} FPR" for fpr in fprs], "lines": lines}


def _difference(cell: Cell, *, is_area: bool) -> Shown:
    main, lower, upper = (wording.signed(v, is_area=is_area) for v in (cell.value, cell.lower, cell.upper))
    return Shown(main=main, bounds=f"{lower.removesuffix(' points')} to {upper}", title=cell.definition)


def _slice_line(rows: Rows, attack: str, group: str) -> Line:
    cell = rows.get(attack, "roc", "auc", group)
    small = cell is not None and cell.status == Status.SUPPRESSED
    sizes = (None, None) if cell is None or small else (cell.n_members, cell.n_nonmembers)
    counts = [Shown(main=wording.count(size), grey=size is None) for size in sizes]
    return Line(wording.group(group), (_shown(cell, is_area=True), *counts), is_worst=attack == "worst")


# --------------------------------------------------------------------------------------------------- the charts


def charts_of(
    result: AuditResult, rows: Rows, leading: str | None, named: Sequence[str]
) -> dict[str, Callable[[], Any]]:
    """Return the functions that draw the charts of an audit, by name.

    Args:
        result: What an audit found.
        rows: Its results.
        leading: The attack whose precision, scores and groups are drawn.
        named: Attacks whose curves are in colour.
    """
    from vestige.report import charts

    draws: dict[str, Callable[[], Any]] = {}
    if result.rocs:
        draws["roc"] = partial(charts.roc_chart, result.rocs, named, result.finding)
        band = next((roc for roc in result.rocs if roc.attack == leading), result.rocs[0])
        draws["precision"] = partial(charts.precision_chart, band, tuple(map(float, PRIORS)))
    histogram = next((one for one in result.histograms if one.attack == leading and one.edges), None)
    if histogram is not None:
        draws["scores"] = partial(charts.scores_chart, histogram)
    if rows.has("oracle", "balanced_accuracy") or rows.plain_rules:
        draws["thresholds"] = partial(charts.thresholds_chart, rows)
    if result.risk is not None:
        draws["risk"] = partial(charts.risk_chart, result.risk)
        draws["reliability"] = partial(charts.reliability_chart, result.risk)
    for noun, groups in (("class", rows.classes), ("group", rows.groups)):
        if leading and any((cell := rows.get(leading, "roc", "auc", name)) and cell.is_ok for name in groups):
            draws[noun] = partial(charts.groups_chart, rows, rows.worst_first(groups, leading), leading)
    return draws


def _figure(draw: Callable[[], Any], name: str) -> str:
    """Return a chart as markup, or why there is none as text."""
    from altair.utils.schemapi import debug_mode
    from markupsafe import Markup

    from vestige.report.charts import to_svg

    try:
        with debug_mode(False):  # to hold every part of our own charts against the schema takes as long as to draw them
            chart = draw()
        # vl-convert escapes every name that it draws.
        return Markup(to_svg(chart, name))
    except Exception as error:  # whatever is wrong with a picture, the numbers are right without it
        why = str(error) if isinstance(error, NotDrawn) else type(error).__name__
        return f"This picture could not be drawn: {why}. The numbers are in the tables."

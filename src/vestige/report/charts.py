"""Charts as static SVG: drawn with Altair, rendered by vl-convert in another process, without JavaScript or network.

Colours are Okabe and Ito's, told apart by the colour-blind; dashes and shapes tell them apart in grey print.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from vestige.core.curves import RocBand, ScoreHistogram
from vestige.core.result import Finding, RiskSummary
from vestige.report import wording
from vestige.report.renderer import RENDERER
from vestige.report.rows import Cell, Rows, value_or_lowest

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
SHAPES = ("circle", "square", "triangle-up", "cross", "triangle-down", "triangle-right")
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (5, 2), (1, 3), (12, 3))
INK, GREY, PALE = "#1f2933", "#6b7785", "#e4e8ec"
POINTS = 240
"""Points drawn per curve: more cannot be seen at this size."""

Point = dict[str, Any]
"""What one mark is drawn from."""

FONT = "Helvetica, Arial, Liberation Sans, DejaVu Sans Condensed, sans-serif"  # wider ones would be cut
_AXIS = {
    "labelColor": INK,
    "titleColor": INK,
    "titleFontWeight": "normal",
    "titleFontSize": 13,
    "labelFontSize": 12,
    "titlePadding": 10,
    "gridColor": "#eef1f4",
    "domainColor": "#9aa5b1",
    "tickColor": "#9aa5b1",
}
CONFIG = {
    "font": FONT,
    "aria": False,  # the page names each chart as a whole
    "background": "transparent",
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelColor": INK,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "labelLimit": 320,
        "columnPadding": 20,
        "symbolStrokeWidth": 2,
        "symbolSize": 90,
    },
    "text": {"font": FONT},
}
_PERCENT = "format(100 * datum.value, '.3~g') + '%'"


def to_svg(chart: Any, name: str) -> str:
    """Render a chart.

    Args:
        chart: An Altair chart.
        name: A word that no other chart of the page has: it keeps their inner references apart.

    Returns:
        An `<svg>` element without scripts, links or text for other machines.

    Raises:
        NotDrawn: The renderer crashed, took too long or refused it.
    """
    with debug_mode(False):  # to hold our own settings against the schema takes longer than to draw with them
        spec = chart.configure(**CONFIG).to_dict(validate=False)
    svg = RENDERER.svg(spec)
    # Vega counts its inner names on through the life of the process: number them anew, so that a page is repeatable.
    for i, inner in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = svg.replace(f'id="{inner}"', f'id="{name}-{i}"').replace(f"url(#{inner})", f"url(#{name}-{i})")
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def resolution_floor(rocs: Iterable[RocBand]) -> float:
    """Find the lowest false-positive rate that has a band; 1 where none has."""
    banded = (
        fpr for roc in rocs for fpr, lower in zip(roc.fpr, roc.lower, strict=True) if fpr > 0 and not math.isnan(lower)
    )
    return min(banded, default=1.0)


def roc_chart(rocs: Sequence[RocBand], named: Sequence[str], finding: Finding) -> Any:
    """Draw ROCs on logarithmic axes: a few attacks in colour with their names, the others thin and grey.

    Args:
        rocs: Of every attack.
        named: Attacks in colour, the one with the band first.
        finding: The headline, which is marked.
    """
    floor = resolution_floor(rocs)
    start = min(0.01, floor / 6)
    in_colour = {roc.attack: _curve(roc, start) for roc in sorted(rocs, key=lambda roc: roc.attack in named)}
    curves = [point for name in named for point in in_colour.get(name, [])]
    others = [point for name, points in in_colour.items() if name not in named for point in points]
    names = [wording.attack(name) for name in named]
    x = alt.X("fpr:Q", title="False-positive rate: nonmembers called members", **_log_axis(start))
    y = alt.Y("tpr:Q", title="True-positive rate: members identified", **_log_axis(start))
    lines = data(curves).mark_line(interpolate="step-after", strokeWidth=1.8, clip=True)
    thin = data(others).mark_line(interpolate="step-after", strokeWidth=0.8, clip=True, color="#b8c0c8")
    band = data(
        [p for p in curves if p["attack"] == wording.attack(named[0] if named else "") and p["lower"] is not None]
    )
    layers = [
        *_unresolved(floor, start),
        data([{"fpr": start, "tpr": start}, {"fpr": 1.0, "tpr": 1.0}])
        .mark_line(color=GREY, strokeDash=[4, 4], strokeWidth=1)
        .encode(x=x, y=y),
        band.mark_area(interpolate="step-after", opacity=0.16, color=COLOURS[0], clip=True).encode(
            x=x, y=alt.Y("lower:Q"), y2=alt.Y2("upper:Q")
        ),
        thin.encode(x=x, y=y, detail=alt.Detail("attack:N")),
        lines.encode(x=x, y=y, **by_name("attack:N", names)),
        *_names_at_lines(curves, names, max(floor, start), start),
        *_best(rocs, named, start, x),
        *_headline(finding, x),
    ]
    return alt.layer(*layers).properties(width=700, height=430)


def precision_chart(band: RocBand, priors: Sequence[float]) -> Any:
    """Draw an attack's precision against its recall, a line per share of members among those suspected.

    The mark on each is the threshold of the best balanced accuracy.
    """
    names = [f"{wording.rate(prior)} are members" for prior in priors]
    points = [
        {"of": name, "recall": recall, "precision": precision}
        for name, prior in zip(names, priors, strict=True)
        for recall, precision in zip(band.tpr, band.precision(prior), strict=True)
        if not math.isnan(precision)
    ]
    best = [
        {"of": name, "recall": band.best_tpr, "precision": band.best_precision(prior)}
        for name, prior in zip(names, priors, strict=True)
        if not math.isnan(band.best_precision(prior))
    ]
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(labelExpr=_PERCENT, tickCount=5)
    x = alt.X("recall:Q", title="Recall: members identified", scale=scale, axis=axis)
    y = alt.Y("precision:Q", title="Precision", scale=scale, axis=axis)
    lines = data(points).mark_line(strokeWidth=1.8, clip=True).encode(x=x, y=y, **by_name("of:N", names))
    marks = data(best).mark_point(color=INK, size=60, strokeWidth=1.5, opacity=1).encode(x=x, y=y)
    return alt.layer(lines, *([marks] if best else [])).properties(width=300, height=260)


def scores_chart(histogram: ScoreHistogram) -> Any:
    """Draw the share of members and of nonmembers in each bin of an attack's scores."""
    sides = {"members": histogram.members, "nonmembers": histogram.nonmembers}
    width = (histogram.edges[-1] - histogram.edges[0]) / max(len(histogram.edges) - 1, 1) or 1.0
    ends = [histogram.edges[0] - width, *histogram.edges, histogram.edges[-1] + width]
    points = [
        {"side": side, "score": ends[place], "share": counts[min(place, len(counts) - 1)] / max(sum(counts), 1)}
        for side, counts in sides.items()
        for place in range(len(ends))
    ]
    x = alt.X("score:Q", title="Score: higher means member", scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("share:Q", title="Share of the side in the bin", axis=alt.Axis(labelExpr=_PERCENT, tickCount=5))
    lines = data(points).mark_line(interpolate="step-after", strokeWidth=1.8)
    return lines.encode(x=x, y=y, **by_name("side:N", list(sides))).properties(width=300, height=260)


def thresholds_chart(rows: Rows) -> Any:
    """Draw each attack's balanced accuracy under every rule, and the oracle's as a hollow mark without interval."""
    rules = [*rows.plain_rules, "oracle"]
    labels = [wording.rule(rule) for rule in rules]
    points = [
        _interval_point(cell, attack=wording.attack(attack), rule=wording.rule(rule))
        for attack in rows.attacks
        for rule in rules
        if (cell := rows.get(attack, rule, "balanced_accuracy")) is not None and cell.is_ok
    ]
    y = alt.Y("attack:N", title=None, sort=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=12))
    offset = alt.YOffset("rule:N", sort=labels)
    x = alt.X(
        "value:Q",
        title="Balanced accuracy: share of correct answers when half are members",
        scale=alt.Scale(domain=_around(points, 0.5), nice=False, zero=False),
        axis=alt.Axis(labelExpr=_PERCENT, tickCount=8),
    )
    colours = [*COLOURS[: len(rules) - 1], INK]
    stroke = alt.Stroke("rule:N", scale=alt.Scale(domain=labels, range=colours), legend=_legend(2))
    fill = alt.Fill("rule:N", scale=alt.Scale(domain=labels, range=[*colours[:-1], "#ffffff"]), legend=_legend(2))
    shapes = alt.Scale(domain=labels, range=[*SHAPES[: len(rules) - 1], "diamond"])
    shape = alt.Shape("rule:N", scale=shapes, legend=_legend(2))
    bounded = [point for point in points if point["lower"] is not None]
    return alt.layer(
        _rule_at(0.5),
        data(bounded)
        .mark_rule(strokeWidth=1.6)
        .encode(x=alt.X("lower:Q"), x2=alt.X2("upper:Q"), y=y, yOffset=offset, stroke=stroke),
        data(points)
        .mark_point(size=55, strokeWidth=1.5, opacity=1)
        .encode(x=x, y=y, yOffset=offset, stroke=stroke, fill=fill, shape=shape),
    ).properties(width=640, height=alt.Step(14))


def risk_chart(risk: RiskSummary) -> Any:
    """Draw the share of members at or below each risk."""
    points = _risk_points(list(zip(risk.cdf_risk, risk.cdf_members, strict=True)))
    line = data(points).mark_line(color=COLOURS[0], strokeWidth=2, interpolate="step-after")
    return line.encode(**_risk_axes("Privacy risk score", "Members at or below it")).properties(width=300, height=260)


def reliability_chart(risk: RiskSummary) -> Any:
    """Draw the share of members among units of about the same risk, against that risk."""
    points = _risk_points(list(zip(risk.bin_risk, risk.bin_member_fraction, strict=True)))
    axes = _risk_axes("Privacy risk score (mean of the bin)", "Members among them")
    diagonal = data(_risk_points([(0.0, 0.0), (1.0, 1.0)]))
    return alt.layer(
        diagonal.mark_line(color=GREY, strokeDash=[4, 4], strokeWidth=1).encode(**axes),
        data(points)
        .mark_line(color=COLOURS[1], strokeWidth=1.6, point={"filled": True, "size": 50, "color": COLOURS[1]})
        .encode(**axes),
    ).properties(width=300, height=260)


def _risk_points(pairs: Sequence[tuple[float, float]]) -> list[Point]:
    return [{"risk": level, "share": _or_null(share)} for level, share in pairs]


def risks_chart(points: Sequence[Point], names: list[str]) -> Any:
    """Draw the share of members at or below each risk, a line per name.

    Args:
        points: Each with a `name`, a `risk` and a `share`.
        names: All names, in the order of the legend.
    """
    lines = data(points).mark_line(strokeWidth=1.8, interpolate="step-after")
    axes = _risk_axes("Privacy risk score", "Members at or below it")
    return lines.encode(**axes, **by_name("name:N", names)).properties(width=560, height=320)


def _risk_axes(x: str, y: str) -> Point:
    scale = alt.Scale(domain=[0, 1])
    return {
        "x": alt.X("risk:Q", title=x, scale=scale, axis=alt.Axis(tickCount=5)),
        "y": alt.Y("share:Q", title=y, scale=scale, axis=alt.Axis(labelExpr=_PERCENT, tickCount=5)),
    }


def groups_chart(rows: Rows, groups: Sequence[str], attack: str) -> Any:
    """Draw how far each group's AUC lies from guessing, with its interval."""
    points = [
        _interval_point(cell, group=wording.group(name))
        for name in groups
        if (cell := rows.get(attack, "roc", "auc", name)) is not None and value_or_lowest(cell) > 0
    ]
    y = alt.Y(
        "group:N", title=None, sort=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8, labelLimit=220)
    )
    domain = alt.Scale(domain=_around(points, 0.5), nice=False, zero=False)
    x = alt.X("value:Q", title="Area under the ROC (0.5 is guessing)", scale=domain, axis=alt.Axis(tickCount=8))
    return alt.layer(
        data(points).mark_bar(color=COLOURS[4], height={"band": 0.62}).encode(x=x, x2=alt.X2Datum(0.5), y=y),
        data(points).mark_rule(color=INK, strokeWidth=1.5).encode(x=alt.X("lower:Q"), x2=alt.X2("upper:Q"), y=y),
        _rule_at(0.5),
    ).properties(width=560, height=alt.Step(26))


def data(points: Sequence[Point]) -> alt.Chart:
    """Return a chart of these points, without a mark yet. A tuple: Altair copies every point of a list at each step."""
    return alt.Chart(alt.Data(values=tuple(points)))  # type: ignore[no-untyped-call]


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _curve(roc: RocBand, start: float) -> list[Point]:
    """List a curve from its first member recognised; what lies left of the drawn axes is put on their edge."""
    points = list(zip(roc.fpr, roc.tpr, roc.lower, roc.upper, strict=True))
    left = [point for point in points if point[0] <= start][-1:]
    inside = _spread([point for point in points if point[0] > start], start)
    return [
        {
            "attack": wording.attack(roc.attack),
            "fpr": max(fpr, start),
            "tpr": max(tpr, start),
            "lower": None if math.isnan(lower) else max(lower, start),
            "upper": None if math.isnan(upper) else max(upper, start),
        }
        for fpr, tpr, lower, upper in [*left, *inside]
        if tpr > 0
    ]


def _spread(points: list[Any], start: float) -> list[Any]:
    """Keep the points that a logarithmic axis can tell apart: the last of each step, so no step is drawn too early."""
    steps = {math.floor(POINTS * math.log(point[0] / start) / -math.log(start)): point for point in points}
    return list(steps.values())


def _log_axis(start: float) -> Point:
    decades = [10.0**power for power in range(math.ceil(math.log10(start)), 1)]
    return {
        "scale": alt.Scale(type="log", domain=[start, 1], nice=False),
        "axis": alt.Axis(labelExpr=_PERCENT, values=decades, format="~g"),
    }


def _unresolved(floor: float, start: float) -> list[alt.Chart]:
    """Grey what fewer than 10 false positives would decide."""
    corner = [{"from": start, "to": floor, "top": 1.0, "bottom": start}]
    area = (
        data(corner)
        .mark_rect(color=PALE, opacity=0.75)
        .encode(x=alt.X("from:Q"), x2=alt.X2("to:Q"), y=alt.Y("bottom:Q"), y2=alt.Y2("top:Q"))
    )
    words = ["Not resolvable:", "fewer than 10", "false positives", "expected"]
    label = (
        data(corner)
        .mark_text(align="left", baseline="top", dx=8, dy=8, color=GREY, fontSize=11, text=words, lineHeight=14)
        .encode(x=alt.X("from:Q"), y=alt.Y("top:Q"))
    )
    return [area, label]


def _names_at_lines(curves: Sequence[Point], names: list[str], at: float, start: float) -> list[alt.Chart]:
    """Write each name above its line, where lines begin to be evidence; lines that are close have names in a column."""
    heights: dict[str, float] = {}
    for name in names:  # one that finds nobody yet has no line here: the legend names it
        before = [point["tpr"] for point in curves if point["attack"] == name and point["fpr"] <= at]
        heights |= {name: math.log(before[-1])} if before else {}
    room, last = -math.log(start) / 22, math.inf
    points: list[Point] = []
    for name in sorted(heights, key=lambda name: -heights[name]):
        last = min(heights[name] + room / 2, last - room)
        points.append({"attack": name, "fpr": at, "tpr": max(math.exp(last), start)})
    place = {"x": alt.X("fpr:Q"), "y": alt.Y("tpr:Q"), "text": alt.Text("attack:N")}
    text: dict[str, Any] = {"align": "left", "dx": 6, "fontSize": 12, "fontWeight": 600}
    behind = data(points).mark_text(**text, stroke="white", strokeWidth=3).encode(**place)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    # A layer each: a scale of colours for all would be a second legend.
    return [behind, *(data([p]).mark_text(**text, color=colours[p["attack"]]).encode(**place) for p in points)]


def _best(rocs: Sequence[RocBand], named: Sequence[str], start: float, x: alt.X) -> list[alt.Chart]:
    """Mark the leading attack's threshold of the best balanced accuracy."""
    points = [{"fpr": roc.best_fpr, "tpr": roc.best_tpr} for roc in rocs if roc.attack in named[:1]]
    points = [point for point in points if point["fpr"] >= start and point["tpr"] >= start]
    marks: list[alt.Chart] = []
    if points:
        marks.append(
            data(points).mark_point(color=INK, size=60, strokeWidth=1.5, opacity=1).encode(x=x, y=alt.Y("tpr:Q"))
        )
    return marks


def _headline(finding: Finding, x: alt.X) -> list[alt.Chart]:
    """Mark the headline number with its simultaneous interval."""
    if math.isnan(finding.fpr) or math.isnan(finding.tpr) or finding.tpr <= 0:
        return []
    point = {"fpr": finding.fpr, "tpr": finding.tpr, "lower": finding.tpr_lb, "upper": finding.tpr_ub}
    layers = [data([point]).mark_point(filled=True, color=INK, size=70, opacity=1).encode(x=x, y=alt.Y("tpr:Q"))]
    if finding.tpr_lb > 0 and not math.isnan(finding.tpr_ub):
        layers.append(
            data([point]).mark_rule(color=INK, strokeWidth=2).encode(x=x, y=alt.Y("lower:Q"), y2=alt.Y2("upper:Q"))
        )
    return layers


def by_name(field: str, names: list[str]) -> Point:
    """Return colours and dashes of lines by name, with one legend."""
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    dashes = [list(DASHES[i % len(DASHES)]) for i in range(len(names))]
    return {
        "color": alt.Color(field, scale=alt.Scale(domain=names, range=colours), legend=_legend(3)),
        "strokeDash": alt.StrokeDash(field, scale=alt.Scale(domain=names, range=dashes), legend=_legend(3)),
    }


def _legend(columns: int) -> alt.Legend:
    return alt.Legend(orient="bottom", direction="horizontal", columns=columns, title=None)


def _rule_at(value: float) -> alt.Chart:
    line = data([{"at": value}]).mark_rule(color=GREY, strokeDash=[4, 4], strokeWidth=1)
    rule: alt.Chart = line.encode(x=alt.X("at:Q"))
    return rule


def _interval_point(cell: Cell, **words: object) -> Point:
    return {"value": cell.value, "lower": _or_null(cell.lower), "upper": _or_null(cell.upper), **words}


def _around(points: Sequence[Point], middle: float) -> list[float]:
    """Limits of an axis that holds every interval and the value of guessing, with a little room."""
    ends = [p[name] for p in points for name in ("value", "lower", "upper") if p[name] is not None]
    low, high = min([middle, *ends]), max([middle, *ends])
    room = max(0.01, 0.04 * (high - low))
    return [max(0.0, low - room), min(1.0, high + room)]

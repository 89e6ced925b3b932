"""Figures of papers: numbers that are named `SERIES @ X` are drawn as lines, and stand in a table of a line per X."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import altair as alt

from vestige.papers.reproduction.row import Row
from vestige.report.charts import by_name, data, to_svg

_AT = " @ "
_MOST_LINES = 7  # in one chart

Numbers = Sequence[Mapping[str, Any]]
"""Numbers of a result, each with a name, a value and, where there are several trials, bounds."""


def is_of_figure(name: str) -> bool:
    """Return whether a number is a point of a figure: `SERIES @ X`."""
    return _AT in name


def split(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Return the numbers of a table, and those of a figure.

    Example:
        >>> [[one["name"] for one in part] for part in split([{"name": "gap"}, {"name": "noise @ 4"}])]
        [['gap'], ['noise @ 4']]
    """
    return [one for one in numbers if not is_of_figure(one["name"])], [
        one for one in numbers if is_of_figure(one["name"])
    ]


def table_of(numbers: Numbers) -> str:
    """Return the numbers of a figure as a table in Markdown: a line per place on its axis, a column per series.

    Example:
        >>> print(table_of([{"name": "a @ 1", "value": 0.5}, {"name": "b @ 1", "value": 0.25}]))
        | at | a | b |
        | --- | --- | --- |
        | 1 | 0.500 | 0.250 |
    """
    cells = {_place(one): _cell(one) for one in numbers}
    series = list(dict.fromkeys(name for name, _ in cells))
    places = _in_order(list(dict.fromkeys(place for _, place in cells)))
    lines = [f"| at | {' | '.join(series)} |", "| --- |" + " --- |" * len(series)]
    lines += [f"| {place} | {' | '.join(cells.get((name, place), '') for name in series)} |" for place in places]
    return "\n".join(lines)


def picture_of(row: Row, numbers: Numbers) -> str:
    """Return the numbers of a figure as a chart, an `<svg>` element; bars are 95 % intervals over trials.

    Args:
        row: What is drawn.
        numbers: Numbers of a figure.

    Raises:
        NotDrawn: The renderer crashed, took too long or refused it.
    """
    places = _in_order(list(dict.fromkeys(_place(one)[1] for one in numbers)))
    measured = all(_is_number(place) for place in places)
    points = [
        {"name": name, "at": float(place) if measured else place, **_bounds(one)}
        for one in numbers
        for name, place in [_place(one)]
        if isfinite(one["value"])
    ]
    names = list(dict.fromkeys(_place(one)[0] for one in numbers))
    ticks = alt.Axis(values=[float(place) for place in places] if measured else [], labelOverlap=True)
    x = (
        alt.X("at:Q", title=None, scale=_scale(places), axis=ticks)
        if measured
        else alt.X("at:N", title=None, sort=places)
    )
    panels = _panels(names)
    charts = [_lines([p for p in points if p["name"] in of_panel], of_panel, x) for of_panel in panels.values()]
    if len(panels) > 1:
        charts = [chart.properties(title=title) for chart, title in zip(charts, panels, strict=True)]
    drawn = (
        charts[0]
        if len(charts) == 1
        else alt.vconcat(*charts).resolve_scale(color="independent", strokeDash="independent")
    )
    return to_svg(drawn.properties(background="white"), f"{row.item}-{row.data}")


def _panels(names: list[str]) -> dict[str, list[str]]:
    """Lines that are drawn together: all of them, or of many those whose names end alike, `risk, none` with `none`."""
    if len(names) <= _MOST_LINES:
        return {"": names}
    panels: dict[str, list[str]] = {}
    for name in names:
        panels.setdefault(name.partition(", ")[2], []).append(name)
    return panels


def _lines(points: list[dict[str, Any]], names: list[str], x: alt.X) -> Any:
    """Lines with their intervals."""
    look = by_name("name:N", names)
    layers = [
        data(points)
        .mark_line(strokeWidth=1.8, point={"filled": True, "size": 35})
        .encode(x=x, y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)), **look),
        data([one for one in points if "lower" in one])
        .mark_rule(strokeWidth=1.2)
        .encode(x=x, y="lower:Q", y2="upper:Q", color=look["color"]),
    ]
    return alt.layer(*layers).properties(width=560, height=300)


def _scale(places: Sequence[str]) -> alt.Scale:
    """A logarithmic axis where steps grow."""
    numbers = [float(place) for place in places]
    steps = [after / before for before, after in pairwise(numbers)] if min(numbers) > 0 else []
    grows = len(steps) > 1 and min(steps) >= 1.5
    return alt.Scale(type="log" if grows else "linear", zero=False, nice=False)


def _place(one: Mapping[str, Any]) -> tuple[str, str]:
    name, _, place = one["name"].rpartition(_AT)
    return name, place


def _in_order(places: list[str]) -> list[str]:
    return sorted(places, key=float) if all(_is_number(place) for place in places) else places


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _bounds(one: Mapping[str, Any]) -> dict[str, float]:
    return {name: one[name] for name in ("value", "lower", "upper") if name in one}


def _cell(one: Mapping[str, Any]) -> str:
    within = f" [{one['lower']:.3f}, {one['upper']:.3f}]" if "lower" in one else ""
    return f"{one['value']:.3f}{within}"

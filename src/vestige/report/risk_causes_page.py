"""`why.html` and its tables, for their owner alone: what goes with the risk of records, in three pictures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vestige.core.half_written import writable
from vestige.report.files import replacing
from vestige.report.page import template
from vestige.report.renderer import NotDrawn
from vestige.report.tables import cell_of_text

_OWNER_ALONE = 0o600
_STEPS = 10
"""Risks are put together by tenths where a quartile is drawn."""

_BY_END = {
    "lowest": ("#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6"),
    "highest": ("#7f2704", "#a63603", "#d94801", "#f16913", "#fd8d3c"),
}
"""Blues and oranges, told apart by the colour-blind; classes of one end are told apart by their shapes too."""

_FEWEST = 4
"""Records of a tenth, for a mean and quartiles."""

Tables = Mapping[str, pd.DataFrame]
"""`classes`, and `sensitivity` and `plane` where they are known, as of `RiskCauses`."""


def write_risk_causes(sentences: Sequence[str], tables: Tables, folder: Path) -> None:
    """Write `why.html` and a CSV for each table, readable by their owner alone.

    Args:
        sentences: What was found.
        tables: Its tables.
        folder: Where to write; made if it is not there.

    Raises:
        OutputError: The folder cannot be written.
    """
    with writable(folder.name, "why records are at risk"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        safe = table.assign(
            **{
                column: table[column].astype(str).map(cell_of_text)
                for column in ("id", "class")
                if column in table and not pd.api.types.is_numeric_dtype(table[column])
            }
        )
        with replacing(folder / f"{name}.csv", mode=_OWNER_ALONE) as file:
            file.write(safe.to_csv(index=False, lineterminator="\n").encode())
    with replacing(folder / "why.html", mode=_OWNER_ALONE) as file:
        file.write(risk_causes_page(sentences, tables, whole=True).encode())


def risk_causes_page(sentences: Sequence[str], tables: Tables, *, whole: bool) -> str:
    """Return the page: a document that loads nothing, or for a notebook what stands in its body."""
    rows = [(str(row[0]), [_said(value) for value in row[1:]]) for row in tables["classes"].itertuples(index=False)]
    return template("causes.html.j2").render(
        whole=whole, sentences=sentences, rows=rows, figures=list(_figures(tables))
    )


def _said(value: Any) -> str:
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return "" if value != value else f"{value:.3f}"


def _figures(tables: Tables) -> Iterator[tuple[Any, str]]:
    from markupsafe import Markup

    from vestige.report.charts import to_svg

    drawn = {
        "classes": (
            class_chart,
            "Each class: how much worse the model does on nonmembers, and its members' mean risk.",
        ),
        "sensitivity": (
            sensitivity_chart,
            "How much less sure the model is of a training record if it is trained without it: mean and quartiles of "
            "the records of about one risk. Sensitivity is the logarithm of modified entropy without the record over "
            "modified entropy with it.",
        ),
        "plane": (
            plane_chart,
            "Inputs of the last layer on a plane (t-SNE of both sides together): classes least at risk in blue, most "
            "at risk in orange. Distances between groups mean nothing.",
        ),
    }
    for name, table in tables.items():
        chart, caption = drawn[name]
        try:
            yield Markup(to_svg(chart(table), f"why-{name}")), caption
        except NotDrawn as error:
            yield str(error), caption


def class_chart(classes: pd.DataFrame) -> Any:
    """Draw a point per class: generalisation error and mean risk."""
    import altair as alt

    from vestige.report.charts import COLOURS, data

    known = classes.dropna(subset=["generalisation_error", "mean_risk"])
    points = [
        {"error": row.generalisation_error, "risk": row.mean_risk, "n": row.n_members} for row in known.itertuples()
    ]
    x = alt.X(
        "error:Q",
        title="Generalisation error: training accuracy less test accuracy",
        scale=alt.Scale(zero=False, padding=12),
        axis=alt.Axis(format="%", tickCount=8),
    )
    y = alt.Y("risk:Q", title="Mean privacy risk score of the members", scale=alt.Scale(zero=False, padding=12))
    size = alt.Size("n:Q", title="Members", scale=alt.Scale(zero=False, range=[30, 160]))
    dots = data(points).mark_point(filled=True, opacity=0.75, color=COLOURS[0])
    return dots.encode(x=x, y=y, size=size).properties(width=480, height=300)


def sensitivity_chart(sensitivity: pd.DataFrame) -> Any:
    """Draw mean and quartiles of sensitivity over tenths of risk, and every record behind them."""
    import altair as alt

    from vestige.report.charts import COLOURS, GREY, INK, data

    known = sensitivity.dropna(subset=["risk", "sensitivity"])
    step = np.minimum((known["risk"].to_numpy() * _STEPS).astype(int), _STEPS - 1)
    parts = [known[step == one] for one in range(_STEPS) if np.count_nonzero(step == one) >= _FEWEST]
    points = [
        {
            "risk": float(part["risk"].mean()),
            "mean": float(part["sensitivity"].mean()),
            "low": float(part["sensitivity"].quantile(0.25)),
            "high": float(part["sensitivity"].quantile(0.75)),
        }
        for part in parts
    ]
    every = [{"risk": row.risk, "sensitivity": row.sensitivity} for row in known.itertuples()]
    x = alt.X("risk:Q", title="Privacy risk score", scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=6))
    title = "Sensitivity to the record [nats]"
    y = alt.Y("sensitivity:Q", title=title)
    base = data(points)
    mean = alt.Y("mean:Q", title=title)
    return alt.layer(
        data(every).mark_point(filled=True, size=14, color=GREY, opacity=0.45).encode(x=x, y=y),
        base.mark_rule(color=COLOURS[0], strokeWidth=2.5).encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q"),
        base.mark_line(color=COLOURS[0], strokeWidth=1.2).encode(x=x, y=mean),
        base.mark_point(filled=True, size=70, color=INK, opacity=1).encode(x=x, y=mean),
    ).properties(width=480, height=300)


def plane_chart(plane: pd.DataFrame) -> Any:
    """Draw training and test records beside each other, a shape for each class and a colour for each end."""
    import altair as alt

    from vestige.report.charts import SHAPES, data

    ends = plane.drop_duplicates("class")
    names = [f"{row[1]} ({row[0]})" for row in ends[["at", "class"]].itertuples(index=False)]
    place = ends.groupby("at").cumcount()
    colours = [_BY_END[at][n] for at, n in zip(ends["at"], place, strict=True)]
    shapes = [SHAPES[n] for n in place]
    sides = {True: "Training records", False: "Test records"}
    points = [
        {"x": row.x, "y": row.y, "class": f"{name} ({row.at})", "side": sides[bool(row.member)]}
        for row, name in zip(plane.itertuples(), plane["class"].astype(str), strict=True)
    ]
    legend = alt.Legend(orient="bottom", columns=5, title=None)
    plain = alt.Axis(labels=False, ticks=False, grid=False, title=None)
    panels = [
        data([point for point in points if point["side"] == side])
        .mark_point(size=26, strokeWidth=1.3, opacity=0.85)
        .encode(
            x=alt.X("x:Q", axis=plain, scale=_scale(plane["x"])),
            y=alt.Y("y:Q", axis=plain, scale=_scale(plane["y"])),
            color=alt.Color("class:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
            shape=alt.Shape("class:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
        )
        .properties(width=330, height=330, title=side)
        for side in sides.values()
    ]
    return alt.hconcat(*panels)


def _scale(values: pd.Series) -> Any:
    """One scale for both panels, with a little room."""
    import altair as alt

    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low)
    return alt.Scale(domain=[low - room, high + room], nice=False, zero=False)

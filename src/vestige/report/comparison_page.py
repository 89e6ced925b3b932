"""`comparison.html` and `comparison.csv`: defences beside each other, what attacks find and what accuracy is left."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vestige.core.errors import InputError
from vestige.core.half_written import writable
from vestige.report.files import replacing
from vestige.report.page import template
from vestige.report.renderer import NotDrawn
from vestige.report.tables import cell_of_text, text_of_cell
from vestige.report.wording import NO_DEFENCE
from vestige.report.wording import attack as words_of_attack

_TITLES = {
    "tpr_at_fpr_0.01": "Members identified at 1 % false positives",
    "tpr_at_fpr_0.001": "Members identified at 0.1 % false positives",
    "tpr_at_fpr_0.01, worst 1 %": "Members identified at 1 % false positives, of the records most at risk",
    "tpr_at_fpr_0.01, all, same models": "Members identified at 1 % false positives, of all records by the same models",
    "tpr_at_fpr_0.01, outliers": "Members identified at 1 % false positives, of the outliers",
    "tpr_at_fpr_0.01, canaries": "Members identified at 1 % false positives, of the canaries",
    "precision, outliers": "Precision on the outliers: members among those called members, of as many as nonmembers",
    "precision gain, outliers": "Precision on the outliers, less that on all records",
    "precision gain, outliers, source threshold": "Precision on the outliers, less that on all records, at the "
    "threshold of a source model",
    "auc": "Area under the ROC",
    "balanced_accuracy": "Members and nonmembers of the unknown half told apart: the mean of both shares",
    "rmse": "Privacy risk score against the share of members: root mean square difference over ten bins",
    "risk": "Risk of a record: belief that it was a member where it was, less that where it was not",
    "risk, records at rising risk": "Risk of the records whose risk rises, chosen by half of the models, by the other "
    "half",
    "share of records at rising risk": "Records whose risk rises by 0.1 or more for both halves of the models",
}

_THRESHOLDS = ("1", "0.9", "0.8", "0.7", "0.6", "0.5")  # as metrics name them
_LESS_THAN = ", less than "
_BELOW = "share of members, risk <= "


def write_comparison(
    table: pd.DataFrame,
    sentences: Sequence[str],
    failures: Mapping[str, str],
    folder: Path,
    notes: Sequence[str] = (),
) -> None:
    """Write `comparison.csv` and `comparison.html`.

    Args:
        table: A row per number, as `DefenceComparison.table`.
        sentences: What it says of each defence.
        failures: Defences without numbers, and why.
        folder: Where to write.
        notes: What else a reader should know.

    Raises:
        OutputError: The folder cannot be written.
    """
    with writable(folder.name, "the comparison of defences"):
        folder.mkdir(parents=True, exist_ok=True)
    safe = table.assign(**{name: table[name].map(cell_of_text) for name in ("defence", "attack")})
    with replacing(folder / "comparison.csv") as file:
        file.write(safe.to_csv(index=False).encode())
    with replacing(folder / "comparison.html") as file:
        file.write(comparison_page(table, sentences, failures, notes).encode())


def comparison_page(
    table: pd.DataFrame, sentences: Sequence[str], failures: Mapping[str, str], notes: Sequence[str] = ()
) -> str:
    """Return the page, a whole HTML document that loads nothing; arguments as of `write_comparison`."""
    return template("comparison.html.j2").render(
        sentences=sentences,
        failures=failures,
        notes=notes,
        figures=list(_figures(table)),
        tables=list(_tables(table)),
        calls=_calls(table),
        thresholds=_THRESHOLDS,
    )


def defences_compared(folder: Path) -> list[tuple[str, str, str, str]]:
    """Read from a comparison what helped, and at what price.

    Args:
        folder: Of the comparison.

    Returns:
        Of each defence its name, what the strongest adaptive attack finds, how much less that is than without one, and
        the test accuracy left; what leaves the least to find first. Empty where no comparison lies in the folder.

    Raises:
        InputError: Its table is none of a comparison.
    """
    if not (folder / "comparison.csv").is_file():
        return []
    try:
        table = pd.read_csv(folder / "comparison.csv", keep_default_na=False, na_values=[""])
        best = _strongest(table.assign(defence=table.defence.astype(str).map(text_of_cell))).sort_values("value")
        return [_compared(row) for row in best.itertuples()]
    except (ValueError, AttributeError, KeyError, OSError):
        raise InputError(
            f"Expected a comparison of defences in {folder / 'comparison.csv'}, found another table; compare anew."
        ) from None


def _compared(row: Any) -> tuple[str, str, str, str]:
    line = _line(row, is_area=row.metric == "auc")
    what = "AUC" if row.metric == "auc" else "of the members at 1% false positives"
    name = NO_DEFENCE if line["defence"] == "none" else line["defence"]
    change = f"{line['change']} {line['change_bounds']}".strip() or "–"
    return name, f"{line['found']} {line['bounds']} {what}", change, line["accuracy"]


def _tables(table: pd.DataFrame) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for metric, title in _TITLES.items():
        rows = table[table.metric == metric]
        if len(rows):
            yield title, [_line(row, is_area=metric == "auc") for row in rows.itertuples()]
    gains = table[table.metric.str.contains(_LESS_THAN, regex=False)]
    split = gains.metric.str.split(_LESS_THAN, regex=False)
    for metric in split.str[0].unique():
        rows = gains[split.str[0] == metric]
        named = rows.assign(defence=rows.defence + _LESS_THAN + split[rows.index].str[1])
        lines = [_line(row, is_area=metric == "auc") for row in named.itertuples()]
        yield f"{_TITLES[metric]}: the gain on undefended models at the first epoch that is as accurate", lines


def _calls(table: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Of each defence precision and recall of calling those at or above a privacy risk, as Song & Mittal's table 6."""
    of_risk = table[table.attack == "privacy_risk_score"]
    found = []
    for defence, rows in of_risk.groupby("defence", sort=False):
        values = dict(zip(rows.metric, rows.value, strict=True))
        cells = []
        for threshold in _THRESHOLDS:
            precise, recall = (values.get(f"{what}, risk >= {threshold}") for what in ("precision", "recall"))
            cells.append(f"{'N.A.' if precise is None else f'{precise:.1%}'}, {recall or 0.0:.1%}")
        found.append((str(defence), cells))
    return found


def _line(row: Any, *, is_area: bool) -> dict[str, str]:
    def shown(value: float, sign: str = "") -> str:
        return f"{value:{sign}.3f}" if is_area else f"{value:{sign}.1%}"

    def bounds(lower: float, upper: float, of: str = "", sign: str = "") -> str:
        return f"{of}[{shown(lower, sign)}, {shown(upper, sign)}]" if lower == lower else ""

    known = row.difference == row.difference and row.defence != "none"
    change = (row.difference_lower, row.difference_upper), (row.difference_records_lower, row.difference_records_upper)
    return {
        "defence": row.defence,
        "adversary": row.adversary,
        "attack": words_of_attack(row.attack),
        "found": shown(row.value),
        "bounds": bounds(row.lower, row.upper),
        "records": bounds(row.records_lower, row.records_upper, "records "),
        "change": shown(row.difference, "+") if known else "",
        "change_bounds": bounds(*change[0], "", "+") if known else "",
        "change_records": bounds(*change[1], "records ", "+") if known else "",
        "accuracy": f"{row.test_accuracy:.3f}",
    }


# ---------------------------------------------------------------------------------------------------- the figures


def _figures(table: pd.DataFrame) -> Iterator[tuple[Any, str]]:
    from markupsafe import Markup

    from vestige.report import charts

    best = _strongest(table)
    drawn: list[tuple[str, Any, str]] = [
        (
            "front",
            _chart(best, "test_accuracy", "test accuracy"),
            "What the strongest adaptive attack finds, and the accuracy left. Labels alone resolve no rate, and are "
            "not drawn.",
        ),
        (
            "gap",
            _chart(best, "gap", "training accuracy less test accuracy"),
            "What the strongest adaptive attack finds beside the gap.",
        ),
    ]
    below = table[table.metric.str.startswith(_BELOW)]
    if len(below):
        points = [
            {"name": row.defence, "risk": float(str(row.metric).removeprefix(_BELOW)), "share": row.value}
            for row in below.itertuples()
        ]
        caption = (
            "The privacy risk score of members, by histograms of a model under the same defence: the farther right a "
            "line stays low, the more is known of members."
        )
        drawn.append(("risk", charts.risks_chart(points, list(below.defence.unique())), caption))
    for name, chart, caption in drawn:
        try:
            yield Markup(charts.to_svg(chart, name)), caption
        except NotDrawn as error:
            yield str(error), caption


def _strongest(table: pd.DataFrame) -> pd.DataFrame:
    """Of each defence the attack of an adversary who adapts that finds the most; at 1 % where rates are resolved."""
    adaptive = table[table.adversary.isin(["adaptive", "any"])]
    low = adaptive[adaptive.metric == "tpr_at_fpr_0.01"]
    shown = low if len(low) else adaptive[adaptive.metric == "auc"]
    best = shown.sort_values("value", kind="stable").groupby("defence", sort=False).tail(1)
    return best.assign(gap=best.training_accuracy - best.test_accuracy).sort_values("defence")


def _chart(best: pd.DataFrame, x: str, title: str) -> Any:
    import altair as alt

    from vestige.report.charts import COLOURS, INK, data

    is_area = (best.metric == "auc").all()
    found = "area under the ROC" if is_area else "members identified at 1 % false positives"
    points = best[["defence", x, "value", "lower", "upper"]].to_dict("records")
    placed = _with_room([{str(name): v for name, v in point.items() if v == v} for point in points], x)
    base = data(placed)
    across = alt.X(f"{x}:Q", title=title, scale=alt.Scale(zero=False, padding=20))
    axis = alt.Axis(format=".2f" if is_area else "%")
    up = alt.Y("value:Q", title=found, scale=alt.Scale(zero=not is_area), axis=axis)
    bars = base.mark_rule(color=COLOURS[0], opacity=0.5).encode(x=across, y=alt.Y("lower:Q", title=found), y2="upper:Q")
    dots = base.mark_point(filled=True, size=70, color=COLOURS[0]).encode(x=across, y=up)

    def named(side: str) -> alt.Chart:
        names = data([point for point in placed if point["side"] == side])
        return names.encode(x=across, y=alt.Y("at:Q", title=found), text="defence:N")

    words: dict[str, Any] = {"baseline": "middle", "color": INK, "fontSize": 12}
    left, right = (
        named("left").mark_text(align="right", dx=-9, **words),
        named("right").mark_text(align="left", dx=9, **words),
    )
    layers = (bars, dots, left, right)
    return alt.layer(*layers).properties(width=560, height=320)


def _with_room(points: Sequence[Mapping[str, Any]], x: str) -> list[dict[str, Any]]:
    """Points with a place for each name: beside the point, or below the name that stands there already."""
    wide, high = (max(p[key] for p in points) - min(p[key] for p in points) or 1.0 for key in (x, "value"))
    middle = min(p[x] for p in points) + wide / 2
    placed: list[dict[str, Any]] = []
    for point in sorted(points, key=lambda p: (-p["value"], p["defence"])):
        side, at = "right" if point[x] <= middle else "left", float(point["value"])
        near = [p for p in placed if p["side"] == side and abs(p[x] - point[x]) < 0.35 * wide]
        while any(abs(p["at"] - at) < 0.055 * high for p in near):
            at -= 0.01 * high
        placed.append({**point, "side": side, "at": at})
    return placed

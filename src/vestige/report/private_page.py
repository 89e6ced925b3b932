"""`private.html`: the same audit for the owner of the data alone, with the records at risk. It must not be released.

It has scripts, and still loads nothing: what is drawn stands as JSON in the page, and the page allows its own two
scripts alone, by their digests.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from vestige.core.result import AuditResult, Status
from vestige.report import plain_words as plain
from vestige.report import wording
from vestige.report.files import replacing
from vestige.report.page import best_of_each_access, charts_of, name_of, template
from vestige.report.rows import Cell, Rows

MOST = 2000
"""Records that the table holds, those most at risk; so that the page stays small."""
_MOST_GROUPS = 500
_POINTS = 200  # of the curve of all members

_TITLES = {
    "roc": "ROC: members identified against false positives",
    "precision": "Precision against recall",
    "scores": "Scores of members and nonmembers",
    "thresholds": "Balanced accuracy by threshold",
    "risk": "Privacy risk score of members",
    "reliability": "Whether the risk score means what it says",
    "class": "Area under the ROC by class",
    "group": "Area under the ROC by group",
}


@dataclass(frozen=True)
class _Number:
    """A cell: as it is shown, and the number that it is sorted by; None where it is hidden or there is none."""

    main: str
    value: float | int | None
    bounds: str = ""
    _: KW_ONLY
    title: str = ""
    grey: bool = False


def write_private_page(
    result: AuditResult,
    members: pd.DataFrame,
    folder: Path,
    *,
    settings: str = "",
    pictures: Mapping[str, bytes] | None = None,
    defences: Sequence[tuple[str, ...]] = (),
) -> Path:
    """Write `private.html`, readable by its owner alone.

    Args:
        result: What an audit found.
        members: A line per member, those most at risk first: the id, `label` and groups where they are known, `score`,
            and false-positive rate and precision at a prior of one half with their bounds (`_lower`, `_upper`).
        folder: Where to write; it exists.
        settings: The run's `audit.toml`.
        pictures: JPEGs by id, of some records.
        defences: What a comparison of defences found: of each its name, what is found, the change and the accuracy.

    Returns:
        Path of the page.

    Raises:
        OutputError: The folder cannot be written.
    """
    page = folder / "private.html"
    text = private_page(result, members, settings=settings, pictures=pictures, defences=defences)
    with replacing(page, mode=0o600) as file:
        file.write(text.encode())
    return page


def private_page(
    result: AuditResult,
    members: pd.DataFrame,
    *,
    settings: str = "",
    pictures: Mapping[str, bytes] | None = None,
    defences: Sequence[tuple[str, ...]] = (),
) -> str:
    """Return the page, a whole HTML document that loads nothing; arguments as of `write_private_page`."""
    from markupsafe import Markup

    rows = Rows(result.results)
    leading = rows.leading(result.finding)
    shown = [fpr for fpr in rows.fprs if rows.resolves(fpr)]
    ours = (files("vestige.report") / "private.js").read_text(encoding="utf-8")
    scripts = [_bundle(), ours]
    charts = _charts(result, rows, leading)
    data = {"charts": charts, "members": _records(members, pictures or {}), "curve": _curve(members)}
    return template("private.html.j2").render(
        name=name_of(result),
        result=result,
        plain=plain,
        words=wording,
        rows=rows,
        leader=wording.attack(leading or "").lower(),
        attacks=_attacks(rows, shown),
        parts=_groups(rows, leading, shown),
        rates=[wording.rate(float(fpr)) for fpr in shown],
        charts={name: _TITLES[name] for name in charts},
        n_members=len(members),
        n_shown=min(len(members), MOST),
        n_pictures=len(pictures or {}),
        most_groups=_MOST_GROUPS,
        settings=settings,
        defences=defences,
        about=[(name, said) for name in ("purpose", "author") if (said := result.provenance.options.get(name))],
        digests=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
        scripts=[Markup(script) for script in scripts],
        # Inside a script element nothing is a tag, and only `<` can end it.
        data=Markup(json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")),
    )


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed, as the renderer's package carries them."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _charts(result: AuditResult, rows: Rows, leading: str | None) -> dict[str, Any]:
    """Each chart as Vega-Lite draws it in a browser, where it tells the numbers under the pointer."""
    from altair.utils.schemapi import debug_mode

    from vestige.report.charts import CONFIG

    named = best_of_each_access(result, rows)
    found = {}
    with debug_mode(False):
        for name, draw in charts_of(result, rows, leading, named).items():
            spec = draw().configure(**CONFIG, mark={"tooltip": {"content": "data"}}).to_dict(validate=False)
            del spec["$schema"]  # the page has the version that the renderer has
            found[name] = _rounded(spec)
    return found


def _rounded(value: Any) -> Any:
    """Numbers with the digits that a picture of this size can show."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return _short(value) if isinstance(value, float) else value


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _records(members: pd.DataFrame, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """Columns and rows of the records most at risk; text stays text, numbers have the digits of `vestige records`."""
    top = members.head(MOST)
    kinds = {name: pd.api.types.is_float_dtype(top[name]) for name in top}
    columns = [
        [_short(value) for value in top[name].tolist()] if is_number else top[name].astype(str).tolist()
        for name, is_number in kinds.items()
    ]
    uris = {name: f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for name, jpeg in pictures.items()}
    return {
        "columns": [str(name) for name in kinds],
        "numbers": list(kinds.values()),
        "rows": [list(row) for row in zip(*columns, strict=True)],
        "pictures": uris,
    }


def _curve(members: pd.DataFrame) -> list[tuple[int, float | None]]:
    """How many members score at least so much, and how right such a naming is: at so many members as can be drawn."""
    scores = members["score"].to_numpy()
    ends = [*(scores[1:] != scores[:-1]).nonzero()[0].tolist(), len(scores) - 1]  # who score alike come together
    step = max(1, math.ceil(len(ends) / _POINTS))
    kept = sorted({*ends[::step], ends[-1]})
    precision = members["precision"].to_numpy()
    return [(place + 1, _short(float(precision[place]))) for place in kept]


def _attacks(rows: Rows, fprs: Sequence[str]) -> list[tuple[str, list[_Number]]]:
    names = ["worst", *rows.attacks]
    return [(wording.attack(name), _cells(rows, name, "all", fprs)) for name in names if rows.get(name, "roc", "auc")]


def _groups(rows: Rows, attack: str | None, fprs: Sequence[str]) -> list[dict[str, Any]]:
    """Area and rates of each class and group, the largest area first; small ones stay hidden here too."""
    found = []
    for title, names in (("Class", rows.classes), ("Group", rows.groups)):
        if names and attack:
            order = rows.worst_first(names, attack, _MOST_GROUPS)
            lines = [(wording.group(name), _cells(rows, attack, name, fprs)) for name in order]
            found.append({"title": title, "lines": lines, "total": len(names)})
    return found


def _cells(rows: Rows, attack: str, group: str, fprs: Sequence[str]) -> list[_Number]:
    cells = [rows.get(attack, "roc", metric, group) for metric in ("auc", *(f"tpr_at_fpr_{fpr}" for fpr in fprs))]
    first = cells[0] or Cell()
    sizes = [] if group == "all" else [first.n_members, first.n_nonmembers]
    counts = [_Number(wording.count(n), n) for n in sizes]
    return [_number(cell, is_area=place == 0) for place, cell in enumerate(cells)] + counts


def _number(cell: Cell | None, *, is_area: bool) -> _Number:
    if cell is None or not (cell.is_ok or cell.status == Status.NOT_RESOLVABLE):
        hidden = cell is not None and cell.status == Status.SUPPRESSED
        return _Number(wording.HIDDEN if hidden else wording.DASH, None)
    main = wording.area(cell.value) if is_area else wording.percent(cell.value)
    bounds = wording.area_bounds(cell) if is_area else wording.percent_bounds(cell)
    shown = bounds if cell.is_ok else wording.needed(cell)
    return _Number(main, cell.value, shown, title=cell.definition, grey=not cell.is_ok)

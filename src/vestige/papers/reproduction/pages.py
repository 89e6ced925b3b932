"""A page per paper, in Markdown: published beside measured, verdicts on the claims, and what was read from them."""

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vestige.papers.reproduction.figures import picture_of, split, table_of
from vestige.papers.reproduction.row import Paper, Row, Scale
from vestige.papers.reproduction.running import judged, make_folder, read_result
from vestige.papers.reproduction.verdicts import Verdict
from vestige.report.files import replacing
from vestige.report.renderer import NotDrawn

_HEAD = """# {paper}: published beside measured

Written by `vestige reproduce`. Every number is the mean of independent trials: new records and new training in each.
*Inside* says whether the published number lies in the 95 % prediction interval for as many runs as were published. A
claim holds if the whole 95 % interval of its difference agrees; it is contradicted only if two sets of five trials or
more both say so after Holm's correction over all claims of the paper. What is inconsistent in the paper itself gets no
verdict.
"""


def write_pages(papers: Sequence[Paper], rows: Sequence[Row], results: Path, folder: Path) -> list[Path]:
    """Write pages of papers with their pictures, in a folder of their own.

    Args:
        papers: Whose pages.
        rows: All rows.
        results: Folder of results.
        folder: Where the pages are written; pictures in a folder per paper.

    Returns:
        Path of each page.

    Raises:
        OutputError: Something cannot be written.
    """
    for row in rows:
        if row.paper in papers and (results / row.place).exists():
            _, points = split(read_result(results / row.place)["numbers"])
            if not points:
                continue
            with suppress(NotDrawn):  # its numbers stand in the page
                _written(picture_of(row, points), folder / picture_place(row))
    return [_written(page_of(paper, rows, results), folder / f"{paper}.md") for paper in papers]


def picture_place(row: Row) -> str:
    """Path of the picture of a figure, below the folder of its page."""
    return f"{row.paper}/{row.item}-{row.data}.svg"


def _written(text: str, path: Path) -> Path:
    make_folder(path.parent)
    with replacing(path) as file:
        file.write(text.encode())
    return path


def page_of(paper: Paper, rows: Sequence[Row], folder: Path) -> str:
    """Return the page of a paper from the results in a folder."""
    mine = [row for row in rows if row.paper is paper]
    run = [row for row in mine if (folder / row.place).exists()]
    results = [read_result(folder / row.place) for row in run]
    claims = judged(run, results)
    readings = _readings(folder / paper)
    parts = [_HEAD.format(paper=paper.words), *_glance(run, results, claims)]
    for row, result, judgements in zip(run, results, claims, strict=True):
        parts.append(_section(row, result, judgements, readings.get(f"{row.item}-{row.data}", "")))
    left = [row for row in mine if row not in run]
    if left:
        parts.append("## Not run here\n\n| row | data | what | why |\n| --- | --- | --- | --- |")
        parts[-1] += "".join(f"\n| {row.name} | {row.data} | {row.title} | {_why(row)} |" for row in left)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _why(row: Row) -> str:
    """Why a page has no result of a row; the same on every machine, whatever data it has."""
    if row.gpu_hours:
        return f"about {row.gpu_hours:g} hours of a GPU"
    return f"about {row.n_trials * row.seconds / 3600:.1f} core-hours" if row.seconds else "not measured how long"


def _readings(folder: Path) -> Mapping[str, str]:
    """What somebody wrote about results in `readings.toml` beside them: item and data -> a paragraph."""
    path = folder / "readings.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _glance(
    rows: Sequence[Row], results: Sequence[Mapping[str, Any]], claims: Sequence[Sequence[Any]]
) -> Sequence[str]:
    """All rows in one table: how many published numbers lie inside, and how many claims have which verdict."""
    verdicts = [Verdict.HOLDS, Verdict.CONTRADICTED, Verdict.UNDECIDED, Verdict.NOT_COMPARABLE]
    lines = [f"| row | data | trials | inside | {' | '.join(verdicts)} |", "| --- | --- | --- | --- |" + " --- |" * 4]
    judged_ones = [one for one in zip(rows, results, claims, strict=True) if one[1]["scale"] != Scale.SMOKE]
    for row, result, judgements in judged_ones:
        comparable = [one for one in result["numbers"] if "inconsistent" not in one]
        inside = [one["is_inside"] for one in comparable if one.get("is_inside") is not None]
        of_all = f"{sum(inside)} of {len(inside)}" if inside else ""
        found = [told.verdict for _, told, _ in judgements]
        counts = " | ".join(str(found.count(verdict) or "") for verdict in verdicts)
        lines.append(f"| {row.item} | {row.data} | {result['n_trials']} | {of_all} | {counts} |")
    return ["## At a glance\n\n" + "\n".join(lines)] if judged_ones else []


def _section(row: Row, result: Mapping[str, Any], claims: Sequence[Any], reading: str) -> str:
    scale = result["scale"]
    cost = f"{result['seconds']:.0f} s of one core" if result["seconds"] else "shared with another row"
    lines = [
        f"## {row.item} on {row.data}: {row.title}",
        f"{result['n_trials']} trials at the scale {scale}, {cost}.",
    ]
    if scale == Scale.SMOKE:
        lines.append("This scale shows that the row runs; its numbers say nothing.")
    numbers, points = split(result["numbers"])
    if numbers:
        lines.append(_numbers(numbers))
    if points:
        lines += [f"![{row.item} on {row.data}]({picture_place(row)})", table_of(points)]
    if claims and scale != Scale.SMOKE:
        lines.append(_claims(claims))
    lines += [reading.strip()] if reading else []
    lines += ["\n".join(f"- {deviation[0].upper()}{deviation[1:]}." for deviation in result["deviations"])]
    return "\n\n".join(lines)


def _numbers(numbers: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| number | measured | published | inside |", "| --- | --- | --- | --- |"]
    for one in numbers:
        within = f" [{_short(one['lower'])}, {_short(one['upper'])}]" if "lower" in one else ""
        published = _short(one["published"]) if "published" in one else ""
        inside = {True: "yes", False: "no", None: ""}[one.get("is_inside")]
        inside = f"not comparable: {one['inconsistent']}" if "inconsistent" in one else inside
        lines.append(f"| {one['name']} | {_short(one['value'])}{within} | {published} | {inside} |")
    return "\n".join(lines)


def _claims(claims: Sequence[Any]) -> str:
    lines = ["| claim | difference | verdict |", "| --- | --- | --- |"]
    for words, told, difference in claims:
        why = f": {told.why}" if told.why and told.verdict is not Verdict.HOLDS else ""
        within = f"{difference.value:+.3f} [{difference.lower:+.3f}, {difference.upper:+.3f}]"
        lines.append(f"| {words} | {within} | {told.verdict}{why} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:.3f}"

"""The pages of the papers in `docs/reproduction` are those of the stored results.

`python -m tests.papers.reproduction.test_pages` writes them anew.
"""

import json
import re
import tomllib
from pathlib import Path
from statistics import fmean

import pytest

from vestige.papers.reproduction.pages import page_of, picture_place, write_pages
from vestige.papers.reproduction.row import Paper
from vestige.papers.reproduction.rows import ROWS

ROOT = Path(__file__).parents[3]
PAGES, RESULTS, README = ROOT / "docs" / "reproduction", ROOT / "results", ROOT / "README.md"


@pytest.mark.parametrize("paper", Paper)
def test_a_page_is_current(paper):
    assert (PAGES / f"{paper}.md").read_text(encoding="utf-8") == page_of(paper, ROWS, RESULTS)


@pytest.mark.parametrize("paper", Paper)
def test_pictures_are_those_of_figures(paper):
    there = {path.relative_to(PAGES).as_posix() for path in (PAGES / paper).glob("*.svg")}
    named = {picture_place(row) for row in ROWS if picture_place(row) in page_of(paper, ROWS, RESULTS)}
    assert there == named


@pytest.mark.parametrize("paper", Paper)
def test_numbers_of_a_reading_are_those_of_its_result(paper):
    """As the page has them: means of trials, published numbers, and differences of claims with their bounds."""
    path = RESULTS / paper / "readings.toml"
    readings = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    page = page_of(paper, ROWS, RESULTS)
    for place, reading in readings.items():
        item, data = next(
            (row.item, row.data) for row in ROWS if row.paper is paper and row.place.endswith(f"/{place}.json")
        )
        start = page.index(f"## {item} on {data}:")
        section = page[start : page.find("\n## ", start)].replace(reading.strip(), "")
        trials = json.loads((RESULTS / paper / f"{place}.json").read_text())["trials"]
        means = [fmean(trial["measured"][name] for trial in trials) for name in trials[0]["measured"]]
        there = set(re.findall(r"\.\d{3}\b", section)) | {f"{mean:.3f}"[1:] for mean in means}
        assert set(re.findall(r"(?<!\d)\.\d{3}\b", reading)) <= there, place


def short_table() -> str:
    """The sums of the first table of each page, for the README."""
    lines = [
        "| paper | rows run | published numbers inside | claims that hold | contradicted | undecided |",
        "|---|---|---|---|---|---|",
    ]
    for paper in Paper:
        _, _, glance = page_of(paper, ROWS, RESULTS).partition("## At a glance\n\n")
        rows = [line.split(" | ") for line in glance.partition("\n\n")[0].splitlines()[2:]]
        if rows:
            inside = [sum(map(int, end)) for end in zip(*(row[3].split(" of ") for row in rows if row[3]), strict=True)]
            counts = [sum(int(row[n] or 0) for row in rows) for n in (4, 5, 6)]
            link = f"[{paper.words}](docs/reproduction/{paper}.md)"
            of_all = f"{inside[0]} of {inside[1]}" if inside else ""
            lines.append(f"| {link} | {len(rows)} | {of_all} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"


def test_the_short_table_of_the_readme_is_current():
    assert short_table() in README.read_text(encoding="utf-8")


def main() -> None:
    write_pages(list(Paper), ROWS, RESULTS, PAGES)
    table = short_table()
    before, found, rest = README.read_text(encoding="utf-8").partition(table.splitlines()[0])
    assert found, "the README has no such table"
    after = rest.partition("\n\n")[2]
    README.write_text(f"{before}{table}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

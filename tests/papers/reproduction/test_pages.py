"""The pages of the papers in `docs/reproduction` are those of the stored results.

`python -m tests.papers.reproduction.test_pages` writes them anew.
"""

from pathlib import Path

import pytest

from vestige.papers.reproduction.pages import page_of, picture_place, write_pages
from vestige.papers.reproduction.row import Paper
from vestige.papers.reproduction.rows import ROWS

ROOT = Path(__file__).parents[3]
PAGES, RESULTS = ROOT / "docs" / "reproduction", ROOT / "results"


@pytest.mark.parametrize("paper", Paper)
def test_a_page_is_current(paper):
    assert (PAGES / f"{paper}.md").read_text(encoding="utf-8") == page_of(paper, ROWS, RESULTS)


@pytest.mark.parametrize("paper", Paper)
def test_pictures_are_those_of_figures(paper):
    there = {path.relative_to(PAGES).as_posix() for path in (PAGES / paper).glob("*.svg")}
    named = {picture_place(row) for row in ROWS if picture_place(row) in page_of(paper, ROWS, RESULTS)}
    assert there == named


def main() -> None:
    write_pages(list(Paper), ROWS, RESULTS, PAGES)


if __name__ == "__main__":
    main()

"""The pages of the papers in `docs/reproduction` are those of the stored results.

`python -m tests.papers.reproduction.test_pages` writes them anew.
"""

from pathlib import Path

import pytest

from vestige.papers.reproduction.pages import page_of
from vestige.papers.reproduction.row import Paper
from vestige.papers.reproduction.rows import ROWS

ROOT = Path(__file__).parents[3]
PAGES, RESULTS = ROOT / "docs" / "reproduction", ROOT / "results"


@pytest.mark.parametrize("paper", Paper)
def test_a_page_is_current(paper):
    assert (PAGES / f"{paper}.md").read_text(encoding="utf-8") == page_of(paper, ROWS, RESULTS)


def main() -> None:
    PAGES.mkdir(exist_ok=True)
    for paper in Paper:
        (PAGES / f"{paper}.md").write_text(page_of(paper, ROWS, RESULTS), encoding="utf-8")


if __name__ == "__main__":
    main()

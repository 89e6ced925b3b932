"""The code of the pages in `docs` runs as it stands there, on the files of `examples/clinic`.

A block of Python is executed, one with a title is written into a file of that name, and of a block of sh the lines that
begin with `vestige` are run. Blocks of a page share a folder and their names. A comment before a block says what is
special: `<!-- exit code 3 -->`, or `<!-- not run: why -->`, and those are counted here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.docs.running import blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOT_TEACHING = {"design.md", "defences.md", "experiments.md", "power.md"}
"""The design, whose code is a sketch, and pages that a study has written."""
RUNNABLE = re.compile(r"^```(python|sh|console)", re.MULTILINE)
PAGES = sorted(
    str(p.relative_to(DOCS))
    for p in DOCS.rglob("*.md")
    if RUNNABLE.search(p.read_text()) and p.name not in NOT_TEACHING
)
NOT_RUN = {
    "defend.md": 1,
    "reproduce.md": 1,
    "your-own-model/models.md": 1,
    "your-own-model/shadow-models.md": 1,
}
"""How many blocks of a page are marked so: minutes of work, a data set, or an address where nobody answers."""

QUOTED = {"tutorial.md": ["demo"], "reading-the-report.md": ["leak", "confounded", "limited", "undecided", "no-leak"]}
"""Runs whose finding a page quotes."""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clinic")
    shutil.copy(ROOT / "examples" / "clinic" / "clinic.py", folder)
    subprocess.run([sys.executable, "clinic.py"], cwd=folder, check=True)
    asked = ["audit", "predictions.csv", "--out", "audited/runs/clinic", "-q"]
    subprocess.run([sys.executable, "-m", "vestige", *asked], cwd=folder, check=True)
    return Path(folder)


@pytest.fixture(scope="module")
def run_page(clinic) -> Iterator[Callable[[str, Path], str]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "VESTIGE_BANK": str(clinic / "bank"), "TERM": "dumb"}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("running.py"))], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        def running(page: str, folder: Path) -> str:
            shutil.copytree(clinic, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("bank", "audited"))
            if "--out runs/clinic" not in (DOCS / page).read_text():  # it speaks of a run that is there
                shutil.copytree(clinic / "audited", folder, dirs_exist_ok=True)
            print(json.dumps([str(DOCS / page), str(folder)]), file=process.stdin, flush=True)
            return str(json.loads(process.stdout.readline()))  # type: ignore[union-attr]

        yield running
        process.stdin.close()


def test_blocks_are_read_with_their_marks():
    text = '<!-- exit code 3 -->\n```sh\nvestige gate\n```\n\n```toml title="a.toml"\n[data]\n```\n'
    assert blocks(text) == [("exit code 3", "sh", "", "vestige gate\n"), ("", "toml", "a.toml", "[data]\n")]


def test_the_blocks_that_are_not_run_are_known():
    marks = {page: [mark for mark, *_ in blocks((DOCS / page).read_text())] for page in PAGES}
    counted = {page: sum(mark.startswith("not run: ") for mark in of_page) for page, of_page in marks.items()}
    assert {page: n for page, n in counted.items() if n} == NOT_RUN


@pytest.mark.parametrize("page", [*PAGES, "notebooks/first-audit.ipynb"])
def test_the_code_of_a_page_runs(page, run_page, tmp_path):
    said = run_page(page, tmp_path)
    assert not said, said
    for run in QUOTED.get(page, []):
        sentence = json.loads((tmp_path / "runs" / run / "report.json").read_text())["finding"]["sentence"]
        assert sentence.split(";")[0] in " ".join((DOCS / page).read_text().split())

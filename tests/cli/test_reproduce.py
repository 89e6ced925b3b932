"""`vestige reproduce` as users run it, on a small file in the published layout."""

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vestige.cli import app
from vestige.core.errors import InputError
from vestige.papers.reproduction.rows import ROWS


@pytest.fixture(autouse=True)
def hepatitis(tmp_path, monkeypatch):
    """155 random records as UCI has them, whose numbers stand beside nothing."""
    rng = np.random.default_rng(0)
    place = tmp_path / "data" / "uci"
    place.mkdir(parents=True)
    rows: list[list[Any]] = [
        [*rng.integers(1, 3, 1), 40, *rng.integers(1, 3, 12), 0.9, 85, 42, 3.9, *rng.integers(20, 90, 1), 1]
        for _ in range(155)
    ]
    rows[0][17] = "?"  # a missing value
    (place / "hepatitis.data").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    monkeypatch.setenv("VESTIGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VESTIGE_BANK", str(tmp_path / "bank"))


def run(*arguments):
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def test_the_list_names_every_row_and_what_it_needs():
    lines = run("--list").stdout.splitlines()
    assert len(lines) == 1 + len(ROWS)
    states = {tuple(line.split("\t")[:2]): line.split("\t")[-1] for line in lines[1:]}
    assert states["watson2022-table2", "hepatitis-watson"] == "runs here"
    assert states["watson2022-table2", "adult-watson"] == "needs data: adult-watson, in the folder VESTIGE_DATA"
    assert states["watson2022-figure6", "cifar10-jpeg"] == "needs data: cifar10-jpeg, in the folder VESTIGE_DATA"


def test_a_row_runs_on_a_small_file_and_goes_on(tmp_path):
    out = tmp_path / "results"
    asked = ("watson2022-table2", "--data", "hepatitis", "--scale", "smoke", "--out", out, "--quiet")
    assert run(*asked).exit_code == 0
    stored = out / "watson2022" / "table2-hepatitis-watson.json"
    first = json.loads(stored.read_text())
    assert [trial["seed"] for trial in first["trials"]] == [0, 1]
    assert "its numbers say nothing" in (out / "watson2022.md").read_text()
    again = run(*asked[:-1])
    assert again.stdout == f"Page: {out / 'watson2022.md'}\n"
    assert json.loads(stored.read_text())["trials"] == first["trials"]  # not run again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("watson2022-table9",), "Expected the name of a row, found watson2022-table9; you may mean"),
        (("--paper", "watson2021"), "Expected the name of a paper, found watson2021; you may mean watson2022"),
        (("watson2022-table2", "--data", "iris"), "Expected one of the data sets german-credit-watson, hepatitis-wats"),
        (("watson2022-figure6",), "Expected a row that runs here, found watson2022-figure6: needs data: cifar10"),
        (("watson2022-table2", "--data", "adult"), "found watson2022-table2: needs data: adult-watson, in the folder"),
        (("watson2022-table2", "--scale", "night"), "Expected one of smoke, laptop, paper as the scale, found 'night'"),
        ((), "Expected a row or a paper to run, found none; see vestige reproduce --list"),
    ],
)
def test_bad_input_is_one_line(arguments, said):
    found = run(*arguments).exception
    assert isinstance(found, InputError)
    assert said in str(found)
    assert "\n" not in str(found)

"""No cell of `results.csv` is a formula for a spreadsheet, and what stands in it can be read back."""

import csv

import numpy as np
import pandas as pd
import pytest

from vestige import Options, Predictions, audit
from vestige.core.outputs import Loss
from vestige.report.tables import cell_of_text, text_of_cell

BEGINNINGS = ["=", "+", "-", "@", "\t=", "\r=", "\t", "\r", " =", "\n+", "\uff1d"]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_names_cannot_begin_a_cell_with_a_formula(tmp_path, beginning):
    rng = np.random.default_rng(0)
    ward = np.arange(80) % 2
    groups = {f"{beginning}cmd|' /C calc'!A0": ward, "'ward'": ward, "x": np.array([f"{beginning}a", "b"])[ward]}
    predictions = Predictions(Loss(rng.random(80)), np.arange(80) % 2, np.arange(80) < 40, groups=groups)
    audit(predictions, options=Options(name=f"{beginning}1+1"), run=tmp_path / "run")
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name, cell in row.items():
            is_number = name in ("value", "lower", "upper")
            assert is_number or cell.lstrip(" \n\t\r")[:1] not in ("=", "+", "-", "@", "\uff1d")
            assert cell[:1] not in ("\t", "\r", "\n")
    parquet = pd.read_parquet(tmp_path / "run" / "results.parquet")
    for name in ("group", "target", "definition", "attack"):
        assert [text_of_cell(row[name]) for row in rows] == parquet[name].tolist()


@pytest.mark.parametrize("text", ["", "a", "'", "''=", "=1", "-", "'=1", "a=1", " a", "1"])
def test_every_text_is_read_back(text):
    assert text_of_cell(cell_of_text(text)) == text
    assert cell_of_text(text)[:1] not in ("=", "-")

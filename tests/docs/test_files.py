"""The columns in `docs/files.md` are those of real files: none is missing, and none is there no more."""

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.tree import DecisionTreeClassifier

import vestige
from vestige.core.result import RESULT_DTYPES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "files.md").read_text()
SECTIONS = {part.split("\n", 1)[0]: part for part in PAGE.split("\n## ")[1:]}
ATTACKS = ["loss", "modified_entropy", "attack_r"]


def first_cells(section: str) -> list[str]:
    """The names in the first column of a section's table."""
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that has every file but `failures.json`."""
    folder = tmp_path_factory.mktemp("files")
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(160, 3)), draw.integers(2, size=160)
    people, ward = np.arange(160) // 2, np.where(draw.random(160) < 0.5, "east", "west")
    tree = DecisionTreeClassifier(random_state=0).fit(x[:80], y[:80])
    sides = [vestige.Records(x[s], y[s], ids=np.arange(160)[s], subjects=people[s], groups={"ward": ward[s]})
             for s in (slice(80), slice(80, 160))]  # fmt: skip
    training = vestige.ShadowTraining("same", n_models=8, bank=folder / "bank")
    vestige.audit(tree, *sides, adversary=training, attacks=ATTACKS, run=folder / "run")
    return Path(folder, "run")


def test_every_file_of_a_run_has_a_row_and_every_table_a_section(run):
    overview = first_cells(PAGE.split("\n## ")[0])
    assert {path.name for path in run.iterdir()} == {*overview} - {"failures.json"}
    assert {*SECTIONS} <= {*overview}


@pytest.mark.parametrize("name", ["results.parquet", "records.parquet", "targets.parquet"])
def test_the_columns_of_a_table(run, name):
    found = [column for column in pq.read_schema(run / name).names if column not in {*ATTACKS, "ward"}]
    assert sorted(first_cells(SECTIONS[name])) == sorted(found)


def test_the_columns_of_the_results_stand_in_their_order():
    assert first_cells(SECTIONS["results.parquet"]) == list(RESULT_DTYPES)


@pytest.mark.parametrize("name", ["report.json", "manifest.json", "shadows.json"])
def test_the_names_at_the_top_of_a_json_file(run, name):
    assert sorted(first_cells(SECTIONS[name])) == sorted(json.loads((run / name).read_text()))


def test_the_tables_of_the_ledger(run):
    with sqlite3.connect(run / "queries.sqlite") as ledger:
        tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: [row[1] for row in ledger.execute(f"PRAGMA table_info({name})")] for name in tables}
    ledger.close()
    rows = [line.split("|")[1:3] for line in SECTIONS["queries.sqlite"].splitlines() if line.startswith("| `")]
    assert {name.strip(" `"): re.findall(r"`([^`]+)`", cells) for name, cells in rows} == columns


def test_the_arrays_of_the_signals(run):
    found = {path.name for path in (run / "signals.zarr").iterdir() if path.is_dir()}
    section = SECTIONS["signals.zarr"]
    assert {*first_cells(section)} == found


def test_disclosive_files_can_be_read_by_their_owner_alone(run):
    rows = [line.split("|") for line in PAGE.split("\n## ")[0].splitlines() if line.startswith("| `")]
    for row in rows:
        for name in re.findall(r"`([^`]+)`", row[1]):
            if (run / name).exists() and "yes" in row[3] and name != "shadows.json":
                assert (run / name).stat().st_mode & 0o077 == 0, name

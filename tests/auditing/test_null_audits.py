"""Audits without a leak say LEAK SHOWN at most as often as they promise, whatever the design."""

import json

import pytest
from tests.auditing.null_study import BAR, DESIGNS, N_DRAWS, RESULTS, outcome, upper

from vestige.core.result import FindingState

STORED = {row["design"]: row for row in json.loads(RESULTS.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("design", DESIGNS)
def test_the_stored_study_keeps_the_bar(design):
    row = STORED[design]
    assert row["draws"] >= N_DRAWS
    assert row["upper_95"] == pytest.approx(upper(row["leak_shown"], row["draws"]), abs=1e-4)
    assert row["upper_95"] <= BAR


@pytest.mark.parametrize("design", ["people, 1-3 against 10-20", "people, 2-6 against 1-3, maximum"])
def test_unequal_numbers_of_records_are_no_leak(design):
    """Before numbers of records were compared, nearly all of these audits showed a leak."""
    found = [outcome(design, seed)[0] for seed in range(12)]
    assert found.count(FindingState.LEAK_SHOWN) <= 2


@pytest.mark.parametrize("design", DESIGNS)
def test_what_the_study_leaves_out_changes_no_finding(design):
    assert outcome(design, 3)[0] == outcome(design, 3, whole=True)[0]

"""Over all checks together an honest random split is flagged in at most 5 % of cases."""

import json
from math import sqrt

import pytest
from scipy.stats import binom
from tests.evaluation.preflight.false_alarms_study import (
    RESULTS,
    RESULTS_OF_TABLES,
    false_alarms,
    false_alarms_of_tables,
    upper_bound,
)

BAR = 0.05


def most(draws: int) -> float:
    """Flagged draws that checks at the bar exceed in one of 10,000 studies."""
    return float(binom.ppf(1 - 1e-4, draws, BAR))


@pytest.mark.parametrize(
    ("n_units", "with_subjects", "draws"),
    [
        *[(50, False, 30), (500, False, 12), (50, True, 12)],
        *[pytest.param(*long, marks=pytest.mark.slow) for long in ((50, False, 120), (500, False, 50), (50, True, 50))],
    ],
)
def test_a_quick_look(n_units, with_subjects, draws):
    """A check that flags a third of all splits is found; the stored study holds the rate to the bar."""
    row = false_alarms(n_units, with_subjects, draws, seed=2026)
    assert row["flagged"] <= most(draws)


def test_the_stored_study_keeps_the_bar():
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert {(r["n"], r["unit"]) for r in rows} == {(n, u) for n in (50, 500, 5000) for u in ("record", "subject")}
    for row in rows:
        assert row["draws"] >= 200
        assert row["rate"] == row["flagged"] / row["draws"] <= BAR, row
        assert row["upper_95"] == pytest.approx(upper_bound(row["flagged"], row["draws"]), abs=1e-5)


def test_a_quick_look_at_tables():
    row = false_alarms_of_tables(0, 15, seed=2026)
    assert row["flagged"] <= most(15)


def test_the_stored_study_of_tables_keeps_the_bar():
    row = json.loads(RESULTS_OF_TABLES.read_text(encoding="utf-8"))
    assert row["draws"] >= 5000
    assert row["flagged"] == sum(row["flagged_per_table"].values())
    assert upper_bound(row["flagged"], row["draws"]) <= 0.06


def test_no_single_check_is_worse_than_its_level():
    for row in json.loads(RESULTS.read_text(encoding="utf-8")):
        for check, flagged in row["flagged_per_check"].items():
            assert flagged / row["draws"] <= 0.01 + 3 * sqrt(0.01 / row["draws"]), (check, row)


def test_the_upper_bound():
    assert upper_bound(0, 100) == pytest.approx(0.0295, abs=1e-4)
    assert upper_bound(3, 3) == 1.0

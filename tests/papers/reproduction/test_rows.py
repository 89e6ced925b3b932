"""The rows of the papers: nothing of them is left out of the list, and those that can run here do."""

import math

import pytest

from vestige.data.sets.named import load
from vestige.papers.reproduction.row import Paper, Row, Scale
from vestige.papers.reproduction.rows import ROWS

ITEMS = {
    Paper.SONG_MITTAL: [
        *(f"table{i}" for i in range(1, 7)),
        *(f"figure{i}" for i in range(1, 10)),
        *(f"appendix-{letter}" for letter in "abcd"),
        "section-2.3",
    ],
    Paper.CARLINI: ["headline", "demo", "figure12", "figure13", "conclusion"],
    Paper.CHOQUETTE_CHOO: [
        *(f"table{i}" for i in range(1, 4)),
        *(f"figure{i}" for i in range(1, 12)),
        *("appendix-d", "appendix-e", "section-5.5"),
    ],
    Paper.WATSON: [
        *(f"table{i}" for i in range(1, 5)),
        *("table2-augmented", "table3-augmented"),
        *(f"figure{i}" for i in range(1, 7)),
    ],
}
"""Every table and figure with numbers of the papers."""

IN_SECONDS = ("german-credit-watson", "hepatitis-watson")
AT_LENGTH = ("location30", "adult-choquette-choo", "mnist")
"""Data sets whose rows run in seconds, and those whose rows take minutes together."""


@pytest.mark.parametrize("paper", Paper)
def test_every_table_and_figure_is_listed(paper):
    assert {row.item for row in ROWS if row.paper is paper} == set(ITEMS[paper])


def test_a_row_is_one_item_on_one_data_set():
    assert len({(row.name, row.data) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.data}")
def test_claims_and_exceptions_are_about_numbers_of_the_row(row: Row):
    published = row.published or {}
    assert published or row.claims  # a figure's numbers can only be read off a picture
    assert all(0 <= value <= 1 for value in published.values())
    assert set(row.inconsistent or {}) <= set(published)
    for claim in row.claims:  # no claim is put into a paper's mouth that its own numbers deny
        if {claim.better, claim.other} <= set(published):
            difference = published[claim.better] - published[claim.other]
            assert round(difference, 4) >= claim.relation.limits[0], claim


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=f"{row.name}-{row.data}", marks=[pytest.mark.slow] if row.data in AT_LENGTH else [])
        for row in ROWS
        if row.is_at_hand and row.data in IN_SECONDS + AT_LENGTH
    ],
)
def test_a_row_runs_at_the_scale_smoke_and_measures_what_was_published(row: Row, tmp_path, monkeypatch):
    monkeypatch.setenv("VESTIGE_BANK", str(tmp_path))
    measured = row.trial(load(row.data), Scale.SMOKE, 1)
    claimed = {name for claim in row.claims for name in (claim.better, claim.other)}
    assert {*(row.published or {}), *claimed} <= set(measured)
    assert all(map(math.isfinite, measured.values()))
    assert all(0 <= measured[name] <= 1 for name in row.published or {})

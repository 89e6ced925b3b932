"""Every interval covers what it says, is no wider than it must be, and the stored study says so."""

import json
from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm
from tests.evaluation.coverage_study import (
    COVERAGE_BAR,
    FEWEST_EVENTS,
    LEVEL,
    RATIO_BAR,
    RATIO_BAR_WITH_TIES,
    RESULTS,
    Scenario,
    all_scenarios,
    study,
    truth,
)

STORED = json.loads(RESULTS.read_text(encoding="utf-8"))
QUICK = [
    Scenario("null", (0.0,), 200, 200),
    Scenario("d' = 2", (2.0,), 200, 200),
    Scenario("ties", (1.0,), 200, 200, step=0.25),
    Scenario("right or wrong", (0.0,), 200, 200, fprs=(), right=(0.8, 0.6)),
    Scenario("near 1", (4.0,), 1000, 1000),
    Scenario("subjects", (1.0,), 200, 200, records=5),
    Scenario("six attacks", (0.0,) * 6, 100, 100),
    Scenario("ties at the wanted rate", (1.0,), 1000, 1000, (0.1,), 1, 1.0, 0.1, None, False, False),
    Scenario("ties above the wanted rate", (1.0,), 1000, 1000, (0.1,), 1, 1.0, 0.102, None, False, False),
    Scenario("few members, right or wrong", (0.0,), 20, 180, (), right=(0.1, 0.1)),
    Scenario("few members, AUC near 1", (3.0,), 10, 1000, (), at_threshold=False),
]


def label(row):
    return " ".join(str(row[k]) for k in ("scenario", "unit", "n_members", "n_nonmembers", "metric"))


@pytest.mark.parametrize("row", STORED["rows"], ids=label)
def test_the_stored_study_keeps_the_bars(row):
    assert row["draws"] >= 5000
    low, high = COVERAGE_BAR
    if row["degenerate"]:
        assert row["reason"]
        assert row["metric"] != "auc" or row["coverage"] >= low
        return
    assert row["coverage"] >= low
    if row["attacks"] == 1:
        assert row["coverage"] <= high
        assert row["ratio"] <= row["ratio_bar"] <= RATIO_BAR_WITH_TIES
        assert row["ratio_bar"] == RATIO_BAR or "rounded" in row["scenario"] or "ties of" in row["scenario"]
    assert row["holds"]
    assert row["coverage"] + row["interval_below"] + row["interval_above"] == pytest.approx(1, abs=2e-4)
    if row["attacks"] == 1:
        assert row["ratio"] == pytest.approx(row["width"] / row["reference_width"], rel=0.02)


def test_the_stored_study_is_the_whole_one():
    stored = {(r["scenario"], r["unit"], r["n_members"], r["n_nonmembers"], r["attacks"]) for r in STORED["rows"]}
    wanted = set()
    for s in all_scenarios():
        unit = "record" if s.records == 1 else f"subject of {s.records} records"
        wanted.add((s.name, unit, s.n_members, s.n_nonmembers, len(s.shifts)))
    assert stored == wanted
    metrics = {r["metric"] for r in STORED["rows"]}
    assert {f"tpr_at_fpr_{f}" for f in ("0.1", "0.01", "0.001")} | {
        "auc",
        "balanced_accuracy",
        "recall",
        "fpr",
    } <= metrics
    assert {f"precision_at_prior_{p}" for p in ("0.5", "0.1", "0.01")} | {"precision", "f1"} <= metrics
    assert (STORED["level"], tuple(STORED["coverage_bar"]), STORED["ratio_bar"]) == (LEVEL, COVERAGE_BAR, RATIO_BAR)


def test_only_the_edge_of_the_scale_is_degenerate():
    for row in STORED["rows"]:
        n = row["n_nonmembers"] if row["metric"] == "fpr" else row["n_members"]
        n = min(n, row["n_nonmembers"]) if row["metric"] == "auc" else n
        few = min(row["true"], 1 - row["true"]) * n < FEWEST_EVENTS
        assert row["degenerate"] <= few


@pytest.mark.parametrize("scenario", QUICK, ids=lambda s: s.name)
def test_a_quick_look(scenario):
    draws = 400
    for row in study([scenario], draws, seed=1):
        if row["degenerate"]:
            continue
        low, high = (bar - s * 3 * sqrt(bar * (1 - bar) / draws) for bar, s in zip(COVERAGE_BAR, (1, -1), strict=True))
        assert row["coverage"] >= low, row
        if len(scenario.shifts) == 1:
            assert row["coverage"] <= high, row
            # a 2.5 % point of so many normal draws has a standard error of .13 standard deviations
            tail = sqrt(0.025 * 0.975 / draws) / norm.pdf(1.96)
            assert row["ratio"] <= row["ratio_bar"] * (1 + 3 * sqrt(2) * tail / (2 * 1.96)), row


def test_the_closed_forms_are_true():
    """A large sample of each kind of score agrees with its truth."""
    rng = np.random.default_rng(0)
    for scenario, shift in (
        (Scenario("", (1.0,), 200_000, 200_000, step=0.25), 1.0),
        (Scenario("", (1.0,), 60_000, 60_000, records=5), 1.0),
    ):
        members, nonmembers = next(scenario.draws(shift, 1, rng))
        for metric, estimate in {
            "recall": np.mean(members >= scenario.threshold),
            "fpr": np.mean(nonmembers >= scenario.threshold),
            "auc": np.mean(rng.permutation(members) > nonmembers) + np.mean(members == nonmembers) / 2,
            "balanced_accuracy": (np.mean(members >= 0.5) + np.mean(nonmembers < 0.5)) / 2,
        }.items():
            assert truth(scenario, shift, metric) == pytest.approx(estimate, abs=4 * 0.5 / sqrt(members.size))
        cut = np.sort(nonmembers)[::-1][int(0.1 * nonmembers.size)]
        assert truth(scenario, shift, "tpr_at_fpr_0.1") == pytest.approx(np.mean(members > cut), abs=0.01)


def test_a_row_that_misses_is_told_so():
    """Intervals at half the level are caught: the study can fail."""
    from tests.evaluation.coverage_study import row, simulate

    scenario = Scenario("null", (0.0,), 200, 200)
    triples = simulate(scenario, 0.0, 600, 0.5, np.random.default_rng(0))
    for metric, triple in triples.items():
        assert not row(scenario, metric, truth(scenario, 0.0, metric), triple)["holds"]
    wide = simulate(scenario, 0.0, 600, 0.999, np.random.default_rng(0))
    assert not row(scenario, "auc", 0.5, wide["auc"])["holds"]

"""Rows are run trial by trial, kept, shared where trials are the same, and set beside what was published."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from vestige.core.errors import InputError, OutputError
from vestige.core.records import Records
from vestige.papers.reproduction import row as row_module
from vestige.papers.reproduction import running
from vestige.papers.reproduction.pages import page_of, write_pages
from vestige.papers.reproduction.row import Claim, Paper, Row, Scale
from vestige.papers.reproduction.running import run_row
from vestige.papers.reproduction.verdicts import Relation, Verdict, prediction_of

RECORDS = Records(np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1])


class Counted:
    """A trial that counts its runs, and stops at a seed as a killed process does."""

    def __init__(self, dies_at=None):
        self.seeds, self.dies_at = [], dies_at

    def __call__(self, records, scale, seed):
        if seed == self.dies_at:
            raise KeyboardInterrupt
        self.seeds.append(seed)
        return {"attack": 0.7 + 0.01 * (seed % 3), "gap": 0.6 + 0.01 * (seed % 2), "beside": 1.0}


def row_with(trial, **more):
    claims = (Claim(better="attack", other="gap"), Claim(better="gap", other="attack", relation=Relation.AT_LEAST))
    given = {"published": {"attack": 0.71, "gap": 0.9}, "claims": claims, "deviations": ("records are toys",)} | more
    return Row(paper=Paper.WATSON, item="table9", data="location30", title="toys", trial=trial, **given)


@pytest.fixture(autouse=True)
def at_hand(monkeypatch):
    monkeypatch.setattr(running, "load", lambda name: RECORDS)
    monkeypatch.setattr(row_module.Row, "is_at_hand", True)


def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(tmp_path):
    whole = run_row(row_with(Counted()), Scale.LAPTOP, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        run_row(row_with(Counted(dies_at=3)), Scale.LAPTOP, tmp_path / "b")
    trial = Counted()
    again = run_row(row_with(trial), Scale.LAPTOP, tmp_path / "b")
    assert trial.seeds == [3, 4]
    assert again["numbers"] == whole["numbers"]
    assert json.loads((tmp_path / "b" / row_with(trial).place).read_text()) == again


@pytest.mark.parametrize("changed", ["scale", "records"])
def test_trials_at_another_scale_or_of_other_records_are_not_taken(tmp_path, monkeypatch, changed):
    run_row(row_with(Counted()), Scale.LAPTOP, tmp_path)
    if changed == "records":
        monkeypatch.setattr(running, "load", lambda name: Records(np.asarray(RECORDS.inputs) + 1, RECORDS.labels))
    trial = Counted()
    run_row(row_with(trial), Scale.PAPER if changed == "scale" else Scale.LAPTOP, tmp_path)
    assert trial.seeds == [0, 1, 2, 3, 4]


def test_rows_with_one_trial_share_what_it_measured(tmp_path):
    trial = Counted()
    first = row_with(trial)
    second = replace(first, item="table10")
    run_row(first, Scale.LAPTOP, tmp_path)
    shared = run_row(second, Scale.LAPTOP, tmp_path, rows=(first, second))
    assert len(trial.seeds) == 5
    assert shared["trials"] == json.loads((tmp_path / first.place).read_text())["trials"]
    other = Counted()
    run_row(replace(first, item="table11", trial=other), Scale.LAPTOP, tmp_path, rows=(first, second))
    assert len(other.seeds) == 5


def test_what_was_published_stands_beside_its_prediction_interval(tmp_path):
    found = {one["name"]: one for one in run_row(row_with(Counted()), Scale.LAPTOP, tmp_path)["numbers"]}
    assert set(found) == {"attack", "gap"}  # what was published or claimed, of all that a trial measures
    assert (found["attack"]["is_inside"], found["gap"]["is_inside"]) == (True, False)
    values = [0.7, 0.71, 0.72, 0.7, 0.71]
    half = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * np.sqrt(1 + 1 / 5)
    assert found["attack"]["prediction"] == pytest.approx([np.mean(values) - half, np.mean(values) + half], abs=1e-5)


def test_a_prediction_interval_holds_the_mean_of_other_runs_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for n_published in (1, 5):
        held = 0
        for _ in range(4_000):
            bounds = prediction_of(rng.normal(size=6), n_published)
            held += bounds.lower <= rng.normal(size=n_published).mean() <= bounds.upper
        assert abs(held / 4_000 - 0.95) < 0.012


def test_the_scale_smoke_is_set_beside_nothing_and_judged_by_nothing(tmp_path):
    row = row_with(Counted())
    found = run_row(row, Scale.SMOKE, tmp_path)
    assert found["n_trials"] == 2
    assert not any("published" in one for one in found["numbers"])
    page = page_of(Paper.WATSON, [row], tmp_path)
    assert "say nothing" in page
    assert not any(f"| {verdict}" in page for verdict in Verdict)


def test_a_page_shows_published_beside_measured_claims_and_what_was_not_run(tmp_path):
    row = row_with(Counted(), inconsistent={"gap": "it contradicts Table 3"})
    waiting = replace(row, item="figure9", seconds=36.0, title="more toys")
    run_row(row, Scale.LAPTOP, tmp_path)
    page = write_pages([Paper.WATSON], [row, waiting], tmp_path, tmp_path)[0].read_text()
    assert "| attack | 0.708 [0.698, 0.718] | 0.710 | yes |" in page
    assert "| not comparable: it contradicts Table 3 |" in page
    assert "| attack above gap | +0.104" in page
    assert "| holds |" in page
    assert "| undecided: 5 trials" in page  # five are against it: two sets of five would contradict
    assert "- Records are toys." in page
    assert "| watson2022-figure9 | location30 | more toys | about 0.1 core-hours |" in page


def test_ten_trials_contradict(tmp_path):
    row = row_with(Counted())
    run_row(row, Scale.LAPTOP, tmp_path, n_trials=10)
    assert "| contradicted |" in page_of(Paper.WATSON, [row], tmp_path)


def test_what_is_no_result_is_refused_and_left_alone(tmp_path):
    row = row_with(Counted())
    path = tmp_path / row.place
    path.parent.mkdir(parents=True)
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match=r"result of vestige reproduce in table9-location30\.json, found something"):
        run_row(row, Scale.LAPTOP, tmp_path)
    assert path.read_text() == "[1, 2]"


def test_a_place_that_cannot_be_written_is_said_before_a_trial(tmp_path):
    (tmp_path / "file").write_text("")
    trial = Counted()
    with pytest.raises(OutputError, match="Expected a folder for results"):
        run_row(row_with(trial), Scale.LAPTOP, tmp_path / "file" / "results")
    assert trial.seeds == []

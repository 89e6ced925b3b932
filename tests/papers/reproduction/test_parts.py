"""Rows that share trials: each runs once, and a row keeps what it names."""

import numpy as np
import pytest

from vestige.core.records import Records
from vestige.papers.reproduction.parts import Part
from vestige.papers.reproduction.row import Scale

RECORDS = Records(np.zeros((4, 1)), [0, 1, 0, 1])


class Whole:
    """A trial that remembers its runs."""

    def __init__(self):
        self.runs = []

    def __call__(self, records, scale, seed):
        self.runs.append((records.n_records, scale, seed))
        return {"none: gap": 0.5 + seed, "none: network": 0.6, "risk, none @ 1": 0.7}


@pytest.fixture
def whole():
    return Whole()


def test_a_row_keeps_what_it_names(whole):
    assert Part((whole,), "none: .*")(RECORDS, Scale.SMOKE, 0) == {"none: gap": 0.5, "none: network": 0.6}
    assert Part((whole,), "risk, (none|other) @ .*")(RECORDS, Scale.SMOKE, 0) == {"risk, none @ 1": 0.7}


def test_a_trial_runs_once_for_all_rows_but_anew_for_other_seeds_scales_and_records(whole):
    gap, network = Part((whole,), ".*gap"), Part((whole,), ".*network")
    assert gap(RECORDS, Scale.SMOKE, 0) == {"none: gap": 0.5}
    network(RECORDS, Scale.SMOKE, 0)
    gap(Records(RECORDS.inputs.copy(), RECORDS.labels), Scale.SMOKE, 0)
    assert whole.runs == [(4, Scale.SMOKE, 0)]
    assert gap(RECORDS, Scale.SMOKE, 1) == {"none: gap": 1.5}
    gap(RECORDS, Scale.LAPTOP, 0)
    gap(RECORDS.take([0, 1]), Scale.SMOKE, 0)
    assert len(whole.runs) == 4


def test_numbers_of_several_trials_stand_side_by_side(whole):
    def other(records, scale, seed):
        return {"MemGuard: network": 0.8}

    found = Part((whole, other), ".*: network")(RECORDS, Scale.SMOKE, 0)
    assert found == {"none: network": 0.6, "MemGuard: network": 0.8}

"""Audits that are killed lose nothing; `kill_study` is the whole of it, and what it found is stored."""

import json

import pytest
from tests.auditing.kill_study import STORED, run_all


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predictions", "references", "model", "training", "labels", "recipe"])
def test_audits_that_are_killed_end_as_if_nothing_had_happened(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", "")
    found = run_all(tmp_path, n_kills=4, n_writing=2, names=(name,))
    assert found[name]["SIGKILL"] + found[name]["SIGTERM"] == 4


def test_what_the_study_found_is_stored():
    stored = json.loads(STORED.read_text())
    for kind, found in stored.items():
        assert found["SIGKILL"] == found["SIGTERM"] == 20, kind
        assert found["while writing"] >= 10, kind
        assert found["budget"] is None or found["most asked"] <= found["budget"], kind

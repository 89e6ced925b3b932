"""The stored table of attacks by number of shadow models: complete, consistent, and shown on its page."""

import numpy as np
import pytest
from tests.experiments.power import NEEDED, PAGE, PLAYED, SHADOWS, measured, page, stored
from tests.experiments.shadow_answers import Answers, in_pairs
from tests.experiments.targets_in_turn import METRICS, mean_of

STORED = stored()


def test_the_page_shows_what_is_stored():
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", STORED)
def test_rows_are_whole_and_follow_from_their_pairs(name):
    study = STORED[name]
    expected = {
        (attack, k) for k in SHADOWS if k <= study["n_models"] - 2 for attack in PLAYED if k >= NEEDED.get(attack, 2)
    }
    assert {(row["attack"], row["n_shadows"]) for row in study["rows"]} == expected
    for row in study["rows"]:
        for metric in METRICS:
            assert len(row["of_pairs"][metric]) == study["trials"]
            told = vars(mean_of(row["of_pairs"][metric]))
            assert {k: pytest.approx(v, abs=1e-5) for k, v in told.items()} == row[metric]


@pytest.mark.parametrize("name", ["location30", "adult"])
@pytest.mark.parametrize("n_shadows", [6, 8])
def test_the_learnt_ratio_is_above_every_other_attack_with_as_many_models(name, n_shadows):
    """At 1 % false positives, the whole interval over pairs of targets."""
    rows = {row["attack"]: row for row in STORED[name]["rows"] if row["n_shadows"] == n_shadows}
    ours = rows["learnt_ratio"]["of_pairs"]["tpr_at_fpr_0.01"]
    for other in rows.keys() - {"learnt_ratio"}:
        assert mean_of(np.subtract(ours, rows[other]["of_pairs"]["tpr_at_fpr_0.01"])).lower > 0, other


def test_a_command_that_was_stopped_goes_on(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    is_in = in_pairs(10, 200)
    phi = (rng.normal(size=200) + 2 * is_in + rng.normal(size=is_in.shape))[:, :, None]
    answers = Answers(phi, is_in, np.ones(10), np.ones(10), np.ones(10), 1.0)
    monkeypatch.setattr("tests.experiments.power.STORED", tmp_path / "results")
    monkeypatch.setitem(
        __import__("tests.experiments.power").experiments.power.SETS, "small", ("w", 2, lambda: answers)
    )
    monkeypatch.setattr("tests.experiments.power.SHADOWS", (2, 4))
    measured("small", tmp_path)
    before = (tmp_path / "results" / "small.json").read_text()
    assert "small 4" in capsys.readouterr().out
    monkeypatch.setattr("tests.experiments.power.SHADOWS", (2, 4, 8))
    measured("small", tmp_path)
    assert "small 4" not in capsys.readouterr().out
    after = (tmp_path / "results" / "small.json").read_text()
    assert after.count('"attack"') == before.count('"attack"') + len(PLAYED)

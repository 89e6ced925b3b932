"""The paper's tables on real data: findings follow from the stored scores and are the expected ones."""

from dataclasses import replace

import numpy as np
import pytest
from tests.experiments.label_only.differences import compared
from tests.experiments.label_only.ratio import CALIBRATED, CONFIDENCES, GAP, N_DRAWS, RATIO, THRESHOLD, play
from tests.experiments.label_only.ratio import SETTINGS as RATIO_SETTINGS
from tests.experiments.label_only.ratio import compared as ratios_compared
from tests.experiments.label_only.settings import SETTINGS
from tests.experiments.label_only.study import RESULTS, combined, run
from tests.experiments.label_only.tables import all_tables, ratios, studies

from vestige.data.sets.named import data_folder, named_set
from vestige.papers.reproduction.verdicts import Verdict

STORED, RATIOS = studies(), ratios()
PAGE = (RESULTS.parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
SAID = [(name, row) for name, study in STORED.items() for row in study["differences"] if "verdict" in row]


def label(value):
    return " ".join(str(value[k]) for k in ("better", "other", "metric")) if isinstance(value, dict) else value


def flat(row):
    """A row without rows in it: words as they are, numbers to be compared within a rounding."""
    parts = ({f"{k}, {of}": v for of, v in value.items()} if isinstance(value, dict) else {k: value}
             for k, value in row.items())  # fmt: skip
    return {key: value for part in parts for key, value in part.items()}


def scores_of(name):
    with np.load(RESULTS / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


def test_every_setting_has_been_measured():
    assert set(STORED) == set(SETTINGS)
    assert set(RATIOS) == set(RATIO_SETTINGS)
    for study in (*STORED.values(), *RATIOS.values()):
        assert {"words", "configuration", "seconds", "versions", "measured", "rows", "differences"} <= set(study)
    assert all(study["words"] == SETTINGS[name].words for name, study in STORED.items())


@pytest.mark.parametrize("name", STORED)
def test_what_is_said_follows_from_the_stored_scores(name):
    study, setting = STORED[name], SETTINGS[name]
    again = compared(scores_of(name), study["configuration"]["n_side"], setting)
    for kind, rows in again.items():
        assert len(rows) == len(study[kind])
        for row, stored in zip(rows, study[kind], strict=True):
            assert flat(row) == pytest.approx(flat(stored), abs=2e-4)


@pytest.mark.parametrize(("name", "row"), SAID, ids=label)
def test_one_target_and_one_source_conclude_nothing(name, row):
    """One pair of models neither shows nor contradicts what is published; a stand-in does not stand beside it."""
    is_stand_in = bool(SETTINGS[name].unmet)
    assert row["verdict"] == (Verdict.NOT_COMPARABLE if is_stand_in else Verdict.UNDECIDED)
    assert row["why"] == (SETTINGS[name].unmet or "1 pair, of the 5 that a verdict needs")


def test_published_numbers_stand_beside_the_same_data_alone():
    heads = {name: all_tables()[name][1].splitlines()[0] for name in STORED}
    assert {name for name, head in heads.items() if "Choquette" in head} == {"location30", "adult", "mnist"}


@pytest.mark.parametrize("name", RATIOS)
def test_what_is_said_of_the_ratio_follows_from_the_targets(name):
    study = RATIOS[name]
    assert study["words"] == RATIO_SETTINGS[name].words
    assert len(study["of_targets"][RATIO]) == study["configuration"]["n_models"]
    again = ratios_compared(study["of_targets"])
    assert all(again[kind] == study[kind] for kind in again)


@pytest.mark.parametrize(
    ("name", "metric", "expected_finding"),
    [
        ("adult", "auc", "above"),
        ("adult", "tpr_at_fpr_0.01", "above"),
        ("cifar10-jpeg", "auc", "undecided"),  # three pairs
        ("cifar10-jpeg", "tpr_at_fpr_0.01", "undecided"),
    ],
)
def test_the_ratio_of_labels_against_one_threshold(name, metric, expected_finding):
    found = {(row["better"], row["other"], row["metric"]): row for row in RATIOS[name]["differences"]}
    assert found[RATIO, THRESHOLD, metric]["finding"] == expected_finding


@pytest.mark.parametrize(("name", "tables"), all_tables().items(), ids=str)
def test_the_page_shows_what_is_stored(name, tables):
    assert all(table in PAGE for table in tables), name


def test_a_planted_difference_is_found_and_no_other():
    rng, n = np.random.default_rng(0), 300
    member = np.repeat([True, False], n)
    scores = {}
    for model in ("source", "target"):
        for name, leak in (("gap", 0.5), ("distance", 2.0), ("confidence", 2.0)):
            scores[f"{model}, {name}"] = (rng.normal(size=2 * n) + leak * member).astype(np.float32)
    found = compared(scores, n, replace(SETTINGS["mnist"], published={("distance", "gap"): 0.1}))
    said = {(row["better"], row["other"], row["metric"]): row for row in found["differences"]}
    assert all(said["distance", "gap", metric]["lower"] > 0 for metric in ("balanced_accuracy", "auc"))
    row = said["confidence", "distance", "auc"]
    assert row["lower"] < 0 < row["upper"]
    assert 0.01 < row["upper"] - row["lower"] < 0.1
    assert found["rows"][1]["auc"]["value"] == pytest.approx(0.92, abs=0.03)


def test_combined_distances_weigh_copies_alike_and_have_no_infinity():
    of_source = np.array([[1.0, 100.0], [3.0, 300.0], [2.0, np.inf]])
    scores = combined(of_source, of_source)
    assert np.isfinite(scores).all()
    assert scores.argmin() == 0


def test_the_ratio_plays_what_it_names_on_answers_that_are_made_up():
    rng = np.random.default_rng(0)
    n_models, n, n_classes = 6, 400, 3
    is_in = np.repeat(rng.random((3, n)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    labels, difficulty = rng.integers(n_classes, size=n), 2 * rng.normal(size=n)
    ahead = difficulty + 2 * is_in + 0.5 * rng.normal(size=is_in.shape)
    logits = np.zeros((n_models, n, n_classes))
    logits[:, np.arange(n), labels] = ahead
    shown = 1 / (1 + np.exp(-ahead))[..., None]
    correct = [rng.random((n_models, n, N_DRAWS)) < shown**s for s in (1.0, 10.0)]
    found, chosen = play({"labels": labels, "is_in": is_in, "correct": correct, "logits": logits})
    auc = {name: values[:, 0].mean() for name, values in found.items()}
    assert auc[RATIO] > auc[THRESHOLD] + 0.05
    assert auc[THRESHOLD] > auc[GAP]
    assert min(auc[CALIBRATED], auc[CONFIDENCES]) > 0.7
    assert {len(of) for of in chosen.values()} == {n_models}


@pytest.mark.slow
def test_the_study_of_location30_gives_what_is_stored():
    if named_set("location30").files_in(data_folder()) is None:
        pytest.skip("Location30 is not in the data folder")
    result, _ = run("location30")
    for kind in ("rows", "differences", "power"):
        for row, stored in zip(result[kind], STORED["location30"][kind], strict=True):
            ours = row["auc"]["value"] if "auc" in row else row["value"]
            theirs = stored["auc"]["value"] if "auc" in stored else stored["value"]
            assert ours == pytest.approx(theirs, abs=0.03), row


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_from_what_it_kept(tmp_path):
    if named_set("location30").files_in(data_folder()) is None:
        pytest.skip("Location30 is not in the data folder")
    small = replace(SETTINGS["location30"], n_side=20, n_choice=100, n_noise=100, surfree=250)
    _, first = run("location30", tmp_path, small)
    kept = sorted(tmp_path.iterdir())
    kept[0].unlink()
    times = {path: path.stat().st_mtime_ns for path in kept[1:]}
    _, again = run("location30", tmp_path, small)
    assert sorted(tmp_path.iterdir()) == kept
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == times
    assert all((first[name] == again[name]).all() for name in first)

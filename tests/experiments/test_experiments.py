"""What the stored experiments found, claim by claim, and a small one of the same that is done anew."""

import json
import os
from functools import cache

import numpy as np
import pytest
from tests.experiments import forgetting
from tests.experiments.exceptions import EXCEPTIONS, exceptions_of, expected
from tests.experiments.settings import SETTINGS
from tests.experiments.shadow_answers import Answers, in_pairs, mirrored_and_shifted
from tests.experiments.study import ON_CREDIT, RESULTS, answers_of, claims_of, judged_together, run, studies, written
from tests.experiments.tables import all_tables
from tests.experiments.targets_in_turn import ATTACKS, METRICS, finding, play, shadows_of

from vestige.data.sets.named import data_folder, named_set
from vestige.evaluation.trials import Mean, mean_of
from vestige.papers.reproduction.verdicts import FEWEST, Verdict

STORED = studies()
PLAYED = {name: study for name, study in STORED.items() if name in SETTINGS}
TESTED = [
    (name, claim)
    for name, study in STORED.items()
    for claim in study["claims"]
    if claim["verdict"] != Verdict.NOT_COMPARABLE
]
SMALL = 18
PAGE = (RESULTS.parents[1] / "docs" / "experiments.md").read_text(encoding="utf-8")


def label(value):
    if isinstance(value, dict):
        return " ".join(str(value[k]) for k in ("better", "metric", "other", "n_shadows", "n_queries") if k in value)
    return str(value)


def needs(name: str) -> None:
    if named_set(name).files_in(data_folder()) is None or not os.environ.get("VESTIGE_DATA"):
        pytest.skip(f"no {name} in the folder that VESTIGE_DATA names")


# --------------------------------------------------------------------------------------------- what is stored


def test_every_setting_has_been_measured():
    assert set(STORED) == {*SETTINGS, *ON_CREDIT}
    for study in STORED.values():
        assert {"words", "configuration", "seconds", "versions", "measured", "rows", "claims"} <= set(study)


@pytest.mark.parametrize("name", PLAYED)
def test_the_stored_study_is_the_whole_one(name):
    study, setting = PLAYED[name], SETTINGS[name]
    assert study["words"] == setting.words
    queries = {1, study["configuration"]["n_queries"]}
    assert {(r["attack"], r["n_shadows"], r["n_queries"]) for r in study["rows"]} == {
        (attack, k, q) for attack in ATTACKS for k in setting.shadows for q in queries
    }
    for row in study["rows"]:
        for metric in METRICS:
            assert len(row["of_pairs"][metric]) == setting.n_pairs
            told = vars(mean_of(row["of_pairs"][metric]))
            assert {k: pytest.approx(v, abs=1e-5) for k, v in told.items()} == row[metric]


def test_claims_and_verdicts_follow_from_the_stored_rates_and_trials():
    assert judged_together(STORED) == {name: study["claims"] for name, study in STORED.items()}


def test_rows_on_forgetting_follow_from_the_stored_trials():
    study = STORED["german-credit-forgetting"]
    found = {v: [t for t in study["trials"] if t["variant"] == v] for v in forgetting.VARIANTS}
    for row in study["rows"]:
        name = forgetting.named(row["score"], row["way"])
        for metric in ("auc", "accuracy"):
            told = vars(mean_of([trial[name][metric] for trial in found[row["variant"]]]))
            assert {k: pytest.approx(v, abs=1e-5) for k, v in told.items()} == row[metric]


# ------------------------------------------------------------------------------------------ what was found


@pytest.mark.parametrize(("name", "claim"), TESTED, ids=label)
def test_what_is_concluded_is_what_is_documented(name, claim):
    """Every comparable claim holds, but for those that `exceptions.py` names, with what is concluded instead."""
    assert claim["verdict"] == expected(name, claim), claim


@pytest.mark.parametrize("name", STORED)
def test_few_pairs_and_other_conditions_give_no_verdict(name):
    """Fewer than five pairs show nothing and contradict nothing; nor do views that no model was trained with."""
    for claim in STORED[name]["claims"]:
        if claim["trials"] < FEWEST:
            assert claim["verdict"] in (Verdict.UNDECIDED, Verdict.NOT_COMPARABLE)
        if claim.get("n_queries", 1) > 1 and not SETTINGS[name].trains_with_views:
            assert claim["verdict"] == Verdict.NOT_COMPARABLE
            assert "views" in claim["why"]


def test_views_are_trained_with_where_images_are_augmented():
    assert {name for name, s in SETTINGS.items() if not s.trains_with_views} == {"cifar10-jpeg"}


@pytest.mark.parametrize("name", STORED)
def test_exceptions_are_stored_with_the_study_and_are_about_something(name):
    assert STORED[name]["exceptions"] == exceptions_of(name)
    for exception in (e for e in EXCEPTIONS if e.data == name):
        assert any(exception.is_about(*tested) for tested in TESTED), exception


@pytest.mark.parametrize("name", STORED)
def test_the_page_shows_what_is_stored(name):
    for table in all_tables()[name]:
        assert table in PAGE


# ------------------------------------------------------------------------------------------ how it is found


def test_findings():
    assert finding("above", Mean(0.1, 0.01, 0.2)) == "shown"
    assert finding("above", Mean(0.1, 0.0, 0.2)) == "undecided"
    assert finding("above", Mean(0.0, 0.0, 0.0)) == "undecided"
    assert finding("above", Mean(-0.1, -0.2, -0.01)) == "contradicted"
    assert finding("at least", Mean(0.0, -0.004, 0.004)) == "shown"
    assert finding("at least", Mean(0.0, -0.006, 0.006)) == "undecided"
    assert finding("at least", Mean(-0.1, -0.2, -0.006)) == "contradicted"
    assert finding("equal", Mean(0.0, -0.004, 0.004)) == "shown"
    assert finding("equal", Mean(0.1, 0.09, 0.11)) == "contradicted"
    assert finding("equal", Mean(0.0, -0.1, 0.1)) == "undecided"


def test_no_target_has_itself_or_its_partner_as_a_shadow_model():
    for n_models, n_shadows in ((18, 16), (18, 4), (130, 128)):
        for pair in range(n_models // 2):
            shadows = shadows_of(pair, n_models, n_shadows)
            assert len(set(shadows)) == n_shadows
            assert not {2 * pair, 2 * pair + 1} & set(shadows)
            assert in_pairs(n_models, 10)[shadows].sum(axis=0).tolist() == [n_shadows // 2] * 10


def test_without_a_leak_no_attack_finds_one():
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(18, 4_000, 2)) + 3 * rng.normal(size=(4_000, 1))
    found = play(phi, in_pairs(18, 4_000), n_shadows=16, n_pairs=9)
    for attack, metrics in found.items():
        area = mean_of(metrics["auc"])
        assert abs(area.value - 0.5) < max(0.01, 2 * (area.upper - area.lower)), attack


def test_with_a_planted_leak_that_only_a_comparison_can_see():
    """Records differ far more than membership does: the global threshold finds little, the likelihood ratio all."""
    rng = np.random.default_rng(0)
    is_in = in_pairs(18, 1_000)
    phi = rng.normal(size=(18, 1_000, 1)) + 30 * rng.normal(size=(1_000, 1)) + 6 * is_in[:, :, None]
    found = play(phi, is_in, n_shadows=16, n_pairs=3)
    assert found["global_threshold"]["auc"].max() < 0.6
    assert found["lira_online"]["auc"].min() > 0.99


def test_views_are_those_of_the_reflected_image():
    images = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3).astype(np.uint8)
    views = list(mirrored_and_shifted(images))
    assert len(views) == 18
    assert np.array_equal(views[0], images)
    assert np.array_equal(views[9], images[:, :, ::-1])
    assert len({view.tobytes() for view in views}) == 18
    up = views[2]  # row 0 of it is row 1 of the image, reflected
    assert np.array_equal(up[:, 1:], images[:, :-1])
    assert np.array_equal(up[:, 0], images[:, 1])


def test_a_study_is_written_as_it_was(tmp_path):
    study = {"data": "x", "rows": [{"a": 1}, {"a": 2}], "claims": []}
    written(study, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == study


# --------------------------------------------------------------------------------------------- done anew


@cache
def small_location() -> Answers:
    setting = SETTINGS["location30"]
    return answers_of(setting, setting.records(), SMALL, say=lambda _: None)


def test_a_small_study_of_location30_finds_the_same():
    """16 shadow models and two targets, the models of the stored study: its claims that need no more."""
    needs("location30")
    answers = small_location()
    assert answers.training_accuracy.min() > 0.99
    found = play(answers.phi, answers.is_in, n_shadows=16, n_pairs=1)
    tpr = {attack: float(metrics["tpr_at_fpr_0.01"][0]) for attack, metrics in found.items()}
    stored = {r["attack"]: r for r in STORED["location30"]["rows"] if r["n_shadows"] == 16}
    for attack in ("global_threshold", "lira_online", "empirical_bayes_online", "base_score_online"):
        values = stored[attack]["of_pairs"]["tpr_at_fpr_0.01"]
        assert abs(tpr[attack] - np.mean(values)) < 5 * np.std(values) + 0.01, attack
    assert tpr["lira_online"] > tpr["global_threshold"] + 0.2
    assert tpr["empirical_bayes_online"] > tpr["lira_online_per_record"]
    assert tpr["base_score_online"] == tpr["rmia_online"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_studies_done_anew_find_what_is_stored(name):
    """Other machines give other last bits, and chaotic trainings other models: means agree within their spread."""
    needs(SETTINGS[name].data)
    again = run(name, None)
    for ours, theirs in zip(again["rows"], PLAYED[name]["rows"], strict=True):
        for metric in METRICS:
            spread = np.std(theirs["of_pairs"][metric])
            assert abs(ours[metric]["value"] - theirs[metric]["value"]) < 3 * spread + 0.005, (ours["attack"], metric)
    again_and_stored = (claims_of(name, again), claims_of(name, PLAYED[name]))
    for ours, theirs in zip(*again_and_stored, strict=True):
        assert not opposed(ours, theirs), ours


def opposed(ours, theirs):
    """Whether one interval is on the claim's side and the other on the other one."""
    found = {finding(c["relation"], Mean(*(c[end] for end in ("value", "lower", "upper")))) for c in (ours, theirs)}
    return found == {"shown", "contradicted"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_CREDIT)
def test_trials_on_credit_done_anew_find_what_is_stored(name):
    needs("german-credit-watson")
    again, stored = claims_of(name, ON_CREDIT[name].run()), claims_of(name, STORED[name])
    for ours, theirs in zip(again, stored, strict=True):
        assert abs(ours["value"] - theirs["value"]) < theirs["upper"] - theirs["lower"]
        assert not opposed(ours, theirs), ours

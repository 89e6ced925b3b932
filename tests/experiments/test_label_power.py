"""Labels alone against confidences: what is stored, and the study on answers that are made up."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.experiments import label_power
from tests.experiments.label_power import (
    CHOSEN,
    FOLDER,
    STUDIES,
    Asking,
    LabelStudy,
    beta_binomial,
    log_odds_of_chosen,
    observe,
    study_of,
)
from tests.experiments.settings import SETTINGS

from vestige.core.records import Records
from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.roc import roc
from vestige.training.strategies import Strategy
from vestige.training.torch_recipe import TorchRecipe


def stored(name):
    rows = json.loads((FOLDER / f"labels-{name}.json").read_text(encoding="utf-8"))["rows"]
    return {(row["attack"], row["asked"]): row for row in rows}


def power(name):
    return {key: row["tpr_at_fpr_0.01"] for key, row in stored(name).items()}


@pytest.mark.parametrize("name", STUDIES)
def test_every_way_of_asking_is_stored(name):
    study, rows = STUDIES[name], stored(name)
    assert len(rows) == 2 + 3 * len(study.asked) + bool(study.chosen)


@pytest.mark.parametrize("name", STUDIES)
def test_the_learnt_ratio_finds_more_than_a_gaussian_of_the_same_answers(name):
    rows = stored(name)
    for asked in STUDIES[name].asked:
        assert rows["learnt ratio", asked]["auc_more"]["lower"] > 0
        assert rows["learnt ratio", asked]["tpr_at_fpr_0.01_more"]["lower"] > 0


def test_how_much_of_the_confidences_power_labels_reach_on_location30():
    """Of empirical Bayes nine tenths with 250 labels, with 25 not quite three quarters."""
    found = {key: value["value"] for key, value in power("location30").items()}
    all_of_it = found["empirical Bayes", "confidences"]
    for kind in ("noise", "mixtures"):
        assert 0.7 * all_of_it < found["learnt ratio", f"{kind}, 1 x 25"] < 0.75 * all_of_it
        assert found["learnt ratio", f"{kind}, 1 x 250"] > 0.9 * all_of_it


def test_how_much_of_it_they_reach_on_adult():
    """All of it, of empirical Bayes; of the learnt ratio three quarters with 25 labels, not nine tenths with 250."""
    found = {key: value["value"] for key, value in power("adult").items()}
    assert found["learnt ratio", "mixtures, 1 x 25"] > 1.2 * found["empirical Bayes", "confidences"]
    all_of_it = found["learnt ratio", "confidences"]
    assert found["learnt ratio", "mixtures, 1 x 25"] > 0.75 * all_of_it
    assert 0.8 * all_of_it < found["learnt ratio", "mixtures, 1 x 250"] < 0.9 * all_of_it


def test_on_images_mixtures_find_members_where_noise_finds_fewer():
    found = power("cifar10-jpeg")
    for asked in ("1 x 25", "1 x 34", "1 x 100"):
        assert found["learnt ratio", f"mixtures, {asked}"]["value"] >= 0.2
        assert found["learnt ratio", f"mixtures, {asked}"]["lower"] > 0.1
        assert found["learnt ratio", f"mixtures, {asked}"]["lower"] > found["learnt ratio", f"noise, {asked}"]["value"]
    taken = json.loads((FOLDER / "labels-cifar10-jpeg.json").read_text(encoding="utf-8"))["taken"]
    assert all(name.startswith("mixture") for name in taken["either, 1 x 34"])


@pytest.mark.parametrize("name", list(STUDIES))
def test_copies_that_shadow_models_choose_are_worth_no_more_than_others(name):
    found = power(name)
    assert found["log-odds of copies", CHOSEN]["value"] < found["learnt ratio", "mixtures, 1 x 34"]["upper"]


def made_up(n_records=600):
    rng = np.random.default_rng(0)
    is_in = complementary_pairs(10, n_records, seed=0)
    phi = 1 + 2 * rng.normal(size=n_records) + 2 * is_in + 0.5 * rng.normal(size=is_in.shape)
    shown = {f"mixture-{s}": 1 / (1 + np.exp(-phi * s)) for s in (2.0, 1.0, 0.01)}
    correct = {name: rng.random((*p.shape, 100)) < p[..., None] for name, p in shown.items()}
    return {"phi": phi, "is_in": is_in, "correct": correct}


def test_the_study_plays_what_it_names_on_answers_that_are_made_up():
    seen = made_up()
    names = tuple(seen["correct"])
    asked = {"mixtures, 1 x 25": Asking(tuple((name,) for name in names), 25), "two": Asking((names[:2],), 50)}
    study = LabelStudy(n_models=10, draws=dict.fromkeys(names, 100), asked=asked, chosen=names[:2])
    rows, taken = study_of(seen, study)
    areas = {(row["attack"], row["asked"]): row["auc"]["value"] for row in rows}
    assert len(areas) == 2 + 3 * 2 + 1
    assert all(value > 0.7 for value in areas.values())
    assert areas["empirical Bayes", "confidences"] > areas["Gaussian of shares", "mixtures, 1 x 25"]
    assert set(taken) == {"mixtures, 1 x 25", "two"}
    assert names[2] not in taken["mixtures, 1 x 25"]
    assert sum(taken["mixtures, 1 x 25"].values()) == sum(taken["two"].values()) == 10


def test_networks_and_answers_are_kept_and_found_again(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    pool = Records(rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2)
    recipe = TorchRecipe(network=lambda: torch.nn.Linear(3, 2), epochs=2, batch_size=10)
    setting = SimpleNamespace(records=lambda: pool, recipe=lambda: recipe, strategy=Strategy(stack=10))
    draws = {"gaussian-0.3+flips-0.1": 5, "mixture-0.4": 7}
    study = LabelStudy(n_models=10, draws=draws, asked={}, chosen=(), n_records=30)
    monkeypatch.setitem(SETTINGS, "small", setting)
    monkeypatch.setitem(STUDIES, "small", study)
    seen = observe("small", tmp_path)
    assert seen["phi"].shape == seen["is_in"].shape == (10, 30)
    assert {name: answers.shape for name, answers in seen["correct"].items()} == {
        k: (10, 30, n) for k, n in draws.items()
    }
    monkeypatch.setattr(label_power, "train_group", None)
    more = LabelStudy(n_models=10, draws=draws | {"mixture-0.4": 9}, asked={}, chosen=(), n_records=30)
    monkeypatch.setitem(STUDIES, "small", more)
    again = observe("small", tmp_path)
    np.testing.assert_array_equal(again["phi"], seen["phi"])
    np.testing.assert_array_equal(again["correct"]["mixture-0.4"][:, :, :7], seen["correct"]["mixture-0.4"])


def test_log_odds_of_chosen_copies_find_members_and_follow_the_records():
    seen = made_up(1_000)
    copies, is_in = seen["correct"]["mixture-1.0"], seen["is_in"]
    scores = log_odds_of_chosen(copies[0], copies[2:], is_in[2:])
    assert roc(scores[is_in[0]], scores[~is_in[0]]).auc > 0.75
    order = np.random.default_rng(1).permutation(1_000)
    moved = log_odds_of_chosen(copies[0, order], copies[2:, order], is_in[2:, order])
    np.testing.assert_allclose(moved, scores[order], atol=1e-9)


def test_beta_binomials_rank_counts_whose_models_differ():
    rng = np.random.default_rng(1)
    is_in = complementary_pairs(10, 1_000, seed=1)
    rate = rng.beta(2, 2, size=1_000)
    counts = rng.binomial(50, np.where(is_in, rate + 0.5 * (1 - rate), rate))
    scores = beta_binomial(counts[0], counts[2:], is_in[2:], 50)
    assert roc(scores[is_in[0]], scores[~is_in[0]]).auc > 0.9
    order = rng.permutation(1_000)
    moved = beta_binomial(counts[0, order], counts[2:, order], is_in[2:, order], 50)
    np.testing.assert_allclose(moved, scores[order], atol=1e-8)

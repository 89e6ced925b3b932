"""Labels alone against confidences: what is stored, and the study on answers that are made up."""

import json

import numpy as np
from tests.experiments.label_power import ASKED, METRICS, RESULTS, beta_binomial, study

from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.roc import roc


def stored():
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    return {(row["attack"], row["asked"]): row for row in rows}


def test_the_learnt_ratio_finds_more_than_a_gaussian_of_the_same_answers():
    rows = stored()
    assert len(rows) == 2 + 3 * len(ASKED)
    for asked in ASKED:
        row = rows["learnt ratio", asked]
        assert all(row[f"{metric}_more"]["lower"] > 0 for metric in METRICS[:2])


def test_how_much_of_the_confidences_power_labels_reach():
    rows = stored()
    power = {key: row["tpr_at_fpr_0.01"]["value"] for key, row in rows.items()}
    all_of_it = power["empirical Bayes", "confidences"]
    assert power["learnt ratio", "1 x 25"] > 0.7 * all_of_it
    assert power["learnt ratio", "1 x 100"] > 0.8 * all_of_it
    assert power["learnt ratio", "3 x 83"] > 0.8 * all_of_it


def test_the_study_plays_what_it_names_on_answers_that_are_made_up():
    rng = np.random.default_rng(0)
    is_in = complementary_pairs(10, 600, seed=0)
    phi = 1 + 2 * rng.normal(size=600) + 2 * is_in + 0.5 * rng.normal(size=is_in.shape)
    shown = np.array([1 / (1 + np.exp(-phi * s)) for s in (2.0, 1.5, 1.0, 0.7, 0.4)])
    correct = rng.random((*shown.shape, 100)) < shown[..., None]
    rows = {
        (row["attack"], row["asked"]): row["auc"]["value"]
        for row in study({"phi": phi, "is_in": is_in, "correct": correct})
    }
    assert all(value > 0.7 for value in rows.values())
    assert rows["empirical Bayes", "confidences"] > rows["Gaussian of shares", "1 x 25"]


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

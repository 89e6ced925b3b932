"""The learnt ratio against a plain form, its laws, its power against empirical Bayes, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vestige.attacks import _learnt as module
from vestige.attacks.base_score import base_score_online
from vestige.attacks.calibration import calibration_loss
from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.attacks.learnt_ratio import FEATURES, fit_learnt_ratio, label_only_learnt_ratio, learnt_ratio
from vestige.attacks.lira import lira_online
from vestige.core.errors import InputError
from vestige.data.sets.designs import balanced_groups, complementary_pairs
from vestige.evaluation.roc import point_at_fpr, roc

NULL = json.loads((Path(__file__).parent / "learnt_ratio_null.json").read_text())


def drawn(n_models=8, n=300, *, seed=0, gap=1.5, is_in=None):
    """Models in pairs on records of different difficulty; the first is the target, its partner is left out."""
    rng = np.random.default_rng(seed)
    is_in = complementary_pairs(n_models + 2, n, seed=seed) if is_in is None else is_in
    phi = rng.normal(1, 2, n) + gap * is_in + rng.normal(size=is_in.shape)
    return phi[0][:, None], phi[2:, :, None], is_in[2:], is_in[0]


def plain_features(phi, theirs, is_in):
    mean = {}
    for name, side in (("out", ~is_in), ("in", is_in)):
        mean[name] = np.array([theirs[side[:, j], j].mean() for j in range(phi.size)])
    first = (empirical_bayes_online, lambda p, t, _: base_score_online(p, t), calibration_loss)
    return np.stack([*(f(phi, theirs, is_in) for f in first), phi], axis=1), mean


def test_scores_are_those_of_a_plain_loop():
    phi, theirs, is_in, _ = drawn()
    features, sides, of_target = [], [], None
    for model in [*range(8), None]:
        others = np.arange(8) if model is None else [k for k in range(8) if k // 2 != model // 2]
        own = phi[:, 0] if model is None else theirs[model, :, 0]
        built = module._of_query(own, theirs[others, :, 0], is_in[others], ())
        by_hand, _ = plain_features(own, theirs[others, :, 0], is_in[others])
        np.testing.assert_allclose(built[:, :4], by_hand, rtol=1e-9, atol=1e-12)
        if model is None:
            of_target = built
        else:
            features.append(built)
            sides.append(is_in[model])
    rows, side = np.concatenate(features), np.concatenate(sides)

    def terms(f):
        z = np.clip((f - rows.mean(0)) / rows.std(0), -4, 4)
        products = [z[:, i] * z[:, j] for i in range(8) for j in range(i, 8)]
        hinges = [np.maximum(h, 0) for h in (z, z - 1, -z - 1)]
        return np.concatenate([z, np.stack(products, axis=1), *hinges], axis=1)

    offsets = terms(rows).mean(0)
    model = LogisticRegression(C=1 / 10, tol=1e-10, max_iter=10_000).fit(terms(rows) - offsets, side)
    np.testing.assert_allclose(
        learnt_ratio(phi, theirs, is_in), model.decision_function(terms(of_target) - offsets), atol=2e-4
    )


def test_members_score_higher_and_a_rising_phi_of_one_record_moves_its_score_alone():
    phi, theirs, is_in, member = drawn()
    scores = learnt_ratio(phi, theirs, is_in)
    assert roc(scores[member], scores[~member]).auc > 0.75
    moved = phi.copy()
    moved[5] += 1.0
    changed = learnt_ratio(moved, theirs, is_in) != scores
    assert changed[5]
    assert changed.sum() == 1


def test_the_order_of_records_and_of_pairs_does_not_matter():
    phi, theirs, is_in, _ = drawn()
    scores = learnt_ratio(phi, theirs, is_in)
    order = np.random.default_rng(3).permutation(300)
    np.testing.assert_allclose(learnt_ratio(phi[order], theirs[:, order], is_in[:, order]), scores[order], atol=1e-6)
    models = [4, 5, 2, 3, 0, 1, 7, 6]
    np.testing.assert_allclose(learnt_ratio(phi, theirs[models], is_in[models]), scores, atol=1e-6)


def test_the_order_of_models_does_not_matter_where_none_has_a_complement():
    rng = np.random.default_rng(0)
    is_in = np.stack([rng.permuted(np.arange(8) < 4) for _ in range(300)], axis=1)
    theirs, phi = rng.normal(size=(8, 300, 1)) + 2 * is_in[:, :, None], rng.normal(size=(300, 1))
    scores, models = learnt_ratio(phi, theirs, is_in), rng.permutation(8)
    np.testing.assert_allclose(learnt_ratio(phi, theirs[models], is_in[models]), scores, atol=1e-6)


def test_records_that_are_fitted_to_are_the_same_in_any_order(monkeypatch):
    monkeypatch.setattr(module, "_MOST_ROWS", 800)
    phi, theirs, is_in, member = drawn()
    scores = learnt_ratio(phi, theirs, is_in)
    assert fit_learnt_ratio(phi, theirs, is_in).n_rows == 800
    order = np.random.default_rng(3).permutation(300)
    np.testing.assert_allclose(learnt_ratio(phi[order], theirs[:, order], is_in[:, order]), scores[order], atol=1e-6)
    assert roc(scores[member], scores[~member]).auc > 0.75


@pytest.mark.parametrize("n", [200, 2_000])
def test_where_phi_is_normal_as_theory_says_nothing_is_lost(n):
    losses = []
    for seed in range(400 // (n // 100)):
        phi, theirs, is_in, member = drawn(n=n, seed=seed)
        rates = []
        for scores in (learnt_ratio(phi, theirs, is_in), empirical_bayes_online(phi[:, 0], theirs[:, :, 0], is_in)):
            curve = roc(scores[member], scores[~member])
            rates.append((curve.auc, curve.rates_at(point_at_fpr(curve, 0.01))[0]))
        losses.append(np.subtract(rates[0], rates[1]))
    assert (np.mean(losses, axis=0) > -0.005).all()


def test_where_an_in_model_moves_more_on_hard_records_it_beats_every_other():
    differences = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        is_in, hard = complementary_pairs(10, 1_000, seed=seed), rng.random(1_000)
        noise = rng.standard_t(3, size=is_in.shape) * np.exp(rng.normal(0, 0.7, 1_000))
        phi = 4 - 6 * hard + 3 * hard * is_in + noise
        theirs, member = phi[2:], is_in[0]
        others = [f(phi[0], theirs, is_in[2:]) for f in (empirical_bayes_online, lira_online)]
        others.append(base_score_online(phi[0], theirs))
        ours = learnt_ratio(phi[0][:, None], theirs[:, :, None], is_in[2:])
        of_ours, *of_others = (roc(s[member], s[~member]).auc for s in (ours, *others))
        differences.append(of_ours - max(of_others))
    assert np.mean(differences) > 0.005


def test_groups_are_left_out_whole_and_single_models_with_one_of_the_other_side(monkeypatch):
    from fractions import Fraction

    groups = np.repeat(np.arange(4), 6)
    is_in = balanced_groups(24, 400, share=Fraction(5, 6), seed=0)
    rng = np.random.default_rng(0)
    phi, member = rng.normal(size=(24, 400)) + 2 * is_in, is_in[0]
    scores = learnt_ratio(phi[0][:, None], phi[6:, :, None], is_in[6:], groups=groups[6:])
    assert roc(scores[member], scores[~member]).auc > 0.8
    counts, plain = [], module.features_of

    def counted(phi, theirs, is_in, also=()):
        counts.append(is_in.sum(axis=0))
        return plain(phi, theirs, is_in, also)

    for one in (module, sys.modules["vestige.attacks.learnt_ratio"]):  # the package has the function of this name
        monkeypatch.setattr(one, "features_of", counted)
    learnt_ratio(phi[0][:, None], phi[6:, :, None], is_in[6:], groups=groups[6:])
    assert all((c == 10).all() for c in counts[:18])
    counts.clear()
    no_pairs = np.stack([rng.permuted(np.arange(8) < 4) for _ in range(400)], axis=1)
    learnt_ratio(phi[0][:, None], phi[:8, :, None], no_pairs)
    assert all((c == 3).all() for c in counts[:8])
    assert (counts[8] == 4).all()


def test_people_weigh_alike_however_many_records_they_have():
    phi, theirs, is_in, _ = drawn()
    subjects = np.arange(300)
    twice = np.r_[np.arange(300), np.zeros(200, dtype=int)]  # the first record 200 times more
    once = fit_learnt_ratio(phi, theirs, is_in, subjects=subjects)
    again = fit_learnt_ratio(phi[twice], theirs[:, twice], is_in[:, twice], subjects=subjects[twice])
    np.testing.assert_allclose(again.centers[3], once.centers[3], atol=1e-9)
    assert abs(fit_learnt_ratio(phi[twice], theirs[:, twice], is_in[:, twice]).centers[3] - once.centers[3]) > 0.01


def test_missing_answers_count_as_expected_and_several_queries_as_means_of_features():
    phi, theirs, is_in, member = drawn()
    holes = theirs.copy()
    holes[np.random.default_rng(1).random(theirs.shape) < 0.05] = np.nan
    scores = learnt_ratio(phi, holes, is_in)
    assert np.isfinite(scores).all()
    assert roc(scores[member], scores[~member]).auc > 0.75
    twice = learnt_ratio(np.repeat(phi, 2, axis=-1), np.repeat(theirs, 2, axis=-1), is_in)
    np.testing.assert_allclose(twice, learnt_ratio(phi, theirs, is_in), atol=1e-9)


def test_an_attack_of_ones_own_is_a_feature():
    def sure(phi, shadow_phi):
        return (phi > shadow_phi.max(axis=0)).astype(float)

    phi, theirs, is_in, _ = drawn()
    fitted = fit_learnt_ratio(phi, theirs, is_in, also=[sure])
    assert fitted.names == (*FEATURES, "sure")
    assert "sure above 1" in fitted.summary("learnt_ratio").weights
    with pytest.raises(InputError, match="found reads_probabilities, which reads probabilities: shadow models are"):
        learnt_ratio(phi, theirs, is_in, also=[reads_probabilities])


def reads_probabilities(probabilities):
    return probabilities[:, 0]


@pytest.mark.parametrize(
    ("n_models", "options", "message"),
    [
        (4, {}, "Expected 6 shadow models or more, in 3 pairs or groups, found 4 in 2; train more models."),
        (8, {"groups": np.repeat([0, 1], 4)}, "found 8 in 2"),
        (8, {"penalty": 0.0}, "Expected a penalty above 0, found 0; 10 is the default."),
    ],
)
def test_what_it_cannot_learn_from_is_refused(n_models, options, message):
    phi, theirs, is_in, _ = drawn(n_models)
    with pytest.raises(InputError, match=message):
        learnt_ratio(phi, theirs, is_in, **options)


def test_models_that_saw_no_record_teach_nothing():
    phi, theirs, is_in, _ = drawn()
    with pytest.raises(InputError, match="found none; train more models"):
        learnt_ratio(phi, theirs, np.zeros_like(is_in))


@pytest.mark.parametrize("design", NULL["designs"], ids=lambda d: f"{d['design']}-{d['n_records']}-{d['answers']}")
def test_without_a_leak_it_finds_none(design):
    """`learnt_ratio_null_study.py`."""
    assert design["draws"] >= 5_000
    assert design["rejected_upper"] <= 0.06
    assert design["rejected"] <= design["draws"] * 0.05 + 3 * (design["draws"] * 0.05 * 0.95) ** 0.5
    assert 0.93 <= design["auc_coverage"] <= 0.975


def test_false_alarms_of_all_designs_together():
    assert len(NULL["designs"]) == 18
    assert NULL["rejected_upper"] <= 0.053


def test_of_labels_it_is_the_same_of_another_signal():
    phi, theirs, is_in, member = drawn()
    scores = label_only_learnt_ratio(phi[:, 0], theirs[:, :, 0], is_in)
    np.testing.assert_array_equal(scores, learnt_ratio(phi, theirs, is_in))
    assert roc(scores[member], scores[~member]).auc > 0.75

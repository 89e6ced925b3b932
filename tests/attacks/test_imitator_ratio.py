"""The imitators' ratio against a plain loop and SciPy, its sign, its null, its laws, and what it refuses."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from scipy.stats import norm

from vestige.attacks import named
from vestige.attacks._predictive import log_density, predictives
from vestige.attacks.imitator_ratio import (
    fit_with_imitators,
    imitator_ratio,
    label_only_learnt_ratio_with_imitators,
    learnt_ratio_with_imitators,
)
from vestige.attacks.learnt_ratio import label_only_learnt_ratio, learnt_ratio
from vestige.core.errors import InputError
from vestige.data.sets.designs import complementary_pairs
from vestige.evaluation.roc import roc


def drawn(n=400, *, seed=0, gap=2.0):
    """A target, eight shadow models and eight imitators, which share a part of the target's answers with it."""
    rng = np.random.default_rng(seed)
    shadows, copies = complementary_pairs(10, n, seed=seed), complementary_pairs(8, n, seed=seed + 1)
    difficulty, own = rng.normal(0, 2, n), rng.normal(size=n)
    member = shadows[0]
    phi = difficulty + own + gap * member + 0.3 * rng.normal(size=n)
    theirs = difficulty + gap * shadows[2:] + rng.normal(size=(8, n))
    copied = difficulty + own + gap * copies + 0.3 * rng.normal(size=(8, n))
    return (phi, theirs, shadows[2:], copied, copies), member


def test_scores_are_those_of_a_plain_loop():
    given, _ = drawn(40)
    phi, theirs, is_in, copied, copies = given
    out = [copied[~copies[:, j], j] for j in range(40)]
    pooled = sum(((a - a.mean()) ** 2).sum() for a in out) / sum(a.size - 1 for a in out)
    of_in = log_density(phi, predictives(theirs, is_in)[0])
    of_out = [stats.t.logpdf(phi[j], 8, out[j].mean(), np.sqrt(2 * pooled)) for j in range(40)]
    np.testing.assert_allclose(imitator_ratio(*given), of_in - of_out, rtol=1e-9)


def test_members_score_higher_and_higher_than_without_imitators():
    given, member = drawn()
    of_in, of_out = predictives(*given[1:3])
    without = log_density(given[0], of_in) - log_density(given[0], of_out)
    aucs = [roc(s[member], s[~member]).auc for s in (imitator_ratio(*given), without)]
    assert aucs[0] > aucs[1] + 0.03
    assert aucs[0] > 0.9


def test_chance_where_nothing_leaks():
    aucs = []
    for seed in range(60):
        given, member = drawn(seed=seed, gap=0.0)
        scores = imitator_ratio(*given)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.std(aucs, ddof=1) / np.sqrt(60)


def test_order_of_records_models_and_imitators_does_not_matter():
    given, _ = drawn(100)
    phi, theirs, is_in, copied, copies = given
    rows, models = np.random.default_rng(5).permutation(100), np.random.default_rng(6).permutation(8)
    turned = [phi[rows], *(table[models][:, rows] for table in (theirs, is_in, copied, copies))]
    np.testing.assert_allclose(imitator_ratio(*turned), imitator_ratio(*given)[rows], rtol=1e-9)


def test_a_record_without_out_imitators_is_judged_by_shadow_models():
    given, _ = drawn(50)
    phi, theirs, is_in, copied, copies = given
    copies = copies.copy()
    copies[:, 7] = True
    of_in, of_out = predictives(theirs, is_in)
    found = imitator_ratio(phi, theirs, is_in, copied, copies)[7]
    assert found == pytest.approx((log_density(phi, of_in) - log_density(phi, of_out))[7])


def test_one_imitator_on_a_side_is_enough():
    given, member = drawn()
    scores = imitator_ratio(*given[:3], *(table[:2] for table in given[3:]))
    assert np.isfinite(scores).all()
    assert roc(scores[member], scores[~member]).auc > 0.85


def test_what_is_refused():
    given, _ = drawn(20)
    phi, theirs, is_in, copied, copies = given
    with pytest.raises(InputError, match="not trained on, found none"):
        imitator_ratio(phi, theirs, is_in, copied, np.ones_like(copies))
    with pytest.raises(InputError, match="Expected finite phi"):
        imitator_ratio(phi, theirs, is_in, np.where(copies, np.inf, copied), copies)


# ------------------------------------------------------------------------------------------- with the learnt ratio


def drawn_with_players(n=500, *, seed=0, gap=2.0, n_shadows=10):
    """As `drawn`, with imitators of two shadow models, 0 and 3; every model has a part of its own."""
    rng = np.random.default_rng(seed)
    sides = complementary_pairs(n_shadows + 2, n, seed=seed)
    copies = complementary_pairs(8, n, seed=seed + 1)
    difficulty, own = rng.normal(0, 2, n), rng.normal(size=(n_shadows + 2, n))
    phi = difficulty + own + gap * sides + 0.3 * rng.normal(size=sides.shape)
    imitated = np.array([0, 3])
    copied = [difficulty + own[m] + gap * copies + 0.3 * rng.normal(size=copies.shape) for m in (0, *(2 + imitated))]
    given = phi[0][:, None], phi[2:, :, None], sides[2:], copied[0], copies, np.stack(copied[1:]), imitated
    return given, sides[0]


def test_it_finds_more_than_the_learnt_ratio_and_than_imitators():
    given, member = drawn_with_players(1_500, gap=0.5)
    aucs = [
        roc(s[member], s[~member]).auc
        for s in (
            learnt_ratio_with_imitators(*given),
            learnt_ratio(*given[:3]),
            imitator_ratio(given[0][:, 0], given[1][:, :, 0], *given[2:5]),
        )
    ]
    assert aucs[0] > max(aucs[1:]) + 0.005


def test_rows_are_of_each_imitated_model_among_those_not_drawn_with_it():
    given, _ = drawn_with_players(200)
    _, theirs, is_in, _, copies, of_players, imitated = given
    rows, sides = [], []
    for model, copied in zip(imitated, of_players, strict=True):
        kept = [m for m in range(10) if m // 2 != model // 2]
        own = theirs[model]
        rows.append([
            learnt_ratio(own, theirs[kept], is_in[kept]),
            imitator_ratio(own[:, 0], theirs[kept, :, 0], is_in[kept], copied, copies),
        ])  # fmt: skip
        sides.append(is_in[model])
    weights = fit_with_imitators(*given)
    features = np.concatenate(rows, axis=1)
    np.testing.assert_allclose(weights.of_imitators.centers[:2], features.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(weights.of_imitators.scales[:2], features.std(axis=1), rtol=1e-6)
    assert weights.of_imitators.n_rows == 400
    assert weights.summary("x").n_models == 2
    np.testing.assert_array_equal(
        learnt_ratio_with_imitators(*given), learnt_ratio_with_imitators(*given, fitted=weights)
    )


def test_no_answer_of_the_target_enters_the_weights():
    given, _ = drawn_with_players(200)
    phi, theirs, is_in, copied, *rest = given
    one, other = fit_with_imitators(*given), fit_with_imitators(-phi, theirs, is_in, copied[::-1] * 3, *rest)
    np.testing.assert_array_equal(one.of_imitators.weights, other.of_imitators.weights)


def test_chance_with_imitators_where_nothing_leaks():
    aucs = []
    for seed in range(60):
        given, member = drawn_with_players(300, seed=seed, gap=0.0)
        scores = learnt_ratio_with_imitators(*given)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.std(aucs, ddof=1) / np.sqrt(60)


def test_order_of_records_does_not_matter_with_imitators():
    given, _ = drawn_with_players(200)
    rows = np.random.default_rng(5).permutation(200)
    phi, theirs, is_in, copied, copies, of_players, imitated = given
    turned = phi[rows], theirs[:, rows], is_in[:, rows], copied[:, rows], copies[:, rows], of_players[:, :, rows]
    np.testing.assert_allclose(
        learnt_ratio_with_imitators(*turned, imitated), learnt_ratio_with_imitators(*given)[rows], atol=1e-6
    )


def test_answers_that_are_missing_and_people():
    given, member = drawn_with_players(400)
    phi, theirs, is_in, copied, copies, of_players, imitated = given
    theirs, copied = theirs.copy(), copied.copy()
    theirs[3, :50], theirs[5, 20:60], copied[2] = np.nan, np.nan, np.nan
    people = np.arange(400) // 2
    scores = learnt_ratio_with_imitators(phi, theirs, is_in, copied, copies, of_players, imitated, subjects=people)
    assert np.isfinite(scores).all()
    assert roc(scores[member], scores[~member]).auc > 0.85


def test_what_is_refused_with_imitators():
    (phi, theirs, is_in, copied, copies, _, _), _ = drawn_with_players(50)
    with pytest.raises(InputError, match="Expected imitators of a shadow model that plays the target, found none"):
        learnt_ratio_with_imitators(phi, theirs, is_in, copied, copies, np.empty((0, 8, 50)), np.empty(0, dtype=int))
    given, _ = drawn_with_players(50, n_shadows=6)
    with pytest.raises(InputError, match="Expected 6 shadow models or more"):
        learnt_ratio_with_imitators(*given)


# ------------------------------------------------------------------------------------------------ of labels alone


def shares_of(seed=0, gap=2.0, n=500):
    """As `drawn_with_players`: of 100 copies of each record the share that gets its class, on the normal's scale."""
    given, member = drawn_with_players(n, seed=seed, gap=gap)
    rng = np.random.default_rng(seed + 1000)

    def asked(phi):
        return norm.ppf((rng.binomial(100, expit(phi)) + 0.5) / 101)

    phi, theirs, is_in, copied, copies, of_players, imitated = given
    answers = asked(phi[:, 0]), asked(theirs[:, :, 0]), is_in, asked(copied), copies, asked(of_players), imitated
    return answers, member


def test_of_labels_the_score_is_that_of_shares_in_the_place_of_phi():
    given, _ = shares_of()
    own, theirs, *rest = given
    wanted = learnt_ratio_with_imitators(own[:, None], theirs[:, :, None], *rest)
    np.testing.assert_array_equal(label_only_learnt_ratio_with_imitators(*given), wanted)
    attack = named("label_only_learnt_ratio_with_imitators")
    weights = attack.learn(dict(zip(attack.reads, given, strict=True)))
    np.testing.assert_array_equal(label_only_learnt_ratio_with_imitators(*given, fitted=weights), wanted)


def test_of_labels_members_score_higher_and_higher_than_without_imitators():
    given, member = shares_of(gap=1.0, n=1_500)
    scores = label_only_learnt_ratio_with_imitators(*given), label_only_learnt_ratio(*given[:3])
    aucs = [roc(s[member], s[~member]).auc for s in scores]
    assert aucs[0] > aucs[1] + 0.005
    assert aucs[0] > 0.7


def test_of_labels_chance_where_nothing_leaks():
    aucs = []
    for seed in range(40):
        given, member = shares_of(seed=seed, gap=0.0)
        scores = label_only_learnt_ratio_with_imitators(*given)
        aucs.append(roc(scores[member], scores[~member]).auc)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.std(aucs, ddof=1) / np.sqrt(40)

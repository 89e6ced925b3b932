"""Cross-fitting: leaks are found, a null stays a null for classifiers that memorise, and nobody sees what it scores."""

from functools import partial
from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from vestige.attacks._known_members import member_log_odds
from vestige.attacks.attack_p import attack_p
from vestige.attacks.nn import nn_memguard, nn_nasr
from vestige.attacks.quantile_regression import quantile_regression_at_fpr, quantile_regression_gaussian
from vestige.auditing.scoring.trained_attacks import (
    attack_p_from_half,
    folds_of,
    learnt_from_half,
    learnt_from_shadow,
    quantile_regression_from_half,
    regression_features,
)
from vestige.core.errors import InputError
from vestige.evaluation.roc import roc
from vestige.evaluation.units import Units, halves, make_units

MEMORISING = {
    "nearest neighbour": KNeighborsClassifier(1),
    "tree": DecisionTreeClassifier(random_state=0),
}


def reading_features(known_features, known_member, features, *, classifier):
    """An attack on any features."""
    return member_log_odds(known_features, known_member, features, classifier)


def attack_with(classifier):
    return partial(reading_features, classifier=classifier)


def drawn(n, leak, seed, n_features=3):
    """Features that tell membership by `leak`; halves and folds."""
    rng = np.random.default_rng(seed)
    member = rng.permutation(n) < n // 2
    features = rng.normal(size=(n, n_features)) + leak * member[:, None]
    units = Units(None, member)
    first = halves(units, rng)
    return features, member, first, folds_of(units, rng, first=first)


def auc(scores, member):
    """Area over those that are scored."""
    scored = ~np.isnan(scores)
    return roc(scores[scored & member], scores[scored & ~member]).auc


# ----------------------------------------------------------------------------------------- folds


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), n_folds=st.integers(2, 6))
def test_folds_have_their_share_of_each_side_and_half_and_never_part_a_person(seed, n, n_folds):
    rng = np.random.default_rng(seed)
    subjects = rng.integers(n, size=3 * n)
    units = make_units(subjects, rng.random(n)[subjects] < 0.5)
    first = halves(units, rng)
    fold = folds_of(units, np.random.default_rng(seed), first=first, n_folds=n_folds)
    assert all(np.unique(fold[subjects == subject]).size == 1 for subject in np.unique(subjects))
    of_unit = np.array([fold[units.of_record == unit][0] for unit in range(units.member.size)])
    for side in (units.member, ~units.member):
        for half in (first, ~first):
            counts = np.bincount(of_unit[side & half], minlength=n_folds)
            assert counts.max() - counts.min() <= 1
    again = folds_of(units, np.random.default_rng(seed), first=first, n_folds=n_folds)
    np.testing.assert_array_equal(again, fold)


def test_there_are_two_folds_at_least():
    with pytest.raises(InputError, match="Expected at least 2 folds, found 1; 5 is a usual number"):
        folds_of(Units(None, np.arange(6) < 3), np.random.default_rng(0), n_folds=1)


# ---------------------------------------------------------------------------------- who sees whom


def numbered(seen):
    """An attack on row numbers that notes whom it was given."""

    def attack(known_number, known_member, number):
        seen.append((known_number, known_member, number))
        return number.astype(np.float64)

    return attack


def test_one_half_teaches_and_the_other_alone_is_scored_and_known_scores_come_from_other_folds():
    _, member, known, fold = drawn(41, 0.0, 0)
    seen: list = []
    found = learnt_from_half(numbered(seen), {"number": np.arange(41)}, member, known, fold)
    np.testing.assert_array_equal(found.scores, np.where(known, np.nan, np.arange(41)))
    np.testing.assert_array_equal(found.known_scores, np.where(known, np.arange(41), np.nan))
    (taught, of_taught, scored), *of_folds = seen
    np.testing.assert_array_equal(taught, np.flatnonzero(known))
    np.testing.assert_array_equal(of_taught, member[known])
    np.testing.assert_array_equal(scored, np.flatnonzero(~known))
    for number, (taught, of_taught, scored) in enumerate(of_folds):
        np.testing.assert_array_equal(scored, np.flatnonzero(known & (fold == number)))
        np.testing.assert_array_equal(taught, np.flatnonzero(known & (fold != number)))
        np.testing.assert_array_equal(of_taught, member[taught])
    assert len(of_folds) == 5


def test_a_shadow_s_records_all_teach_what_scores_the_target_and_other_folds_what_scores_them():
    _, member, _, _ = drawn(40, 0.0, 1)
    fold, seen = np.arange(40) % 4, list[tuple]()
    found = learnt_from_shadow(numbered(seen), {"number": np.arange(100, 107)}, {"number": np.arange(40)}, member, fold)
    np.testing.assert_array_equal(found.scores, np.arange(100, 107))
    np.testing.assert_array_equal(found.known_scores, np.arange(40))
    assert set(seen[0][0]) == set(range(40))
    for number, (known, known_member, scored) in enumerate(seen[1:]):
        assert set(scored) == set(np.flatnonzero(fold == number))
        assert set(known) == set(range(40)) - set(scored)
        np.testing.assert_array_equal(known_member, member[known])


@pytest.mark.parametrize("classifier", [GaussianNB(), *MEMORISING.values()], ids=lambda c: type(c).__name__)
def test_membership_of_what_is_scored_changes_nothing_and_that_of_a_known_record_not_its_own_score(classifier):
    features, member, known, fold = drawn(120, 0.5, 2)
    attack = attack_with(classifier)
    before = learnt_from_half(attack, {"features": features}, member, known, fold)
    after = learnt_from_half(attack, {"features": features}, np.where(known, member, ~member), known, fold)
    np.testing.assert_array_equal(after.scores, before.scores)
    np.testing.assert_array_equal(after.known_scores, before.known_scores)
    turned = learnt_from_half(attack, {"features": features}, np.where(known, ~member, member), known, fold)
    assert (turned.scores != before.scores)[~known].any()
    for record in np.flatnonzero(known)[[3, 20, 40]]:
        flipped = member.copy()
        flipped[record] = ~flipped[record]
        after = learnt_from_half(attack, {"features": features}, flipped, known, fold)
        assert after.known_scores[record] == before.known_scores[record]


def test_the_order_of_records_changes_nothing():
    features, member, first, fold = drawn(120, 0.5, 3)
    order = np.random.default_rng(4).permutation(120)
    attack = attack_with(DecisionTreeClassifier(random_state=0))
    before = learnt_from_half(attack, {"features": features}, member, first, fold)
    after = learnt_from_half(attack, {"features": features[order]}, member[order], first[order], fold[order])
    np.testing.assert_array_equal(after.scores, before.scores[order])
    np.testing.assert_array_equal(after.known_scores, before.known_scores[order])
    shadow, theirs, _, their_fold = drawn(80, 0.5, 5)
    mixed = np.random.default_rng(6).permutation(80)
    before = learnt_from_shadow(attack, {"features": features}, {"features": shadow}, theirs, their_fold)
    after = learnt_from_shadow(
        attack, {"features": features[order]}, {"features": shadow[mixed]}, theirs[mixed], their_fold[mixed]
    )
    np.testing.assert_array_equal(after.scores, before.scores[order])
    np.testing.assert_array_equal(after.known_scores, before.known_scores[mixed])


# ------------------------------------------------------------------------------- leaks and nulls


@pytest.mark.parametrize("classifier", [GaussianNB(), *MEMORISING.values()], ids=lambda c: type(c).__name__)
def test_a_planted_leak_is_found_from_halves_and_from_a_shadow(classifier):
    features, member, first, fold = drawn(600, 0.8, 7)
    found = learnt_from_half(attack_with(classifier), {"features": features}, member, first, fold)
    assert auc(found.scores, member) > 0.65
    assert auc(found.known_scores, member) > 0.65
    shadow, theirs, _, their_fold = drawn(400, 0.8, 8)
    found = learnt_from_shadow(
        attack_with(classifier), {"features": features}, {"features": shadow}, theirs, their_fold
    )
    assert auc(found.scores, member) > 0.65
    assert auc(found.known_scores, theirs) > 0.65


@pytest.mark.parametrize("classifier", MEMORISING.values(), ids=MEMORISING)
def test_without_a_leak_a_classifier_that_memorises_is_at_chance(classifier):
    """One that had been fitted on what it scores would have an area of 1."""
    n, draws, areas = 60, 20, []
    for seed in range(draws):
        features, member, first, fold = drawn(n, 0.0, 1000 + seed)
        found = learnt_from_half(attack_with(classifier), {"features": features}, member, first, fold)
        shadow, theirs, _, their_fold = drawn(n, 0.0, 2000 + seed)
        crossed = learnt_from_shadow(
            attack_with(classifier), {"features": features}, {"features": shadow}, theirs, their_fold
        )
        areas.append(
            [
                auc(found.scores, member), auc(found.known_scores, member),
                auc(crossed.scores, member), auc(crossed.known_scores, theirs),
            ]
        )  # fmt: skip
    means, spread = np.mean(areas, axis=0), np.std(areas, axis=0)
    assert (np.abs(means - 0.5) < 3 * spread / sqrt(draws)).all()
    sizes = np.array([n / 2, n / 2, n, n])  # half of the records are scored, the other half sets thresholds
    assert (np.abs(means - 0.5) < 3 * np.sqrt((sizes + 1) / (12 * (sizes / 2) ** 2) / draws)).all()


def test_without_a_leak_people_with_records_alike_are_at_chance():
    """A person's records are nearly one: a nearest neighbour among them would know their side."""
    areas = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        subjects = np.repeat(np.arange(40), 4)
        units = make_units(subjects, (rng.permutation(40) < 20)[subjects])
        features = rng.normal(size=(40, 3))[subjects] + 1e-3 * rng.normal(size=(160, 3))
        first = halves(units, rng)
        fold = folds_of(units, rng, first=first)
        member = units.of(units.member)
        found = learnt_from_half(
            attack_with(MEMORISING["nearest neighbour"]), {"features": features}, member, units.of(first), fold
        )
        areas.append([auc(units.score(s), units.member) for s in found])
    assert (np.abs(np.mean(areas, axis=0) - 0.5) < 3 * np.std(areas, axis=0) / sqrt(20)).all()


def test_attacks_of_the_catalogue_take_their_signals_by_name():
    rng = np.random.default_rng(9)
    _, member, first, fold = drawn(200, 0.0, 9)
    p = rng.dirichlet(np.ones(3), size=200)
    p[member] = (p[member] + 3 * np.array([1.0, 0.0, 0.0])) / 4
    labels = np.zeros(200, dtype=int)
    nasr = learnt_from_half(
        partial(nn_nasr, classifier=GaussianNB()),
        {"probabilities": p, "labels": labels},
        member,
        first,
        fold,
    )
    memguard = learnt_from_shadow(
        partial(nn_memguard, classifier=GaussianNB()), {"probabilities": p}, {"probabilities": p}, member, fold
    )
    assert auc(nasr.scores, member) > 0.7
    assert auc(memguard.known_scores, member) > 0.7


# ---------------------------------------------------------------------------- known nonmembers


def test_attack_p_knows_the_nonmembers_of_the_known_half_and_within_it_of_other_folds():
    features, member, known, fold = drawn(150, 0.0, 10)
    losses = np.abs(features[:, 0])
    found = attack_p_from_half(losses, member, known, fold)
    np.testing.assert_array_equal(found.scores[~known], attack_p(losses[~known], losses[known & ~member]))
    assert np.isnan(found.scores[known]).all()
    assert np.isnan(found.known_scores[~known]).all()
    for number in range(5):
        rows, others = known & (fold == number), known & (fold != number) & ~member
        np.testing.assert_array_equal(found.known_scores[rows], attack_p(losses[rows], losses[others]))


@pytest.mark.parametrize("attack", [quantile_regression_gaussian, quantile_regression_at_fpr])
def test_quantile_regressions_know_the_nonmembers_of_the_known_half_alone(attack):
    features, member, known, _ = drawn(240, 0.0, 11)
    signal = features[:, 0] + 0.5 * member
    found = quantile_regression_from_half(partial(attack, n_folds=2), signal, features, member, known)
    tampered = np.where(known, member, ~member)
    after = quantile_regression_from_half(partial(attack, n_folds=2), signal, features, tampered, known)
    np.testing.assert_array_equal(after.scores, found.scores)
    np.testing.assert_array_equal(after.known_scores, found.known_scores)
    np.testing.assert_array_equal(np.isnan(found.scores), known)
    np.testing.assert_array_equal(np.isnan(found.known_scores), ~known)
    turned = np.where(known, ~member, member)
    after = quantile_regression_from_half(partial(attack, n_folds=2), signal, features, turned, known)
    assert (after.scores != found.scores)[~known].any()


def test_quantile_regressions_find_a_leak_and_are_at_chance_without_one():
    attack, areas = partial(quantile_regression_at_fpr, fpr=0.3, n_folds=2), []
    for seed in range(12):
        features, member, first, _ = drawn(200, 0.0, 100 + seed)
        noise = np.random.default_rng(seed).normal(size=200)
        found = quantile_regression_from_half(attack, noise + 3 * features[:, 0], features, member, first)
        areas.append([auc(scores, member) for scores in found])
    assert (np.abs(np.mean(areas, axis=0) - 0.5) < 3 * sqrt(101 / (12 * 50 * 50) / 12)).all()
    found = quantile_regression_from_half(attack, noise + 3 * features[:, 0] + 2 * member, features, member, first)
    assert all(auc(scores, member) > 0.6 for scores in found)


def test_features_of_a_record_are_its_class_and_its_inputs_if_they_are_numbers():
    labels, images = np.array([1, 0, 2]), np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    found = regression_features(images, labels, 3)
    np.testing.assert_array_equal(found, np.column_stack([np.eye(3)[labels], images.reshape(3, 4)]))
    for none in (None, np.array(["a", "b", "c"])):
        np.testing.assert_array_equal(regression_features(none, labels, 3), np.eye(3)[labels])
    table = pd.DataFrame({"age": [30, 40, 50], "town": ["a", "b", "c"], "dose": pd.array([0.5, 1.5, 2.5], "Float64")})
    expected = np.column_stack([np.eye(3)[labels], [30, 40, 50], [0.5, 1.5, 2.5]])
    np.testing.assert_array_equal(regression_features(table, labels, 3), expected)

"""Rules that set thresholds, against the literal searches of their papers."""

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vestige.core.errors import InputError
from vestige.evaluation.thresholds import (
    Thresholds,
    balanced_accuracy_threshold,
    decide,
    fpr_thresholds,
    global_thresholds,
    known_scores,
    per_class_thresholds,
    strict_thresholds,
)
from vestige.evaluation.units import Units, make_units

TIED = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=25).map(np.array)
UNTIED = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=25).map(np.array)


def known(members, nonmembers):
    scores = np.concatenate([members, nonmembers])
    return known_scores(Units(None, np.arange(scores.size) < members.size), scores)


def literal_p1(members, nonmembers):
    """T-A, as published: every value of members, then of nonmembers; only a strictly better one is kept."""
    best, threshold = 0.0, 0.0
    for value in [*members, *nonmembers]:
        right = np.sum(members >= value) / (len(members) + 0.0)
        accuracy = 0.5 * (right + np.sum(nonmembers < value) / (len(nonmembers) + 0.0))
        if accuracy > best:
            best, threshold = accuracy, value
    return threshold


def literal_paper(members, nonmembers):
    """T-B: strict `>`, all distinct scores from the top and minus infinity; the first of the best."""
    best, threshold = Fraction(-1), np.inf
    for t in [*sorted({*members, *nonmembers}, reverse=True), -np.inf]:
        true, false = int(np.sum(members > t)), int(np.sum(nonmembers <= t))
        accuracy = Fraction(true, len(members)) + Fraction(false, len(nonmembers))
        if accuracy > best:
            best, threshold = accuracy, t
    return best, threshold


@settings(deadline=None, max_examples=400)
@given(members=TIED | UNTIED, nonmembers=TIED | UNTIED)
def test_p1_is_the_literal_quadratic_search(members, nonmembers):
    expected = literal_p1(members, nonmembers)
    assert balanced_accuracy_threshold(members, nonmembers) == expected
    assert global_thresholds(known(members, nonmembers)).values.tolist() == [expected]


def test_p1_is_the_literal_search_on_a_larger_sample_too():
    rng = np.random.default_rng(0)
    for decimals in (1, 2, 15):
        members, nonmembers = rng.normal(0.3, size=400).round(decimals), rng.normal(size=333).round(decimals)
        assert balanced_accuracy_threshold(members, nonmembers) == literal_p1(members, nonmembers)


def test_p1_breaks_ties_by_the_order_of_the_records_members_first():
    nonmembers = np.array([2.0, 0.0])
    assert balanced_accuracy_threshold(np.array([1.0, 3.0]), nonmembers) == 1.0
    assert balanced_accuracy_threshold(np.array([3.0, 1.0]), nonmembers) == 3.0


@settings(deadline=None)
@given(members=TIED, nonmembers=TIED, seed=st.integers(0, 99))
def test_the_order_of_the_records_never_changes_the_accuracy_reached(members, nonmembers, seed):
    rng = np.random.default_rng(seed)
    m, n = rng.permutation(members), rng.permutation(nonmembers)
    reached = []
    for t in (balanced_accuracy_threshold(members, nonmembers), balanced_accuracy_threshold(m, n)):
        reached.append(np.mean(members >= t) + np.mean(nonmembers < t))
    assert reached[0] == pytest.approx(reached[1], abs=1e-12)
    assert strict_thresholds(known(members, nonmembers)).values == strict_thresholds(known(m, n)).values
    for fpr in (0.1, 0.5):
        assert fpr_thresholds(known(members, nonmembers), fpr).values == fpr_thresholds(known(m, n), fpr).values


@settings(deadline=None)
@given(members=TIED, nonmembers=TIED)
def test_an_increasing_transform_changes_no_decision(members, nonmembers):
    scores = np.concatenate([members, nonmembers])
    units = Units(None, np.arange(scores.size) < members.size)
    for rule in (global_thresholds, strict_thresholds, lambda k: fpr_thresholds(k, 0.25)):
        calls = []
        for s in (scores, np.exp(scores) - 7):
            thresholds = rule(known_scores(units, s))
            calls.append(decide(units, s, thresholds.of(np.zeros(scores.size, dtype=int)), thresholds.strict))
        np.testing.assert_array_equal(calls[0], calls[1])


@settings(deadline=None, max_examples=300)
@given(members=TIED | UNTIED, nonmembers=TIED | UNTIED)
def test_p3_reaches_the_best_strict_accuracy(members, nonmembers):
    best, _ = literal_paper(members, nonmembers)
    thresholds = strict_thresholds(known(members, nonmembers))
    t = thresholds.values[0]
    assert thresholds.strict
    true, false = int(np.sum(members > t)), int(np.sum(nonmembers <= t))
    assert Fraction(true, len(members)) + Fraction(false, len(nonmembers)) == best


@settings(deadline=None, max_examples=300)
@example(members=np.array([4.0, 1, 3, 3, 4, 1]), nonmembers=np.array([4.0, 2, 1, 0, 1, 4, 3, 0, 3]))
@given(members=TIED | UNTIED, nonmembers=TIED | UNTIED)
def test_p3_takes_the_first_of_the_best(members, nonmembers):
    assert strict_thresholds(known(members, nonmembers)).values[0] == literal_paper(members, nonmembers)[1]


@settings(deadline=None)
@given(members=TIED | UNTIED, nonmembers=TIED | UNTIED, percent=st.integers(0, 100))
def test_a_threshold_for_an_fpr_keeps_it_and_is_the_lowest_that_does(members, nonmembers, percent):
    thresholds = fpr_thresholds(known(members, nonmembers), percent / 100)
    t = thresholds.values[0]
    assert thresholds.strict
    assert 100 * np.sum(nonmembers > t) <= percent * nonmembers.size
    if t > -np.inf:
        lower = max((v for v in [*members, *nonmembers] if v < t), default=-np.inf)
        assert 100 * np.sum(nonmembers > lower) > percent * nonmembers.size


def test_an_empty_side_is_refused():
    for sides in ((np.array([]), np.array([1.0])), (np.array([1.0]), np.array([]))):
        with pytest.raises(InputError, match="found an empty side"):
            balanced_accuracy_threshold(*sides)


def classes(rng, n=300):
    """Scores with ties, classes 0..5, of which 3 has no members, 4 no nonmembers and 5 no records at all."""
    labels, member = rng.integers(5, size=n), rng.random(n) < 0.5
    member[labels == 3], member[labels == 4] = False, True
    return rng.normal(size=n).round(1) + 0.5 * member, labels, member


def test_per_class_thresholds_are_the_literal_search_in_each_class():
    scores, labels, member = classes(np.random.default_rng(1))
    found = per_class_thresholds(Units(None, member), scores, labels, 6)
    overall = literal_p1(scores[member], scores[~member])
    expected = [literal_p1(scores[member & (labels == c)], scores[~member & (labels == c)]) for c in range(3)]
    assert found.values.tolist() == [*expected, overall, overall, overall]
    assert found.fallback_classes == (3, 4, 5)
    assert found.of(np.array([2, 0, 5])).tolist() == [expected[2], expected[0], overall]
    assert not found.strict


def test_published_degenerate_classes_keep_zero():
    scores, labels, member = classes(np.random.default_rng(2))
    found = per_class_thresholds(Units(None, member), scores, labels, 6, zero_for_degenerate=True)
    assert found.values[3:].tolist() == [0.0, 0.0, 0.0]
    assert found.fallback_classes == ()
    assert (found.values[:3] != 0).all()


def test_per_class_thresholds_of_subjects_are_set_on_their_records_of_the_class():
    subjects = np.array(["a", "a", "a", "b", "b", "c", "c", "d", "d"])
    member = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    labels = np.array([0, 0, 1, 0, 1, 0, 1, 0, 1])
    scores = np.array([1.0, 3.0, 9.0, 4.0, 8.0, 1.5, 0.0, 1.75, 8.5])
    found = per_class_thresholds(make_units(subjects, member), scores, labels, 2)
    class_0 = literal_p1(np.array([2.0, 4.0]), np.array([1.5, 1.75]))  # a: (1 + 3) / 2
    class_1 = literal_p1(np.array([9.0, 8.0]), np.array([0.0, 8.5]))
    assert found.values.tolist() == [class_0, class_1] == [2.0, 9.0]


def test_one_threshold_serves_every_class():
    assert Thresholds(np.array([0.3])).of(np.array([4, 0])).tolist() == [0.3, 0.3]


@pytest.mark.parametrize(("strict", "called"), [(False, [True, True, False]), (True, [False, True, False])])
def test_a_record_at_its_threshold_is_called_unless_strict(strict, called):
    units = Units(None, np.array([True, True, False]))
    assert decide(units, np.array([1.0, 2.0, 0.0]), np.ones(3), strict).tolist() == called


def test_a_subject_is_called_by_the_mean_of_its_thresholds():
    units = make_units(np.array([7, 7, 8, 8]), np.array([True, True, False, False]))
    scores, thresholds = np.array([1.0, 2.0, 1.0, 2.0]), np.array([0.0, 3.0, 0.0, 3.1])
    assert decide(units, scores, thresholds, strict=False).tolist() == [True, False]
    assert decide(units, scores, thresholds, strict=True).tolist() == [False, False]


def test_a_subject_with_one_threshold_is_compared_with_exactly_that():
    units = make_units(np.zeros(6, dtype=int), np.ones(6, dtype=bool))
    assert decide(units, np.full(6, 0.1), np.full(6, 0.1), strict=False).tolist() == [True]


GLOBAL_RULES = {"global": global_thresholds, "strict": strict_thresholds, "fpr": lambda fit: fpr_thresholds(fit, 0.1)}


@pytest.mark.parametrize("rule", [*GLOBAL_RULES, "per_class"])
@pytest.mark.parametrize("records_per_subject", [1, 4])
def test_g12_random_labels_of_membership_leave_every_rule_at_chance(rule, records_per_subject):
    rng = np.random.default_rng(3)
    n_units, accuracies = 300, []
    for _ in range(100):
        side = rng.permutation(n_units) < n_units // 2
        subjects = np.repeat(np.arange(n_units), records_per_subject)
        scores = (rng.normal(size=subjects.size) + rng.normal(size=n_units)[subjects]).round(1)
        labels = rng.integers(3, size=subjects.size)
        units = make_units(None if records_per_subject == 1 else subjects, side[subjects])
        first = np.asarray(units.of(np.arange(n_units) < n_units // 2))
        shown, attacked = units.restricted(first), units.restricted(~first)
        fit = known_scores(shown, scores[first])
        if rule == "per_class":
            thresholds = per_class_thresholds(shown, scores[first], labels[first], 3)
        else:
            thresholds = GLOBAL_RULES[rule](fit)
        called = decide(attacked, scores[~first], thresholds.of(labels[~first]), thresholds.strict)
        accuracies.append((called[attacked.member].mean() + 1 - called[~attacked.member].mean()) / 2)
    standard_error = np.std(accuracies) / sqrt(len(accuracies))
    assert abs(np.mean(accuracies) - 0.5) < 3 * standard_error < 0.02

"""When training ends: by sequences worked out by hand."""

import math

import pytest

from vestige.core.errors import InputError
from vestige.training.stopping import Epoch, LossPlateau, StopRule, ValidationPeak, matched_epoch


def losses(*values):
    return [Epoch(loss, math.nan) for loss in values]


def accuracies(*values):
    return [Epoch(1.0, accuracy) for accuracy in values]


def end(rule, epochs):
    """The epoch after which a rule stops, and the one it keeps; 0 if it goes on to the last."""
    for n in range(1, len(epochs) + 1):
        if rule.stops(epochs[:n]):
            return n, rule.best(epochs[:n])
    return 0, rule.best(epochs)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 0.9, 0.8, 0.7, 0.6), (0, 5)),  # falls by 0.1 all along
        ((1.0, 0.9, 0.89, 0.88), (4, 4)),  # 0.9 is the best; 0.89 and 0.88 do not improve on it by more than 0.05
        ((1.0, 0.96, 0.92, 0.88), (0, 4)),  # small steps add up: 0.92 is 0.08 below 1.0, the best that counted
        ((1.0, 0.96, 0.96), (3, 3)),
        ((1.0, 1.2, 0.9, 1.0, 1.0), (5, 5)),  # it may rise for one epoch
        ((1.0, 2.0, 3.0), (3, 3)),
        ((math.nan, math.nan), (2, 2)),
        ((math.inf, math.inf), (2, 2)),
        ((1.0,), (0, 1)),
    ],
)
def test_the_loss_is_on_a_plateau(values, expected):
    assert end(LossPlateau(0.05, patience=2), losses(*values)) == expected


def test_an_improvement_has_to_be_larger_than_what_counts():
    assert end(LossPlateau(0.5, patience=1), losses(1.0, 0.5)) == (2, 2)
    assert end(LossPlateau(0.5, patience=1), losses(1.0, 0.25)) == (0, 2)


def test_the_plateau_of_the_paper_lasts_20_epochs():
    flat = losses(*[1.0] * 40)
    assert end(LossPlateau(), flat) == (21, 21)
    assert end(LossPlateau(), losses(*[1 - 0.0051 * i for i in range(40)])) == (0, 40)
    assert end(LossPlateau(), losses(*[1 - 0.0002 * i for i in range(40)])) == (21, 21)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.1, 0.2, 0.3), (0, 3)),
        ((0.1, 0.5, 0.4, 0.3), (4, 2)),
        ((0.1, 0.5, 0.4, 0.6, 0.6, 0.6), (0, 6)),  # of equal ones the last is the peak
        ((0.5, 0.5, 0.4, 0.3), (4, 2)),
        ((0.5, 0.5, 0.5), (0, 3)),
        ((0.0, 0.0), (0, 2)),
    ],
)
def test_the_validation_accuracy_has_passed_its_peak(values, expected):
    assert end(ValidationPeak(patience=2), accuracies(*values)) == expected


def test_no_peak_is_as_good_as_naming_the_commonest_class():
    rule = ValidationPeak(patience=2)
    course = [Epoch(1.0, accuracy, commonest=0.6) for accuracy in (0.6, 0.6, 0.5, 0.4, 0.65, 0.6, 0.6)]
    assert end(rule, course[:4]) == (0, 4)  # goes on, and keeps the last
    assert end(rule, course) == (7, 5)


def test_rules_follow_the_protocol_and_say_what_they_read():
    assert isinstance(LossPlateau(), StopRule)
    assert isinstance(ValidationPeak(), StopRule)
    assert not LossPlateau().needs_validation
    assert ValidationPeak().needs_validation


@pytest.mark.parametrize("rule", [LossPlateau, ValidationPeak])
def test_patience_is_at_least_an_epoch(rule):
    with pytest.raises(InputError, match="Expected a patience of at least 1 epoch, found 0"):
        rule(patience=0)


# -------------------------------------------------------------------------------- matched epochs

COURSE = {10: (0.7, 0.6), 5: (0.5, 0.5), 20: (1.0, 0.625), 15: (0.9, 0.625)}


@pytest.mark.parametrize(
    ("like", "expected"),
    [((0.5, 0.5), 5), ((0.8, 0.6), 10), ((0.97, 0.7), 20), ((0.625, 0.5), 5), ((0.95, 0.625), 15), ((0.0, 0.0), 5)],
)
def test_the_epoch_that_is_most_alike(like, expected):
    """By the naive search over all of them in their order, in which the first of several stands."""
    found = matched_epoch(COURSE, like)
    least = min(abs(a - like[0]) + abs(b - like[1]) for a, b in COURSE.values())
    naive = next(e for e in sorted(COURSE) if sum(abs(a - b) for a, b in zip(COURSE[e], like, strict=True)) == least)
    assert found == naive == expected
    assert matched_epoch(dict(sorted(COURSE.items())), like) == found


def test_by_the_test_accuracy_alone():
    assert matched_epoch({e: found[1:] for e, found in COURSE.items()}, (0.7,)) == 15


@pytest.mark.parametrize(
    ("accuracies", "like", "words"),
    [
        ({}, (0.5,), r"1 of each as of the model to match, found \[\]"),
        ({1: (0.5, 0.4)}, (0.5,), r"found \[2\]; give training and test accuracy"),
        ({1: (50.0,)}, (0.5,), "give shares, not percent"),
        ({1: (0.5,)}, (math.nan,), "give shares, not percent"),
    ],
)
def test_what_is_no_accuracy_is_refused(accuracies, like, words):
    with pytest.raises(InputError, match=words):
        matched_epoch(accuracies, like)

"""`Predictions` takes what can be audited and refuses the rest with its place and cure."""

from typing import Any

import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Loss, PredictedLabels, Probabilities
from vestige.core.predictions import Predictions

PROBS = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
LABELS, MEMBER = np.array([0, 0, 1, 1]), np.array([1, 0, 1, 0])


def test_a_bare_array_is_taken_as_probabilities():
    p = Predictions(PROBS, LABELS, MEMBER)
    assert [type(o) for o in p.outputs] == [Probabilities]
    assert (p.n_records, p.n_classes) == (4, 2)
    assert p.member.tolist() == [True, False, True, False]
    assert p.output(Logits) is None


def test_several_kinds_of_answers_stand_side_by_side():
    p = Predictions((Logits(np.log(PROBS)), Loss([0.1, 0.5, 0.2, 0.7])), LABELS, MEMBER)
    assert p.output(Loss).n_records == 4
    with pytest.raises(InputError, match="each kind of output once"):
        Predictions((Loss([1.0] * 4), Loss([1.0] * 4)), LABELS, MEMBER)
    with pytest.raises(InputError, match="one number of classes, found"):
        Predictions((Logits(np.zeros((4, 3))), Probabilities(PROBS)), LABELS, MEMBER)


@pytest.mark.parametrize("field", ["labels", "member", "ids", "subjects", "groups", "order", "inputs"])
def test_a_column_has_one_entry_per_record(field):
    short = {"labels": LABELS[:3], "member": MEMBER[:3], "groups": {"a": [1, 2, 3]}, "order": {"t": [1, 2, 3]}}
    columns: dict[str, Any] = {"labels": LABELS, "member": MEMBER, field: short.get(field, np.arange(3))}
    with pytest.raises(InputError, match="found 3 for 4 rows"):
        Predictions(PROBS, **columns)


@pytest.mark.parametrize("labels", [[0, 0, 1, 2], [-1, 0, 1, 1]])
def test_a_label_is_one_of_the_classes(labels):
    with pytest.raises(InputError, match=r"labels in 0\.\.1, found"):
        Predictions(PROBS, labels, MEMBER)


def test_labels_from_1_are_pointed_out():
    with pytest.raises(InputError, match="--label-base 1"):
        Predictions(PROBS, LABELS + 1, MEMBER)


def test_a_class_without_records_is_ordinary():
    assert Predictions(np.full((4, 3), 1 / 3), LABELS, MEMBER).n_classes == 3


def test_names_are_matched_to_columns_by_name_and_never_by_alphabet():
    p = Predictions(PROBS, ["dog", "dog", "cat", "cat"], MEMBER, classes=["dog", "cat"])
    assert p.labels.tolist() == [0, 0, 1, 1]
    assert p.class_name(1) == "cat"
    with pytest.raises(InputError, match="among the classes dog, cat, found cow"):
        Predictions(PROBS, ["dog", "dog", "cow", "cat"], MEMBER, classes=["dog", "cat"])
    with pytest.raises(InputError, match="name the class of every column"):
        Predictions(PROBS, ["dog", "dog", "cat", "cat"], MEMBER)
    with pytest.raises(InputError, match="a class name per column, found 3 names for 2 columns"):
        Predictions(PROBS, LABELS, MEMBER, classes=["a", "b", "c"])
    with pytest.raises(InputError, match="class names that differ"):
        Predictions(PROBS, LABELS, MEMBER, classes=["a", "a"])


def test_predicted_labels_are_coded_as_the_labels_are():
    p = Predictions(PredictedLabels(["b", "a", "b", "b"]), ["a", "a", "b", "b"], MEMBER, classes=["b", "a"])
    assert np.concatenate(list(p.output(PredictedLabels).table.blocks(10))).tolist() == [0, 1, 0, 0]
    assert p.labels.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("labels", "what"),
    [([0.5, 0.0, 1.0, 1.0], "regression"), (np.eye(4), "one-hot"), ([0, 1, None, 1], "mixed objects or missing")],
)
def test_targets_that_are_no_classes_are_named(labels, what):
    with pytest.raises(InputError, match=what):
        Predictions(PROBS, labels, MEMBER)


def test_labels_as_keras_keeps_them():
    assert Predictions(PROBS, LABELS[:, None].astype(float), MEMBER).labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("member", [MEMBER, MEMBER.astype(bool), ["1", "0", "1", "0"], ["True", "false", "TRUE", "0"]])
def test_membership_is_0_or_1_in_any_dress(member):
    assert Predictions(PROBS, LABELS, member).member.tolist() == [True, False, True, False]


@pytest.mark.parametrize("member", [[1, 0, 2, 0], ["yes", "no", "yes", "no"]])
def test_other_membership_is_refused(member):
    with pytest.raises(InputError, match="0 or 1 as member, found"):
        Predictions(PROBS, LABELS, member)


@pytest.mark.parametrize(("member", "side"), [([1] * 4, "nonmember"), ([0] * 4, "member")])
def test_both_sides_are_needed(member, side):
    with pytest.raises(InputError, match=f"at least one {side}, found none"):
        Predictions(PROBS, LABELS, member)


def test_a_repeated_id_names_the_cure():
    with pytest.raises(InputError, match=r"unique ids, found 1 repeated, such as 7 .*--subject"):
        Predictions(PROBS, LABELS, [1, 1, 0, 0], ids=[7, 7, 8, 9])


def test_an_id_on_both_sides_is_refused():
    with pytest.raises(InputError, match=r"one side, found 1 as member and as nonmember, such as 7"):
        Predictions(PROBS, LABELS, MEMBER, ids=[7, 7, 8, 9])


def test_missing_entries_are_refused():
    with pytest.raises(InputError, match="subjects for every record, found missing values"):
        Predictions(PROBS, LABELS, MEMBER, subjects=[1.0, 2.0, np.nan, 3.0])
    with pytest.raises(InputError, match="order t for every record"):
        Predictions(PROBS, LABELS, MEMBER, order={"t": np.array(["2020", "NaT", "2021", "2022"], dtype="M8[Y]")})

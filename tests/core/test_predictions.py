"""`Predictions` takes what can be audited and refuses the rest with its place and cure."""

import subprocess
import sys
import uuid
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
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
    with pytest.raises(InputError, match=r"--set data.label_base=1 \(command line\) or labels - 1 \(Python\)"):
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
    [([0.5, 0.0, 1.0, 1.0], "regression"), (np.eye(4), "one-hot"), ([0, 1, None, 1], "missing values, first in row 3")],
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
    with pytest.raises(InputError, match="order t for every record"):
        Predictions(PROBS, LABELS, MEMBER, order={"t": np.array([1, "NaT", 2, 3], dtype="m8[s]")})


def guesses(p):
    return np.concatenate(list(p.output(PredictedLabels).table.blocks(10))).tolist()


THREE = np.full((4, 3), 1 / 3)


@pytest.mark.parametrize(
    ("classes", "labels", "codes"),
    [
        (np.array([2, 1, 0]), [2, 0, 1, 2], [0, 2, 1, 0]),
        ([1, 2, 3], [1, 2, 3, 3], [0, 1, 2, 2]),
        ([1, 2, 3], [1.0, 2.0, 3.0, 3.0], [0, 1, 2, 2]),
        ([1.0, 2.0, 3.0], [1, 2, 3, 3], [0, 1, 2, 2]),
        ([10, 20, 30], ["20", "10", "30", "10"], [1, 0, 2, 0]),
        (("1", "2", "3"), [0, 1, 2, 2], [0, 1, 2, 2]),
        (("a", "b", "c"), [0, 1, 2, 2], [0, 1, 2, 2]),
    ],
)
def test_classes_that_are_numbers_are_names(classes, labels, codes):
    p = Predictions((Probabilities(THREE), PredictedLabels(labels[::-1])), labels, MEMBER, classes=classes)
    assert p.labels.tolist() == codes
    assert guesses(p) == codes[::-1]
    assert p.classes == tuple(str(c) for c in classes)


def test_classes_that_are_true_and_false_are_names():
    labels = np.array([True, False, False, True])
    assert Predictions(PROBS, labels, MEMBER, classes=np.array([True, False])).labels.tolist() == [0, 1, 1, 0]


def test_a_number_that_is_no_class_is_refused():
    with pytest.raises(InputError, match=r"labels among the classes 2, 1, 5, found 0 in row 3"):
        Predictions(THREE, [2, 1, 0, 5], MEMBER, classes=[2, 1, 5])
    with pytest.raises(InputError, match=r"classes 0, 1, 2, found 3 in row 3; .*--set data.label_base=1 .* labels - 1"):
        Predictions(THREE, [1, 2, 3, 3], MEMBER, classes=[0, 1, 2])
    with pytest.raises(InputError, match="predicted labels among the classes 1, 2, found 3"):
        Predictions(PredictedLabels([1, 2, 3, 1]), [1, 2, 2, 1], MEMBER, classes=[1, 2])


@pytest.mark.parametrize("wrap", [lambda table: table, Logits])
@pytest.mark.parametrize(
    ("columns", "labels", "codes"),
    [
        (["dog", "cat"], ["cat", "dog", "dog", "cat"], [1, 0, 0, 1]),
        (["dog", "cat"], [0, 1, 1, 0], [0, 1, 1, 0]),
        ([2, 1], [1, 2, 2, 1], [1, 0, 0, 1]),
        ([2, 1], ["1", "2", "2", "1"], [1, 0, 0, 1]),
        (["1", "2"], [1, 2, 2, 1], [0, 1, 1, 0]),
    ],
)
def test_the_columns_of_a_frame_name_the_classes(wrap, columns, labels, codes):
    p = Predictions(wrap(pd.DataFrame(PROBS, columns=columns)), labels, MEMBER)
    assert p.classes == tuple(str(c) for c in columns)
    assert p.labels.tolist() == codes


def test_a_frame_without_column_names_is_an_array():
    assert Predictions(pd.DataFrame(PROBS), LABELS, MEMBER).classes is None
    assert Predictions(pd.DataFrame(PROBS), LABELS, MEMBER, classes=("a", "b")).classes == ("a", "b")


def test_classes_and_columns_have_to_agree():
    frame = pd.DataFrame(PROBS, columns=["dog", "cat"])
    assert Predictions(frame, LABELS, MEMBER, classes=["dog", "cat"]).classes == ("dog", "cat")
    with pytest.raises(InputError, match="cat, dog as classes and dog, cat as the columns of probabilities"):
        Predictions(frame, LABELS, MEMBER, classes=["cat", "dog"])
    with pytest.raises(InputError, match="cat, dog as the columns of logits and dog, cat as the columns of prob"):
        Predictions((Logits(frame[["cat", "dog"]]), Probabilities(frame)), LABELS, MEMBER)


def _shuffled(values: Any) -> pd.Series:
    return pd.Series(values, index=[3, 2, 1, 0])


@pytest.mark.parametrize(
    ("what", "columns"),
    [
        ("labels", {"labels": _shuffled(LABELS)}),
        ("member", {"member": _shuffled(MEMBER)}),
        ("ids", {"ids": _shuffled(list("abcd"))}),
        ("subjects", {"subjects": _shuffled(list("abcd"))}),
        ("group ward", {"groups": {"ward": _shuffled(list("abcd"))}}),
        ("order day", {"order": {"day": _shuffled([1, 2, 3, 4])}}),
        ("inputs", {"inputs": pd.DataFrame({"x": _shuffled([1, 2, 3, 4])})}),
        ("loss", {"outputs": (Probabilities(pd.DataFrame(PROBS)), Loss(_shuffled([1.0] * 4)))}),
    ],
)
def test_what_an_index_says_is_not_overruled_by_position(what, columns):
    given = {"outputs": pd.DataFrame(PROBS), "labels": LABELS, "member": MEMBER} | columns
    message = rf"{what} with the index of probabilities, found 3 beside 0 in row 1; .*reset_index\(drop=True\) on both"
    with pytest.raises(InputError, match=message):
        Predictions(**given)


def test_equal_indexes_and_what_has_none_go_together():
    labels, member = _shuffled(LABELS), _shuffled(MEMBER)
    p = Predictions(PROBS, labels, member, ids=pd.Index(list("abcd")), groups={"g": [1, 2, 3, 4]})
    assert p.labels.tolist() == LABELS.tolist()
    with pytest.raises(InputError, match=r"member with the index of labels, found '0' beside 0 in row 1"):
        Predictions(PROBS, pd.Series(LABELS), pd.Series(MEMBER, index=list("0123")))
    with pytest.raises(InputError, match="found 3 for 4 rows"):
        Predictions(pd.DataFrame(PROBS), pd.Series(LABELS[:3]), MEMBER)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "category", "string", "int64[pyarrow]", object])
def test_types_of_pandas_hold_what_arrays_do(dtype):
    def column(values):
        return pd.Series(values.astype(bool) if dtype == "boolean" else values).astype(dtype)

    ids = pd.Series(np.arange(4)).astype("Int64" if dtype == "boolean" else dtype)
    text: dict[str, Any] = {"classes": ["0", "1"]} if dtype == "string" else {}
    columns: dict[str, Any] = {"subjects": ids, "groups": {"g": ids}, "order": {"t": ids}}
    outputs = (Probabilities(PROBS), PredictedLabels(column(LABELS)))
    p = Predictions(outputs, column(LABELS), column(MEMBER), ids=ids, **columns, **text)
    assert p.labels.tolist() == guesses(p) == LABELS.tolist()
    assert p.member.tolist() == MEMBER.astype(bool).tolist()
    for found in (p.ids, p.subjects, p.groups["g"], p.order["t"]):
        assert found.dtype.kind in "ifU"
        assert found.astype(float).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("values", [[1, None, 2, 3], ["a", None, "b", "c"]])
@pytest.mark.parametrize("field", ["ids", "subjects", "groups", "order"])
@pytest.mark.parametrize("dtype", ["nullable", "category", "object"])
def test_missing_entries_of_pandas_are_refused_with_their_row(values, field, dtype):
    column = pd.Series(values, dtype=object)
    column = column.convert_dtypes() if dtype == "nullable" else column.astype(dtype)
    given: dict[str, Any] = {field: {"c": column} if field in ("groups", "order") else column}
    with pytest.raises(InputError, match="for every record, found missing values, first in row 2;"):
        Predictions(PROBS, LABELS, MEMBER, **given)


@pytest.mark.parametrize("labels", [pd.Series([0, pd.NA, 1, 1], dtype="Int64"), ["a", np.nan, "b", "b"]])
def test_a_missing_label_is_no_class(labels):
    for outputs in (PROBS, PredictedLabels(LABELS)):
        with pytest.raises(InputError, match="labels for every record, found missing values, first in row 2"):
            Predictions(outputs, labels, MEMBER, classes=["a", "b"])
    with pytest.raises(InputError, match="predicted labels for every record, found missing values, first in row 2"):
        Predictions(PredictedLabels(labels), LABELS, MEMBER, classes=["a", "b"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1, "a", 2, 3], dtype=object), "mixed types such as int and str; convert"),
        ([1, "a", 2, 3], "mixed types such as int and str; convert"),
        ([uuid.UUID(int=i) for i in range(4)], "found UUID objects; convert to text"),
        (pd.cut(pd.Series([1, 2, 3, 4]), 2), "found Interval objects; convert to text"),
        ([datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)] * 2, "datetime and datetime with a timezone"),
        ([2**70, 1, 2, 3], "found int objects"),
        ([datetime(2020, 1, 1), pd.NaT] * 2, "missing values, first in row 2"),
        (np.array([np.datetime64("NaT"), 1, 2, 3], dtype=object), "missing values, first in row 1"),
    ],
)
def test_objects_are_refused_for_what_they_are(values, message):
    with pytest.raises(InputError, match=message):
        Predictions(PROBS, LABELS, MEMBER, groups={"g": values})


@pytest.mark.parametrize("dress", [list, pd.Series, pd.DatetimeIndex, lambda v: pd.Series(v, dtype=object)])
def test_dates_with_a_timezone_become_utc(dress):
    days = pd.date_range("2020-01-01", periods=4, tz="Europe/Berlin")
    day = Predictions(PROBS, LABELS, MEMBER, order={"day": dress(days)}).order["day"]
    assert day.dtype.kind == "M"
    assert day[0] == np.datetime64("2019-12-31T23:00")


def test_dates_stay_dates():
    p = Predictions(PROBS, LABELS, MEMBER, order={"day": [date(2020, 1, i) for i in range(1, 5)]})
    assert p.order["day"][1] == np.datetime64("2020-01-02")


@pytest.mark.parametrize("field", ["groups", "order"])
@pytest.mark.parametrize("values", [pd.Series(list("abcd")), np.arange(4), [1, 2, 3, 4]])
def test_groups_and_order_have_names(field, values):
    with pytest.raises(InputError, match=r'Expected a name and values, such as \{"ward": ward\}, found .* as ' + field):
        Predictions(PROBS, LABELS, MEMBER, **{field: values})


def test_groups_may_be_a_frame_or_none():
    assert list(Predictions(PROBS, LABELS, MEMBER, groups=pd.DataFrame({"ward": list("abcd")})).groups) == ["ward"]
    assert Predictions(PROBS, LABELS, MEMBER, groups=None).groups == {}


def test_pandas_is_not_imported():
    script = (
        "import sys, vestige; vestige.Predictions([[1, 0], [0, 1]], [0, 1], [0, 1]); assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

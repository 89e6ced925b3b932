import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.core.errors import InputError
from vestige.core.labels import class_order
from vestige.data import read_records
from vestige.data.formats.classes import (
    codes_of_array,
    codes_of_names,
    codes_without_columns,
    integers_if_all,
    names_in_order,
)


def test_integer_names_are_ordered_as_numbers():
    assert class_order(["10", "2", "1"]) == ("1", "2", "10")
    assert class_order(["10", "2", "x"]) == ("10", "2", "x")


@pytest.mark.parametrize(
    ("labels", "classes", "base", "expected"),
    [
        (["b", "a"], ("a", "b"), 0, [1, 0]),
        (["b", "a"], ("b", "a"), 0, [0, 1]),  # the columns' order counts, not the alphabet
        (["3", "7"], ("3", "7"), 0, [0, 1]),
        (["1.0", "0.0"], ("0", "1"), 0, [1, 0]),
        (["True", "False"], ("0", "1"), 0, [1, 0]),
        (["True", "False"], ("False", "True"), 0, [1, 0]),
        (["1", "2"], ("0", "1", "2"), 1, [0, 1]),
        (["1", "3"], ("1", "2", "3"), 1, [0, 2]),  # columns that count from 1 are matched as they are
        (["007"], ("007", "7"), 0, [0]),
    ],
)
def test_labels_are_matched_by_name(labels, classes, base, expected):
    np.testing.assert_array_equal(codes_of_names(np.array(labels), classes, base, "labels"), expected)


def test_unmatched_labels_show_both_sides():
    refused(lambda: codes_of_names(np.array(["a b"]), ("a.b", "c"), 0, "labels"), "a.b, c", "found a b", "name the col")
    refused(lambda: codes_of_names(np.array(["1", "2"]), ("0", "1"), 0, "labels"), "--set data.label_base=1")
    refused(lambda: codes_of_names(np.array(["0", "2"]), ("0", "1"), 1, "labels"), "count from 1", "found 0")


def test_integer_arrays_are_codes_unless_the_classes_are_integers():
    labels = np.array([0, 1])
    np.testing.assert_array_equal(codes_of_array(labels, ("x", "y"), 0, "labels"), [0, 1])
    np.testing.assert_array_equal(codes_of_array(labels + 1, ("x", "y"), 1, "labels"), [0, 1])
    np.testing.assert_array_equal(codes_of_array(labels + 5, ("6", "5"), 0, "labels"), [1, 0])
    np.testing.assert_array_equal(codes_of_array(np.array([1.0, 2.0]), None, 1, "labels"), [0, 1])
    refused(lambda: codes_of_array(labels, None, 1, "labels"), "count from 1", "found 0")


def test_without_columns_text_becomes_classes_and_integers_stay_codes():
    codes, guesses, classes = codes_without_columns(np.array(["no", "yes"]), np.array(["yes", "maybe"]), 0)
    assert classes == ("maybe", "no", "yes")
    assert guesses is not None
    np.testing.assert_array_equal(codes, [1, 2])
    np.testing.assert_array_equal(guesses, [2, 0])
    codes, _, classes = codes_without_columns(np.array(["1", "3"]), None, 1)
    assert classes is None
    np.testing.assert_array_equal(codes, [0, 2])
    refused(lambda: codes_without_columns(np.array(["0", "3"]), None, 1), "count from 1", "found 0")
    refused(lambda: codes_without_columns(np.array(["0.5", "3"]), None, 0), "0.5", "regression targets")


def test_names_in_order_is_for_text_only():
    assert names_in_order(np.array(["b", "a"]), None) == ("a", "b")
    assert names_in_order(np.array(["b"]), np.array(["c"])) == ("b", "c")
    assert names_in_order(np.array([1]), None) is None


@pytest.mark.parametrize("kept", [["007"], ["1", "x"], ["+1"], ["1_0"], ["1.0"], ["9" * 30], [" 1"], ["-0"]])
def test_only_plain_integers_become_integers(kept):
    assert integers_if_all(np.array(kept)).dtype.kind == "U"


def test_plain_integers_become_integers():
    np.testing.assert_array_equal(integers_if_all(np.array(["-3", "0", "12"])), [-3, 0, 12])


@pytest.mark.parametrize(
    "text", ["1_0", "1e1", "1e+1", "+10", " 10", "10 ", "10\t", "\u0661\u0660", "0xA", "nan", "inf", "10.", "010"]
)
def test_text_is_a_number_only_as_files_spell_one(text):
    with pytest.raises(InputError, match="Expected labels among the classes"):
        codes_of_names(np.array([text, "9"]), ("9", "10"), 0, "labels")
    codes, _, classes = codes_without_columns(np.array([text, "10"]), None, 0)
    assert classes is not None
    assert len(set(classes)) == 2
    assert codes[0] != codes[1]


@pytest.mark.parametrize(("text", "value"), [("1e+05", 100_000), ("1.5e+06", 1_500_000), ("10.0", 10), ("-1", -1)])
def test_whole_numbers_as_r_and_python_write_them_are_the_same_class(text, value):
    np.testing.assert_array_equal(codes_of_names(np.array([text]), ("x", str(value)), 0, "labels"), [1])


def test_gaps_are_counted_without_going_through_them(tmp_path):
    (tmp_path / "a.csv").write_text("label,x\n1,1\n5,2\n1_000,3\n")
    assert read_records(tmp_path / "a.csv").notes == ()
    (tmp_path / "a.csv").write_text(f"label,x\n1,1\n2,2\n{10**15},3\n")
    assert read_records(tmp_path / "a.csv").n_classes == 3

"""Labels become codes by name where classes are named, and by number where they are not."""

import numpy as np
import pytest

from vestige.core.errors import InputError
from vestige.core.labels import Classes, as_codes, as_numbers, codes_of_classes, number_of_text


def codes(values, names=None, numbers=None, size=None):
    return as_codes(values, "labels", len(values), "inputs", Classes(names, numbers, size)).tolist()


@pytest.mark.parametrize(
    ("values", "names", "numbers", "expected"),
    [
        ([0, 2, 1], None, None, [0, 2, 1]),
        ([0.0, 2.0], None, None, [0, 2]),
        ([True, False], None, None, [1, 0]),
        (np.array([[1], [0]]), None, None, [1, 0]),
        (["b", "a"], ("a", "b"), None, [1, 0]),
        (np.array([b"b", b"a"]), ("a", "b"), None, [1, 0]),
        ([7, -1], ("-1", "7"), (-1, 7), [1, 0]),
        ([1, 0], ("x", "y"), None, [1, 0]),
        (np.array([], int), None, None, []),
    ],
)
def test_labels_of_every_kind(values, names, numbers, expected):
    assert codes(values, names, numbers, None if names is None else len(names)) == expected


@pytest.mark.parametrize(
    ("values", "names", "numbers", "said"),
    [
        ([1, 2], ("0", "1"), (0, 1), "among the classes 0, 1, found 2 in row 2; if the labels count from 1"),
        ([5, 1], ("0", "1"), (0, 1), "found 5 in row 1; name the columns after the values"),
        ([0, 3], ("a", "b"), None, r"labels in 0\.\.1, found 3 in row 2; check the labels"),
        ([1, 2], ("a", "b"), None, r"found 2 in row 2; if the labels count from 1"),
        (["c", "a"], ("a", "b"), None, "found c"),
        (["a"], None, None, "found text such as 'a'"),
        ([[0, 1], [1, 0]], None, None, "multi-label"),
        ([0.5], None, None, "regression"),
        ([np.inf], None, None, "regression"),
    ],
)
def test_labels_that_are_none(values, names, numbers, said):
    with pytest.raises(InputError, match=said):
        codes(values, names, numbers, None if names is None else len(names))


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("-3", -3), ("007", "007"), ("1.0", "1.0"), ("²", "²"), ("", ""), (5, 5)]
)
def test_a_text_that_spells_a_number(text, number):
    assert number_of_text(text) == number


def test_numbers_are_all_whole_or_none():
    assert as_numbers([1, 2.0, np.int8(3), True]) == (1, 2, 3, 1)
    assert as_numbers([1, 2.5]) is None
    assert as_numbers(["1"]) is None
    assert as_numbers([float("nan")]) is None
    assert as_numbers([float("inf")]) is None


# --------------------------------------------------------------------------- classes of somebody else


@pytest.mark.parametrize(
    ("values", "names", "expected"),
    [
        (["sick", "well"], ("well", "sick"), (1, 0)),
        (["sick"], ("well", "sick"), (1,)),
        ([0, 1], ("well", "sick"), (0, 1)),
        ([1], ("well", "sick"), (1,)),
        ([1.0, 0.0], ("well", "sick"), (1, 0)),
        ([False, True], ("False", "True"), (0, 1)),
        ([False, True], ("True", "False"), (1, 0)),
        ([False, True], ("0", "1"), (0, 1)),
        ([1, 2], ("1", "2"), (0, 1)),
        ([1.0, 2.0], ("1", "2"), (0, 1)),
        (["2"], ("1", "2"), (1,)),
        ([0, 1], ("1", "2"), (0, 1)),  # 0 is no name, so all are codes
        ([2, 0], None, (2, 0)),
        ([], None, ()),
    ],
)
def test_all_classes_are_names_or_all_are_codes(values, names, expected):
    assert codes_of_classes(values, "classes", 3 if names is None else len(names), names) == expected


@pytest.mark.parametrize(
    ("values", "names", "said"),
    [
        (["ill"], ("well", "sick"), "classes among the classes of the records, well, sick, found 'ill'"),
        (["well", 1], ("well", "sick"), "found 1"),
        ([2], ("well", "sick"), "found 2"),
        ([-1], None, r"0\.\.1, found -1"),
        ([0.5], None, r"found 0\.5"),
        ([None], None, "found None"),
    ],
)
def test_classes_that_the_records_do_not_have(values, names, said):
    with pytest.raises(InputError, match=said):
        codes_of_classes(values, "classes", 2, names)

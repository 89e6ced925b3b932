"""Records reach an ONNX graph in the types and shapes that it wants, or are refused by the input's name."""

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import InputError, TargetError
from vestige.targets.files.onnx_file import GraphInput, feeds

X = np.arange(6.0).reshape(2, 3)


def wanted(dtype, shape=(None, 3), name="x"):
    return GraphInput(name, np.dtype(dtype), shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int8", "uint8"])
@pytest.mark.parametrize("given", [X, X.astype(np.int64), X.astype(np.uint8), X.astype(">f4"), X[:, ::1]])
def test_numbers_are_cast_to_what_the_input_takes(dtype, given):
    found = feeds(given, [wanted(dtype)])["x"]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, given)


def test_truth_values():
    found = feeds(np.array([[0.0, 1.0, 1.0]]), [wanted("bool")])["x"]
    assert found.dtype == bool
    assert found.tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("dtype", "value"), [("int64", 0.5), ("int64", np.nan), ("uint8", 256.0), ("uint8", -1.0), ("bool", 2.0)]
)
def test_a_number_that_would_become_another_is_refused(dtype, value):
    given = X.copy()
    given[1, 2] = value
    with pytest.raises(InputError, match=rf"Expected whole numbers \({dtype}\) for the graph's input x, found {value}"):
        feeds(given % (2 if dtype == "bool" and value != 2.0 else 1000) if value == 0.5 else given, [wanted(dtype)])


def test_text_is_no_number():
    with pytest.raises(InputError, match="Expected numbers for the graph's input x"):
        feeds(np.array([["a", "b", "c"]]), [wanted("float32")])


@pytest.mark.parametrize("given", [X[:, :2], X[:, :, None]])
def test_another_shape_is_refused(given):
    with pytest.raises(TargetError, match=r"of shape \(3\) for the graph's input x, found \("):
        feeds(given, [wanted("float32")])


def test_an_axis_of_any_size_takes_any():
    assert feeds(X, [wanted("float32", (None, None))])["x"].shape == (2, 3)


TABLE = pd.DataFrame({"age": [40, 50], "ward": pd.Categorical(["a", "b"]), "dose": [0.5, np.nan], "other": ["x", "y"]})
COLUMNS = [wanted("int64", (None, 1), "age"), wanted("object", (None, 1), "ward"), wanted("float32", (None,), "dose")]


def test_a_table_gives_each_input_its_column():
    found = feeds(TABLE, COLUMNS)
    assert found["age"].tolist() == [[40], [50]]
    assert found["ward"].tolist() == [["a"], ["b"]]
    np.testing.assert_array_equal(found["dose"], np.array([0.5, np.nan], dtype=np.float32))
    assert set(found) == {"age", "ward", "dose"}


def test_a_table_of_one_input_of_its_name():
    assert feeds(TABLE[["age"]], COLUMNS[:1])["age"].tolist() == [[40], [50]]


def test_a_table_of_numbers_is_one_array():
    np.testing.assert_array_equal(feeds(pd.DataFrame(X, columns=list("abc")), [wanted("float32")])["x"], X)


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="found none for age, dose; name the columns"):
        feeds(TABLE[["ward"]], COLUMNS)


def test_an_array_for_several_inputs_is_refused():
    with pytest.raises(InputError, match="each of the graph's inputs, age, ward, dose, found an array; give a Data"):
        feeds(X, COLUMNS)


def test_missing_text_and_numbers_in_the_place_of_text_are_refused():
    with pytest.raises(InputError, match="ward"):
        feeds(pd.DataFrame({"age": [1, 2], "ward": ["a", None], "dose": [0.0, 1.0]}), COLUMNS)
    with pytest.raises(InputError, match="Expected text for the graph's input ward, found float64"):
        feeds(pd.DataFrame({"age": [1, 2], "ward": [0.5, 1.0], "dose": [0.0, 1.0]}), COLUMNS)

"""One type per kind of answer; a table is refused where it cannot be one."""

import numpy as np
import pandas as pd
import pytest

from vestige.core.blocks import ArrayTable
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Loss, Phi, PredictedLabels, Probabilities
from vestige.data.formats.arrays import npy_file

PER_CLASS = (Logits, Probabilities)
PER_RECORD = (Loss, Phi, PredictedLabels)


@pytest.mark.parametrize("kind", PER_CLASS)
def test_a_number_per_class_comes_as_records_by_classes(kind):
    assert kind([[0.5, 0.5], [1.0, 0.0]]).n_records == 2
    with pytest.raises(InputError, match=f"{kind.kind} as records x classes, found shape \\(3,\\)"):
        kind([0.5, 0.5, 1.0])


@pytest.mark.parametrize("kind", PER_RECORD)
def test_a_number_per_record_comes_as_one_column(kind):
    assert kind([1, 0, 2]).n_records == 3
    with pytest.raises(InputError, match="one number per record, found shape"):
        kind([[1, 0]])


@pytest.mark.parametrize(("kind", "first"), [(Logits, [0.0, 0.0]), (Probabilities, [0.5, 0.75])])
def test_a_single_column_is_that_of_the_second_of_two_classes_and_that_is_said(kind, first, tmp_path):
    np.save(tmp_path / "one.npy", np.array([[0.5], [0.25]], np.float32))
    for values in ([[0.5], [0.25]], np.array([[0.5], [0.25]], np.float32), npy_file(tmp_path / "one.npy").table()):
        read = kind(values)
        assert read.whole().tolist() == [[first[0], 0.5], [first[1], 0.25]]
        assert [list(block[0]) for block in read.table.blocks(1)] == read.whole().tolist()
        assert read.notes == (f"Warning: one column of {kind.kind} was read as the second of two classes (label 1).",)
    assert kind([[0.5, 0.5]]).notes == ()


@pytest.mark.parametrize("kind", [Logits, Probabilities, Loss, Phi])
def test_text_and_objects_are_no_numbers(kind):
    shape = (1, 2) if kind.n_axes == 2 else (2,)
    for bad in (np.full(shape, "a"), np.full(shape, None)):
        with pytest.raises(InputError, match=f"numbers as {kind.kind}, found dtype"):
            kind(bad)


def test_predicted_labels_may_be_names():
    assert PredictedLabels(["cat", "dog"]).n_records == 2


def test_a_table_of_blocks_is_kept_as_it_is():
    table = ArrayTable(np.zeros((3, 2)), "file.npy")
    assert Logits(table).table is table
    with pytest.raises(InputError, match=r"file\.npy"):
        Logits(ArrayTable(np.zeros(3), "file.npy"))


def test_one_probability_per_record_is_told_how_to_be_two():
    with pytest.raises(InputError, match=r"for a binary model give np\.column_stack\(\[1 - p, p\]\)"):
        Probabilities([0.1, 0.9])
    with pytest.raises(InputError, match=r"for a binary model give np\.column_stack\(\[np\.zeros\(len\(z\)\), z\]\)"):
        Logits([0.1, 0.9])
    with pytest.raises(InputError, match=r"found shape \(1, 2, 1\) in logits\.$"):
        Logits([[[0.1], [0.9]]])


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ("Float64", "f8"),
        ("Float32", "f4"),
        ("float32", "f4"),
        ("float64[pyarrow]", "f8"),
        ("category", "f8"),
        (object, "f8"),
    ],
)
def test_a_frame_of_any_numbers_is_a_table(given, dtype):
    frame = pd.DataFrame([[0.25, 0.75], [0.5, 0.5]], columns=["a", "b"], index=[7, 8]).astype(given)
    output = Probabilities(frame)
    assert output.table.dtype == np.dtype(dtype)
    assert next(iter(output.table.blocks(9))).tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert (output.columns, list(output.index)) == (("a", "b"), [7, 8])
    assert Loss(frame["a"]).table.dtype.kind == "f"


@pytest.mark.parametrize("dtype", ["Float64", "float64", "category"])
def test_missing_answers_are_refused(dtype):
    frame = pd.DataFrame([[0.25, 0.75], [0.5, None]]).astype(dtype)
    with pytest.raises(InputError, match="probabilities for every record, found missing values, first in row 2"):
        Probabilities(frame)
    with pytest.raises(InputError, match="loss for every record, found missing values, first in row 2"):
        Loss(frame[1])


def test_a_frame_with_text_is_no_table():
    with pytest.raises(InputError, match="numbers as probabilities, found dtype object"):
        Probabilities(pd.DataFrame({"a": [0.5, 1.0], "b": ["x", "y"]}))

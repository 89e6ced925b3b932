"""Answers are read as what they are: names of columns count, labels are no probabilities, rounding is no fault."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from vestige.core.errors import TargetError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.targets.answer_format import AnswerFormat

NAMED = pd.DataFrame({"b": [0.9, 0.2], "a": [0.1, 0.8]})


@pytest.mark.parametrize("found", [NAMED, Probabilities(NAMED)])
def test_the_columns_of_a_table_of_answers_name_the_classes(found):
    read = AnswerFormat().read(found, 2, 2, ("a", "b"))
    np.testing.assert_array_equal(read.whole(), [[0.1, 0.9], [0.8, 0.2]])


def test_columns_that_were_declared_go_before_those_of_a_table():
    table = NAMED.rename(columns={"b": "first", "a": "second"})
    read = AnswerFormat(columns=("b", "a")).read(table, 2, 2, ("a", "b"))
    np.testing.assert_array_equal(read.whole(), [[0.1, 0.9], [0.8, 0.2]])


def test_a_table_that_counts_its_columns_is_in_the_order_of_the_classes():
    table = pd.DataFrame(NAMED.to_numpy())
    np.testing.assert_array_equal(AnswerFormat(Logits).read(2 * table, 2, 2, ("a", "b")).whole(), 2 * table)


def test_a_missing_answer_in_a_table_is_refused():
    with pytest.raises(TargetError, match="missing values, first in row 2"):
        AnswerFormat().read(NAMED.mask(NAMED == 0.2), 2, 2, ("a", "b"))


@pytest.mark.parametrize("kind", [Probabilities, Logits])
@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_one_whole_number_per_record_is_a_label_and_no_confidence(kind, shape):
    with pytest.raises(TargetError, match="found one int64 per record, as labels are"):
        AnswerFormat(kind).read(np.array([0, 1]).reshape(shape), 2, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_that_were_rounded_are_read_as_given(dtype):
    rounded = np.array([[0.34, 0.33, 0.32], [0.5, 0.25, 0.25]], dtype=dtype)
    np.testing.assert_array_equal(AnswerFormat().read(rounded, 2, 3).whole(), rounded)


def test_rounding_explains_no_more_than_half_a_unit_per_class():
    with pytest.raises(TargetError, match=r"sum of 0\.97 for record 1"):
        AnswerFormat().read(np.array([[0.34, 0.33, 0.3]]), 1, 3)


def test_truth_values_are_matched_with_classes_of_these_names():
    read = AnswerFormat(PredictedLabels).read(np.array([True, False]), 2, 2, ("True", "False"))
    assert read.whole().tolist() == [0, 1]
    read = AnswerFormat(PredictedLabels).read(np.array([True, False]), 2, 2, ("no", "yes"))
    assert read.whole().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([[0.5, 0.5], [1.0]], r"found list \(setting an array element with a sequence"),
        ((np.full((2, 2), 0.5), 1), r"found tuple \("),
        (None, r"found NoneType \(a single object\); let the model return its answers alone"),
        ({"probabilities": np.full((2, 2), 0.5)}, r"found dict \(a single object\)"),
        (np.array([["0.5", 0.5], ["half", 0.5]], dtype=object), r"found ndarray \(could not convert string"),
        (
            np.ma.masked_array(np.full((2, 2), 0.5), [[False, False], [False, True]]),
            "for every record, found a masked array",
        ),
        (np.full((1, 2), 0.5), r"found \(1, 2\); give an answer for every record, and no more"),
        (pd.DataFrame({"a": [0.5, 0.5], "b": [0.5, 0.5]}).set_axis(["a", "a"], axis=1), "found 'a' twice"),
    ],
)
def test_what_is_no_answer_per_record_and_class_is_refused(found, said):
    with pytest.raises(TargetError, match=said):
        AnswerFormat().read(found, 2, 2, ("a", "b"))


def test_labels_that_were_said_to_be_probabilities_are_named():
    with pytest.raises(TargetError, match=r"found \(3,\); give a number per class, or declare the answers as labels"):
        AnswerFormat().read(np.array([0, 1, 2]), 3, 3)


@pytest.mark.parametrize("columns", [("a", "b", "a"), ("a", "b", "b")])
def test_a_class_that_was_declared_twice_is_refused(columns):
    with pytest.raises(TargetError, match=r"each of the model's classes once, found '[ab]' twice"):
        AnswerFormat(columns=columns).read(np.full((2, 3), 1 / 3), 2, 3, ("a", "b", "c"))


def test_tensors_and_other_holders_of_numbers_are_read():
    expected = NAMED.to_numpy()
    tensor = torch.from_numpy(expected.astype(np.float32)).requires_grad_()
    for found in (tensor, expected.astype(object), scipy.sparse.csr_matrix(expected), expected.tolist()):
        np.testing.assert_allclose(AnswerFormat().read(found, 2, 2).whole(), expected, atol=1e-7)
    half = torch.tensor([[0.75, 0.25], [0.5, 0.5]], dtype=torch.bfloat16)
    assert AnswerFormat().read(half, 2, 2).whole().tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert AnswerFormat(PredictedLabels).read(torch.tensor([1, 0]), 2, 2).whole().tolist() == [1, 0]

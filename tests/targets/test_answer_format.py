"""Answers are read as what they are: names of columns count, labels are no probabilities, rounding is no fault."""

import numpy as np
import pandas as pd
import pytest

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

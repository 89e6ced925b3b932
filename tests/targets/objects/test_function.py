"""A function is asked for probabilities, which are checked, and cannot change the records."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import TargetError
from vestige.core.outputs import PredictedLabels, Probabilities
from vestige.core.targets import ConfidenceTarget, GradientTarget
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.function import FunctionTarget

X = np.arange(8.0).reshape(4, 2)


def constant(*row):
    return lambda inputs: [list(row)] * len(inputs)


def test_a_function_is_a_target():
    target = FunctionTarget(constant(0.25, 0.75), 2)
    assert isinstance(target, ConfidenceTarget)
    assert not isinstance(target, GradientTarget)
    found = target.answers(X)
    assert isinstance(found, Probabilities)
    np.testing.assert_array_equal(np.concatenate(list(found.table.blocks(8))), [[0.25, 0.75]] * 4)


def test_no_records_have_no_answers():
    assert FunctionTarget(lambda inputs: np.empty((0, 2)), 2).answers(X[:0]).table.shape == (0, 2)


def test_it_is_given_a_copy():
    def in_place(inputs):
        inputs[:] = 0
        return [[0.5, 0.5]] * len(inputs)

    given = X.copy()
    FunctionTarget(in_place, 2).answers(given)
    np.testing.assert_array_equal(given, X)


def test_it_is_given_a_table_as_a_table():
    table = pd.DataFrame({"c": pd.Categorical(["a", "b"])})

    def model(given):
        assert given.dtypes["c"] == table.dtypes["c"]
        return [[0.5, 0.5]] * len(given)

    assert FunctionTarget(model, 2).answers(table).n_records == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((0.5, 0.6), "sum to 1, found a sum of 1.1 for record 1; declare the answers as logits"),
        ((3.0, -2.0), "of at least 0, found -2 for record 1; declare the answers as logits"),
        ((0.5, np.nan), "NaN or infinity, first for record 1"),
        ((0.2, 0.3, 0.5), r"found \(4, 3\); give the model as many outputs"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(row, said):
    with pytest.raises(TargetError, match=said):
        FunctionTarget(constant(*row), 2).answers(X)


def test_the_record_is_named_not_the_worst_one():
    rows = np.array([[0.5, 0.5], [0.5, 0.5], [-0.1, 1.1], [0.9, 0.9]])
    with pytest.raises(TargetError, match=r"found -0\.1 for record 3"):
        FunctionTarget(lambda inputs: rows, 2).answers(X)


def test_rounding_is_no_error():
    assert FunctionTarget(constant(0.33333, 0.66661), 2).answers(X).n_records == 4
    assert FunctionTarget(constant(-1e-9, 1.0), 2).answers(X).n_records == 4


def told(answer, inputs):
    return answer


def test_answers_in_another_order_than_the_records_are_refused():
    """The index says whose answer each is: what was sorted on the way is not taken by position."""
    table = pd.DataFrame(X, index=[7, 5, 6, 8])
    for given, index in ((X, range(4)), (table, range(4)), (table, table.index), (X, [9, 8, 7, 6])):
        answer = pd.DataFrame([[0.25, 0.75]] * 4, index=index)
        assert FunctionTarget(partial(told, answer), 2).answers(given).n_records == 4
    for given, index in ((X, [0, 2, 1, 3]), (table, [5, 6, 7, 8])):
        answer = pd.DataFrame([[0.25, 0.75]] * 4, index=index)
        for returned in (answer, Probabilities(answer)):
            with pytest.raises(TargetError, match="in the order of the records, found"):
                FunctionTarget(partial(told, returned), 2).answers(given)
    labels = pd.Series([0, 1, 1, 0], index=[3, 2, 1, 0])
    with pytest.raises(TargetError, match="found 3 in row 1 of their index, where 0 stands"):
        FunctionTarget(lambda inputs: labels, 2, format=AnswerFormat(PredictedLabels)).answers(X)

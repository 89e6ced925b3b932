"""A function is asked for probabilities, which are checked, and cannot change the records."""

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import TargetError
from vestige.core.outputs import Probabilities
from vestige.core.targets import ConfidenceTarget, GradientTarget
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

"""In front of a model inputs are checked and prepared, and it stays what it was: near or far, with gradients or not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.targets.models import Far, Known, White, probabilities_of

from vestige.core.errors import InputError
from vestige.core.inputs import InputSpace
from vestige.core.targets import GradientModel, QueryableModel, RemoteModel
from vestige.defences import TopK
from vestige.targets.preprocessing import defended, prepared_model

X = np.arange(12.0).reshape(6, 2)
SPACE = InputSpace(low=0, high=11, mean=1, scale=2, dtype="float64")
OUT = np.where(X == 11, 12, X)


def test_where_nothing_is_declared_it_is_the_model_itself():
    model = Known()
    assert prepared_model(model, InputSpace()) is model


@pytest.mark.parametrize(("model", "is_far", "has_gradients"), [(Known, 0, 0), (Far, 1, 0), (White, 0, 1)])
def test_it_gives_what_the_model_gives_and_no_more(model, is_far, has_gradients):
    found = prepared_model(model(), SPACE)
    assert isinstance(found, QueryableModel)
    assert isinstance(found, RemoteModel) == is_far
    assert isinstance(found, GradientModel) == has_gradients
    assert found.n_classes == 3


def test_the_model_is_given_prepared_inputs():
    model = Known()
    found = prepared_model(model, SPACE).answers(X)
    np.testing.assert_array_equal(model.seen, (X - 1) / 2)
    np.testing.assert_array_equal(found.whole(), probabilities_of((X - 1) / 2))


def test_categories_become_numbers_on_the_way():
    model = Known()
    table = pd.DataFrame({"c": ["b", "a"], "x": [1, 2]})
    prepared_model(model, InputSpace(categories={"c": ("a", "b")}, encoding="one_hot")).answers(table)
    assert model.seen == [[0, 1, 1], [1, 0, 2]]


def test_gradients_are_those_at_the_prepared_inputs():
    found: Any = prepared_model(White(), SPACE)
    np.testing.assert_array_equal(found.gradient_norms(X, np.zeros(6, dtype=np.int64)), (X[:, 0] - 1) / 2)
    with pytest.raises(InputError, match="found 12 for record 6"):
        found.gradient_norms(OUT, np.zeros(6, dtype=np.int64))


def test_a_model_far_away_answers_in_batches():
    found: Any = prepared_model(Far(batch=4), SPACE)
    assert found.identity == Far.identity
    parts = list(found.answers_in_batches(X))
    assert [part.rows.tolist() for part in parts] == [[4, 5], [0, 1, 2, 3]]
    np.testing.assert_array_equal(parts[0].answers.whole(), probabilities_of((X[4:] - 1) / 2))


@pytest.mark.parametrize("ask", ["answers", "answers_in_batches"])
def test_nothing_is_sent_if_an_input_is_out_of_range(ask):
    model = Far(batch=1)
    with pytest.raises(InputError, match=r"in inputs\[:, 1\], found 12 for record 6"):
        getattr(prepared_model(model, SPACE), ask)(OUT)
    assert model.seen == []


@pytest.mark.parametrize(("model", "is_far"), [(Known, 0), (Far, 1), (White, 0)])
def test_behind_a_defence_a_model_has_no_gradients_and_is_as_far_as_before(model, is_far):
    found: Any = defended(model(), TopK(1))
    assert isinstance(found, QueryableModel)
    assert isinstance(found, RemoteModel) == is_far
    assert not isinstance(found, GradientModel)
    told = TopK(1)(model().answers(X)).whole()
    np.testing.assert_array_equal(found.answers(X).whole(), told)
    if is_far:
        assert isinstance(found, RemoteModel)
        assert found.identity == Far.identity
        for part in found.answers_in_batches(X):
            np.testing.assert_array_equal(part.answers.whole(), told[part.rows])

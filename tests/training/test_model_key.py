"""ModelKey: the key is a digest of one spelling, and every fact is in it."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vestige.core.errors import InputError
from vestige.training.model_key import TRAINING_SEMANTICS, ModelKey, key_of, plain

FACTS = ModelKey(
    data="d", membership="m", recipe={"epochs": 3, "net": {"width": 8}}, seed=5, checkpoints=(1, 2), start="s"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


def test_the_key_is_the_sha256_of_json_by_hand():
    text = (
        '{"checkpoints":[1,2],"data":"d","membership":"m","recipe":{"epochs":3,"net":{"width":8}},"seed":5,'
        f'"semantics":{TRAINING_SEMANTICS},"start":"s"}}'
    )
    assert key_of(FACTS) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"data": "e"},
        {"membership": "n"},
        {"recipe": {"epochs": 4, "net": {"width": 8}}},
        {"recipe": {"epochs": 3, "net": {"width": 8.0}}},
        {"seed": 6},
        {"checkpoints": (1,)},
        {"start": ""},
        {"semantics": TRAINING_SEMANTICS + 1},
    ],
)
def test_every_fact_changes_the_key(change):
    assert key_of(replace(FACTS, **change)) != key_of(FACTS)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), JSON))
def test_the_order_in_which_parameters_are_named_does_not_matter(recipe):
    turned = dict(reversed(recipe.items()))
    assert key_of(replace(FACTS, recipe=recipe)) == key_of(replace(FACTS, recipe=turned))


def test_numpy_numbers_count_as_numbers_and_nan_is_one():
    recipe = {"epochs": np.int64(3), "net": {"width": np.int32(8)}}
    assert key_of(replace(FACTS, recipe=recipe)) == key_of(FACTS)
    assert key_of(replace(FACTS, recipe={"a": np.float32("nan")})) == key_of(replace(FACTS, recipe={"a": float("nan")}))
    assert plain(replace(FACTS, recipe=recipe))["recipe"] == {"epochs": 3, "net": {"width": 8}}


def test_what_is_no_text_or_number_is_refused():
    with pytest.raises(InputError, match="identity of a recipe, found: a function; describe its parameters by text"):
        key_of(replace(FACTS, recipe={"net": {"make": key_of}}))
    with pytest.raises(InputError, match="identity of a recipe, found: a ndarray"):
        key_of(replace(FACTS, recipe={"weights": np.zeros(2)}))

"""Digests of columns: names, types, shapes and values, none of which can be taken for another."""

import hashlib

import numpy as np
import pandas as pd

from vestige.core.digests import columns_of_inputs, digest_of_columns, update_with_columns


def test_the_digest_of_numbers_by_hand():
    expected = hashlib.sha256(b"'x' int64 (2,) " + (1).to_bytes(8, "little") + (2).to_bytes(8, "little"))
    assert digest_of_columns({"x": np.array([1, 2])}) == expected.hexdigest()


def test_the_digest_of_objects_by_hand():
    expected = hashlib.sha256(b"'x' object (3,) NoneType 4 None str 2 \xc3\xa9a float 3 nan ")
    assert digest_of_columns({"x": np.array([None, "éa", np.nan], dtype=object)}) == expected.hexdigest()


def test_columns_without_values_are_not_seen():
    assert digest_of_columns({"x": None}) == digest_of_columns({}) == hashlib.sha256().hexdigest()


def test_a_digest_goes_on():
    one, two = hashlib.sha256(), hashlib.sha256()
    columns = {"a": np.arange(3), "b": np.array(["u", "v"])}
    update_with_columns(one, columns)
    for name, values in columns.items():
        update_with_columns(two, {name: values})
    assert one.hexdigest() == two.hexdigest() == digest_of_columns(columns)


def test_the_order_of_columns_matters():
    a, b = np.arange(3), np.arange(3)
    assert digest_of_columns({"a": a, "b": b}) != digest_of_columns({"b": b, "a": a})


def test_a_name_cannot_stand_for_a_column():
    """A name that holds what two columns give is quoted, so it is still a name."""
    first = np.frombuffer(b"abcdefgh", np.int64)
    two = {"x": first, "y": first}
    one = {"x' int64 (1,) abcdefgh'y": first}
    assert digest_of_columns(one) != digest_of_columns(two)


def test_kinds_of_columns_that_have_no_bytes_of_their_own_or_many():
    kinds = [
        np.array([], dtype=np.float32),
        np.array([], dtype=object),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.array(["a", "bc"]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[s]"),
        np.array([1, 2], dtype=">i8"),
        np.array([1, 2], dtype="<i8"),
        np.array(["\ud800"], dtype=object),
        np.arange(24.0).reshape(2, 3, 4),
        np.arange(24.0).reshape(2, 3, 4).transpose(0, 2, 1),
    ]
    assert len({digest_of_columns({"x": values}) for values in kinds}) == len(kinds)


def test_columns_of_a_table_are_named_with_place_and_type():
    table = pd.DataFrame({"a": [1.5], "b": pd.Categorical(["u"], categories=["v", "u"])})
    columns = columns_of_inputs(table)
    assert list(columns) == ["input 0 'a' float64", "input 1 'b' category False", "input 1 'b' category"]
    assert columns["input 1 'b' category False"].tolist() == ["v", "u"]
    assert columns["input 1 'b' category"].tolist() == [1]
    assert list(columns_of_inputs(np.eye(2))) == ["inputs"]

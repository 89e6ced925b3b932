"""Requests and answers of the Open Inference Protocol, as they stand in it and as servers take liberties with it."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from vestige.core.errors import InputError, TargetError
from vestige.targets.http.open_inference import (
    Address,
    Metadata,
    Tensor,
    address_of,
    body_of,
    check_output,
    metadata_of,
    response_of,
)

M = Address("http://h/v2/models/m", "m")


def one(datatype, shape, data, **more):
    return {"model_name": "m", "outputs": [{"name": "p", "datatype": datatype, "shape": shape, "data": data}]} | more


def tensors(*args, **kwargs):
    return json.loads(body_of(*args, **kwargs))["inputs"]


# ------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:80/v2/models/m", Address("http://h:80/v2/models/m", "m")),
        ("https://H/v2/models/a%20b/infer", Address("https://h/v2/models/a%20b", "a b")),
        ("http://[::1]:80/v2/models/m/", Address("http://[::1]:80/v2/models/m", "m")),
        (
            "http://h/in/front/v2/models/m/versions/2/infer/",
            Address("http://h/in/front/v2/models/m/versions/2", "m", "2"),
        ),
    ],
)
def test_a_model_has_an_address(url, expected):
    assert address_of(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@h/v2/models/m",
        "http://me:hun/ter2@h/v2/models/m",
        "http://h/v2/models/m?token=hunter2",
        "http://h/v2/models/m#hunter2",
        "http://h:hunter2/v2/models/m",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(InputError, match="Expected a URL") as caught:
        address_of(url)
    assert "hun" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "url", ["h/v2/models/m", "ftp://h/v2/models/m", "http://h/predict", "http:///v2/models/m", "http://h/v2/models/m\n"]
)
def test_what_is_no_url_of_a_model_is_refused(url):
    with pytest.raises(InputError, match="Expected a URL such as http://HOST:PORT/v2/models/NAME"):
        address_of(url)


# ------------------------------------------------------------------------------------- requests


def test_an_array_is_one_tensor_of_its_own_datatype():
    assert tensors(np.array([[0.5, 1], [2, 3]], dtype=np.float32), Metadata()) == [
        {"name": "input-0", "shape": [2, 2], "datatype": "FP32", "data": [0.5, 1.0, 2.0, 3.0]}
    ]


@pytest.mark.parametrize(
    ("dtype", "datatype"),
    [("f8", "FP64"), ("f2", "FP16"), (">f4", "FP32"), ("i8", "INT64"), ("i4", "INT32"), ("u1", "UINT8"), ("?", "BOOL")],
)
def test_every_dtype_has_its_datatype(dtype, datatype):
    (tensor,) = tensors(np.ones((1, 2, 3), dtype), Metadata())
    assert tensor["datatype"] == datatype
    assert tensor["shape"] == [1, 2, 3]
    assert tensor["data"] == [1] * 6


def test_numbers_survive_as_they_are():
    x = np.random.default_rng(0).normal(size=(3, 5)) * 10.0 ** np.arange(-100, 150, 50)
    (tensor,) = tensors(x, Metadata())
    np.testing.assert_array_equal(np.reshape(tensor["data"], (3, 5)), x)


def test_the_model_names_its_input_and_a_datatype_that_is_given_goes_first():
    metadata = Metadata((Tensor("x", "FP32", (-1, 2)),))
    (tensor,) = tensors(np.eye(2), metadata)
    assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("x", "FP32", [2, 2])
    assert tensors(np.eye(2), metadata, "INT8")[0] == {
        "name": "x",
        "shape": [2, 2],
        "datatype": "INT8",
        "data": [1, 0, 0, 1],
    }


def test_text_is_bytes_and_gets_the_axis_that_the_model_has():
    (tensor,) = tensors(np.array(["a", "é"]), Metadata((Tensor("x", "BYTES", (-1, 1)),)))
    assert (tensor["datatype"], tensor["shape"], tensor["data"]) == ("BYTES", [2, 1], ["a", "é"])


def test_a_table_is_a_tensor_per_column():
    table = pd.DataFrame(
        {"n": [1, 2], "x": [0.5, np.nan], "t": ["a", "b"], "c": pd.Categorical(["u", None]), "b": [True, False]},
        index=[7, 8],
    )
    body = json.loads(body_of(table, Metadata()))
    assert body["parameters"] == {"content_type": "pd"}
    assert [(t["name"], t["datatype"], t["shape"], t["data"]) for t in body["inputs"]] == [
        ("n", "INT64", [2, 1], [1, 2]),
        ("x", "FP64", [2, 1], [0.5, None]),
        ("t", "BYTES", [2, 1], ["a", "b"]),
        ("c", "BYTES", [2, 1], ["u", None]),
        ("b", "BOOL", [2, 1], [True, False]),
    ]


def test_columns_of_other_kinds_are_sent_as_the_numbers_they_hold():
    table = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "u": np.array([1, 2**64 - 1], dtype=np.uint64),
            "s": np.array([1, 2], dtype=np.int16),
            "c": pd.Categorical([3, 4]),
        }
    )
    assert [(t["datatype"], t["data"]) for t in tensors(table, Metadata())] == [
        ("FP64", [1.0, None]),
        ("UINT64", [1, 2**64 - 1]),
        ("INT64", [1, 2]),
        ("INT64", [3, 4]),
    ]


def test_an_output_is_asked_for_by_name():
    assert json.loads(body_of(np.eye(2), Metadata(), None, "predict_proba"))["outputs"] == [{"name": "predict_proba"}]
    assert "outputs" not in json.loads(body_of(np.eye(2), Metadata()))


TWO = Metadata((Tensor("a", "FP32"), Tensor("b", "FP32")))


@pytest.mark.parametrize(
    ("inputs", "metadata", "datatype", "said"),
    [
        (np.array([[0.0], [np.inf]]), Metadata(), None, "found infinity in record 12"),
        (
            np.array([[1.0], [0.5]]),
            Metadata(),
            "INT32",
            "that INT32 can hold as the input 'input-0', found 0.5 in record 12",
        ),
        (np.array([[1], [300]]), Metadata((Tensor("x", "UINT8"),)), None, "found 300 in record 12"),
        (np.array([[1.0], [np.nan]]), Metadata(), "INT64", "found nan in record 12"),
        (np.eye(2), Metadata((Tensor("x", "BF16"),)), None, "that JSON can hold as 'BF16'"),
        (np.eye(2), Metadata((Tensor("x", "BYTES"),)), None, "or give text"),
        (np.eye(2) * 1j, Metadata(), None, "found complex128"),
        (
            np.array(["a"]),
            Metadata((Tensor("x", "FP32"),)),
            None,
            "Expected FP32 as the input 'x' of the model, found text",
        ),
        (np.array([["a", "b"], ["c", 1]], dtype=object), Metadata(), None, "found int in record 12; make it all text"),
        (np.eye(2), TWO, None, "Expected a DataFrame with the columns a, b"),
        (pd.DataFrame({"a": [1.0]}), TWO, None, "Expected the columns a, b, the inputs of the model, found a; name"),
        (pd.DataFrame({"a": [1.0]}), Metadata((Tensor("x"),)), None, "found a; give an array"),
        (pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}), Metadata(), None, "in column 'when'; convert it"),
    ],
)
def test_inputs_that_cannot_be_sent_are_named(inputs, metadata, datatype, said):
    with pytest.raises(InputError, match=said):
        body_of(inputs, metadata, datatype, first=10)


# -------------------------------------------------------------------------------------- answers


def test_metadata_are_read_as_far_as_they_are_some():
    assert metadata_of(None) == metadata_of({"name": "m", "inputs": [], "outputs": "?"}) == Metadata()
    found = metadata_of(
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}, 3], "outputs": [{"name": "p"}]}
    )
    assert found == Metadata((Tensor("x", "FP32", (-1, 4)),), (Tensor("p"),))


def test_one_of_several_outputs_has_to_be_named():
    two = Metadata(outputs=(Tensor("label"), Tensor("p")))
    check_output(two, "p")
    check_output(Metadata(outputs=(Tensor("p"),)), None)
    with pytest.raises(InputError, match="one of the outputs label, p, found none; name it as output"):
        check_output(two, None)


@pytest.mark.parametrize("data", [[0.1, 0.9, 0.5, 0.5], [[0.1, 0.9], [0.5, 0.5]]])
def test_data_are_flat_or_nested_and_stay_float64(data):
    found = response_of(one("FP32", [2, 2], data, model_version="7"), M, 2)
    assert (found.version, found.output, found.datatype) == ("7", "p", "FP32")
    assert found.values.dtype == np.float64
    np.testing.assert_array_equal(found.values, [[0.1, 0.9], [0.5, 0.5]])


def test_nan_stays_nan_as_the_literal_and_as_null():
    body = '{"model_name": "m", "outputs": [{"name": "p", "datatype": "FP64", "shape": [1, 2], "data": [NaN, null]}]}'
    assert np.isnan(response_of(json.loads(body), M, 1).values).all()


@pytest.mark.parametrize(
    ("datatype", "data", "kind"), [("BYTES", ["a", "b"], "U"), ("INT64", [0, 1], "i"), ("BOOL", [True, False], "b")]
)
def test_labels_are_text_or_whole_numbers(datatype, data, kind):
    found = response_of(one(datatype, [2], data), M, 2).values
    assert found.dtype.kind == kind
    assert found.tolist() == data


def test_the_output_that_was_named_is_taken():
    document = one("FP64", [1, 1], [0.5])
    document["outputs"].append({"name": "q", "datatype": "FP64", "shape": [1, 1], "data": [0.25]})
    assert response_of(document, M, 1, "q").values.item() == 0.25


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "Expected an object with outputs"),
        ({"error": "no"}, "Expected an object with outputs"),
        (one("FP64", [2, 1], [1, 2], model_name="n"), "Expected answers of the model 'm', found those of 'n'"),
        (one("FP64", [3, 1], [1, 2, 3]), r"Expected 2 rows in the output 'p', one per record, found shape \[3, 1\]"),
        (one("FP64", [], [1]), r"Expected 2 rows in the output 'p', one per record, found shape \[\]"),
        (one("FP64", [2, 2], [1, 2, 3]), "data of the shape that is said"),
        (one("FP64", [2, 2], [[1], [2, 3]]), "data of the shape that is said"),
        (one("FP64", [-2, -1], [1, 2]), "data of the shape that is said"),
        (one("FP64", "2", [1, 2]), "data of the shape that is said"),
        (one("FP64", [2], None), "data of the shape that is said"),
        (one("INT64", [2], [1, 0.5]), "Expected INT64 data of the shape"),
        (one("BYTES", [2], [1, 2]), "Expected BYTES data of the shape"),
        (one("FP8", [2], [1, 2]), "such as FP32, found 'FP8' for 'p'"),
        (one("FP64", [2], [1, 2], outputs=[]), "Expected one output from the model, found none"),
        (
            one("FP64", [2], [1, 2], outputs=[{"name": "a"}, {"name": "b"}]),
            "found a, b; name one of the model's as output",
        ),
    ],
)
def test_what_is_no_answer_is_refused(document, said):
    with pytest.raises(TargetError, match=said):
        response_of(document, M, 2)


def test_another_version_than_that_of_the_url_is_refused():
    asked = Address("http://h/v2/models/m/versions/1", "m", "1")
    assert response_of(one("FP64", [1], [1], model_version="1"), asked, 1).version == "1"
    with pytest.raises(TargetError, match="Expected answers of version '1' of the model, found those of '2'"):
        response_of(one("FP64", [1], [1], model_version="2"), asked, 1)


def test_an_output_that_the_model_lacks_is_named():
    with pytest.raises(TargetError, match="Expected the output 'q' from the model, found p"):
        response_of(one("FP64", [1], [1]), M, 1, "q")


def test_a_body_says_the_same_without_orjson(monkeypatch):
    table = pd.DataFrame({"x": [0.1, np.nan], "t": ["a\n", "é"], "n": [1, -(2**63)]})
    quick = body_of(table, Metadata(), None, "p")
    monkeypatch.setitem(sys.modules, "orjson", None)
    plain = body_of(table, Metadata(), None, "p")
    assert json.loads(plain) == json.loads(quick)


def test_text_with_half_a_pair_of_utf_16_is_sent_as_it_is():
    assert tensors(np.array(["x\udcff", "y"], dtype=object), Metadata())[0]["data"] == ["x\udcff", "y"]

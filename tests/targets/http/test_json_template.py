"""Any service of JSON: what is sent to it, and where its answers are."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.targets.servers import FaultyProxy, Request, as_json, probabilities

from vestige import Endpoint
from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import Logits, PredictedLabels
from vestige.core.sparse import as_rows
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.http.endpoint import Limits
from vestige.targets.http.json_template import JsonTemplate

X = np.random.default_rng(0).normal(size=(7, 3))
WANTED = np.array([probabilities(row) for row in X.tolist()])
ALL = {"instances": "$inputs"}


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def tensorflow_serving(request: Request):
    assert request.path == "/v1/models/m:predict"
    return as_json({"predictions": [probabilities(row) for row in json.loads(request.body)["instances"]]})


def mlflow(request: Request):
    rows = json.loads(request.body)["dataframe_records"]
    return as_json({"predictions": [probabilities([row["a"], row["b"], row["c"]]) for row in rows]})


def named(request: Request):
    """Names the classes, the last first."""
    return as_json([dict(zip("ba", reversed(probabilities(row)), strict=True)) for row in json.loads(request.body)])


def one_at_a_time(request: Request):
    return as_json({"result": {"score": probabilities(json.loads(request.body)["x"])[1]}})


def torchserve(request: Request):
    rows = json.loads(request.body)["data"]
    return as_json({"outputs": [{"logits": [0.0, sum((i + 1) * x for i, x in enumerate(row))]} for row in rows]})


@pytest.mark.parametrize(
    ("service", "path", "options", "inputs"),
    [
        (tensorflow_serving, "/v1/models/m:predict", {"send": ALL, "read": "predictions"}, X),
        (
            tensorflow_serving,
            "/v1/models/m:predict",
            {"send": ALL, "read": "predictions"},
            as_rows(sparse.csr_matrix(X)),
        ),
        (
            mlflow,
            "/invocations",
            {"send": {"dataframe_records": "$inputs"}, "read": "predictions"},
            pd.DataFrame(X, columns=list("abc")),
        ),
        (named, "/predict", {"send": "$inputs"}, X),
        (one_at_a_time, "/score", {"send": {"x": "$input"}, "read": "result.score"}, X),
        (
            torchserve,
            "/predictions/m",
            {"send": {"data": "$inputs"}, "read": "outputs.logits", "answers": AnswerFormat(Logits)},
            X,
        ),
    ],
)
def test_services_answer_as_the_model_behind_them(service, path, options, inputs):
    with FaultyProxy(service) as server:
        model = Endpoint(server.url + path, limits=Limits(batch=3), **options).open_model(2, ("a", "b"))
        found = model.answers(inputs)
        table = found.whole()
        if isinstance(found, Logits):
            table = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(table, WANTED, atol=1e-12)
        assert len(server.requests) == (7 if "$input" in json.dumps(options["send"]).split('"') else 3)  # no metadata


def test_labels_and_missing_values_and_texts():
    template = JsonTemplate("http://h/p", {"rows": "$inputs", "key": 1}, "labels")
    sent = json.loads(template.body(np.array([[1.0, np.nan]]), 0))
    assert sent == {"rows": [[1.0, None]], "key": 1}
    table = pd.DataFrame({"n": [1], "t": ["x"], "c": pd.Categorical([None], categories=["u"])})
    assert json.loads(template.body(table, 0))["rows"] == [{"n": 1, "t": "x", "c": None}]
    assert json.loads(template.body(np.array(["a text"], dtype=object), 0))["rows"] == ["a text"]
    response = template.response({"labels": ["sick", "well"]}, 2)
    read = AnswerFormat(PredictedLabels).read(response.values, 2, 2, ("sick", "well"))
    assert read.whole().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("send", "read", "said"),
    [
        ({"rows": 1}, "", "once in send, found it 0 times"),
        (["$inputs", "$inputs"], "", "once in send, found it 2 times"),
        ({"rows": {1, 2}}, "", "JSON as send, found other values"),
        ({"rows": float("nan"), "i": "$inputs"}, "", "JSON as send"),
        (None, "predictions", "Expected read beside send"),
    ],
)
def test_what_no_request_can_be_made_of_is_refused(send, read, said):
    url = "http://localhost/v2/models/m"
    with pytest.raises(InputError, match=said):
        Endpoint(url, send=send, read=read)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"scores": []}, "Expected 'predictions' in the answer, found scores; name the path"),
        ({"predictions": [[0.5, 0.5]]}, "a list of 2 answers at 'predictions', found 1 entries"),
        ({"predictions": 3}, "found a single int"),
        ({"predictions": [[0.5], [0.5, 0.5]]}, "found other JSON"),
        ({"predictions": [{"a": 1}, {"b": 1}]}, "the same names in every answer"),
        ([1], "in the answer, found a list"),
    ],
)
def test_answers_that_are_not_where_they_should_be_are_refused(document, said):
    with pytest.raises(TargetError, match=said):
        JsonTemplate("http://h/p", ALL, "predictions").response(document, 2)


@pytest.mark.parametrize("url", ["http://h/p?key=1", "http://me@h/p", "ftp://h/p"])
def test_urls_are_checked_as_those_of_the_protocol(url):
    with pytest.raises(InputError, match="Expected a URL"):
        Endpoint(url, send=ALL)


def test_the_identity_names_url_and_template_and_nothing_secret():
    def identity(**options):
        with FaultyProxy(tensorflow_serving) as server:
            url = options.pop("url", "/v1/models/m:predict")
            return Endpoint(server.url + url, **options).open_model(2).identity.replace(server.url, "")

    one = identity(send=ALL, read="predictions")
    assert one == identity(send=ALL, read="predictions")
    others = [
        identity(send={**ALL, "token": "s3cret"}, read="predictions"),
        identity(send=ALL, read="scores"),
        identity(send=ALL, read="predictions", url="/v2"),
    ]
    assert len({one, *others}) == 4
    assert "s3cret" not in "".join(others)
    assert "s3cret" not in repr(Endpoint("http://h/p", send={**ALL, "token": "s3cret"}))


def test_other_services_are_told_how_to_be_asked():
    with pytest.raises(InputError, match=r"Endpoint\(url, send=\.\.\., read=\.\.\.\).*a function that asks it"):
        Endpoint("http://localhost:8501/v1/models/m:predict")

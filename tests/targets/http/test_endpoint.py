"""A model behind HTTP: the same answers as at home, whatever the network does, and secrets that stay secret."""

import base64
import contextlib
import json
import logging
import pickle
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.targets.servers import (
    FaultyProxy,
    Reply,
    always,
    as_json,
    cut_off,
    echo,
    edited,
    free_port,
    garbage,
    logistic,
    mlserver,
    probabilities,
    response,
    shortened,
    slow,
    sometimes,
    status,
    upstream,
)

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels
from vestige.core.targets import ModelSource, RemoteModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.http import sending
from vestige.targets.http.endpoint import Endpoint, Limits
from vestige.targets.opening import open_target

X = np.random.default_rng(1).normal(size=(50, 3))
P = np.array([probabilities(row) for row in X.tolist()])
SECRET = "Bearer s3cr3t-Token/Xylo"  # letters that no port, address or path of a test has


@pytest.fixture(autouse=True)
def _direct_and_quick(monkeypatch):
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(sending, "_FIRST_WAIT", 0.002)
    monkeypatch.setattr(sending, "_LONGEST_WAIT", 0.02)


@pytest.fixture(scope="session")
def forest():
    x, y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
    return RandomForestClassifier(10, random_state=0).fit(x, y), x


@pytest.fixture(scope="session")
def pipeline():
    table = pd.DataFrame(
        {"n": np.arange(40), "c": pd.Categorical(["a", "b", "b", "c"] * 10), "x": np.linspace(0, 1, 40)}
    )
    coded = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
    return make_pipeline(coded, LogisticRegression(max_iter=1000)).fit(table, np.arange(40) // 20), table


@pytest.fixture(scope="session")
def forest_url(forest, pipeline, tmp_path_factory):
    with mlserver(tmp_path_factory.mktemp("mlserver"), forest[0], others={"table": pipeline[0]}) as url:
        yield url


def endpoint(proxy, **more):
    limits = more.pop("limits", Limits(batch=8))
    return Endpoint(f"{proxy.url}/v2/models/m", answers=more.pop("answers", AnswerFormat()), limits=limits, **more)


def values(answers):
    return np.concatenate(list(answers.table.blocks(1 << 20)))


def failure(proxy, inputs=X, **more):
    with pytest.raises(TargetError) as caught:
        endpoint(proxy, **more).open_model(2).answers(inputs)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


# ------------------------------------------------------------------------------- a real server


def test_an_endpoint_is_a_door_to_a_remote_interface(forest, forest_url):
    door = Endpoint(f"{forest_url}/infer", output="predict_proba")
    assert isinstance(door, ModelSource)
    found = open_target(door, 3)
    assert isinstance(found, RemoteModel)
    np.testing.assert_allclose(values(found.answers(forest[1])), forest[0].predict_proba(forest[1]), rtol=0, atol=1e-12)


def test_parts_hold_every_row_once_and_the_version(forest, forest_url):
    interface = Endpoint(f"{forest_url}/versions/v1", output="predict_proba", limits=Limits(batch=30)).open_model(3)
    parts = list(interface.answers_in_batches(forest[1]))
    assert sorted(len(part.rows) for part in parts) == [20, 30, 30, 30, 30, 30, 30]
    np.testing.assert_array_equal(np.sort(np.concatenate([part.rows for part in parts])), np.arange(200))
    assert {(part.version, part.n_failed) for part in parts} == {("v1", 0)}


def test_labels_of_a_real_server_are_labels(forest, forest_url):
    door = Endpoint(forest_url, answers=AnswerFormat(PredictedLabels))
    np.testing.assert_array_equal(values(door.open_model(3).answers(forest[1])), forest[0].predict(forest[1]))


def test_labels_are_not_taken_for_probabilities(forest, forest_url):
    with pytest.raises(TargetError, match="found INT64 in the output 'predict', as labels are; name another output"):
        Endpoint(forest_url).open_model(3).answers(forest[1])


def test_what_a_real_server_refuses_is_said_in_its_own_words(forest, forest_url):
    with pytest.raises(TargetError, match=r"found status 4\d\d \(SKLearnModel only supports 'predict'.*output\.$"):
        Endpoint(forest_url, output="probabilities").open_model(3).answers(forest[1])
    with pytest.raises(TargetError, match=r"found status 404 .*; check the URL; the server lists its models"):
        Endpoint(f"{forest_url}x").open_model(3)


def test_a_real_server_behind_a_bad_network_answers_the_same(forest, forest_url):
    faults = [status(503), cut_off, garbage]
    with FaultyProxy(upstream(forest_url), sometimes(faults, 0.3, seed=0)) as proxy:
        door = endpoint(proxy, output="predict_proba", limits=Limits(n_tries=12, batch=5))
        found = values(door.open_model(3).answers(forest[1]))
    np.testing.assert_allclose(found, forest[0].predict_proba(forest[1]), rtol=0, atol=1e-12)
    assert len(proxy.posts) > 40


def test_a_real_server_takes_tables(pipeline, forest_url):
    url = forest_url.removesuffix("m") + "table"
    model, table = pipeline
    found = values(Endpoint(url, output="predict_proba").open_model(2).answers(table))
    np.testing.assert_allclose(found, model.predict_proba(table), rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------ a bad network


def test_every_answer_is_right_though_a_fifth_of_the_requests_fail():
    x = np.random.default_rng(2).normal(size=(2000, 3))
    faults = [
        status(500),
        status(503),
        status(502, "bad gateway"),
        status(504),
        status(408),
        status(425),
        status(429, "too many", ("Retry-After", "0")),
        garbage,
        cut_off,
        shortened,
    ]
    with FaultyProxy(logistic, sometimes(faults, 0.2, seed=3)) as proxy:
        parts = list(endpoint(proxy, limits=Limits(batch=1, n_tries=12)).open_model(2).answers_in_batches(x))
    rows = np.concatenate([part.rows for part in parts])
    np.testing.assert_array_equal(np.sort(rows), np.arange(2000))
    np.testing.assert_allclose(
        np.concatenate([values(part.answers) for part in parts]),
        [probabilities(row) for row in x[rows].tolist()],
        rtol=0,
        atol=1e-15,
    )
    assert sum(part.n_failed for part in parts) == len(proxy.posts) - 2000
    assert 400 < len(proxy.posts) - 2000 < 600


def test_a_server_that_is_late_is_asked_again_and_then_named():
    late = {1: slow(5), 2: slow(5)}
    with FaultyProxy(logistic, lambda r: late.get(r.nth) if r.method == "POST" else None) as proxy:
        limits = Limits(timeout=0.4, n_tries=6, batch=50)
        (part,) = endpoint(proxy, limits=limits).open_model(2).answers_in_batches(X)
        assert part.n_failed >= 2
        said = failure(proxy, X[:1] + 1, limits=Limits(timeout=0.4, n_tries=2))
    assert f"{proxy.url}/v2/models/m/infer, found none within 0.4 s in the last of 2 tries; raise timeout" in said


def test_a_server_that_trickles_is_late_too():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle():
            with listener.accept()[0] as client, contextlib.suppress(OSError):
                client.recv(9999)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
                for _ in range(100):
                    client.sendall(b" ")
                    time.sleep(0.03)

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v2/models/m"
        with pytest.raises(TargetError, match=r"found none within 0\.5 s; raise timeout"):
            Endpoint(url, limits=Limits(timeout=0.5, n_tries=1)).open_model(2)
        thread.join()


def test_retry_after_is_waited_for():
    plan = {1: status(429, "slowly", ("Retry-After", "1"))}
    with FaultyProxy(logistic, lambda r: plan.get(r.nth) if r.method == "POST" else None) as proxy:
        endpoint(proxy).open_model(2).answers(X[:1])
    first, second = proxy.posts
    assert second.at - first.at >= 1


def test_retry_after_is_a_number_or_a_date_and_bounded():
    assert sending._seconds("7") == 7
    assert sending._seconds("99999") == sending._LONGEST_ASKED_FOR
    assert sending._seconds("Fri, 31 Dec 2100 23:59:59 GMT") == sending._LONGEST_ASKED_FOR
    assert sending._seconds("Fri, 31 Dec 1999 23:59:59 GMT") == sending._seconds("soon") == sending._seconds("") == 0


@pytest.mark.parametrize(
    ("code", "n_sent", "said"),
    [
        (400, 1, "found status 400 (not now); check the shape and the datatype"),
        (401, 1, "found status 401 (not now); add what it demands to headers"),
        (403, 1, "found status 403 (not now); add what"),
        (404, 1, "found status 404 (not now); check the URL; the server lists its models at /v2/models"),
        (405, 1, "found status 405 (not now); check the URL"),
        (413, 1, "found status 413 (not now); use smaller batches"),
        (422, 1, "found status 422 (not now); check the shape"),
        (429, 3, "found status 429 (not now) in the last of 3 tries; lower per_second or n_connections"),
        (500, 3, "found status 500 (not now) in the last of 3 tries; see the server's log"),
        (501, 1, "found status 501 (not now); see the server's log"),
        (504, 3, "found status 504 (not now) in the last of 3 tries; use smaller batches"),
    ],
)
def test_a_status_is_named_with_its_cure_and_retried_only_if_it_may_pass(code, n_sent, said):
    with FaultyProxy(logistic, always(status(code))) as proxy:
        assert f"{proxy.url}/v2/models/m/infer, {said}" in failure(proxy, X[:1], limits=Limits(n_tries=3))
    assert len(proxy.posts) == n_sent


@pytest.mark.parametrize(
    ("fault", "n_sent", "said"),
    [
        (garbage, 2, "bytes that are no JSON (text/html) in the last of 2 tries"),
        (shortened, 2, "bytes that are no JSON (application/json)"),
        (cut_off, 2, "found a broken connection ("),
        (edited(lambda d: d["outputs"][0].update(shape=[1, 2], data=[0.5, 0.5])), 1, "Expected 2 rows"),
        (edited(lambda d: d.update(model_name="n")), 1, "found those of 'n'"),
        (edited(lambda d: d["outputs"][0].update(data=[0.5, 0.5, float("nan"), 0.5])), 1, "first for record 2"),
        (edited(lambda d: d["outputs"][0].update(data=[0.5, 0.5, None, 0.5])), 1, "first for record 2"),
        (edited(lambda d: d["outputs"][0].update(data=[0.5, 0.5, 0.5, 0.6])), 1, "found a sum of 1.1 for record 2"),
    ],
)
def test_what_is_no_answer_ends_in_one_line(fault, n_sent, said):
    with FaultyProxy(logistic, always(fault)) as proxy:
        found = failure(proxy, X[:2], limits=Limits(n_tries=2))
    assert said in found
    assert f"{proxy.url}/v2/models/m" in found
    assert len(proxy.posts) == n_sent


def test_the_record_is_named_by_its_number_among_the_inputs():
    def bad(request):
        reply = logistic(request)
        document = json.loads(reply.body)
        if request.method == "POST" and json.loads(request.body)["inputs"][0]["data"][:3] == X[40].tolist():
            document["outputs"][0]["data"][2] = 7.0
        return as_json(document)

    with FaultyProxy(bad) as proxy:
        assert "for record 42" in failure(proxy, limits=Limits(batch=8))


def test_redirects_are_not_followed():
    with FaultyProxy(logistic) as other, FaultyProxy(logistic) as proxy:
        proxy.plan = always(status(307, "", ("Location", f"{other.url}/v2/models/m/infer?key=abc")))
        said = failure(proxy)
    assert f"found status 307, a redirect to {other.url}/v2/models/m/infer; give the URL" in said
    assert other.requests == []


def test_a_server_that_does_not_run_is_named():
    port = free_port()
    with pytest.raises(
        TargetError, match=rf"127.0.0.1:{port}/v2/models/m, found no connection \(refused\) in the last of 2"
    ):
        Endpoint(f"http://127.0.0.1:{port}/v2/models/m", limits=Limits(n_tries=2)).open_model(2)


def test_a_host_that_does_not_exist_is_named(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        TargetError, match=r"no connection \(.*not known\) in the last of 2 tries; check the name of the host"
    ):
        Endpoint("http://nowhere.invalid/v2/models/m", limits=Limits(n_tries=2)).open_model(2)


def test_the_version_must_not_change_midway():
    versions = Counter[str]()

    def plan(request):
        if request.method == "POST":
            versions["n"] += 1
        return edited(lambda d: d.update(model_version="v2")) if versions["n"] > 20 else None

    with FaultyProxy(logistic, plan) as proxy:
        interface = endpoint(proxy, limits=Limits(batch=1)).open_model(2)
        parts = []
        with pytest.raises(TargetError, match="of version 'v1' of the model throughout, found some of version 'v2'"):
            parts.extend(interface.answers_in_batches(X))
    assert {part.version for part in parts} == {"v1"}
    assert len(parts) == 20


def _until_error(interface, inputs):
    """The parts up to an error, which is dropped."""
    try:
        yield from interface.answers_in_batches(inputs)
    except TargetError:
        return


def test_parts_in_flight_are_given_before_the_error():
    wrong = json.dumps(X[10].tolist(), separators=(",", ":"))[1:-1].encode()

    def plan(request):
        if request.method != "POST":
            return None
        return status(400) if wrong in request.body else slow(0.05)

    with FaultyProxy(logistic, plan) as proxy:
        parts = list(_until_error(endpoint(proxy, limits=Limits(batch=1)).open_model(2), X))
        assert "status 400" in failure(proxy, limits=Limits(batch=1))
    rows = sorted(int(part.rows[0]) for part in parts)
    sent = len(proxy.posts)
    assert set(range(10)) <= set(rows)
    assert 10 not in rows
    assert sent < 2 * 20
    for part in parts:
        np.testing.assert_allclose(values(part.answers), P[part.rows], rtol=0, atol=1e-15)


def test_a_server_is_not_asked_any_more_once_nobody_listens():
    with FaultyProxy(logistic) as proxy:
        parts = endpoint(proxy, limits=Limits(batch=1, n_connections=2)).open_model(2).answers_in_batches(X)
        next(parts)
        parts.close()
        n = len(proxy.posts)
        assert n <= 2 + 1 + 1
        time.sleep(0.05)
        assert len(proxy.posts) == n


def test_a_process_ends_though_an_iterator_is_still_open():
    code = (
        "import sys; import numpy as np\n"
        "from vestige.targets.http.endpoint import Endpoint, Limits\n"
        "interface = Endpoint(sys.argv[1], limits=Limits(batch=1)).open_model(2)\n"
        "parts = interface.answers_in_batches(np.ones((50, 3)))\n"
        "print(len(next(parts).rows))"
    )
    with FaultyProxy(logistic) as proxy:
        call = [sys.executable, "-c", code, f"{proxy.url}/v2/models/m"]
        ended = subprocess.run(call, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "1\n"


def test_no_more_connections_are_open_than_requests(monkeypatch):
    started = []
    start = threading.Thread.start

    def noted(thread):
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    with FaultyProxy(logistic) as proxy:
        endpoint(proxy, limits=Limits(batch=25, n_connections=40)).open_model(2).answers(X)
    assert started.count("vestige-endpoint") == 2


def test_closing_does_not_wait_for_further_tries(monkeypatch):
    monkeypatch.setattr(sending, "_FIRST_WAIT", 30.0)
    monkeypatch.setattr(sending, "_LONGEST_WAIT", 30.0)
    bad = json.dumps(X[1].tolist(), separators=(",", ":"))[1:-1].encode()
    with FaultyProxy(logistic, lambda r: status(503) if bad in r.body else None) as proxy:
        parts = endpoint(proxy, limits=Limits(batch=1)).open_model(2).answers_in_batches(X)
        next(parts)
        while not any(bad in request.body for request in proxy.posts):
            time.sleep(0.005)
        start = time.monotonic()
        parts.close()
        assert time.monotonic() - start < 30
    assert sum(bad in request.body for request in proxy.posts) == 1


def test_the_rate_is_bounded_for_all_connections_together(monkeypatch):
    class Clock:  # that stands still, so that the pace alone says when each may go
        @staticmethod
        def monotonic():
            return 1000.0

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    waits: list[Any] = []
    monkeypatch.setattr(sending, "time", Clock)
    pace = sending._Pace(100.0)

    def wait_often():
        for _ in range(5):
            pace.wait(Stop())

    crew = [threading.Thread(target=wait_often) for _ in range(4)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert sorted(waits) == pytest.approx([k / 100 for k in range(1, 20)])  # and the first goes at once


def test_no_more_requests_are_under_way_than_connections():
    lock, three, running, most = threading.Lock(), threading.Barrier(3), 0, []

    def model(request):
        nonlocal running
        if request.method == "GET":
            return logistic(request)
        with lock:
            running += 1
            most.append(running)
            is_early = len(most) <= 3
        if is_early:  # three come together, or this fails
            three.wait(60)
        time.sleep(0.005)
        with lock:
            running -= 1
        return logistic(request)

    with FaultyProxy(model) as proxy:
        endpoint(proxy, limits=Limits(batch=1, n_connections=3)).open_model(2).answers(X)
    assert max(most) == 3


def test_two_passes_at_once_share_the_connections_and_no_request_is_late_for_that():
    # The third waits 2 s for the others, and a busy machine has 1.5 s for each.
    with FaultyProxy(logistic, lambda r: slow(1.0) if r.method == "POST" else None) as proxy:
        interface = endpoint(proxy, limits=Limits(batch=10, n_connections=1, timeout=2.5)).open_model(2)
        n_failed = []

        def ask():
            n_failed.append([part.n_failed for part in interface.answers_in_batches(X[:10])])

        passes = [threading.Thread(target=ask) for _ in range(3)]
        for one in passes:
            one.start()
        for one in passes:
            one.join()
    assert n_failed == [[0]] * 3
    assert len(proxy.posts) == 3


def test_a_forked_process_has_connections_of_its_own():
    code = (
        "import os, sys; import numpy as np\n"
        "from vestige.targets.http.endpoint import Endpoint, Limits\n"
        "x = np.random.default_rng(2).normal(size=(200, 3))\n"
        "interface = Endpoint(sys.argv[1], limits=Limits(batch=2, timeout=2.0)).open_model(2)\n"
        "expected = interface.answers(x).whole()\n"
        "child = os.fork() == 0\n"
        "rows = slice(None, None, -1 if child else 1)\n"
        "wrong = sum((interface.answers(x[rows]).whole() != expected[rows]).any() for _ in range(3))\n"
        "os._exit(bool(wrong)) if child else None\n"
        "print(wrong, os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    with FaultyProxy(logistic) as proxy:
        call = [sys.executable, "-c", code, f"{proxy.url}/v2/models/m"]
        ended = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "0 0\n"


def test_few_inputs_are_encoded_ahead():
    class Counted(np.ndarray):
        n_blocks = 0

        def __getitem__(self, key):
            Counted.n_blocks += isinstance(key, slice)
            return np.asarray(self)[key]

    with FaultyProxy(logistic) as proxy:
        parts = endpoint(proxy, limits=Limits(batch=1)).open_model(2).answers_in_batches(X.view(Counted))
        next(parts)
        time.sleep(0.1)
        assert Counted.n_blocks <= 4 + 1 + 1
        parts.close()


# ----------------------------------------------------------------------------- kinds of answer


def test_labels_may_be_text_or_whole_numbers():
    def model(request):
        if request.method == "GET":
            return as_json({"name": "m"})
        x = np.reshape(json.loads(request.body)["inputs"][0]["data"], (-1, 3))
        return response("BYTES", [len(x), 1], ["sick" if row.sum() > 0 else "well" for row in x])

    with FaultyProxy(model) as proxy:
        door = endpoint(proxy, answers=AnswerFormat(PredictedLabels))
        found = door.open_model(2, ("well", "sick")).answers(X)
    assert isinstance(found, PredictedLabels)
    np.testing.assert_array_equal(values(found), X.sum(axis=1) > 0)


def test_logits_are_logits():
    def model(request):
        n = 0 if request.method == "GET" else json.loads(request.body)["inputs"][0]["shape"][0]
        return response("FP32", [n, 2], [-1.5, 1.5] * n)

    with FaultyProxy(model) as proxy:
        found = endpoint(proxy, answers=AnswerFormat(Logits)).open_model(2).answers(X)
    assert isinstance(found, Logits)
    np.testing.assert_array_equal(values(found), [[-1.5, 1.5]] * 50)


@pytest.mark.parametrize("kind", [PredictedLabels, Logits])
def test_no_inputs_have_no_answers_and_are_not_sent(kind):
    with FaultyProxy(logistic) as proxy:
        assert endpoint(proxy, answers=AnswerFormat(kind)).open_model(2).answers(X[:0]).n_records == 0
    assert proxy.posts == []


def test_metadata_are_asked_for_once_and_decide_name_and_datatype():
    def model(request):
        if request.method == "GET":
            inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
            return as_json({"name": "m", "inputs": inputs, "outputs": [{"name": "out"}]})
        return logistic(request)

    with FaultyProxy(model) as proxy:
        interface = endpoint(proxy).open_model(2)
        interface.answers(X)
        interface.answers(X[:1])
    assert [r.path for r in proxy.requests if r.method == "GET"] == ["/v2/models/m"]
    tensor = json.loads(proxy.posts[0].body)["inputs"][0]
    assert (tensor["name"], tensor["datatype"]) == ("x", "FP32")


def test_a_server_without_metadata_is_asked_by_default_names():
    with FaultyProxy(logistic, lambda r: status(405) if r.method == "GET" else None) as proxy:
        np.testing.assert_allclose(values(endpoint(proxy).open_model(2).answers(X)), P, rtol=0, atol=1e-15)


def test_one_of_several_outputs_has_to_be_named():
    def model(request):
        return as_json({"outputs": [{"name": "label"}, {"name": "p"}]})

    with FaultyProxy(model) as proxy, pytest.raises(InputError, match="one of the outputs label, p"):
        endpoint(proxy).open_model(2)


def test_the_identity_is_that_of_the_answers():
    def identity(proxy, **more):
        return endpoint(proxy, **more).open_model(2, more.pop("classes", None)).identity

    with FaultyProxy(logistic) as proxy:
        plain = identity(proxy)
        assert identity(proxy, limits=Limits(batch=1, n_tries=1)) == plain
        others = [
            identity(proxy, output="p"),
            identity(proxy, datatype="FP32"),
            identity(proxy, answers=AnswerFormat(Logits)),
            identity(proxy, answers=AnswerFormat(columns=(1, 0))),
            Endpoint(f"{proxy.url}/v2/models/m/versions/1").open_model(2).identity,
        ]
    assert len({plain, *others}) == 6
    assert plain.startswith(f"{proxy.url}/v2/models/m, probabilities, ")


# --------------------------------------------------------------------------------- certificates


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    made = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    files = ["-keyout", folder / "key", "-out", folder / "cert", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context, folder / "cert"


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_it_is_trusted(certificate, monkeypatch):
    context, path = certificate
    with FaultyProxy(logistic, context=context) as proxy:
        with pytest.raises(
            TargetError, match=r"a certificate that does not verify \(self.signed.*let SSL_CERT_FILE name"
        ):
            endpoint(proxy).open_model(2)
        assert proxy.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        np.testing.assert_allclose(values(endpoint(proxy).open_model(2).answers(X)), P, rtol=0, atol=1e-15)


def test_certificates_that_cannot_be_read_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match="check SSL_CERT_FILE"):
        Endpoint("https://127.0.0.1:1/v2/models/m").open_model(2)


def test_a_server_without_tls_is_named():
    with (
        FaultyProxy(logistic) as proxy,
        pytest.raises(TargetError, match=r"found no TLS \(.*\); check that the server speaks https"),
    ):
        Endpoint(f"{proxy.url.replace('http', 'https')}/v2/models/m").open_model(2)


# -------------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_asked_and_its_password_is_never_shown(variable, monkeypatch):
    with FaultyProxy(logistic, lambda request: status(400) if request.method == "POST" else None) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("http://", "http://me:s3cr3t@"))
        interface = Endpoint("http://model.invalid/v2/models/m").open_model(2)
        with pytest.raises(TargetError, match="found status 400") as caught:
            interface.answers(X[:1])
    assert {request.path for request in proxy.posts} == {"http://model.invalid/v2/models/m/infer"}
    assert all("Proxy-Authorization" in request.headers for request in proxy.requests)
    assert "s3cr3t" not in shown(caught.value) + repr(vars(interface._sender))


def test_hosts_that_need_no_proxy_are_asked_themselves(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with FaultyProxy(logistic) as proxy:
        with pytest.raises(TargetError, match="found no connection"):
            endpoint(proxy).open_model(2)
        monkeypatch.setenv("NO_PROXY", "model.invalid,127.0.0.1")
        np.testing.assert_allclose(values(endpoint(proxy).open_model(2).answers(X)), P, rtol=0, atol=1e-15)


@pytest.mark.parametrize("named", ["::1", "[::1]", "h,::1", "[::1]:8080"])
def test_an_address_of_version_6_needs_no_proxy_with_brackets_or_without(named, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert sending._proxy_of("http://[::1]:8080/v2/models/m") == "http://127.0.0.1:9"
    monkeypatch.setenv("NO_PROXY", named)
    assert sending._proxy_of("http://[::1]:8080/v2/models/m") is None
    assert sending._proxy_of("http://127.0.0.1:8080/v2/models/m") == "http://127.0.0.1:9"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:9", "socks5://127.0.0.1:9", "http://127.0.0.1:none"])
def test_a_proxy_that_cannot_be_used_is_named(url, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", url)
    with pytest.raises(InputError, match=r"a proxy's URL in the environment.*HTTP_PROXY"):
        Endpoint("http://model.invalid/v2/models/m").open_model(2)


# -------------------------------------------------------------------------------------- secrets


def shown(error):
    """All that a traceback, with its chain, and an error's attributes show."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("MODEL_TOKEN", SECRET)
    return {"Authorization": "MODEL_TOKEN", "user-agent": "MODEL_TOKEN"}


def test_the_value_of_the_variable_is_sent_and_never_shown(token, caplog):
    caplog.set_level(logging.DEBUG)
    with FaultyProxy(logistic) as proxy:
        door = endpoint(proxy, headers=token)
        interface = door.open_model(2)
        parts = list(interface.answers_in_batches(X))
    assert {request.headers["Authorization"] for request in proxy.requests} == {SECRET}
    assert {request.headers["user-agent"] for request in proxy.requests} == {SECRET}  # in the place of our own
    texts = (door, interface, vars(interface), vars(interface._sender), interface.identity, parts, caplog.text)
    for text in map(repr, texts):
        assert "s3cr3t" not in text
    assert "send_request_headers" in caplog.text


@pytest.mark.parametrize(
    "fault",
    [
        echo(401, "Authorization"),
        echo(403, "Authorization"),
        echo(500, "Authorization"),
        echo(302, "Authorization"),
        lambda request, reply: Reply(400, f"<p>{'x' * 190}{request.headers['Authorization'][7:]}</p>".encode()),
        lambda request, reply: Reply(400, f"token {request.headers['Authorization'][7:].upper()}".encode()),
        lambda request, reply: Reply(400, f"token {request.headers['Authorization'][7:-3]}...".encode()),
        lambda request, reply: Reply(307, b"", (("Location", f"http://h/{request.headers['Authorization'][7:]}"),)),
        lambda request, reply: Reply(200, b"{", (("Content-Type", request.headers["Authorization"]),)),
        lambda request, reply: response("FP64", [1, 2], [1, 0], name=request.headers["Authorization"]),
        lambda request, reply: response(request.headers["Authorization"], [1, 2], [1, 0]),
        lambda request, reply: response("BYTES", [1], [request.headers["Authorization"]]),
        cut_off,
        slow(5),
    ],
)
def test_a_secret_that_the_server_repeats_is_hidden(fault, token):
    with FaultyProxy(logistic, always(fault)) as proxy:
        for kind in (AnswerFormat(), AnswerFormat(PredictedLabels)):
            door = endpoint(proxy, headers=token, answers=kind, limits=Limits(timeout=0.2, n_tries=2))
            with pytest.raises(TargetError) as caught:
                door.open_model(2, ("a", "b")).answers(X[:1])
            text = shown(caught.value).lower()
            assert "s3cr3t" not in text
            assert "xylo" not in text


def test_the_variable_is_named_when_the_server_does_not_let_in(token):
    with FaultyProxy(logistic, always(echo(401, "Authorization"))) as proxy:
        said = failure(proxy, headers=token)
    assert "found status 401 (no such user: ***); check the environment variable MODEL_TOKEN." in said


def test_words_around_a_secret_stay_and_short_secrets_are_hidden_as_a_whole():
    found = sending.Credentials(("A", "B"), {"a": "abc", "b": 'Basic "0123456789"'})
    assert found.hidden('x abc y, "0123456789"; \\"0123456789\\" Basic') == "x *** y,***;*** Basic"
    assert found.hidden("ab 0123456") == "ab 0123456"
    assert "0123" not in repr(found)


TOKEN = "s3cr3t-Token/Xylo+phone"


def _in_longer_text(n_before: int, encode):
    return encode(b"x" * n_before + b"{Authorization: Bearer " + TOKEN.encode() + b"}").decode()


@pytest.mark.parametrize(
    "told",
    [
        quote(TOKEN, safe=""),
        quote_plus(TOKEN).lower(),
        "".join(f"%{byte:02X}" for byte in TOKEN.encode()),
        TOKEN.encode().hex(),
        TOKEN.encode().hex(":").upper(),
        TOKEN[::-1],
        json.dumps(TOKEN),
        *(_in_longer_text(n, encode) for n in range(3) for encode in (base64.b64encode, base64.urlsafe_b64encode)),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(told):
    hidden = sending.Credentials(("A",), {"Authorization": f"Bearer {TOKEN}"}).hidden(f"no name {told} here")
    assert hidden.startswith("no name")
    assert hidden.endswith("here")
    kept = re.sub(r"\*+", "", hidden)
    # What is left of the words around it decodes to nothing of the secret.
    for text in (kept, kept[::-1], unquote(kept)):
        assert not any(TOKEN[i : i + 6].lower() in text.lower() for i in range(len(TOKEN) - 5))
    assert len(kept) - len("no name  here") <= len(told) - len(TOKEN)


@pytest.mark.parametrize("told", ["ada:xylophone-7", "user ada", "password xylophone-7", "'ada', 'xylophone-7'"])
def test_user_and_password_of_a_basic_header_are_hidden(told):
    header = "Basic " + base64.b64encode(b"ada-l:xylophone-7").decode()
    hidden = sending.Credentials(("A",), {"Authorization": header}).hidden(told.replace("ada", "ada-l"))
    assert "xylo" not in hidden
    assert "ada" not in hidden


def test_a_variable_that_is_missing_is_named_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("MODEL_TOKEN", raising=False)
    said = "variable MODEL_TOKEN for the header X-Key, found none; set it"
    with FaultyProxy(logistic) as proxy, pytest.raises(InputError, match=said):
        endpoint(proxy, headers={"X-Key": "MODEL_TOKEN"}).open_model(2)
    assert proxy.requests == []


@pytest.mark.parametrize("value", ["s3cr3t\nX-Other: 1", "s3cr3t-é"])
def test_what_no_header_can_hold_is_refused_and_not_repeated(value, monkeypatch):
    monkeypatch.setenv("MODEL_TOKEN", value)
    with pytest.raises(InputError, match="one line of ASCII in the environment variable MODEL_TOKEN") as caught:
        Endpoint("http://127.0.0.1:1/v2/models/m", headers={"X-Key": "MODEL_TOKEN"}).open_model(2)
    assert "s3cr3t" not in shown(caught.value)


@pytest.mark.parametrize("value", ["Bearer s3cr3t", "s3cr3t"])
def test_a_secret_in_place_of_a_name_is_refused_and_not_repeated(value):
    with pytest.raises(InputError, match="environment variable for the header Authorization") as caught:
        Endpoint("http://127.0.0.1:1/v2/models/m", headers={"Authorization": value}).open_model(2)
    assert "s3cr3t" not in str(caught.value)


# ---------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timeout": 0.0}, "positive number as timeout, found 0.0"),
        ({"timeout": float("inf")}, "as timeout, found inf"),
        ({"per_second": -1.0}, "as per_second, found -1.0"),
        ({"n_tries": 0}, "n_tries of at least 1, found 0"),
        ({"n_connections": 0}, "n_connections of at least 1"),
        ({"batch": 0}, "batch of at least 1"),
    ],
)
def test_limits_are_positive(wrong, said):
    with pytest.raises(InputError, match=said):
        Limits(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"datatype": "float32"}, "one of BOOL, .*, found 'float32'"),
        ({"datatype": "BYTES"}, "found 'BYTES'"),
        ({"headers": {"Content-Length": "N"}}, "a header that may be set, found 'Content-Length'"),
        ({"headers": {"X Key": "N"}}, "found 'X Key'"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_refused_at_once(wrong, said):
    with pytest.raises(InputError, match=said):
        Endpoint("http://h/v2/models/m", **wrong)
    with pytest.raises(InputError, match="put secrets into environment variables"):
        Endpoint("http://me:pw@h/v2/models/m")


def test_an_endpoint_is_a_value():
    door = Endpoint("http://h/v2/models/m", headers={"X-Key": "KEY"})
    assert pickle.loads(pickle.dumps(door)) == door
    assert hash(door) == hash(Endpoint("http://h/v2/models/m", headers={"X-Key": "KEY"}))
    assert door != Endpoint("http://h/v2/models/m")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "vestige.targets.http.sending")
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(
        UnsupportedModelError, match=r"the package orjson .*, found none; pip install 'httpx>=[\d.]+' 'orjson>=[\d.]+'"
    ):
        Endpoint("http://h/v2/models/m").open_model(2)

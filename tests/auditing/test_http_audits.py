"""Audits of a model behind HTTP, whatever happens on the way: nothing is lost, nothing is paid for twice."""

import itertools
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.targets.servers import (
    Fault,
    FaultyProxy,
    Plan,
    Reply,
    Request,
    cut_off,
    echo,
    edited,
    garbage,
    logistic,
    mlserver,
    response,
    shortened,
    sometimes,
    status,
    upstream,
)

from vestige import Endpoint, Options, Querying, audit
from vestige.auditing.querying.session import again_of
from vestige.core.errors import BudgetError, RunFolderError, TargetError
from vestige.core.records import Records, joined
from vestige.core.result import Queries, Validity
from vestige.data import read_two_records
from vestige.defences import StrongestMemGuard, TopK
from vestige.targets.http import sending
from vestige.targets.http.endpoint import Limits
from vestige.targets.ledger import Ledger

N, N_FEATURES, BATCH, N_CONNECTIONS = 60, 3, 4, 3
N_QUERIES = 2 * N + 32  # a pass, and a sample again
UNSURE = N_CONNECTIONS + 2  # requests: one at every connection, one that is next, one that is being written down
SECRET = "Bearer s3cr3t-Token/Xylophone-of-nobody"
HERE = Path(__file__).resolve().parents[2]
FAULTS_AFTER = (status(503), garbage, cut_off, shortened)
FAULTS = (status(503), status(429), garbage, cut_off, shortened)


@pytest.fixture(scope="module", autouse=True)
def _direct_and_quick():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
        patch.setattr(sending, "_FIRST_WAIT", 0.002)
        patch.setattr(sending, "_LONGEST_WAIT", 0.02)
        yield


def side(seed: int, n: int = N) -> Records:
    """Records that no other side has."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, N_FEATURES))
    return Records(inputs, rng.integers(0, 2, n), ids=np.arange(seed * n, (seed + 1) * n))


MEMBERS, NONMEMBERS = side(0), side(1)
SIDES: dict[str, Any] = {"members": MEMBERS, "nonmembers": NONMEMBERS}


def door(proxy: FaultyProxy, *, n_tries: int = 9, batch: int = BATCH, n_connections: int = N_CONNECTIONS) -> Endpoint:
    limits = Limits(timeout=20.0, n_tries=n_tries, batch=batch, n_connections=n_connections)
    return Endpoint(f"{proxy.url}/v2/models/m", limits=limits)


Row = tuple[float, ...]


class Log:
    """Carries a plan out, and notes which rows were answered and how many answers were spoilt."""

    def __init__(self, plan: Plan = lambda request: None) -> None:
        self.plan, self.answered, self.n_spoilt, self._lock = plan, Counter[Row](), 0, Lock()

    def __call__(self, request: Request) -> Fault | None:
        fault = self.plan(request)
        if request.method == "POST":
            with self._lock:
                self.n_spoilt += fault is not None
                self.answered.update(rows_of(request) if fault is None else ())
        return fault


def rows_of(request: Request) -> list[Row]:
    tensor = json.loads(request.body)["inputs"][0]
    return [tuple(row) for row in np.reshape(tensor["data"], tensor["shape"]).tolist()]


def wanted(members: Records = MEMBERS, nonmembers: Records = NONMEMBERS) -> Counter[Row]:
    """How often each row is to be answered: once, and those of the sample once more."""
    rows = [tuple(row) for row in joined(members, nonmembers).inputs.tolist()]
    again = again_of(len(rows), Options().seed)
    return Counter(rows) + Counter(rows[i] for i in again)


def after(n_good: int, fault: Fault) -> Plan:
    """All is well with the first queries, and nothing with the others."""
    numbers = itertools.count()
    return lambda request: fault if request.method == "POST" and next(numbers) >= n_good else None


def spent(result: Any) -> Queries:
    assert isinstance(result.queries, Queries)
    return result.queries


@pytest.fixture(scope="module")
def undisturbed():
    with FaultyProxy(logistic) as proxy:
        return audit(door(proxy), **SIDES)


def assert_same(found: Any, expected: Any) -> None:
    pd.testing.assert_frame_equal(found.results, expected.results, check_exact=True)
    pd.testing.assert_frame_equal(found.records, expected.records, check_exact=True)


@contextmanager
def ledger_of(run: Path, n_records: int):
    """The ledger that a run left."""
    with closing(sqlite3.connect(run / "queries.sqlite")) as db:
        (identity,) = db.execute("SELECT value FROM about WHERE name = 'model'").fetchone()
    with closing(Ledger(run / "queries.sqlite", n_records, identity)) as ledger:
        yield ledger


# --------------------------------------------------------------------------------------- faults


def test_an_audit_of_a_real_server_through_many_faults_ends_as_without(tmp_path):
    fitted = LogisticRegression().fit(MEMBERS.inputs, MEMBERS.labels)
    log = Log(sometimes(FAULTS, 0.2, seed=3))
    with mlserver(tmp_path, fitted) as url, FaultyProxy(upstream(url)) as good, FaultyProxy(upstream(url), log) as bad:
        expected, found = (
            audit(Endpoint(p.url + "/v2/models/m", output="predict_proba", limits=door(p).limits), **SIDES)
            for p in (good, bad)
        )
    assert_same(found, expected)
    assert log.answered == wanted()
    assert spent(found).n_failed == log.n_spoilt >= 5
    assert spent(found).n_sent == spent(expected).n_sent == N_QUERIES
    assert spent(expected).n_failed == 0


def test_an_endpoint_that_died_is_asked_for_the_rest_alone(undisturbed, tmp_path):
    run, terms = tmp_path / "run", Querying(price=2.5)
    log = Log(after(13, cut_off))
    with FaultyProxy(logistic, log) as proxy:
        with pytest.raises(TargetError, match="Expected an answer from") as raised:
            audit(door(proxy, n_tries=2), **SIDES, querying=terms, run=run)
        assert "\n" not in str(raised.value)
        assert log.answered.total() == 13 * BATCH
        log.plan = lambda request: None
        found = audit(door(proxy), **SIDES, querying=terms, run=run)
    assert log.answered == wanted()  # requests under way are waited for, and their answers kept: none is asked twice
    assert_same(found, undisturbed)
    told = json.loads((run / "report.json").read_text())["queries"]
    assert told["n_sent"] == N_QUERIES
    assert told["most_per_record"] == 2
    assert told["price"] == 2.5
    assert told["n_unanswered"] == log.n_spoilt * BATCH  # cut off, they may have been computed
    assert told["cost"] == pytest.approx((N_QUERIES + log.n_spoilt * BATCH) * 2.5 / 1000)


def test_a_budget_smaller_than_a_pass_sends_no_query(tmp_path):
    with FaultyProxy(logistic) as proxy:
        with pytest.raises(BudgetError, match=f"budget of {N_QUERIES} queries or more, found {N_QUERIES - 1}"):
            audit(door(proxy), **SIDES, querying=Querying(budget=N_QUERIES - 1), run=tmp_path / "run")
        assert {request.method for request in proxy.requests} == {"GET"}  # what the model says of itself


@pytest.mark.parametrize("more", [0, 20, 60])
def test_requests_that_were_computed_and_failed_count_against_the_budget(tmp_path, more):
    """By the server's own count, over all starts until nothing more is allowed, or the audit is done."""
    log, budget = Log(sometimes(FAULTS_AFTER, 0.25, seed=5)), N_QUERIES + more
    with FaultyProxy(logistic, log) as proxy:
        for _ in range(3):
            with suppress(BudgetError):
                audit(door(proxy), **SIDES, querying=Querying(budget=budget), run=tmp_path / "run")
        computed = sum(len(rows_of(request)) for request in proxy.posts)
    with ledger_of(tmp_path / "run", 2 * N) as ledger:
        assert ledger.n_asked == computed <= budget
        assert log.n_spoilt * BATCH <= ledger.spent.n_unanswered + BATCH


def test_what_never_reached_the_model_costs_no_budget(tmp_path):
    faults = (status(429), status(401), status(413))
    with FaultyProxy(logistic, Log(sometimes(faults[:1], 0.3, seed=5))) as proxy:
        result = audit(door(proxy), **SIDES, querying=Querying(budget=N_QUERIES), run=tmp_path / "run")
    assert spent(result).n_failed >= 5
    assert (spent(result).n_sent, spent(result).n_unanswered) == (N_QUERIES, 0)
    for fault in faults[1:]:
        with (
            FaultyProxy(logistic, Log(after(0, fault))) as proxy,
            pytest.raises(TargetError, match="Expected an answer from"),
        ):
            audit(door(proxy, n_tries=2), **SIDES, querying=Querying(budget=N_QUERIES), run=tmp_path / "other")
        assert not (tmp_path / "other").exists()


def test_a_server_that_answers_at_random_is_noticed(undisturbed):
    rng = np.random.default_rng(0)

    def random(request: Request) -> Reply:
        if request.method == "GET":
            return logistic(request)
        p = rng.random(len(rows_of(request)))
        return response("FP64", [p.size, 2], np.column_stack([p, 1 - p]).ravel().tolist())

    with FaultyProxy(random) as proxy:
        found = audit(door(proxy, n_connections=1), **SIDES)
    checks = [{c.name: c for c in result.preflight.checks}["same_answers"] for result in (found, undisturbed)]
    assert [check.validity for check in checks] == [Validity.LIMITED, Validity.VALID]
    assert "Asked again about 32 records" in checks[0].message


# -------------------------------------------------------------------------------------- versions

OF_V2 = edited(lambda document: document.update(model_version="v2"))


def test_a_model_that_changes_in_the_middle_is_refused_and_resumed_when_it_is_back(undisturbed, tmp_path):
    run, log = tmp_path / "run", Log(after(13, OF_V2))
    with FaultyProxy(logistic, log) as proxy:
        with pytest.raises(TargetError, match="version 'v1' of the model throughout, found some of version 'v2'"):
            audit(door(proxy, n_connections=1), **SIDES, run=run)
        assert log.answered.total() == 13 * BATCH
        log.plan = lambda request: None
        found = audit(door(proxy), **SIDES, run=run)
    assert log.answered == wanted()
    assert_same(found, undisturbed)


@pytest.mark.parametrize(
    ("n_good", "fault"), [(13, status(503)), (2 * N // BATCH, OF_V2)], ids=["between two starts", "between two passes"]
)
def test_answers_of_another_version_are_never_mixed_with_those_that_are_kept(n_good, fault, tmp_path):
    run, log = tmp_path / "run", Log(after(n_good, fault))
    with FaultyProxy(logistic, log) as proxy:
        if fault is not OF_V2:
            with pytest.raises(TargetError):
                audit(door(proxy, n_tries=1), **SIDES, run=run)
            log.plan = after(0, OF_V2)
        n_before = len(proxy.posts)
        with pytest.raises(RunFolderError, match="same version as before, v1, found v2"):
            audit(door(proxy), **SIDES, run=run)
        n_sent = len(proxy.posts) - n_before
        assert n_sent - (n_good if fault is OF_V2 else 0) <= UNSURE
    with ledger_of(run, 2 * N) as ledger:
        assert ledger.spent.n_sent == n_good * BATCH


# ------------------------------------------------------------------- the command line, killed and refused


def audit_file(folder: Path, proxy: FaultyProxy, headers: str = "{}") -> list[str]:
    """Write an audit file and its data; return the arguments that play it."""
    for name, records in SIDES.items():
        np.savez(folder / f"{name}.npz", inputs=records.inputs, labels=records.labels, ids=records.ids)
    (folder / "audit.toml").write_text(
        f'[target]\nmodel = "{proxy.url}/v2/models/m"\n'
        f"[endpoint]\nbatch = {BATCH}\nn_connections = {N_CONNECTIONS}\nheaders = {headers}\n"
        '[data]\nmembers = "members.npz"\nnonmembers = "nonmembers.npz"\n'
    )
    return ["audit", str(folder / "audit.toml"), "--out", str(folder / "run")]


def test_an_audit_that_was_killed_asks_again_at_most_what_was_under_way(undisturbed, tmp_path):
    started, processes = Event(), list[subprocess.Popen[bytes]]()

    def kill(request: Request) -> Fault | None:
        if request.method == "POST" and next(numbers) == 13:
            started.wait()
            processes[0].kill()
        return None

    numbers = itertools.count()
    log = Log(kill)
    with FaultyProxy(logistic, log) as proxy:
        command = [sys.executable, "-c", "from vestige.cli import main; main()", *audit_file(tmp_path, proxy)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.append(process)
        started.set()
        assert process.wait(60) == -9
        assert 0 < log.answered.total() < 2 * N
        assert not (tmp_path / "run" / "report.json").exists()
        members, nonmembers = read_two_records(tmp_path / "members.npz", tmp_path / "nonmembers.npz")
        found = audit(door(proxy), members=members, nonmembers=nonmembers, run=tmp_path / "run")
    pd.testing.assert_frame_equal(found.results, undisturbed.results, check_exact=True)
    assert not wanted() - log.answered
    assert (log.answered - wanted()).total() <= UNSURE * BATCH
    assert spent(found).n_sent == N_QUERIES
    with ledger_of(tmp_path / "run", 2 * N) as ledger:
        np.testing.assert_array_equal(ledger.per_record(), 1 + np.isin(np.arange(2 * N), again_of(2 * N, 0)))


def assert_without_secret(folder: Path, *texts: str) -> None:
    token = SECRET.split()[1]
    pieces = [token[i : i + 8] for i in range(len(token) - 7)]
    stored = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, content in [*stored.items(), *(("text", text.encode()) for text in texts)]:
        assert not [piece for piece in pieces if piece.encode() in content], name


TWICE = """
from vestige.cli import main
for _ in range(2):
    try:
        main()
    except SystemExit as end:
        print("ended with", end.code, flush=True)
"""


def test_a_secret_is_nowhere_but_in_the_requests(tmp_path):
    """The token is refused in the middle, by a server that repeats it, and accepted at the second start."""
    refuse = after(13, echo(401, "Authorization"))
    log = Log(lambda request: refuse(request) if n_starts() == 1 else None)
    with FaultyProxy(logistic, log) as proxy:

        def n_starts() -> int:
            return sum(request.method == "GET" for request in proxy.requests)

        arguments = audit_file(tmp_path, proxy, '{ Authorization = "MODEL_TOKEN" }')
        environment = os.environ | {"MODEL_TOKEN": SECRET}
        command = [sys.executable, "-c", TWICE, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        assert {request.headers.get("Authorization") for request in proxy.requests} == {SECRET}
    assert [line for line in done.stdout.splitlines() if line.startswith("ended with")] == [
        "ended with 2",
        "ended with 0",
    ]
    (told,) = done.stderr.strip().splitlines()
    assert "status 401" in told
    assert "check the environment variable MODEL_TOKEN" in told
    assert log.answered == wanted()
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"audit.toml", "manifest.json", "queries.sqlite", "report.json", "report.html"} <= found
    assert "MODEL_TOKEN" in (tmp_path / "run" / "audit.toml").read_text()
    assert_without_secret(tmp_path, done.stdout, done.stderr)


# ------------------------------------------------------------------------------------------ many


@pytest.mark.slow
def test_ten_thousand_queries_at_many_faults_are_answered_once_each(tmp_path):
    members, nonmembers = side(0, 5_000), side(1, 5_000)
    log = Log(sometimes(FAULTS, 0.2, seed=0))
    with FaultyProxy(logistic, log) as proxy:
        endpoint = door(proxy, n_tries=20, batch=1, n_connections=8)
        result = audit(endpoint, members=members, nonmembers=nonmembers, run=tmp_path / "run")
        n_requests = len(proxy.posts)
    assert log.answered == wanted(members, nonmembers)
    assert spent(result).n_sent == 10_032
    assert spent(result).n_failed == log.n_spoilt == n_requests - 10_032
    assert 0.15 < log.n_spoilt / n_requests < 0.25
    again = np.isin(np.arange(10_000), again_of(10_000, 0))
    with ledger_of(tmp_path / "run", 10_000) as ledger:
        np.testing.assert_array_equal(ledger.per_record(), 1 + again)
        np.testing.assert_array_equal(ledger.per_record("asked again"), again)
        assert ledger.spent.n_failed == log.n_spoilt


# --------------------------------------------------------------------------------------------------- defences


def test_a_defence_stands_before_what_is_kept_and_paid_for(tmp_path):
    querying = Querying(defence=StrongestMemGuard())
    with FaultyProxy(logistic) as proxy:
        raw = door(proxy).open_model(2).answers(MEMBERS.inputs).whole().astype("<f8")
        first = audit(door(proxy), **SIDES, querying=querying, run=tmp_path / "run")
        again = audit(door(proxy), **SIDES, querying=querying, run=tmp_path / "run")
        with pytest.raises(RunFolderError, match="answers of the same model"):
            audit(door(proxy), **SIDES, querying=Querying(defence=TopK(1)), run=tmp_path / "run")
    assert spent(first).n_sent == sum(wanted().values())
    assert spent(again).n_sent == spent(first).n_sent
    assert_same(again, first)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "run").glob("queries.sqlite*"))
    assert np.float64(0.5 + 0.001).tobytes() in kept
    assert not any(number.tobytes() in kept for number in raw.ravel())

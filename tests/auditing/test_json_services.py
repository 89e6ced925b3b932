"""Audits of a model behind a service of JSON: nothing is lost, nothing is asked twice, and the numbers are the same."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from threading import Event

import numpy as np
import pandas as pd
import pytest
from tests.auditing.test_http_audits import BATCH, MEMBERS, N_CONNECTIONS, N_QUERIES, SIDES, UNSURE, N, after, ledger_of
from tests.targets.servers import FaultyProxy, Request, always, as_json, probabilities, status

from vestige import Endpoint, Querying, audit
from vestige.core.errors import BudgetError, RunFolderError, TargetError
from vestige.data import read_two_records
from vestige.targets.http import sending
from vestige.targets.http.endpoint import Limits

SEND = {"instances": "$inputs"}


@pytest.fixture(scope="module", autouse=True)
def _direct_and_quick():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
        patch.setattr(sending, "_FIRST_WAIT", 0.002)
        patch.setattr(sending, "_LONGEST_WAIT", 0.02)
        yield


def service(request: Request):
    return as_json({"predictions": [probabilities(row) for row in json.loads(request.body)["instances"]]})


def endpoint(proxy: FaultyProxy, *, n_tries: int = 9) -> Endpoint:
    limits = Limits(timeout=20.0, n_tries=n_tries, batch=BATCH, n_connections=N_CONNECTIONS)
    return Endpoint(f"{proxy.url}/predict", send=SEND, read="predictions", limits=limits)


def function(inputs):
    return np.array([probabilities(row) for row in inputs.tolist()])


@pytest.fixture(scope="module")
def undisturbed():
    with FaultyProxy(service) as proxy:
        return audit(endpoint(proxy), **SIDES)


def test_the_service_gives_the_table_of_the_function_behind_it(undisturbed):
    found = audit(function, **SIDES)
    pd.testing.assert_frame_equal(found.results, undisturbed.results, rtol=1e-5)
    assert undisturbed.queries.n_sent == N_QUERIES


def test_faults_on_the_way_change_nothing(undisturbed):
    faults = itertools.cycle([status(503), None])
    with FaultyProxy(service, lambda request: next(faults)) as proxy:
        found = audit(endpoint(proxy), **SIDES)
    pd.testing.assert_frame_equal(found.results, undisturbed.results, check_exact=True)


@pytest.mark.parametrize("how", ["503", "killed"])
def test_an_audit_that_ended_goes_on_where_it_was(undisturbed, tmp_path, how):
    run, started, processes, sides = tmp_path / "run", Event(), list[subprocess.Popen[bytes]](), SIDES
    with FaultyProxy(service, after(9, status(503))) as proxy:
        if how == "503":
            with pytest.raises(TargetError, match=r"status 503 .*; start it again, 36 answers are kept\.$"):
                audit(endpoint(proxy, n_tries=1), **SIDES, run=run)
        else:
            numbers = itertools.count()

            def kill(request: Request):
                if next(numbers) == 9:
                    started.wait()
                    processes[0].kill()

            proxy.plan = kill
            for name, records in SIDES.items():
                np.savez(tmp_path / f"{name}.npz", inputs=records.inputs, labels=records.labels, ids=records.ids)
            (tmp_path / "audit.toml").write_text(
                f'[target]\nmodel = "{proxy.url}/predict"\n[endpoint]\n'
                f"batch = {BATCH}\nn_connections = {N_CONNECTIONS}\n"
                'send = { instances = "$inputs" }\nread = "predictions"\n'
                '[data]\nmembers = "members.npz"\nnonmembers = "nonmembers.npz"\n'
            )
            command = [sys.executable, "-c", "from vestige.cli import main; main()", "audit"]
            given = [str(tmp_path / "audit.toml"), "--out", str(run)]
            processes.append(subprocess.Popen([*command, *given], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            started.set()
            assert processes[0].wait(60) == -9
            sides = dict(zip(SIDES, read_two_records(*(tmp_path / f"{name}.npz" for name in SIDES)), strict=True))
        n_before = len(proxy.posts)
        proxy.plan = lambda request: None
        found = audit(endpoint(proxy), **sides, run=run)
        assert len(proxy.posts) - n_before <= (N_QUERIES // BATCH) - 9 + UNSURE
    pd.testing.assert_frame_equal(found.results, undisturbed.results, check_exact=True)
    with ledger_of(run, 2 * N) as ledger:
        assert ledger.spent.n_sent == N_QUERIES


def test_another_template_is_another_model(tmp_path):
    with FaultyProxy(service) as proxy:
        audit(endpoint(proxy), **SIDES, run=tmp_path)
        other = Endpoint(f"{proxy.url}/predict", send={**SEND, "parameters": {"scale": 2}}, read="predictions")
        with pytest.raises(RunFolderError, match="answers of the same model"):
            audit(other, **SIDES, run=tmp_path)


def test_a_budget_is_kept_over_all_tries(tmp_path):
    with FaultyProxy(service) as proxy:
        with pytest.raises(BudgetError, match=f"budget of {N_QUERIES} queries or more, found {N_QUERIES - 1}"):
            audit(endpoint(proxy), **SIDES, querying=Querying(budget=N_QUERIES - 1))
        assert not proxy.requests
        proxy.plan = always(status(500))
        with pytest.raises(BudgetError, match="are spent"):
            audit(endpoint(proxy, n_tries=90), **SIDES, querying=Querying(budget=N_QUERIES + BATCH), run=tmp_path)
        assert len(proxy.posts) * BATCH <= N_QUERIES + BATCH


def test_classes_are_said_in_the_order_they_were_taken(undisturbed):
    assert not [check for check in undisturbed.preflight.checks if check.name == "class_columns"]

    def called(records):
        return replace(records, labels=np.array(["well", "sick"])[records.labels], classes=None)

    with FaultyProxy(service) as proxy:
        found = audit(endpoint(proxy), called(MEMBERS), called(SIDES["nonmembers"]))
    [check] = [check for check in found.preflight.checks if check.name == "class_columns"]
    assert "column 0 for sick, 1 for well" in check.message

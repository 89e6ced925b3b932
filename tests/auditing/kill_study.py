"""Audits that are killed: nothing is lost, the numbers are the same, and no budget is exceeded.

`python -m tests.auditing.kill_study` kills each kind of audit 40 times, half by SIGKILL and half by SIGTERM: 30 times
at a moment uniform over its duration, 10 times while its files are being written. It writes `kills.json`.
"""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vestige.core.half_written import is_half_written

STORED = Path(__file__).with_name("kills.json")
N, SIZE = 60, 4  # records a side, columns
BATCH, CONNECTIONS = 8, 2
LOST = (CONNECTIONS + 2) * BATCH  # queries that one kill may cost
MODEL = """
import os
import numpy as np
WEIGHTS = np.array([1.5, -1.0, 0.5, 0.0])
def model(inputs):
    with open(os.environ["KILLS_ASKED"], "ab", buffering=0) as file:
        file.write(b"x" * len(inputs))
    p = 1 / (1 + np.exp(-np.asarray(inputs) @ WEIGHTS))
    return np.column_stack([1 - p, p])
def fit(inputs, labels, *, seed):
    from sklearn.naive_bayes import GaussianNB
    return GaussianNB().fit(inputs, labels)
"""


@dataclass
class Kind:
    """One kind of audit: the files it reads, what is asked of the command line, and its budget if it has one."""

    name: str
    arguments: list[str]
    budget: int | None = None
    seconds: float = 0.0
    expected: dict[str, Any] = field(default_factory=dict)


def kinds(folder: Path, url: str, n_kills: int) -> list[Kind]:
    """Write what the audits read, and say how each is started."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2 * N, SIZE)), rng.integers(0, 2, 2 * N)
    member = np.arange(2 * N) < N
    p = 1 / (1 + np.exp(-x[:, 0] - 0.8 * member * (2 * y - 1)))
    probs = np.column_stack([1 - p, p])
    np.savez(folder / "predictions.npz", probs=probs, labels=y, member=member.astype(int), ids=np.arange(2 * N))
    is_in = np.stack([rng.permutation(2 * N) < N for _ in range(8)])
    shadows = np.stack([rng.normal(size=2 * N) + is_in[k] for k in range(8)])
    q = 1 / (1 + np.exp(-shadows))
    given = np.stack([np.where(y == 0, q, 1 - q), np.where(y == 1, q, 1 - q)], axis=2)
    np.savez(folder / "shadows.npz", reference_probs=given, reference_member=is_in, reference_ids=np.arange(2 * N))
    for name, rows in (("members", member), ("nonmembers", ~member)):
        columns = {f"x{i}": x[rows, i] for i in range(SIZE)}
        table = pd.DataFrame({"id": np.flatnonzero(rows), "label": y[rows], **columns})
        table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "clinic.py").write_text(MODEL)
    data = f'[data]\nmembers = "{folder}/members.csv"\nnonmembers = "{folder}/nonmembers.csv"\n'
    data += 'label = "label"\nid = "id"\n'
    recipe = '[recipe]\ntrain = "clinic:fit"\nn_shadows = 8\n'
    near = 2 * N + 32 + n_kills * 64
    far = 2 * N + 32 + 2 * N * 6 + n_kills * LOST
    files = {
        "model": f'[target]\nmodel = "clinic:model"\nbudget = {near}\n{data}',
        "training": f'[target]\nmodel = "clinic:model"\nbudget = {near}\n{data}{recipe}',
        "labels": f'[target]\nmodel = "{url}"\naccess = "label"\nbudget = {far}\n[endpoint]\nbatch = {BATCH}\n'
        f"n_connections = {CONNECTIONS}\n{data}[label_only.noise]\nn_draws = 6\n",
        "recipe": f'[data]\nrecords = "{folder}/members.csv"\nlabel = "label"\nid = "id"\n{recipe}',
    }
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return [
        Kind("predictions", [f"{folder}/predictions.npz"]),
        Kind("references", [f"{folder}/predictions.npz", "--reference", f"{folder}/shadows.npz"]),
        Kind("model", [f"{folder}/model.toml"], near),
        Kind("training", [f"{folder}/training.toml"], near),
        Kind("labels", [f"{folder}/labels.toml"], far),
        Kind("recipe", [f"{folder}/recipe.toml"]),
    ]


class _Handler(BaseHTTPRequestHandler):
    """A model of the Open Inference Protocol that counts every record it computes."""

    protocol_version = "HTTP/1.1"

    def _send(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._send({"name": "m", "platform": "test"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        x = np.column_stack([np.ravel(tensor["data"]) for tensor in asked["inputs"]])
        with open(os.environ["KILLS_ASKED"], "ab", buffering=0) as file:
            file.write(b"x" * len(x))
        p = 1 / (1 + np.exp(-x @ np.array([1.5, -1.0, 0.5, 0.0])))
        data = np.column_stack([1 - p, p]).ravel().tolist()
        output = {"name": "p", "datatype": "FP64", "shape": [len(x), 2], "data": data}
        self._send({"model_name": "m", "outputs": [output]})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _serve(asked: str, told: Any) -> None:
    os.environ["KILLS_ASKED"] = asked
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    told.send(server.server_address[1])
    server.serve_forever()


def _audit(arguments: list[str], run: str, asked: str, said: str, bank: str) -> None:
    """The command line, in a process of its own."""
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.environ |= {"KILLS_ASKED": asked, "VESTIGE_BANK": bank}
    sys.argv = ["vestige", "audit", *arguments, "--out", run, "--quiet"]
    from vestige.cli import main

    main()


PRELOADED = [
    "vestige.cli",
    "vestige.auditing.audit",
    "vestige.auditing.trained_models",
    "vestige.auditing.recipe_audit",
]
PRELOADED += ["vestige.auditing.audit", "vestige.report.page", "vestige.report.charts", "filelock", "httpx"]
PRELOADED += ["vestige.report.document", "vestige.report.tables", "vestige.data", "zarr", "skops.io", "orjson"]
PRELOADED += ["sklearn.naive_bayes", "vestige.targets.http.endpoint", "vestige.targets.http.sending", "xarray"]


@contextmanager
def _server(context: Any, asked: Path) -> Iterator[str]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(str(asked), theirs))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v2/models/m"
    finally:
        process.kill()
        process.join()


def _half_written(run: Path) -> list[Path]:
    places = [place for place in (run.parent, run) if place.is_dir()]
    return [path for place in places for path in place.iterdir() if is_half_written(path, run.name)]


def _being_written(run: Path, of_before: list[Path]) -> bool:
    """Whether this process writes files, and not one before that was killed at it."""
    return any((path / "results.parquet").exists() for path in _half_written(run) if path not in of_before)


def _numbers(run: Path) -> dict[str, Any]:
    """What must not differ, whatever happened on the way."""
    report = json.loads((run / "report.json").read_text())
    records = pd.read_parquet(run / "records.parquet")
    report["provenance"].pop("created")
    report.pop("queries")  # those that a kill cost are among them
    return {"results": (run / "results.csv").read_text(), "records": records.to_csv(), "report": json.dumps(report)}


def study(kind: Kind, folder: Path, context: Any, n_kills: int, n_writing: int, asked: Path) -> dict[str, Any]:
    """Kill one kind of audit again and again; raises AssertionError if anything is lost.

    Args:
        kind: Of audit.
        folder: An empty one.
        context: Makes processes.
        n_kills: How often, in all.
        n_writing: How often of them while files are being written.
        asked: Where the model counts what it was asked.
    """
    said, count = folder / "said", asked

    def start(run: Path) -> Any:
        process = context.Process(
            target=_audit, args=(kind.arguments, str(run), str(asked), str(said), str(folder / f"bank of {run.name}"))
        )
        process.start()
        return process

    def finished(process: Any) -> None:
        process.join(300)
        text = said.read_text() if said.exists() else ""
        assert process.exitcode == 0, (kind.name, process.exitcode, text)

    for name in ("warm", "undisturbed"):
        begun = time.monotonic()
        finished(start(folder / name))
        kind.seconds = time.monotonic() - begun
    expected = _numbers(folder / "undisturbed")
    rng = np.random.default_rng(sum(kind.name.encode()))
    n = {"SIGKILL": 0, "SIGTERM": 0, "while writing": 0, "finished runs": 0, "kept at a kill": 0}
    number = most_asked = 0
    while True:
        run = folder / f"run[{number}]*"
        count.write_bytes(b"")
        while True:
            n_done = n["SIGKILL"] + n["SIGTERM"]
            of_before = _half_written(run)  # of one that was killed; who is stopped early leaves it to the next
            process = start(run)
            is_to_be_killed = n_done < n_kills
            if is_to_be_killed:
                is_writing = n["while writing"] < n_writing and n_done % max(1, n_kills // n_writing) == 0
                if is_writing:
                    while process.is_alive() and not _being_written(run, of_before):
                        time.sleep(0.001)
                    time.sleep(rng.uniform(0, 0.15))
                else:
                    process.join(rng.uniform(0, kind.seconds))
                name = ("SIGKILL", "SIGTERM")[n_done % 2]
                is_writing = _being_written(run, of_before)
                if process.is_alive():
                    os.kill(process.pid, getattr(signal, name))
                    process.join(120)
                    if process.exitcode != 0:
                        n[name] += 1
                        n["while writing"] += is_writing
                        left = _half_written(run)
                        assert name == "SIGKILL" or set(left) <= set(of_before), (left, process.exitcode)
                        assert all(path.stat().st_mode & 0o077 == 0 for path in left)
                        n["kept at a kill"] += (run / "queries.sqlite").exists() or (run / "shadows.json").exists()
                        continue
            finished(process)
            break
        n["finished runs"] += 1
        n_asked = count.stat().st_size
        most_asked = max(most_asked, n_asked)
        assert kind.budget is None or n_asked <= kind.budget, (kind.name, n_asked, kind.budget)
        assert _numbers(run) == expected, kind.name
        assert not _half_written(run)
        assert not [path.name for path in run.iterdir() if path.name.startswith(".")]
        if kind.budget is not None:
            told = json.loads((run / "report.json").read_text())["queries"]
            assert n_asked <= told["n_sent"] + told["n_unanswered"] <= kind.budget
        shutil.rmtree(run)
        number += 1
        if n["SIGKILL"] + n["SIGTERM"] >= n_kills:
            break
    text = said.read_text()
    assert "Traceback" not in text, text
    return n | {"seconds": round(kind.seconds, 2), "budget": kind.budget, "most asked": most_asked}


def run_all(folder: Path, n_kills: int, n_writing: int, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Study every kind of audit, or those of these names."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.auditing.kill_study", *PRELOADED])
    found = {}
    asked = folder / "asked"
    with _server(context, asked) as url:
        for kind in kinds(folder, url, n_kills):
            if names and kind.name not in names:
                continue
            place = folder / kind.name
            place.mkdir()
            found[kind.name] = study(kind, place, context, n_kills, n_writing, asked)
            print(kind.name, found[kind.name], flush=True)
    return found


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ("predictions", "references", "model", "training", "labels", "recipe"):
        with tempfile.TemporaryDirectory(prefix="vestige-kills-") as made:
            one = run_all(Path(made), 40, 10, (chosen,))
        before = json.loads(STORED.read_text()) if STORED.exists() else {}
        STORED.write_text(json.dumps({**before, **one}, indent=1) + "\n")

"""Servers on loopback for tests: a real MLServer, and a proxy that makes the mistakes it is told to make."""

import ctypes
import http.client
import json
import math
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import joblib
import pytest

READY_WITHIN = 60.0  # [s]; 4 on an idle machine

# ----------------------------------------------------------------------------------- MLServer


def needs_mlserver_sklearn() -> None:
    """Skip a test that a scikit-learn estimator must be served for, where that cannot be installed."""
    if find_spec("mlserver_sklearn") is None:
        pytest.skip("needs mlserver-sklearn, which asks for Python below 3.13")


@contextmanager
def mlserver(
    folder: Path, estimator: Any, *, name: str = "m", version: str = "v1", others: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """Serve an estimator, and others by name; yields the URL of the first. The server ends with this process at last.

    Args:
        folder: An empty one.
        estimator: A fitted scikit-learn one.
        name: Of the model, which is the end of its URL.
        version: Of all models.
        others: More models of the same server.
    """
    needs_mlserver_sklearn()
    for model, fitted in {name: estimator, **(others or {})}.items():
        (folder / model).mkdir()
        joblib.dump(fitted, folder / model / "m.joblib")
        settings = {"name": model, "implementation": "mlserver_sklearn.SKLearnModel"}
        _write(
            folder / model / "model-settings.json", settings | {"parameters": {"uri": "./m.joblib", "version": version}}
        )
    with _serving(folder, name) as url:
        yield url


@contextmanager
def mlserver_of_onnx(folder: Path, file: Path, *, name: str = "m", version: str = "v1") -> Iterator[str]:
    """Serve a graph with one input, by a runtime of one's own as users write them; yields the model's URL.

    Args:
        folder: An empty one.
        file: The graph; its answers are an output of the graph's own name.
        name: Of the model, which is the end of its URL.
        version: Of the model.
    """
    (folder / name).mkdir()
    (folder / name / "runtime_of_onnx.py").write_text(_RUNTIME)
    parameters = {"uri": str(file.resolve()), "version": version}
    settings = {"name": name, "implementation": "runtime_of_onnx.OnnxModel", "parameters": parameters}
    _write(folder / name / "model-settings.json", settings)
    with _serving(folder, name) as url:
        yield url


_RUNTIME = """
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class OnnxModel(MLModel):
    async def load(self):
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        given = NumpyCodec.decode_input(payload.inputs[0])
        name = self.session.get_outputs()[0].name
        answers = self.session.run([name], {self.session.get_inputs()[0].name: given})[0]
        outputs = [NumpyCodec.encode_output(name, answers)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
"""


@contextmanager
def _serving(folder: Path, name: str) -> Iterator[str]:
    """Start a server of the models in a folder; yields the URL of one of them."""
    for _ in range(3):  # a port that is free now may be taken a moment later
        process, url = _started(folder, name)
        try:
            if _is_ready(process, url):
                yield url
                return
        finally:
            process.kill()
            process.wait()
    raise RuntimeError(f"MLServer did not start in 3 tries: {(folder / 'log').read_text()[-2000:]}")


def _started(folder: Path, name: str) -> tuple["subprocess.Popen[bytes]", str]:
    port, grpc, metrics = _free_ports(3)
    settings = {"http_port": port, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0, "debug": False}
    _write(folder / "settings.json", {"host": "127.0.0.1", **settings})
    program = Path(sys.executable).parent / "mlserver"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "start", folder], stdout=log, stderr=log, preexec_fn=_end_with_parent)
    return process, f"http://127.0.0.1:{port}/v2/models/{name}"


def _write(path: Path, settings: dict[str, Any]) -> None:
    path.write_text(json.dumps(settings))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG


def _free_ports(n: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def free_port() -> int:
    """A port at which nobody listens."""
    return _free_ports(1)[0]


def _is_ready(process: "subprocess.Popen[bytes]", url: str) -> bool:
    parts, end = urlsplit(url), time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    return False


# -------------------------------------------------------------------------------------- proxy


@dataclass(frozen=True)
class Request:
    """What a client sent; `nth` counts those that are alike, from 1, `at` is the time [s]."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    nth: int
    at: float


@dataclass(frozen=True)
class Reply:
    """What it gets: after a delay [s], and without the last bytes."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    n_lost: int = 0


Model = Callable[[Request], Reply]
Fault = Callable[[Request, Reply], Reply]
Plan = Callable[[Request], Fault | None]


class FaultyProxy:
    """Stands before a server, or answers by itself, and does to the answers what a plan says.

    Use it as a context manager. `url` is its root, `requests` what came, in order.
    """

    def __init__(self, model: Model, plan: Plan = lambda request: None, context: ssl.SSLContext | None = None) -> None:
        self.model, self.plan = model, plan
        self.requests: list[Request] = []
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._lock, self.closed = Lock(), Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "FaultyProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def reply(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        with self._lock:
            self._seen[path, body] += 1
            request = Request(method, path, headers, body, self._seen[path, body], time.monotonic())
            self.requests.append(request)
        fault = self.plan(request)
        reply = self.model(request)
        return reply if fault is None else fault(request, reply)


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 64
    proxy: FaultyProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, as one does that does not trust the certificate, is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", -1, True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = self.server.proxy.reply(self.command, self.path, dict(self.headers.items()), body)
        if reply.delay:
            self.server.proxy.closed.wait(reply.delay)
        self.send_response(reply.status)
        for name, value in (("Content-Length", str(len(reply.body))), *reply.headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) - reply.n_lost])
        self.close_connection = self.close_connection or bool(reply.n_lost)

    def log_message(self, *_: object) -> None:
        """Nothing: tests look at `requests`."""


# ------------------------------------------------------------------------------------- models


def upstream(url: str) -> Model:
    """Answer as the server at a URL does."""
    parts = urlsplit(url)

    def model(request: Request) -> Reply:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(request.method, request.path, request.body or None, headers)
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()

    return model


def probabilities(row: Sequence[float]) -> list[float]:
    """What `logistic` answers for a row."""
    p = 1 / (1 + math.exp(-sum((i + 1) * x for i, x in enumerate(row))))
    return [1 - p, p]


def logistic(request: Request) -> Reply:
    """Answer for a tensor of records x features by `probabilities`; metadata are as empty as those of MLServer."""
    if request.method == "GET":
        return as_json({"name": "m", "versions": [], "platform": "", "inputs": [], "outputs": []})
    tensor = json.loads(request.body)["inputs"][0]
    n, n_features = tensor["shape"]
    rows = [tensor["data"][i * n_features : (i + 1) * n_features] for i in range(n)]
    return response("FP64", [n, 2], [p for row in rows for p in probabilities(row)])


def response(datatype: str, shape: list[int], data: list[Any], *, version: str = "v1", name: str = "m") -> Reply:
    """A response of the protocol with one output."""
    output = {"name": "out", "datatype": datatype, "shape": shape, "data": data}
    return as_json({"model_name": name, "model_version": version, "outputs": [output]})


def as_json(document: Any, status: int = 200, *headers: tuple[str, str]) -> Reply:
    """A reply of JSON."""
    return Reply(status, json.dumps(document).encode(), (("Content-Type", "application/json"), *headers))


# ------------------------------------------------------------------------------------- faults


def status(code: int, words: str = "not now", *headers: tuple[str, str]) -> Fault:
    """Another status, with words in the body and headers."""
    return lambda request, reply: as_json({"error": words}, code, *headers)


def slow(seconds: float) -> Fault:
    """The right answer, late."""
    return lambda request, reply: replace(reply, delay=seconds)


def garbage(request: Request, reply: Reply) -> Reply:
    """A page in place of JSON."""
    return Reply(200, b"<html>A moment, please.</html>", (("Content-Type", "text/html"),))


def cut_off(request: Request, reply: Reply) -> Reply:
    """A connection that ends before the answer does."""
    return replace(reply, n_lost=len(reply.body) // 2)


def shortened(request: Request, reply: Reply) -> Reply:
    """Half of the JSON, as if it were all."""
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def edited(edit: Callable[[dict[str, Any]], None]) -> Fault:
    """A response that was changed."""

    def fault(request: Request, reply: Reply) -> Reply:
        document = json.loads(reply.body)
        edit(document)
        return replace(reply, body=json.dumps(document).encode())

    return fault


def echo(code: int, header: str) -> Fault:
    """A status whose body repeats a header of the request."""
    return lambda request, reply: as_json({"error": f"no such user: {request.headers[header]}"}, code)


def always(fault: Fault) -> Plan:
    """Every query is answered so; metadata are not."""
    return lambda request: fault if request.method == "POST" else None


def sometimes(faults: Sequence[Fault], rate: float, seed: int) -> Plan:
    """A fault at a rate, which depends on the query and on how often it came, and on nothing else."""

    def plan(request: Request) -> Fault | None:
        if request.method != "POST":
            return None
        digest = sha256(f"{seed} {request.nth} ".encode() + request.body).digest()
        if int.from_bytes(digest[:4], "big") >= rate * 2**32:
            return None
        return faults[digest[4] % len(faults)]

    return plan

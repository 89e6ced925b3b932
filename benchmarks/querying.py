"""Bars of asking models: what the ledger, the network's door and the torch door cost against doing it by hand."""

import http.client
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import torch
from tests.targets.servers import mlserver
from torch import nn

from benchmarks.bar import Bar
from vestige.core.targets import QueryableModel
from vestige.papers.networks.convolutional import smallnet
from vestige.targets.http.endpoint import Endpoint, Limits
from vestige.targets.http.open_inference import Metadata, address_of, body_of
from vestige.targets.ledger import Ledger
from vestige.targets.meter import Meter
from vestige.targets.objects.torch_module import TorchTarget
from vestige.training.executors.in_process import n_cpus

ISSUE = 4
_ROUNDS = 5
_CONNECTIONS = 4
_BATCH = 512  # rows that a plain loop asks about at once
_AGREE = 1e-6  # relative difference of a gradient's norm


def _median_seconds(works: list[Callable[[], object]], rounds: int = _ROUNDS) -> list[float]:
    """Median wall time of each, taken in turn after one round for nothing."""
    taken: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for times, work in zip(taken, works, strict=True):
            begun = time.perf_counter()
            work()
            if number:
                times.append(time.perf_counter() - begun)
    return [statistics.median(times) for times in taken]


def _metered(model: QueryableModel, inputs: np.ndarray, records: np.ndarray, folder: Path) -> np.ndarray:
    """Ask as an audit does, with a new ledger on the disk."""
    file = folder / "queries.sqlite"
    for left in folder.glob(f"{file.name}*"):
        left.unlink()
    with closing(Ledger(file, len(records))) as ledger:
        return Meter(model, ledger).answers(inputs, records, "benchmark").whole()


# --------------------------------------------------------------------------------------------- http


def _post_all(url: str, bodies: list[bytes]) -> None:
    """What one would write who needs no answer read, no fault survived and no query counted, by the leanest client."""
    address = urlsplit(url)

    def post(bodies: list[bytes]) -> None:
        with closing(http.client.HTTPConnection(str(address.hostname), address.port)) as connection:
            for body in bodies:
                connection.request("POST", address.path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                assert response.read()
                assert response.status == 200

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        assert not any(pool.map(post, [bodies[i::_CONNECTIONS] for i in range(_CONNECTIONS)]))


def _post_all_by_httpx(url: str, bodies: list[bytes]) -> None:
    """The same by the library that we use."""
    # As ours: a server that is asked to compress spends its time on that.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    with httpx.Client(headers=headers, limits=limits) as client, ThreadPoolExecutor(_CONNECTIONS) as pool:
        assert all(pool.map(lambda body: client.post(url, content=body).raise_for_status().content, bodies))


def _throughput(url: str, batch: int, n_requests: int, folder: Path) -> Iterator[Bar]:
    inputs = np.random.default_rng(batch).normal(size=(n_requests * batch, 20))
    limits = Limits(n_connections=_CONNECTIONS, batch=batch)
    model = Endpoint(url, output="predict_proba", limits=limits).open_model(2)
    bodies = [
        body_of(inputs[start : start + batch], Metadata(), output="predict_proba")
        for start in range(0, len(inputs), batch)
    ]
    asked = f"{address_of(url).url}/infer"
    ours, *others = _median_seconds(
        [
            lambda: _metered(model, inputs, np.arange(len(inputs)), folder),
            lambda: _post_all(asked, bodies),
            lambda: _post_all_by_httpx(asked, bodies),
        ]
    )
    what = f"{len(inputs):,} queries with a ledger, {len(inputs) / ours:,.0f} a second"
    names, bars = ("http.client", "httpx"), ((0.8, 0.9), (None, None))
    for name, (bar, goal), bare in zip(names, bars, others, strict=True):
        row = f"http_batch_{batch}" + ("" if name == "http.client" else f"_{name}")
        against = f"bare {name} with bodies made before, {len(inputs) / bare:,.0f} a second"
        yield Bar(row, ISSUE, what, against, bare / ours, bar, goal, at_least=True)


def http_throughput(n_requests: tuple[int, int] = (2_500, 1_200)) -> Iterator[Bar]:
    """Endpoint, meter and ledger on disk against bare http.client, one record or many at once; MLServer answers."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    fitted = LogisticRegression().fit(rng.normal(size=(200, 20)), np.arange(200) % 2)
    with tempfile.TemporaryDirectory() as served, mlserver(Path(served), fitted) as url:
        for batch, n in zip((1, 32), n_requests, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                yield from _throughput(url, batch, n, Path(folder))


# -------------------------------------------------------------------------------------------- torch


def _network(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def _cifar_network() -> nn.Module:
    torch.manual_seed(0)
    return smallnet().eval()


def _bare(module: nn.Module, inputs: np.ndarray, n_classes: int) -> np.ndarray:
    """Full batches and nothing else: no copy that keeps records from the module, no check of its answers."""
    tensor, found = torch.from_numpy(inputs), np.empty((len(inputs), n_classes), dtype=np.float32)
    with torch.no_grad():
        for start in range(0, len(inputs), _BATCH):
            found[start : start + _BATCH] = module(tensor[start : start + _BATCH]).numpy()
    return found


def _torch_bar(name: str, what: str, module: nn.Module, inputs: np.ndarray, n_classes: int) -> Bar:
    target = TorchTarget(module, n_classes)
    np.testing.assert_allclose(target.answers(inputs).whole(), _bare(module, inputs, n_classes), rtol=1e-3, atol=1e-4)
    ours, bare = _median_seconds([lambda: target.answers(inputs), lambda: _bare(module, inputs, n_classes)])
    return Bar(name, ISSUE, f"{what} through TorchTarget, {ours:.2f} s",
               f"a bare loop of batches of {_BATCH}, {bare:.2f} s", ours / bare, 1.1, 1.0)  # fmt: skip


def torch_batches(n_rows: int = 200_000, n_images: int = 4_096) -> Iterator[Bar]:
    """TorchTarget against a bare loop, for a table and for images."""
    torch.set_num_threads(n_cpus())
    rng = np.random.default_rng(0)
    table = rng.random((n_rows, 446), dtype=np.float32)
    yield _torch_bar("torch_table", f"{n_rows:,} x 446", _network(446, 128, 128, 30), table, 30)
    del table
    images = rng.random((n_images, 3, 32, 32), dtype=np.float32)
    yield _torch_bar(
        "torch_images", f"{n_images:,} CIFAR images, Watson et al.'s network", _cifar_network(), images, 10
    )


def ledger_overhead(n_queries: int = 1_000_000) -> Iterator[Bar]:
    """Meter and ledger on disk in front of TorchTarget against TorchTarget alone.

    The bar is for Adult's network (Watson et al.'s kind of table). Of a network that is next to nothing, the fixed cost
    of making the file and closing it can be seen: that is for information.
    """
    yield from _ledger_bars("ledger", n_queries, (104, 128, 128, 2), 1.05)
    yield from _ledger_bars("ledger_of_a_tiny_model", n_queries, (20, 64, 2), None)


def _ledger_bars(name: str, n_queries: int, widths: tuple[int, ...], bar: float | None) -> Iterator[Bar]:
    torch.set_num_threads(n_cpus())
    rng = np.random.default_rng(0)
    inputs = rng.random((n_queries, widths[0]), dtype=np.float32)
    target = TorchTarget(_network(*widths), widths[-1])
    orders = {"in_order": np.arange(n_queries), "at_random": rng.permutation(n_queries)}
    with tempfile.TemporaryDirectory() as folder:
        # The target alone twice, the second time for nothing but to show what two runs of one thing differ by.
        works: list[Callable[[], object]] = [lambda: target.answers(inputs), lambda: target.answers(inputs)]
        for records in orders.values():
            works.append(lambda records=records: _metered(target, inputs, records, Path(folder)))  # type: ignore[misc]
        alone, noise, *metered = _median_seconds(works, 3 * _ROUNDS)
    against = f"TorchTarget alone, {alone:.2f} s (again: {noise / alone:.3f} of that)"
    shape = "-".join(map(str, widths))
    for order, ours in zip(orders, metered, strict=True):
        yield Bar(f"{name}_{order}", ISSUE, f"{n_queries:,} queries of {shape} counted on disk, {ours:.2f} s", against,
                  ours / alone, bar, bar and 1.02)  # fmt: skip


# ---------------------------------------------------------------------------------------- gradients


def _norms_one_by_one(module: nn.Module, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One record after another, in the module's own precision; only the squares are summed in double."""
    x, y, norms = torch.from_numpy(inputs), torch.from_numpy(labels), np.empty(len(inputs))
    for i in range(len(x)):
        module.zero_grad()
        nn.functional.cross_entropy(module(x[i : i + 1]), y[i : i + 1]).backward()
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        norms[i] = sum(g.double().square().sum().item() for g in gradients) ** 0.5
    return norms


def gradient_norms(n_images: int = 512) -> Iterator[Bar]:
    """The norm of every record's gradient, against a loop over the records."""
    torch.set_num_threads(n_cpus())
    rng = np.random.default_rng(0)
    images, labels = rng.random((n_images, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, n_images)
    module = _cifar_network()
    target = TorchTarget(module, 10)
    norms, plain = target.gradient_norms(images, labels), _norms_one_by_one(module, images, labels)
    largest = float((np.abs(norms - plain) / plain).max())
    assert largest <= _AGREE, f"norms differ by up to {largest:.2g} of themselves"
    ours, loop = _median_seconds(
        [lambda: target.gradient_norms(images, labels), lambda: _norms_one_by_one(module, images, labels)], 3
    )
    what = f"{n_images} gradients of Watson et al.'s CIFAR network, {ours:.2f} s, off by {largest:.1g}"
    yield Bar("gradient_norms", ISSUE, what, f"one record at a time, {loop:.2f} s", loop / ours, 5, 8, at_least=True)


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {
    "http_throughput": http_throughput,
    "torch_batches": torch_batches,
    "ledger_overhead": ledger_overhead,
    "gradient_norms": gradient_norms,
}

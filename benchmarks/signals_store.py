"""Bars of the signals store."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bar import Bar

ISSUE = 3

_SHAPE = (256, 50_000, 10)

# A process of its own, so that its peak is that of the store: what was allocated before does not count as headroom.
_BY_BLOCKS = """
import resource, sys, time
import numpy as np
from vestige.data.signals.store import SignalStore
from vestige.data.signals.layout import ModelTable, SignalLayout, VariableSpec

folder, n_models, n_records, n_classes = sys.argv[1], *(int(v) for v in sys.argv[2:])
rng = np.random.default_rng(0)
pool = rng.normal(size=(n_records + n_models, n_classes)).astype(np.float32)
layout = SignalLayout(
    ModelTable(np.arange(n_models), np.zeros(n_models, int), np.arange(n_models)),
    rng.random((n_models, n_records)) < 0.5,
    {"logits": VariableSpec("float32", n_classes=n_classes)},
)
store = SignalStore.create(folder, layout)
start = time.perf_counter()
for row in range(n_models):
    store.write_row(row, {"logits": pool[row : row + n_records]})
written = time.perf_counter()
assert store.complete().all()
n_read, size = 0, store.variables["logits"].chunk_records(n_models, n_records)
for first in range(0, n_records, size):
    block = store.read("logits", records=slice(first, first + size))
    for row in range(n_models):
        assert np.array_equal(block[row], pool[row + first : row + first + block.shape[1]])
    n_read += block.shape[1]
assert n_read == n_records
read = time.perf_counter()
print(written - start, read - written, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

_PLAIN = """
import sys, time
import numpy as np

folder, n_models, n_records, n_classes = sys.argv[1], *(int(v) for v in sys.argv[2:])
pool = np.random.default_rng(0).normal(size=(n_records + n_models, n_classes)).astype(np.float32)
start = time.perf_counter()
for row in range(n_models):
    np.save(f"{folder}-{row}.npy", pool[row : row + n_records])
written = time.perf_counter()
for row in range(n_models):
    assert np.array_equal(np.load(f"{folder}-{row}.npy"), pool[row : row + n_records])
print(written - start, time.perf_counter() - written)
"""


def _measured(program: str, folder: Path) -> list[float]:
    command = [sys.executable, "-c", program, str(folder), *map(str, _SHAPE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(v) for v in done.stdout.split()]


def signals_store() -> Iterator[Bar]:
    """Logits of many models written and read back by blocks: peak memory, and time against one npy file per model."""
    with tempfile.TemporaryDirectory() as name:
        writing, reading, peak = _measured(_BY_BLOCKS, Path(name) / "signals.zarr")
        plain_writing, plain_reading = _measured(_PLAIN, Path(name) / "plain")
    what = "{:,} models x {:,} records x {} float32 logits".format(*_SHAPE)
    yield Bar(
        "signals_store_memory", ISSUE, f"{what} written and read by blocks, peak {peak / 1e9:.2f} GB", "1 GB",
        peak / 1e9, 1, 0.5,
    )  # fmt: skip
    yield Bar(
        "signals_store_writing", ISSUE, f"{what} written, {writing:.1f} s",
        f"numpy.save per model, no checksum, {plain_writing:.1f} s", writing / plain_writing, None, None,
    )  # fmt: skip
    yield Bar(
        "signals_store_reading", ISSUE, f"{what} read by blocks of all models and compared, {reading:.1f} s",
        f"numpy.load per model and the same comparison, {plain_reading:.1f} s", reading / plain_reading, None, None,
    )  # fmt: skip


BENCHMARKS: dict[str, Callable[[], Iterator[Bar]]] = {"signals_store": signals_store}

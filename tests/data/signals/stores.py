"""Small stores of signals, with what should be in them."""

from pathlib import Path
from typing import Any

import numpy as np

from vestige.data.signals.layout import ModelTable, SignalLayout, VariableSpec

N_MODELS, N_RECORDS = 4, 37
VARIABLES = {
    "logits": VariableSpec("float32", n_queries=2, n_classes=3),
    "losses": VariableSpec("float64"),
    "labels": VariableSpec("int16", n_queries=2),
}
IDS = [f"patient {i * 7:03}" for i in range(N_RECORDS)]


def layout_of(**changes):
    """A layout of four rows, two models at two epochs, and 37 records."""
    given: dict[str, Any] = {
        "models": ModelTable([0, 0, 1, 1], [5, 9, 5, 9], [11, 11, 12, 12]),
        "member": np.random.default_rng(3).random((N_MODELS, N_RECORDS)) < 0.5,
        "variables": VARIABLES,
        "ids": IDS,
        "made_from": {"records": "abc123", "bank": "def456"},
    } | changes
    models, member, variables = given.pop("models"), given.pop("member"), given.pop("variables")
    return SignalLayout(models, member, variables, **given)


def signals_of(row, variables=None, n_records=N_RECORDS):
    """What belongs in a row, by variable."""
    rng = np.random.default_rng(100 + row)
    found = {}
    for name, spec in (variables or VARIABLES).items():
        numbers = rng.normal(scale=50, size=(n_records, *spec.shape))
        found[name] = numbers.astype(spec.dtype) if spec.dtype != "bool" else numbers > 0
    return found


def files_of(folder):
    """Every file of a folder with its content, but for the leftovers of killed processes."""
    paths = [p for p in sorted(Path(folder).rglob("*")) if p.is_file() and p.suffix != ".partial"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def flip(path, bit):
    """Turn one bit of a file over."""
    content = bytearray(Path(path).read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    Path(path).write_bytes(bytes(content))


def small_chunks(monkeypatch, n_bytes=240):
    """Make stores whose objects are so small that 37 records are several."""
    monkeypatch.setattr("vestige.data.signals.layout._CHUNK_BYTES", n_bytes)

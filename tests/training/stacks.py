"""Models to put into a bank, and processes that do."""

import subprocess
import sys
from pathlib import Path

from vestige.training.bank import Bank
from vestige.training.model_key import ModelKey, key_of

ROOT = Path(__file__).resolve().parents[2]
FACTS = ModelKey(data="data", membership="row", recipe={"epochs": 3, "net": {"width": 8, "drop": float("nan")}}, seed=0)
KEY = key_of(FACTS)
FILES = {"weights.bin": bytes(range(256)), "meta.json": b'{"epoch": 3}'}
HOW = {"strategy": "stacked", "threads": 2, "seconds": 1.5}


def stack(n, seed=0, size=100):
    models = {}
    for i in range(n):
        facts = ModelKey(data="data", membership=f"row {i}", recipe={"epochs": 3}, seed=seed)
        models[key_of(facts)] = (facts, {"weights": bytes([i]) * size}, {"at": i})
    return models


def filled(folder):
    bank = Bank(folder)
    bank.put_all({KEY: (FACTS, FILES, HOW)})
    return bank


def remains(folder):
    return sorted(p.name for p in (folder / "journal").iterdir())


def run(script, *arguments):
    """Start a Python that can import the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )

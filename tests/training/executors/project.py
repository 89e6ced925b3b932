"""A user's project, in a folder that only the one who starts a run can import from."""

import sys
from pathlib import Path

import numpy as np
import pytest

FIT = """
import importlib.util, os, time
from dataclasses import dataclass

import numpy as np

import clinic_maths


@dataclass
class Fitted:
    weights: np.ndarray
    folder: str
    found_here: bool


@dataclass
class Ask:
    seed: int
    seconds: float = 0.0
    log: str = ""


def fit(shared, ask):
    if ask.log:
        with open(ask.log, "a") as file:
            file.write(f"{ask.seed} {os.getcwd()} {os.getpid()}\\n")
    time.sleep(ask.seconds * (20 if os.getcwd().endswith("doomed") else 1))
    weights = clinic_maths.train(shared["x"], shared["y"], ask.seed)
    return Fitted(weights, os.getcwd(), importlib.util.find_spec("clinic_maths") is not None)


def fail(shared, ask):
    if ask.seed % 2:
        raise ValueError(f"seed {ask.seed} is odd")
    return ask.seed
"""
MATHS = """
import numpy as np


def train(x, y, seed):
    w = np.random.default_rng(seed).normal(size=x.shape[1])
    for _ in range(50):
        w -= 0.1 * x.T @ (1 / (1 + np.exp(-x @ w)) - y) / len(y)
    return w
"""


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """The user's module `clinic`, imported; it needs another one of theirs."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "clinic.py").write_text(FIT)
    (tmp_path / "project" / "clinic_maths.py").write_text(MATHS)
    monkeypatch.syspath_prepend(tmp_path / "project")
    import clinic  # type: ignore[import-not-found]

    yield clinic
    for name in ("clinic", "clinic_maths"):
        sys.modules.pop(name, None)


def records():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(200, 10)), "y": rng.integers(0, 2, 200)}


def expected(module, seeds):
    return {seed: module.fit(records(), module.Ask(seed)).weights for seed in seeds}


def started(log: Path) -> list[tuple[int, str, int]]:
    """Who started what so far: seed, folder, process."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(int(seed), folder, int(process)) for seed, folder, process in lines]

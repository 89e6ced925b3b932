"""Runs killed at random moments: no finished model is trained again, and the signals end the same to the bit."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from tests.auditing.small_models import train_killed


def ledger(bank: Path) -> dict[str, tuple[int, int]]:
    """Which file says of each finished model that it is done, and since when."""
    stats = {path.parent.name: path.stat() for path in bank.glob("*/done.json")}
    return {key: (stat.st_ino, stat.st_mtime_ns) for key, stat in stats.items()}


@pytest.mark.parametrize(
    ("n_kills", "n_models", "stack"), [(4, 12, 3), pytest.param(20, 32, 4, marks=pytest.mark.slow)]
)
def test_a_run_that_is_killed_ends_as_if_nothing_had_happened(n_kills, n_models, stack, nursery, tmp_path):
    def start(name: str) -> "tuple[float, object]":
        process = nursery.Process(target=train_killed, args=(tmp_path, name, n_models, stack))
        process.start()
        return time.monotonic(), process

    start("warm")[1].join(120)  # type: ignore[attr-defined]  # imports what the nursery has not
    begun, process = start("undisturbed")
    process.join(120)  # type: ignore[attr-defined]
    seconds = time.monotonic() - begun
    expected = np.load(tmp_path / "undisturbed.npy")
    assert expected.shape[0] == n_models
    rng = np.random.default_rng(0)
    run, bank = tmp_path / "killed", tmp_path / "bank of killed"
    done: dict[str, tuple[int, int]] = {}
    killed, plans, in_the_middle = 0, set(), 0
    while True:
        process = nursery.Process(target=train_killed, args=(tmp_path, "killed", n_models, stack))
        process.start()
        if killed == 0:  # one in the middle, however fast or busy the machine is
            while not ledger(bank) and process.is_alive():
                time.sleep(0.002)
        else:
            process.join(rng.uniform(0, seconds) if killed < n_kills else 120)
        if process.is_alive():
            process.kill()
            killed += 1
        process.join(120)
        now = ledger(bank)
        assert {key: now.get(key) for key in done} == done  # nothing finished was touched
        in_the_middle += 0 < len(now) < n_models
        done = now
        if (run / "shadows.json").exists():
            plans.add((run / "shadows.json").read_text())
        if process.exitcode == 0:
            np.testing.assert_array_equal(np.load(tmp_path / "killed.npy"), expected)
            if killed == n_kills:
                break
            for folder in (run, bank):  # it was too quick: the rest of the kills goes to another run
                shutil.rmtree(folder)
            done = {}
    assert len(done) == n_models
    assert len(plans) == 1
    assert in_the_middle

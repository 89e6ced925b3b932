"""The bank under several processes at once, and when they are killed."""

import subprocess

import pytest
from tests.training.stacks import KEY, filled, remains, run, stack

from vestige.training import bank as bank_module
from vestige.training.bank import Bank


@pytest.fixture
def bank(tmp_path):
    return filled(tmp_path / "bank")


DIES = """
import os, sys
from tests.training.stacks import Bank, stack
folder, models = sys.argv[1], stack(3)
bank = Bank(folder)
steps = ("mkdir", "open", "fsync", "rename", "write", "unlink", "rmdir", "close")
true = {step: getattr(os, step) for step in steps}
for die_at in range(1, 1000):
    child = os.fork()
    if not child:
        left = [die_at]
        def dying(step):
            def call(*args, **kwargs):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), 9)
                return true[step](*args, **kwargs)
            return call
        for step in steps:
            setattr(os, step, dying(step))
        bank.put_all(models)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    keys = Bank(folder).keys()
    assert keys in ([], sorted(models)), (die_at, keys)
    for key in keys:
        assert bank.get(key, models[key][0]) == models[key][1], die_at
    assert not list(bank.folder.joinpath("journal").iterdir()), die_at
    print(die_at, len(keys), status)
    if not status:
        break
    import shutil
    for key in keys:
        shutil.rmtree(bank.folder / key)
"""

PUTS = """
import sys
from tests.training.stacks import Bank, stack
bank = Bank(sys.argv[1])
print("open", flush=True)
for seed in range(int(sys.argv[2]), 10**6):
    bank.put_all(stack(6, seed=seed, size=20_000))
    print("put", flush=True)
"""


def test_a_kill_at_any_step_leaves_a_stack_whole_or_absent(tmp_path):
    with run(DIES, tmp_path / "bank") as process:
        lines = process.stdout.readlines()
    assert process.returncode == 0
    found = [int(line.split()[1]) for line in lines]
    assert len(found) > 20  # steps at which it died
    assert set(found) == {0, 3}
    assert found == sorted(found)  # absent up to one moment, whole from then on


def test_kills_at_any_moment_leave_every_stack_whole_or_absent(tmp_path):
    folder, n_stacks = tmp_path / "bank", 0
    for kill in range(8):
        with run(PUTS, folder, n_stacks) as process:
            assert [process.stdout.readline() for _ in range(2)] == ["open\n", "put\n"]
            try:
                process.wait(0.037 * kill)  # anywhere in what comes next
            except subprocess.TimeoutExpired:
                process.kill()
        bank = Bank(folder)
        there, n_stacks = set(bank.keys()), 0
        while there:
            models = stack(6, seed=n_stacks, size=20_000)
            assert set(models) <= there
            assert all(bank.get(key, facts) == files for key, (facts, files, _) in models.items())
            there -= set(models)
            n_stacks += 1
        assert remains(folder) == []
    assert n_stacks >= 8


def test_a_living_process_keeps_what_it_is_writing(bank, monkeypatch):
    true = bank_module._write

    def while_another_opens(path, data):
        Bank(bank.folder)
        true(path, data)

    monkeypatch.setattr(bank_module, "_write", while_another_opens)
    models = stack(2)
    bank.put_all(models)
    assert bank.keys() == sorted([KEY, *models])


# ------------------------------------------------------------------------------- many at once

TRAINS = """
import os, sys
from tests.training.stacks import Bank, stack
bank, log = Bank(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
models = stack(40)
keys = list(models) if sys.argv[3] == "up" else list(reversed(models))
for at in range(0, 40, 4):
    part = keys[at : at + 4]
    while (claim := bank.claim(part)) is None:
        bank.wait_for(part)
    with claim:
        missing = [key for key in part if not bank.has(key)]
        for key in missing:
            os.write(log, f"{key}\\n".encode())
        bank.put_all({key: models[key] for key in missing})
"""


def test_two_processes_at_once_train_nothing_twice(tmp_path):
    crew = [run(TRAINS, tmp_path / "bank", tmp_path / "log", way) for way in ("up", "down", "up")]
    for process in crew:
        process.communicate()
        assert process.returncode == 0
    models, trained = stack(40), (tmp_path / "log").read_text().split()
    assert sorted(trained) == sorted(models)
    assert Bank(tmp_path / "bank").keys() == sorted(models)


def test_what_a_killed_process_had_ready_is_found_by_the_next_claim(bank, monkeypatch):
    models = stack(2)

    def killed(ready):
        raise KeyboardInterrupt

    monkeypatch.setattr(bank, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        bank.put_all(models)
    monkeypatch.undo()
    assert bank.keys() == [KEY]
    with bank.claim(list(models)):
        assert bank.keys() == sorted([KEY, *models])
    assert remains(bank.folder) == []

"""Several processes: the same outcomes as a plain loop, whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import Any, cast

import numpy as np
import pytest
from tests.training.executors import laws
from tests.training.executors.project import expected, records, started

from vestige.core.errors import InputError, OutputError
from vestige.core.jobs import Executor
from vestige.training.executors import Processes


def test_the_laws(clinic):
    executor = Processes(2)
    assert isinstance(executor, Executor)
    laws.gives_what_a_plain_loop_gives(executor, clinic)
    laws.tells_of_failures_and_goes_on(executor, clinic)
    laws.takes_tasks_late(executor, 4)  # two at work, and two that finished together
    laws.does_nothing_without_tasks(executor)
    laws.stops_where_the_tasks_end(executor)


def slow(shared, seconds):
    time.sleep(seconds)
    return os.getpid()


def test_work_is_done_elsewhere_and_at_once():
    pids = {o.result for o in Processes(3).run(slow, None, [0.3] * 6)}
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_threads_are_limited():
    def threads(shared, task):
        import joblib
        import threadpoolctl
        import torch

        pools = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        return torch.get_num_threads(), joblib.effective_n_jobs(-1), pools

    before = os.environ.get("OMP_NUM_THREADS")
    assert [o.result or o.error for o in Processes(1, threads_each=1).run(threads, None, [0])] == [(1, 1, {1})]
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_shared_arrays_are_mapped_aligned_and_private():
    """Writing to what is shared is seen by nobody else, and reading it copies nothing."""

    def look(shared, task):
        x = shared["x"]
        kind = (x.flags.writeable, x.ctypes.data % 64, x.flags.owndata, x.dtype.str, x.shape)
        seen = float(x.sum())
        x += 1
        return os.getpid(), kind, seen

    x = np.arange(1000, dtype=np.float32).reshape(10, 100)
    outcomes = list(Processes(2).run(look, {"odd": np.zeros(3, np.uint8), "x": x}, range(2)))
    assert [o.error for o in outcomes] == ["", ""]
    assert {o.result[1] for o in outcomes} == {(True, 0, False, "<f4", (10, 100))}
    first_seen: dict[int, float] = {}
    for o in outcomes:
        first_seen.setdefault(o.result[0], o.result[2])
    assert set(first_seen.values()) == {float(x.sum())}
    assert x[0, 1] == 1


def test_what_is_shared_is_sent_once():
    """A class that counts how often it is read: once per process, whatever the number of tasks."""
    outcomes = list(Processes(2).run(lambda shared, task: (os.getpid(), shared.n_read()), Counted(), range(20)))
    assert [o.error for o in outcomes] == [""] * 20
    assert {n for _, n in (o.result for o in outcomes)} == {1}


class Counted:
    read = 0

    def __setstate__(self, state):
        type(self).read += 1

    def __getstate__(self):
        return {"some": "state"}

    def n_read(self):
        return type(self).read


def test_a_killed_process_costs_nothing_but_time(clinic, tmp_path):
    log, killed, found = tmp_path / "log", set[int](), dict[int, np.ndarray]()
    tasks = [clinic.Ask(seed, 0.3, str(log)) for seed in range(8)]
    for outcome in Processes(2).run(clinic.fit, records(), tasks):
        assert outcome.error == ""
        found[outcome.task.seed] = outcome.result.weights
        running = [(seed, pid) for seed, _, pid in started(log) if seed not in found and seed not in killed]
        if len(killed) < 3 and running:
            os.kill(running[-1][1], signal.SIGKILL)
            killed.add(running[-1][0])
    assert len(killed) == 3
    assert sorted(found) == list(range(8))
    for seed, weights in expected(clinic, range(8)).items():
        np.testing.assert_array_equal(found[seed], weights)
    times = [seed for seed, _, _ in started(log)]
    again = {seed for seed in times if times.count(seed) > 1}
    assert again  # but for those that were killed after their last word
    assert again <= killed  # nobody else's work was lost


def test_a_task_that_kills_is_named_and_the_others_finish():
    def work(shared, task):
        if task == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    outcomes = {o.task: o for o in Processes(2).run(work, None, ["a", "bad", "b", "c"])}
    assert [outcomes[name].result for name in "abc"] == ["a", "b", "c"]
    assert outcomes["bad"].error.startswith(
        "WorkerLost: Expected task 'bad' to finish, found its worker lost 3 times, the last one ended by SIGKILL"
    )


def test_an_exit_of_a_task_is_told():
    def work(shared, task):
        if task == "hard":
            os._exit(7)
        raise SystemExit("done")

    outcomes = {o.task: o.error for o in Processes(1).run(work, None, ["soft", "hard"])}
    assert outcomes["soft"] == "SystemExit: done"
    assert "lost 3 times, the last one with exit status 7" in outcomes["hard"]


def test_what_cannot_come_back_is_an_outcome():
    def work(shared, task):
        return (n for n in range(3)) if task else 1

    outcomes = {o.task: o for o in Processes(1).run(work, None, [0, 1])}
    assert outcomes[0].result == 1
    assert outcomes[1].error.startswith("TypeError: cannot pickle 'generator' object")


def test_what_cannot_be_sent_is_told():
    with pytest.raises(InputError, match="Expected a recipe and records that can be sent to another process"):
        list(Processes(1).run(lambda shared, task: 0, (n for n in "ab"), [1]))
    with pytest.raises(InputError, match="Expected a task that can be sent to another process"):
        list(Processes(1).run(lambda shared, task: 0, None, [(n for n in "ab")]))


@pytest.mark.parametrize("numbers", [{"n_workers": 0}, {"n_workers": 1, "threads_each": -2}])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(InputError, match=r"Expected (n_workers|threads_each) of at least 1, found (0|-2)"):
        Processes(**numbers)


def test_no_room_for_what_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OutputError, match=r"share to .*nowhere, found: No such file or directory; .* TMPDIR"):
        list(Processes(1).run(lambda shared, task: 0, None, [1]))


def test_no_more_room_for_what_is_shared():
    """The kernel itself refuses the bytes, past a limit of this process."""
    script = """
import resource
import numpy as np
from vestige.core.errors import OutputError
from vestige.training.executors import Processes
resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    list(Processes(1).run(lambda shared, task: 0, np.zeros(10**6), [1]))
except OutputError as error:
    print(error)
print([o.result for o in Processes(1).run(lambda shared, task: shared.sum(), np.ones(10**4), [1])])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert "found: File too large; make room there" in done.stdout
    assert done.stdout.endswith("[np.float64(10000.0)]\n")
    assert done.stderr == ""


def test_no_process_outlives_the_run():
    with closing(cast(Any, Processes(2).run(slow, None, [0, 0, 60, 60]))) as run:
        pids = {next(run).result, next(run).result}
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_no_process_outlives_a_killed_driver(tmp_path):
    script = """
import os, sys, time
from vestige.training.executors import Processes
def work(shared, task):
    print(os.getpid(), flush=True)
    time.sleep(60)
list(Processes(2).run(work, None, range(2)))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        pids = [int(driver.stdout.readline()) for _ in range(2)]
        driver.kill()
    deadline = time.monotonic() + 60
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    """A process nobody has waited for yet is dead all the same."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

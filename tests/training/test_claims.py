"""Claims: exclusion inside a process, between processes, and after a kill."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from vestige.training.claims import Claims

HOLDER = """
import sys, time
from pathlib import Path
from vestige.training.claims import Claims
with Claims(Path(sys.argv[1])).take(sys.argv[2:]):
    print("held", flush=True)
    time.sleep(60)
"""

HAMMER = """
import os, sys
from pathlib import Path
from vestige.training.claims import Claims
folder, n = Path(sys.argv[1]), int(sys.argv[2])
claims = Claims(folder / "claims")
done = 0
while done < n:
    with claims.hold("counter"):
        count = int((folder / "count").read_text())
        (folder / "count").write_text(str(count + 1))
    done += 1
    claim = claims.take(["x", f"own {os.getpid()}"])
    if claim is not None:
        with claim:
            mark = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # fails if another one is inside
            os.close(mark)
            (folder / "inside").unlink()
"""


@pytest.fixture
def claims(tmp_path):
    return Claims(tmp_path / "claims")


def _start(script, *arguments):
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_all_or_none(claims):
    with claims.take(["a", "b"]):
        assert claims.take(["c", "b"]) is None
        assert not claims.taken(["c"])
        with claims.take(["c", "d"]):
            assert claims.taken(["d"])
    with claims.take(["a", "b", "c", "d"]):
        pass


def test_nothing_is_claimed_at_once_by_anybody(claims):
    with claims.take([]), claims.take([]):
        assert not claims.taken([])


def test_a_claim_ends_with_an_exception(claims):
    with pytest.raises(ZeroDivisionError), claims.take(["a"]):
        raise ZeroDivisionError
    assert not claims.taken(["a"])


def test_thousands_of_claims_are_one_file_and_leave_none(claims):
    with claims.take([f"key {i}" for i in range(5000)]):
        assert claims.taken(["key 4999"])
        there = list(claims.folder.glob("claim-*"))
        assert len(there) == 2
        assert {path.stat().st_mode & 0o777 for path in there} == {0o600}
    assert not list(claims.folder.glob("claim-*"))
    assert claims.folder.stat().st_mode & 0o777 == 0o700


def test_a_killed_process_has_no_claims(claims):
    with _start(HOLDER, claims.folder, "a", "b") as holder:
        assert holder.stdout.readline() == "held\n"
        assert claims.taken(["a"])
        assert claims.take(["b"]) is None
        holder.send_signal(signal.SIGKILL)
        claims.wait(["a", "b"])  # would last a minute if the claim outlived its process
        assert holder.wait() == -signal.SIGKILL
    with claims.take(["a", "b"]):
        pass
    assert not list(claims.folder.glob("claim-*"))  # not what it left either


def test_waiting_lasts_as_long_as_the_claim(claims):
    claim = claims.take(["a"])
    waiting = threading.Thread(target=claims.wait, args=(["z", "a"],))
    waiting.start()
    time.sleep(0.2)
    assert waiting.is_alive()
    with claim:
        pass
    waiting.join(60)
    assert not waiting.is_alive()


def test_two_processes_never_hold_one_name_together(tmp_path):
    (tmp_path / "count").write_text("0")
    crew = [_start(HAMMER, tmp_path, 400) for _ in range(2)]
    for process in crew:
        process.communicate()
        assert process.returncode == 0
    assert (tmp_path / "count").read_text() == "800"

"""Memory that was freed serves again: otherwise the system hands out new pages for every block of records."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
import numpy as np
from vestige.core.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
def block():  # as a network's layers do: all are there at once, then all are freed
    return [np.ones(1 << 20, dtype=np.float32) for _ in range(6)]
for _ in range(3):
    block()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    block()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(way: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, way], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is the allocator of Linux that is told")
def test_freed_memory_is_used_again():
    """24 MB in pieces of 4 are 6,144 pages of 4 kB: fetched ten times, or not at all."""
    kept, given_back = _faults("kept"), _faults("given back")
    assert kept < given_back / 10

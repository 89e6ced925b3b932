"""A damaged file ends in a value or in one line: a hundred mutants of each format here, thousands if asked."""

import subprocess
import sys

import pytest
from tests.fuzz.formats import FORMATS
from tests.fuzz.reading import read_mutants


@pytest.mark.parametrize("fuzzed", FORMATS, ids=lambda fuzzed: fuzzed.name)
def test_readers_refuse_in_one_line(tmp_path, fuzzed):
    found = read_mutants(fuzzed, 100, tmp_path / "files")
    assert found.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(("part", "n"), [("reading", 5000), ("audits", 100), ("models", 200)])
def test_thousands_of_damaged_files(tmp_path, part, n):
    """In a process of its own, which forks others: none of its threads may run before."""
    command = [sys.executable, "-m", "tests.fuzz.run", part, str(n), "--into", str(tmp_path / "results.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr

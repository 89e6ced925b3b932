import subprocess
import sys

import pytest

import vestige.report


def test_every_name_of_the_door_opens():
    for name in vestige.report.__all__:
        assert getattr(vestige.report, name).__module__.startswith("vestige.report.")
    assert dir(vestige.report) == vestige.report.__all__


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vestige.report.nothing


def test_the_door_costs_nothing():
    code = "import sys, vestige.report; print([m for m in ('altair', 'pandas', 'pyarrow', 'rich') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

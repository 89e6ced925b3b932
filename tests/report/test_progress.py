"""Progress: a bar on a terminal, a line in a notebook, nothing in a pipe."""

import io
import sys

import pytest

from vestige.core.progress import silent
from vestige.report import progress as shown
from vestige.report.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_is_told_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar() as progress:
        assert progress is silent


def test_a_terminal_sees_how_many_of_how_many_and_times(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar() as progress:
        progress("training shadow models", 3, 64)
        progress("setting thresholds", 1, 2)
    written = stream.getvalue()
    assert "setting thresholds" in written
    assert "1/2" in written
    assert "0:00:00" in written


def test_a_notebook_sees_one_line_with_what_is_left(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(shown, "_in_notebook", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    clock = iter([0.0, 0.0, 30.0])
    monkeypatch.setattr("vestige.report.progress.time.monotonic", lambda: next(clock))
    with progress_bar() as progress:
        progress("training", 0, 4)
        progress("training", 1, 4)
    lines = stream.getvalue().split("\r")
    assert lines[1:3] == ["training: 0 of 4, 0 s", "training: 1 of 4, 30 s, 90 s left"]
    assert lines[-1] == ""


@pytest.mark.parametrize("shell", ["ZMQInteractiveShell", "TerminalInteractiveShell"])
def test_a_notebook_is_known_by_its_shell(monkeypatch, shell):
    class IPython:
        @staticmethod
        def get_ipython() -> object:
            return type(shell, (), {})()

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert shown._in_notebook() == (shell == "ZMQInteractiveShell")

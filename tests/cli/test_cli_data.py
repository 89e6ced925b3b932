"""`vestige data` as users run it: through a pipe, and on a terminal."""

import os
import pty
import sys
import threading

import pytest
import typer
from tests.data.sets.test_fetch import serving
from typer.testing import CliRunner

from vestige.cli.data import data_app
from vestige.core.errors import InputError
from vestige.data.sets.named import SETS

GERMAN = "uci/german.data"


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """A data folder with one set that is there, whatever is in it."""
    folder = tmp_path / "data"
    (folder / "uci").mkdir(parents=True)
    (folder / "uci" / "hepatitis.data").touch()
    monkeypatch.setenv("VESTIGE_DATA", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


def run(*arguments):
    return CliRunner().invoke(data_app, arguments)


def on_terminal(monkeypatch, *arguments):
    """Run a command with a terminal as stdout and stderr; return what it showed."""
    ours, theirs = pty.openpty()
    shown = []

    def listen():
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other side is closed
                return
            shown.append(piece)

    listener = threading.Thread(target=listen)
    listener.start()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "200")
        typer.main.get_command(data_app)(list(arguments), standalone_mode=False)
        monkeypatch.undo()
    listener.join()
    os.close(ours)
    return b"".join(shown).decode()


def test_the_list_in_a_pipe_is_a_table_of_tabs(data):
    done = run("list")
    assert done.exit_code == 0
    header, *rows = [line.split("\t") for line in done.output.splitlines()]
    assert header == ["name", "records", "inputs", "classes", "present", "where", "what"]
    assert [row[0] for row in rows] == list(SETS)
    by_name = {row[0]: row for row in rows}
    assert by_name["mnist"][1:6] == ["70,000", "28 x 28 x 1", "10", "no", ""]
    assert by_name["hepatitis"][4:6] == ["yes", str(data / "uci" / "hepatitis.data")]
    assert "\x1b" not in done.output


def test_the_list_on_a_terminal(data, monkeypatch):
    shown = on_terminal(monkeypatch, "list")
    assert "location30" in shown
    assert "Data folder:" in shown
    assert "\x1b[" in shown
    assert "\t" not in shown


def test_fetch_says_what_it_did_and_is_silent_when_asked(data, tmp_path, monkeypatch):
    site = tmp_path / "site" / "uci"
    site.mkdir(parents=True)
    content = b"A11 6 A34 1\n"
    (site / "german.data").write_bytes(content)
    with serving(tmp_path / "site") as address:
        refused = run("fetch", "german-credit", "--mirror", address)
        assert isinstance(refused.exception, InputError)  # not what was published
        assert not (data / GERMAN).exists()
        _known_as(monkeypatch, content)
        done = run("fetch", "german-credit", "--mirror", address)
        assert done.exit_code == 0
        assert done.output == f"{data / GERMAN}: downloaded, checksum as published\n"
        assert run("fetch", "german-credit", "-q").output == ""


def test_progress_on_a_terminal(data, tmp_path, monkeypatch):
    site = tmp_path / "site" / "uci"
    site.mkdir(parents=True)
    content = b"A11 6 A34 1\n" * 100_000
    (site / "german.data").write_bytes(content)
    _known_as(monkeypatch, content)
    with serving(tmp_path / "site") as address:
        shown = on_terminal(monkeypatch, "fetch", "german-credit", "--mirror", address)
    assert "german.data" in shown
    assert "MB" in shown
    assert "downloaded, checksum as published" in shown


def _known_as(monkeypatch, content):
    """Let the published file be this one."""
    import hashlib
    from dataclasses import replace

    from vestige.data.sets import named

    known = SETS["german-credit"]
    file = replace(known.files[0], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(named, "SETS", {"german-credit": replace(known, files=(file,))})


def test_bad_input_is_for_the_command_line_to_tell():
    assert isinstance(run("fetch", "adutl").exception, InputError)
    assert isinstance(run("fetch", "cifar10-jpeg").exception, InputError)

"""The renderer of charts, in a process of its own: it may crash or hang, and the audit must not."""

import base64
import json
import os
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("renderer_process.py")
_LIMIT = 60.0  # seconds for one chart, which takes a tenth of one; the first needs two on a busy machine


class NotDrawn(Exception):
    """A chart that cannot be drawn; says why."""


class Renderer:
    """Draws charts one after the other; begun before the first is there, it costs no time of its own.

    Args:
        limit: For one chart [s].
    """

    def __init__(self, limit: float = _LIMIT) -> None:
        self._limit, self._lock = limit, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def begin(self) -> None:
        """Start the process, unless it runs.

        Raises:
            NotDrawn: It cannot be started.
        """
        with self._lock:
            self._begun()

    def svg(self, spec: dict[str, Any]) -> str:
        """Draw a chart.

        Args:
            spec: Of Vega-Lite.

        Raises:
            NotDrawn: The renderer crashed, took too long, refused the chart or is not there.
        """
        return self._answer(spec, "svg")

    def pdf(self, svg: str) -> bytes:
        """Make a PDF of a page that is drawn already.

        Args:
            svg: The page.

        Raises:
            NotDrawn: As of `svg`.
        """
        return base64.b64decode(self._answer({"page": svg}, "pdf"))

    def _answer(self, asked: dict[str, Any], kind: str) -> str:
        with self._lock:
            process = self._begun()
            try:
                answer = json.loads(self._asked(process, json.dumps(asked).encode() + b"\n"))
            except BaseException as error:
                self._end()  # it may be anywhere in an answer
                if isinstance(error, OSError | ValueError):
                    raise NotDrawn("the renderer ended while it drew") from None
                raise
        if kind not in answer:
            raise NotDrawn(f"the renderer refused it with {answer.get('error')}")
        return str(answer[kind])

    def _begun(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and (self._owner != os.getpid() or self._process.poll() is not None):
            self._end()
        if self._process is None:
            installed = find_spec("vl_convert")
            if installed is None or installed.origin is None or not sys.executable:
                raise NotDrawn("the package vl-convert-python, or a Python to run it in, is missing")
            place = str(Path(installed.origin).parents[1])
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_SCRIPT), place],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                raise NotDrawn(f"the renderer does not start ({error.strerror})") from None
            self._owner = os.getpid()
            weakref.finalize(self, _ended, self._process, self._owner)
        return self._process

    def _asked(self, process: "subprocess.Popen[bytes]", line: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        watch = threading.Timer(self._limit, give_up)
        watch.daemon = True
        watch.start()
        answer = b""
        try:
            with suppress(BrokenPipeError):  # it is gone, and so is its answer
                process.stdin.write(line)
                process.stdin.flush()
                answer = process.stdout.readline()
        finally:
            watch.cancel()
        if late.is_set():
            raise NotDrawn(f"the renderer took more than {self._limit:g} s")
        return answer  # empty or cut short where it ended, and then no JSON

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _ended(process, self._owner)


def _ended(process: "subprocess.Popen[bytes]", owner: int) -> None:
    if owner != os.getpid():  # of a fork: it is the parent's
        process.returncode = process.returncode or 0
        return
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    process.wait()


RENDERER = Renderer()
"""The one of this process."""

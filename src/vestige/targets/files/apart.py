"""A model file in a child process: if a damaged file crashes the library that reads it, only the child ends.

Libraries that read models trust the numbers in them: an index beyond a table, or a tree that leads back to itself, ends
or stops the whole process, without an exception, when the file is read or later, at the one record that gets there. So
a child opens the file and answers every question, with limits of time and memory.
"""

import io
import json
import pickle
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from vestige.core import errors
from vestige.core.errors import InputError, TargetError, VestigeError
from vestige.core.messages import brief
from vestige.core.targets import Answers, QueryableModel
from vestige.targets.answer_format import KINDS, AnswerFormat
from vestige.targets.files.child import received, send

SECONDS = 60.0
"""Time to read a file, or to answer, and as much again for every 60 MB of it, or for every 600 records."""

_BYTES_A_SECOND, _RECORDS_A_SECOND = 1_000_000, 10
_START = """
import json, signal, sys
signal.alarm(300)
sys.path[:] = json.loads(sys.argv[1])
from vestige.targets.files.child import serve
serve(sys.argv[2])
"""


class ModelApart:
    """Asks a model in a child process, which opens its file.

    Args:
        library: What the function imports, which does not count as reading the file.
        open_file: Opens the file: a function of a module beside this one.
        path: The file.
        given: What else the function is given.

    Raises:
        InputError: The file is damaged: its library refuses it, crashes, or comes to no end.
        UnsupportedModelError: As the function raises it.
    """

    def __init__(self, library: str, open_file: Callable[..., QueryableModel], path: Path, *given: Any) -> None:
        self._library, self._path = library, path
        self._opening = pickle.dumps((open_file, path, *given), protocol=5)
        self._one_at_a_time = threading.Lock()
        self._child, said = self._opened()
        self.n_classes: int = said["n_classes"]
        self.names_classes, self.remarks = said["names_classes"], tuple(said["remarks"])
        if said["kind"] is not None:
            declared = (entry for entry in given if isinstance(entry, AnswerFormat))
            self.format = next(declared, AnswerFormat(KINDS[said["kind"]]))

    def answers(self, inputs: Any) -> Answers:
        """Return what the model answers.

        Raises:
            TargetError: It fails or crashes, or its answers are not what they were said to be.
        """
        with self._one_at_a_time:
            if self._child.has_ended:  # at what it was asked before
                self._child, _ = self._opened()
            content = pickle.dumps(inputs, protocol=5)
            said, values = self._child.told(content, SECONDS + len(inputs) / _RECORDS_A_SECOND, len(content))
        if "reason" in said:
            raise TargetError(
                f"Expected the model in {brief(self._path.name)} to answer, found that {_failed(said)}; export it "
                "again, or give records like those it was made for."
            )
        self.names_classes = said["names_classes"]
        return KINDS[said["kind"]](np.load(io.BytesIO(values), allow_pickle=False))

    def _opened(self) -> tuple["_Child", dict[str, Any]]:
        n_bytes = self._path.stat().st_size
        child = _Child(self._library)
        weakref.finalize(self, child.end)
        said, _ = child.told(self._opening, SECONDS + n_bytes / _BYTES_A_SECOND, n_bytes)
        if "reason" in said:
            child.end()
            raise InputError(
                f"Expected a whole model in {brief(self._path.name)}, found a damaged or foreign file: "
                f"{_failed(said)}; export it again."
            )
        return child, said


def _failed(said: dict[str, Any]) -> str:
    return f"{said['error']}: {brief(said['reason'], 200)}" if said["error"] else said["reason"]


class _Child:
    """The process, which does one thing after the other."""

    def __init__(self, library: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path), library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where a library that crashes prints what it was doing
        )
        self._requests, self._replies = (cast(IO[bytes], pipe) for pipe in (self._process.stdin, self._process.stdout))

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def told(self, content: bytes, seconds: float, n_bytes: int) -> tuple[dict[str, Any], bytes]:
        """Hand over something to be done in a time, about so many bytes, and return what came of it.

        `reason` in it says why nothing did, which is no exception of ours.

        Raises:
            VestigeError: What the child raised.
        """
        try:
            send(self._requests, json.dumps([round(seconds), n_bytes]).encode(), content)
            said, values = json.loads(received(self._replies)), received(self._replies)
        except (OSError, EOFError):
            self.end()
            return {"error": "", "reason": _ending(self._process.returncode, seconds)}, b""
        except BaseException:  # an interrupt: what it is doing is no longer asked for
            self.end()
            raise
        for text in said["warnings"]:
            warnings.warn(text, stacklevel=5)
        if "message" in said:
            classes = (tuple(said["classes"]),) if "classes" in said else ()
            refused: VestigeError = getattr(errors, said["error"])(said["message"], *classes)
            raise refused
        return said, values

    def end(self) -> None:
        """Kill it if it has not ended."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with suppress(OSError):  # what it was not given any more
                pipe.close()


def _ending(status: int, seconds: float) -> str:
    if status == -signal.SIGALRM:
        return f"its library did not come to an end within {seconds:,.0f} seconds"
    how = signal.Signals(-status).name if status < 0 else f"with exit status {status}"
    return f"its library ended the process that was reading it ({how})"

"""The child process of `apart`: it opens a model file and answers queries, with limits of time and memory."""

import contextlib
import importlib
import io
import json
import os
import pickle
import resource
import signal
import traceback
import warnings
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from vestige.core.errors import UnknownClassesError, VestigeError
from vestige.core.targets import QueryableModel
from vestige.targets.refusals import reason

_MEMORY = 8 << 30  # bytes, beside what it has when it is given something to do
_MEMORY_PER_BYTE = 32  # and more for every byte of the file, or of the records


def serve(library: str) -> None:
    """Do what comes in by the standard input, and reply by the standard output, which is taken from the libraries.

    Args:
        library: What is imported before any time is measured: on a busy machine that takes longer than to read a file.
    """
    requests, replies = open(0, "rb", closefd=False), open(os.dup(1), "wb")  # noqa: SIM115  # until it ends
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # at once, whatever a library is doing
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")  # if memory is short, this process is the one to end
    importlib.import_module(library)
    signal.alarm(0)
    model: QueryableModel | None = None
    while True:
        try:
            seconds, n_bytes = json.loads(received(requests))
            content = received(requests)
        except EOFError:
            return
        with _limited(seconds, n_bytes):
            model, said, values = _done(model, content)
        send(replies, json.dumps(said).encode(), values)


def send(pipe: IO[bytes], *contents: bytes) -> None:
    """Write bytes, their number before them each time."""
    for content in contents:
        pipe.write(len(content).to_bytes(8, "little"))
        pipe.write(content)
    pipe.flush()


def received(pipe: IO[bytes]) -> bytes:
    """Return bytes that were sent.

    Raises:
        EOFError: The other process has ended.
    """
    start = pipe.read(8)
    content = pipe.read(int.from_bytes(start, "little"))
    if len(start) < 8 or len(content) < int.from_bytes(start, "little"):
        raise EOFError
    return content


@contextlib.contextmanager
def _limited(seconds: int, n_bytes: int) -> Iterator[None]:
    """Let the kernel end this process if it takes too long or too much: no library can keep it from that."""
    page, (_, hardest) = resource.getpagesize(), resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/statm") as sizes:
        now = int(sizes.read().split()[5]) * page
    most = now + _MEMORY + _MEMORY_PER_BYTE * n_bytes
    resource.setrlimit(
        resource.RLIMIT_DATA, (most if hardest == resource.RLIM_INFINITY else min(most, hardest), hardest)
    )
    signal.alarm(seconds)
    yield
    signal.alarm(0)


def _done(model: QueryableModel | None, content: bytes) -> tuple[QueryableModel | None, dict[str, Any], bytes]:
    """Open the file, or ask the model: the model, what there is to say, and answers as NumPy saves them."""
    said: dict[str, Any]
    values = b""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        try:
            if model is None:
                open_file, *given = pickle.loads(content)
                model = open_file(*given)
                format = getattr(model, "format", None)
                said = {"n_classes": model.n_classes, "kind": None if format is None else format.kind.kind}
            else:
                answers = model.answers(pickle.loads(content))
                said, values = {"kind": answers.kind}, _saved(answers.whole())
        except VestigeError as error:
            unknown = {"classes": error.classes} if isinstance(error, UnknownClassesError) else {}
            said = {"error": type(error).__name__, "message": str(error), **unknown}
        except BaseException as error:  # libraries in Rust raise errors that are not an Exception
            said = {"error": type(error).__name__, "reason": reason(error), "stack": traceback.format_exc()}
    about = {"names_classes": getattr(model, "names_classes", False), "remarks": getattr(model, "remarks", ())}
    return model, said | about | {"warnings": [str(warning.message) for warning in warned]}, values


def _saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()

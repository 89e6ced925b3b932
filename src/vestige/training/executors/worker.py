"""The program of a process of `Processes`: it runs one task after another until its parent process ends."""

import json
import mmap
import os
import signal
from functools import cache, partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from vestige.training.executors.shipping import answer


def serve(connection_descriptor: int, payload_descriptor: int) -> None:
    """Answer tasks until the process is ended; the first message gives the spans of the payload."""
    import cloudpickle

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent process
    connection = Connection(connection_descriptor)
    messages: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(connection, messages), daemon=True).start()
    unpack = cache(partial(_unpacked, payload_descriptor, json.loads(messages.get())))
    while True:
        connection.send_bytes(answer(cloudpickle, unpack, messages.get()))


def _listen(connection: Connection, messages: "SimpleQueue[bytes]") -> None:
    """End the process when the parent has ended, even in the middle of a task: its result is not wanted then."""
    while True:
        try:
            messages.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)


def _unpacked(descriptor: int, spans: list[list[int]]) -> Any:
    """Read the payload. Large arrays stay in the file: one copy in memory for all processes, unless one is changed."""
    import cloudpickle

    view = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
    *buffers, main = (view[start:stop] for start, stop in spans)
    return cloudpickle.loads(main, buffers=buffers)

"""The backend that runs jobs in several processes of this machine."""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from vestige.core.errors import InputError, OutputError
from vestige.core.jobs import Outcome
from vestige.training.executors.shipping import answer, outcome_of, shipped
from vestige.training.executors.worker_pool import Job, outcomes_of

_MOST_LOSSES = 3
_ALIGNMENT = 64  # bytes; arrays start where vector instructions like it
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",  # what joblib, and with it scikit-learn, takes n_jobs=-1 for
)
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from vestige.training.executors.processes import serve
serve(int(sys.argv[2]), int(sys.argv[3]))
"""


@dataclass(frozen=True)
class Processes:
    """Runs jobs in several processes of this machine.

    If a process is killed, another one runs its task again; a task that lost three processes is an outcome with an
    error. What tasks share is written once, to a file without a name that all processes map into memory.

    Attributes:
        n_workers: Number of processes.
        threads_each: Threads that numerical libraries use in each of them.

    Raises:
        InputError: One of them is less than one.

    Example:
        >>> sorted(o.result for o in Processes(2).run(lambda n, d: n // d, 12, [3, 2]))
        [4, 6]
    """

    n_workers: int
    threads_each: int = 1

    def __post_init__(self) -> None:
        for name in ("n_workers", "threads_each"):
            if getattr(self, name) < 1:
                raise InputError(f"Expected {name} of at least 1, found {getattr(self, name)}; give a larger number.")

    def run(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Run every task; see `vestige.core.jobs.Executor`.

        Raises:
            InputError: Work, what is shared or a task cannot be sent to another process.
            OutputError: The folder for temporary files is full.
        """
        payload = _Payload.of(work, shared)
        with (
            payload.file,
            _Processes(payload=payload, n_workers=self.n_workers, threads_each=self.threads_each) as pool,
        ):
            yield from outcomes_of(pool, tasks)


@dataclass(frozen=True)
class _Payload:
    """The work and its shared data, in a file without a name; it disappears when no process has it open.

    Attributes:
        file: The file, open.
        spans: Start and stop of each large array, and last of the pickle that refers to them.
    """

    file: IO[bytes]
    spans: list[tuple[int, int]]

    @classmethod
    def of(cls, work: Callable[[Any, Any], Any], shared: Any) -> "_Payload":
        import cloudpickle

        buffers: list[Any] = []
        main = shipped(cloudpickle, "a recipe and records", (work, shared), buffers)
        with ExitStack() as opened:
            opened.enter_context(suppress(OSError))  # closing writes what is left, for which there is no room either
            try:
                file = opened.enter_context(tempfile.TemporaryFile(prefix="vestige-"))
                spans = []
                for part in (*(buffer.raw() for buffer in buffers), main):
                    start = -(-file.tell() // _ALIGNMENT) * _ALIGNMENT
                    file.seek(start)
                    file.write(part)
                    spans.append((start, file.tell()))
                file.flush()
                opened.pop_all()
                return cls(file, spans)
            except OSError as error:
                found = error.strerror or error
        raise OutputError(
            f"Expected to write what processes share to {tempfile.gettempdir()}, found: {found}; make room there, or "
            "name another folder with TMPDIR."
        )


@dataclass(eq=False)
class _Worker:
    process: "subprocess.Popen[bytes]"
    connection: Connection

    def end(self) -> int:
        """Kill it, and return its exit status."""
        self.process.kill()
        self.connection.close()
        return self.process.wait()


@dataclass(kw_only=True, eq=False)
class _Processes:
    """The processes; each is started when there is a task for it."""

    payload: _Payload
    n_workers: int
    threads_each: int
    idle: list[_Worker] = field(default_factory=list)
    busy: dict[Connection, tuple[_Worker, Job]] = field(default_factory=dict)

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self.idle, *(worker for worker, _ in self.busy.values())):
            worker.end()

    @property
    def n_free(self) -> int:
        return self.n_workers - len(self.busy)

    def give(self, job: Job) -> None:
        import cloudpickle

        data = shipped(cloudpickle, "a task", job.task)
        worker = self.idle.pop() if self.idle else _started(self.payload, self.threads_each)
        self.busy[worker.connection] = worker, job
        with suppress(OSError):  # the process has ended; `wait` notices
            worker.connection.send_bytes(data)

    def wait(self) -> list[tuple[Job, Outcome | None]]:
        return [self._finished(*self.busy.pop(ready)) for ready in wait(list(self.busy)) if ready in self.busy]

    def _finished(self, worker: _Worker, job: Job) -> tuple[Job, Outcome | None]:
        import cloudpickle

        try:
            answered = worker.connection.recv_bytes()
        except (EOFError, OSError):
            return job, job.lost(_MOST_LOSSES, _ending(worker.end()))
        self.idle.append(worker)
        return job, outcome_of(cloudpickle, job.task, answered)


def _started(payload: _Payload, threads_each: int) -> _Worker:
    ours, theirs = Pipe()
    with theirs:
        descriptors = theirs.fileno(), payload.file.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path), *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(_THREADS, str(threads_each))},
        )
    with suppress(OSError):
        ours.send_bytes(json.dumps(payload.spans).encode())
    return _Worker(process, ours)


def _ending(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"


# ------------------------------------------------------------------------------- in the process


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

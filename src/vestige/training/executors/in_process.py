"""The backend that runs jobs in this process."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vestige.core.jobs import Outcome


@dataclass(frozen=True)
class InProcess:
    """Runs jobs one after the other, in this process.

    Example:
        >>> [(o.task, o.result, o.error) for o in InProcess().run(lambda n, d: n // d, 7, [2, 0])]
        [(2, 3, ''), (0, None, 'ZeroDivisionError: integer division or modulo by zero')]
    """

    @property
    def n_workers(self) -> int:
        """One."""
        return 1

    @property
    def threads_each(self) -> int:
        """The number of processors, or OMP_NUM_THREADS if that is smaller."""
        asked = os.environ.get("OMP_NUM_THREADS", "")
        return min(n_cpus(), int(asked)) if asked.isdecimal() and int(asked) else n_cpus()

    def run(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Run every task; see `vestige.core.jobs.Executor`."""
        for task in tasks:
            result, error = attempt(work, shared, task)
            yield Outcome(task, result, error)


def n_cpus() -> int:
    """Return the processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attempt(work: Callable[[Any, Any], Any], shared: Any, task: Any) -> tuple[Any, str]:
    """Return a task's result and no error, or None and why it failed. Only an interrupt is raised."""
    try:
        return work(shared, task), ""
    except (Exception, SystemExit) as error:
        return None, told(error)


def told(error: BaseException) -> str:
    """Return an exception as an outcome states it: its type and its message.

    Example:
        >>> told(ValueError("no such class")), told(KeyError())
        ('ValueError: no such class', 'KeyError')
    """
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

"""The protocol of those who run jobs: in this process, in several, or on a cluster."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a task.

    Attributes:
        task: The task as it was given.
        result: What the work returned; None if it failed.
        error: Why it failed, with the type of the exception in front; empty if it did not.
    """

    task: Any
    result: Any = None
    error: str = ""


@runtime_checkable
class Executor(Protocol):
    """Runs one kind of work on many tasks.

    Results come back as values and only the caller writes, so that workers need no common disk.
    """

    @property
    def n_workers(self) -> int:
        """How many tasks run at once."""

    @property
    def threads_each(self) -> int:
        """Threads that numerical libraries may use in a task."""

    def run(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Run `work(shared, task)` for every task.

        Args:
            work: A function; it and the user's modules it needs are shipped to the workers.
            shared: What every task needs, such as the records; shipped once.
            tasks: Small values, taken one by one as workers become free, never far ahead: an iterable may
                look at the clock and end.

        Yields:
            One outcome per task, as they finish. A task that raised an exception is an outcome with an error;
            a task whose worker was lost is run again elsewhere.
        """

"""A pool of workers: every worker is kept busy, tasks are taken late, and lost ones are run again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vestige.core.jobs import Outcome
from vestige.core.messages import brief


@dataclass(eq=False)
class Job:
    """A task, and how many workers were lost with it."""

    task: Any
    n_losses: int = 0

    def lost(self, most: int, how: str) -> Outcome | None:
        """Note a loss. Return None if the task is to be run again, an outcome if it was lost too often."""
        self.n_losses += 1
        if self.n_losses < most:
            return None
        return Outcome(
            self.task,
            error=f"WorkerLost: Expected task {brief(repr(self.task))} to finish, found its worker lost "
            f"{self.n_losses} times, the last one {how}; if memory ran out, run fewer tasks at once.",
        )


@runtime_checkable
class WorkerPool(Protocol):
    """Workers that run jobs."""

    @property
    def n_free(self) -> int:
        """Number of jobs that can be started now."""

    def give(self, job: Job) -> None:
        """Start a job."""

    def wait(self) -> list[tuple[Job, Outcome | None]]:
        """Wait for at least one job; return each with its outcome, None where it was lost and has to be run again."""


def outcomes_of(pool: WorkerPool, tasks: Iterable[Any]) -> Iterator[Outcome]:
    """Run every task on a pool of workers.

    Args:
        pool: Workers, none of them busy.
        tasks: Taken one by one, when a worker is free.

    Yields:
        One outcome per task, as they finish.
    """
    new, again = (Job(task) for task in tasks), list[Job]()
    outcomes: list[Outcome] = []
    n_busy = 0
    while True:
        while pool.n_free > 0 and (job := again.pop() if again else next(new, None)):
            pool.give(job)
            n_busy += 1
        yield from outcomes  # only now: no worker is idle while the caller works with them
        if not n_busy:
            return
        finished = pool.wait()
        n_busy -= len(finished)
        outcomes = [outcome for _, outcome in finished if outcome is not None]
        again += [job for job, outcome in finished if outcome is None]

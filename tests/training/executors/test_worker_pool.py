"""The loop that keeps a pool busy, with a pool that loses what it is told to lose."""

from dataclasses import dataclass, field

from vestige.core.jobs import Outcome
from vestige.training.executors.worker_pool import Job, outcomes_of


@dataclass
class Losing:
    """Does the oldest job; `losses` says how often each task is lost before it succeeds."""

    n_workers: int
    losses: dict[str, int] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    @property
    def n_free(self) -> int:
        return self.n_workers - len(self.jobs)

    def give(self, job: Job) -> None:
        self.jobs.append(job)
        self.given.append(job.task)

    def wait(self) -> list[tuple[Job, Outcome | None]]:
        job = self.jobs.pop(0)
        if job.n_losses < self.losses.get(job.task, 0):
            return [(job, job.lost(3, "ended by SIGKILL"))]
        return [(job, Outcome(job.task, job.task.upper()))]


def test_every_task_is_done_once_and_workers_stay_busy():
    pool = Losing(2)
    outcomes = outcomes_of(pool, "abc")
    assert next(outcomes).result == "A"
    assert pool.given == ["a", "b", "c"]  # before anybody saw the first outcome
    assert [o.result for o in outcomes] == ["B", "C"]
    assert pool.given == ["a", "b", "c"]


def test_lost_tasks_are_done_again_even_the_last_ones():
    pool = Losing(2, {"a": 2, "c": 1})
    assert sorted(o.result for o in outcomes_of(pool, "abc")) == ["A", "B", "C"]
    assert sorted(pool.given) == list("aaabcc")


def test_a_task_that_is_lost_thrice_is_an_outcome():
    pool = Losing(2, {"b": 99})
    outcomes = {o.task: o for o in outcomes_of(pool, "abc")}
    assert outcomes["a"].result == "A"
    assert outcomes["c"].result == "C"
    assert outcomes["b"].result is None
    assert outcomes["b"].error == (
        "WorkerLost: Expected task 'b' to finish, found its worker lost 3 times, the last one ended by SIGKILL; if "
        "memory ran out, run fewer tasks at once."
    )

"""The backend that runs jobs on a Ray cluster; needs the extra `ray`."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from vestige.core.errors import InputError
from vestige.core.extras import installing
from vestige.core.jobs import Outcome
from vestige.core.messages import brief
from vestige.training.executors.in_process import told
from vestige.training.executors.shipping import answer, outcome_of, shipped, shipping
from vestige.training.executors.worker_pool import Job, outcomes_of

_PATIENCE = 5.0  # seconds for a connection to the head node
_CLIENT_PORT = 10001  # where Ray listens to clients unless told otherwise
_LOCAL = "local"
_CURE = "check that it runs (ray status) and the address, or RAY_ADDRESS."


@dataclass(frozen=True)
class RayCluster:
    """Runs jobs on a Ray cluster, a Ray task each. Results come back as values, so no common disk is needed.

    The nodes need the same Python and Vestige; the user's own modules are sent along. An open connection to Ray is used
    and stays open; otherwise one is opened for the length of a run.

    Attributes:
        address: Such as `10.0.0.5:6379` or `ray://head:10001`, or `auto` for the cluster this machine is part of.
            If omitted: what RAY_ADDRESS says, else a Ray on this machine alone.
        n_cpus_each: Processors a task needs, and threads that numerical libraries use in it.
        n_gpus_each: Graphics processors a task needs; a fraction lets tasks share one.
        retries: How often a task whose node or process was lost is run again.

    Raises:
        InputError: A number is negative, or no processor is asked for.
    """

    address: str | None = None
    n_cpus_each: int = 1
    n_gpus_each: float = 0.0
    retries: int = 3

    def __post_init__(self) -> None:
        for name, least in (("n_cpus_each", 1), ("n_gpus_each", 0), ("retries", 0)):
            if getattr(self, name) < least:
                raise InputError(f"Expected {name} of at least {least}, found {getattr(self, name)}.")

    @property
    def n_workers(self) -> int:
        """How many tasks the cluster runs at once, as it is now; connects to it.

        Raises:
            InputError: As `run`.
        """
        with _connected(self.address) as ray:
            return self._n_slots(ray)

    @property
    def threads_each(self) -> int:
        """As many as the processors of a task."""
        return self.n_cpus_each

    def run(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Run every task; see `vestige.core.jobs.Executor`. Arrays in what is shared cannot be written to.

        Raises:
            InputError: Ray is missing, the cluster cannot be reached or has nothing of what a task needs, or work,
                what is shared or a task cannot be sent.
        """
        with _connected(self.address) as ray:
            if not self._n_slots(ray):
                raise InputError(
                    f"Expected a Ray node with {self.n_cpus_each} processors and {self.n_gpus_each:g} graphics "
                    f"processors, found {_resources(ray)}; ask for less, or add such a node."
                )
            with closing(_Flight(self, ray, work, shared)) as flight:
                yield from outcomes_of(flight, tasks)

    def _n_slots(self, ray: Any) -> int:
        needs = {"CPU": self.n_cpus_each, "GPU": self.n_gpus_each}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(min(int(node.get(kind, 0) / need + 1e-9) for kind, need in needs.items() if need) for node in nodes)


class _Flight:
    """The jobs that were sent to the cluster: one more than it has room for, so that it sees that more is waiting."""

    def __init__(self, asked: RayCluster, ray: Any, work: Callable[[Any, Any], Any], shared: Any) -> None:
        self._asked, self._ray = asked, ray
        # Ray would repeat lost tasks, and without end those that ran out of memory; here losses are counted.
        options = {"num_cpus": asked.n_cpus_each, "num_gpus": asked.n_gpus_each, "max_retries": 0}
        self._task = ray.remote(**options)(_answered)
        self._work = ray.put(shipped(ray.cloudpickle, "a recipe", work))
        with shipping("records", ray.cloudpickle):
            self._shared = ray.put(shared)
        self._flying: dict[Any, Job] = {}

    @property
    def n_free(self) -> int:
        return max(1, self._asked._n_slots(self._ray)) + 1 - len(self._flying)

    def give(self, job: Job) -> None:
        task = shipped(self._ray.cloudpickle, "a task", job.task)
        self._flying[self._task.remote(self._work, self._shared, task)] = job

    def wait(self) -> list[tuple[Job, Outcome | None]]:
        some, rest = self._ray.wait(list(self._flying), num_returns=1)
        more = self._ray.wait(rest, num_returns=len(rest), timeout=0)[0] if rest else []
        return [self._finished(reference, self._flying.pop(reference)) for reference in (*some, *more)]

    def close(self) -> None:
        """Cancel the tasks that still run."""
        for reference in self._flying:
            self._ray.cancel(reference, force=True)

    def _finished(self, reference: Any, job: Job) -> tuple[Job, Outcome | None]:
        try:
            return job, outcome_of(self._ray.cloudpickle, job.task, self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:
            return job, Outcome(job.task, error=told(error.cause or error))
        except self._ray.exceptions.RayError as error:
            return job, job.lost(self._asked.retries + 1, f"by {brief(told(error), 200)}")


def _answered(work: bytes, shared: Any, task: bytes) -> bytes:
    """The function of a Ray task; Ray has its own cloudpickle."""
    from ray import cloudpickle

    return answer(cloudpickle, lambda: (cloudpickle.loads(work), shared), task)


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray with a connection: one that was open before, or one for the length of this block."""
    ray = _imported()
    if ray.is_initialized():
        yield ray
        return
    where = address or os.environ.get("RAY_ADDRESS") or _LOCAL
    _knock(where)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if where == _LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # an audit reports to nobody that it runs
        options["include_dashboard"] = False
    try:
        ray.init(address=where, **options)
    except Exception as error:
        raise InputError(f"{_unreachable(where)}, found {brief(told(error), 200)}; {_CURE}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _imported() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise InputError(
            f"Expected Ray for a cluster, found none; {installing('ray')}, or run in this process."
        ) from None
    return ray


def _knock(address: str) -> None:
    """Refuse an address that does not answer: Ray itself would try for many minutes."""
    if address in (_LOCAL, "auto"):
        return
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    missing = "host" if not host else "port" if port is None and "//" not in address else ""
    if missing:
        raise InputError(f"{_unreachable(address)}, found no {missing} in it; {_CURE}")
    try:
        socket.create_connection((host, port or _CLIENT_PORT), timeout=_PATIENCE).close()
    except OSError as error:
        raise InputError(f"{_unreachable(address)}, found: {error.strerror or error}; {_CURE}") from None


def _unreachable(address: str) -> str:
    return f"Expected a Ray cluster at {address}"


def _resources(ray: Any) -> str:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return brief("; ".join(f"{n.get('CPU', 0):g} and {n.get('GPU', 0):g}" for n in nodes), 200) or "no node"

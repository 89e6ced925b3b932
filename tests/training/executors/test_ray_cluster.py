"""A Ray cluster of real node processes, one of which is killed while it works."""

import os
import socket
import sys

import numpy as np
import pytest
from tests.training.executors import laws
from tests.training.executors.nodes import N_NODES, add_node, ray_nodes
from tests.training.executors.project import expected, records, started

from vestige.core.errors import InputError
from vestige.core.jobs import Executor
from vestige.training.executors import RayCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with ray_nodes(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def test_a_killed_node_costs_only_its_unfinished_tasks(cluster, clinic, tmp_path):
    """One node more, which takes long for a task, and is killed in the middle of it."""
    import ray

    here, doomed, log = os.getcwd(), tmp_path / "doomed", tmp_path / "log"
    node = add_node(cluster, doomed)
    killed, found, folders = set[int](), dict[int, np.ndarray](), set[str]()
    tasks = [clinic.Ask(seed, 0.5, str(log)) for seed in range(12)]
    for outcome in RayCluster(cluster.address).run(clinic.fit, records(), tasks):
        assert outcome.error == ""
        found[outcome.task.seed] = outcome.result.weights
        folders.add(outcome.result.folder)
        assert not outcome.result.found_here  # the user's modules came with the task
        running = {seed for seed, folder, _ in started(log) if folder == str(doomed) and seed not in found}
        if not killed and running:
            killed = running
            cluster.remove_node(node, allow_graceful=False)
    assert killed
    assert sorted(found) == list(range(12))
    for seed, weights in expected(clinic, range(12)).items():
        np.testing.assert_array_equal(found[seed], weights)
    assert len(folders - {str(doomed)}) == N_NODES
    assert here not in folders
    times = [seed for seed, _, _ in started(log)]
    assert {seed for seed in times if times.count(seed) > 1} == killed
    assert not ray.is_initialized()


def test_the_laws(cluster, clinic, monkeypatch):
    import ray

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    executor = RayCluster()
    assert isinstance(executor, Executor)
    assert executor.n_workers == N_NODES
    with pytest.raises(InputError, match=r"Expected a Ray node with 2 processors and 0 .*, found [01] and 0; "):
        list(RayCluster(n_cpus_each=2).run(clinic.fit, None, [1]))
    with pytest.raises(InputError, match=r"Expected a Ray node with 1 processors and 0.5 graphics processors, found"):
        list(RayCluster(n_gpus_each=0.5).run(clinic.fit, None, [1]))
    ray.init(address=cluster.address, log_to_driver=False)  # by the user: it is used, and stays
    try:
        laws.gives_what_a_plain_loop_gives(executor, clinic)
        laws.tells_of_failures_and_goes_on(executor, clinic)
        laws.takes_tasks_late(executor, 2 * (N_NODES + 1))
        laws.does_nothing_without_tasks(executor)
        laws.stops_where_the_tasks_end(executor)
        a_task_that_kills_its_process_is_named_and_the_others_finish(executor)
        one_thread_per_processor(executor)
        what_cannot_be_sent_is_told(executor)
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def a_task_that_kills_its_process_is_named_and_the_others_finish(executor):
    def work(shared, task):
        if task == "bad":
            os._exit(1)
        return task

    outcomes = {o.task: o for o in executor.run(work, None, ["a", "bad", "b"])}
    assert [outcomes[name].result for name in "ab"] == ["a", "b"]
    expected = "WorkerLost: Expected task 'bad' to finish, found its worker lost 4 times, the last one by WorkerCrashed"
    assert outcomes["bad"].error.startswith(expected)


def one_thread_per_processor(executor):
    outcomes = list(executor.run(lambda shared, task: os.environ.get("OMP_NUM_THREADS"), None, [0]))
    assert [o.result for o in outcomes] == ["1"]


def what_cannot_be_sent_is_told(executor):
    with pytest.raises(InputError, match="Expected records that can be sent to another process, found TypeError"):
        list(executor.run(lambda shared, task: 0, (n for n in "ab"), [1]))


# ------------------------------------------------------------------------------ without a cluster


def test_without_an_address_this_machine_is_the_cluster(clinic, monkeypatch):
    import ray

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    outcomes = list(RayCluster().run(clinic.fit, records(), [clinic.Ask(0)]))
    assert [o.error for o in outcomes] == [""]
    np.testing.assert_array_equal(outcomes[0].result.weights, expected(clinic, [0])[0])
    assert not ray.is_initialized()


def test_an_address_where_nobody_answers():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: the port is refused
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        for named in (address, f"ray://{address}"):
            with pytest.raises(
                InputError, match=f"Expected a Ray cluster at {named}, found: Connection refused; check"
            ):
                RayCluster(named).n_workers  # noqa: B018
            with pytest.raises(InputError, match="Connection refused"):
                next(RayCluster(named).run(lambda shared, task: 0, None, [1]))


@pytest.mark.parametrize(
    ("address", "found"), [("host", "no port in it"), (":6379", "no host in it"), ("host:many", "no host in it")]
)
def test_addresses_that_are_none(address, found):
    with pytest.raises(InputError, match=f"Expected a Ray cluster at {address}, found {found}; check that it runs"):
        RayCluster(address).n_workers  # noqa: B018


def test_no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Expected Ray for a cluster, found none; pip install 'ray>=[\d.]+', or run"):
        RayCluster().n_workers  # noqa: B018


@pytest.mark.parametrize("numbers", [{"n_cpus_each": 0}, {"n_gpus_each": -1.0}, {"retries": -1}])
def test_numbers_that_are_none(numbers):
    ((name, number),) = numbers.items()
    with pytest.raises(InputError, match=f"Expected {name} of at least .*, found {number}"):
        RayCluster(**numbers)

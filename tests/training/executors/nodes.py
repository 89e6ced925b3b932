"""A Ray cluster of real node processes, each with a working folder of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

N_NODES = 3
_STORE: dict[str, Any] = {"object_store_memory": 80 * 2**20}
_SECONDS_UNTIL_DEAD = {  # a node counts as dead after one second of silence instead of fifteen
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 250,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 4,
}


@contextmanager
def ray_nodes(folder: Path) -> Iterator[Any]:
    """A head that does no work and three nodes."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _SECONDS_UNTIL_DEAD, **_STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for n in range(N_NODES):
            add_node(cluster, folder / f"node-{n}")
        yield cluster
    finally:
        cluster.shutdown()


def add_node(cluster: Any, folder: Path) -> Any:
    """Start a node that works in a folder."""
    here = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        return cluster.add_node(num_cpus=1, **_STORE)
    finally:
        os.chdir(here)

"""Shadow models on a cluster of real nodes, one of which is killed while it trains: the numbers of this process."""

import sys

import numpy as np
import pytest
from tests.auditing.small_models import plan_of, signals, table
from tests.training.executors.nodes import add_node, ray_nodes

from vestige.auditing.shadows.training import train_shadows
from vestige.training.bank import Bank
from vestige.training.executors import RayCluster
from vestige.training.identity import named_object
from vestige.training.strategies import Strategy

_PROJECT = """
import functools, os, time
from pathlib import Path
from torch import nn
from vestige.training.torch_recipe import TorchRecipe

def network(log):
    Path(log, f"{time.monotonic_ns()}-{Path.cwd().name}").touch()
    time.sleep(0.15)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 3))

def recipe(log):
    return TorchRecipe(functools.partial(network, str(log)), epochs=3, batch_size=10)
"""


# Without the mark: tests/training/executors/test_ray_cluster.py kills a node, test_killed.py a run that trains.
@pytest.mark.slow
def test_a_node_killed_while_training_changes_no_number(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "users_networks.py").write_text(_PROJECT)
    monkeypatch.syspath_prepend(str(tmp_path / "project"))
    recipe_of = named_object("users_networks:recipe")
    log = tmp_path / "log"
    log.mkdir()
    plan = plan_of(recipe_of(log), 12, records=table(80), strategy=Strategy(threads=1, stack=2), n_workers=4)
    killed: list[str] = []

    with ray_nodes(tmp_path) as cluster:
        doomed = add_node(cluster, tmp_path / "doomed")

        def kill(step: str, done: int, total: int) -> None:
            if not killed and any(path.name.endswith("-doomed") for path in log.iterdir()):
                killed.append(step)
                cluster.remove_node(doomed, allow_graceful=False)

        bank = Bank(tmp_path / "bank")
        on_ray = train_shadows(plan, tmp_path / "ray", bank, executor=RayCluster(cluster.address), progress=kill)
    here = train_shadows(plan, tmp_path / "here", Bank(tmp_path / "another"))
    assert killed
    assert on_ray.done.all()
    assert not on_ray.failures
    assert on_ray.n_trained == here.n_trained == 12
    assert sorted(bank.keys()) == sorted(Bank(tmp_path / "another").keys())
    np.testing.assert_array_equal(signals(on_ray), signals(here))
    assert {path.name.partition("-")[2] for path in log.iterdir()} >= {"node-0", "node-1", "node-2", "doomed"}
    del sys.modules["users_networks"]

"""Backends that run training jobs: this process, several processes of this machine, or a Ray cluster.

All follow `vestige.core.jobs.Executor` and give the same outcomes. `shipping` sends the user's code to where it runs.
"""

from vestige.training.executors.in_process import InProcess
from vestige.training.executors.processes import Processes
from vestige.training.executors.ray_cluster import RayCluster

__all__ = ["InProcess", "Processes", "RayCluster"]

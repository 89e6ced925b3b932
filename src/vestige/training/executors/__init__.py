"""Who runs the jobs: this process, several processes of this machine, or a Ray cluster.

All follow `vestige.core.jobs.Executor` and give the same outcomes; `shipping` brings the user's own code to where it
runs, `worker` is what a process of `Processes` does.
"""

from vestige.training.executors.in_process import InProcess
from vestige.training.executors.processes import Processes
from vestige.training.executors.ray_cluster import RayCluster

__all__ = ["InProcess", "Processes", "RayCluster"]

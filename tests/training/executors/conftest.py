"""The user's project for all tests of this folder."""

from tests.training.executors.project import clinic

__all__ = ["clinic"]

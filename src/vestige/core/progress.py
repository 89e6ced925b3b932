"""How a long step tells that it is alive, without knowing who listens."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called with the name of a step, what is done and what there is to do in all."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report `done` of `total` units of `step`; `done == total` ends the step."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing: the default of the library."""

"""This process: the plain loop that all others are compared with."""

import pytest
from tests.training.executors import laws

from vestige.core.jobs import Executor
from vestige.training.executors import InProcess


def test_the_laws(clinic):
    executor = InProcess()
    assert isinstance(executor, Executor)
    assert executor.n_workers == 1
    laws.gives_what_a_plain_loop_gives(executor, clinic)
    laws.tells_of_failures_and_goes_on(executor, clinic)
    laws.takes_tasks_late(executor, 1)
    laws.does_nothing_without_tasks(executor)
    laws.stops_where_the_tasks_end(executor)


def test_an_interrupt_passes_and_an_exit_is_a_failure():
    def work(shared, kind):
        raise kind

    outcomes = InProcess().run(work, None, [SystemExit, KeyboardInterrupt])
    assert next(outcomes).error == "SystemExit"
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)

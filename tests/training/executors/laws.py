"""What every executor promises, to be checked for each of them."""

import numpy as np
from tests.training.executors.project import expected, records


def gives_what_a_plain_loop_gives(executor, clinic):
    outcomes = list(executor.run(clinic.fit, records(), [clinic.Ask(seed) for seed in range(6)]))
    assert [o.error for o in outcomes] == [""] * 6
    found = {o.task.seed: o.result.weights for o in outcomes}
    for seed, weights in expected(clinic, range(6)).items():
        np.testing.assert_array_equal(found[seed], weights)
    assert {type(o.result) for o in outcomes} == {clinic.Fitted}  # the very class, not a twin of it
    assert all(o.result.weights.flags.writeable for o in outcomes)
    return outcomes


def tells_of_failures_and_goes_on(executor, clinic):
    tasks = [clinic.Ask(seed) for seed in range(4)]
    outcomes = sorted(executor.run(clinic.fail, None, tasks), key=lambda o: o.task.seed)
    assert [o.result for o in outcomes] == [0, None, 2, None]
    assert [o.error for o in outcomes] == ["", "ValueError: seed 1 is odd", "", "ValueError: seed 3 is odd"]
    assert all(outcome.task is task for outcome, task in zip(outcomes, tasks, strict=True))


def takes_tasks_late(executor, most_ahead):
    """At any time at most `most_ahead` tasks are taken whose outcomes are not given."""
    taken = []

    def tasks():
        for n in range(12):
            taken.append(n)
            yield n

    ahead = [len(taken) - done for done, _ in enumerate(executor.run(lambda shared, task: task, None, tasks()), 1)]
    assert len(ahead) == 12
    assert max(ahead) <= most_ahead


def does_nothing_without_tasks(executor):
    assert list(executor.run(lambda shared, task: task, None, [])) == []


def stops_where_the_tasks_end(executor):
    """Tasks may look at the clock, or at what was found so far, and end."""
    found: list[int] = []

    def tasks():
        while len(found) < 3:
            yield len(found)

    for outcome in executor.run(lambda shared, task: task, None, tasks()):
        found.append(outcome.result)
    assert 3 <= len(found) <= 3 + 2 * executor.n_workers + 1

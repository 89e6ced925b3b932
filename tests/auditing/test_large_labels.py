"""Labels are categories: numbers and cost of an audit do not hang on which whole numbers stand for the classes."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import vestige
from vestige.core.errors import InputError
from vestige.core.outputs import Loss, PredictedLabels
from vestige.core.result import AuditResult

DENSE = np.array([0, 1, 2, 3])
SPARSE = np.array([7, 300_000, 10**9, 2**52])


def scored(values: np.ndarray, which: np.ndarray, seed: int, *, guesses: bool = False) -> vestige.Predictions:
    rng = np.random.default_rng(seed)
    member = np.arange(which.size) < which.size // 2
    outputs: list[Any] = [Loss(rng.exponential(size=which.size) * (1 - 0.3 * member))]
    outputs += [PredictedLabels(values[rng.integers(0, 4, which.size)])] if guesses else []
    return vestige.Predictions(outputs, values[which], member)


def plain(result: AuditResult, values: np.ndarray) -> list[tuple[object, ...]]:
    """All numbers of the result table, classes by their rank."""
    rank = {f"class={value}": f"class {i}" for i, value in enumerate(values)}
    table = result.results
    columns = ["attack", "threshold", "metric", "value", "lower", "upper", "n_members"]
    groups = [rank.get(group, group) for group in table.group]
    return [(g, *row) for g, row in zip(groups, table[columns].fillna(-9).itertuples(index=False), strict=True)]


@pytest.mark.parametrize("guesses", [False, True])
@pytest.mark.parametrize("with_shadow", [False, True])
def test_numbers_do_not_hang_on_what_classes_are_called(guesses: bool, with_shadow: bool) -> None:
    which = np.tile([0, 1, 2, 3, 3], 24)
    of_shadow = np.tile([3, 2, 2, 1], 30)  # the first class does not occur there
    found = []
    for values in (DENSE, SPARSE):
        target = scored(values, which, 0, guesses=guesses)
        shadow = vestige.Shadow(scored(values, of_shadow, 1, guesses=guesses)) if with_shadow else None
        result = vestige.audit(target, adversary=shadow)
        assert result.records.label.tolist() == values[which].tolist()
        found.append((plain(result, values), [c.message for c in result.preflight.checks]))
    assert found[0] == found[1]


def test_cost_follows_the_classes_that_occur() -> None:
    which = np.tile([0, 1, 2, 3], 30)
    vestige.audit(scored(DENSE, which, 0))
    peaks = []
    for values in (DENSE, SPARSE):
        tracemalloc.start()
        vestige.audit(scored(values, which, 0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 1e6


def test_an_estimator_of_product_numbers_is_matched_by_them() -> None:
    rng = np.random.default_rng(0)
    which = rng.integers(0, 4, 240)
    inputs = rng.normal(size=(240, 3)) + np.eye(4, 3)[which]
    aucs = []
    for values in (DENSE, SPARSE):
        labels = values[which]
        model = LogisticRegression().fit(inputs[:120], labels[:120])
        few = np.flatnonzero(np.arange(240) >= 120)[labels[120:] != values[0]]  # a class on one side only
        sides = [vestige.Records(inputs[:120], labels[:120]), vestige.Records(inputs[few], labels[few])]
        table = vestige.audit(model, members=sides[0], nonmembers=sides[1]).results
        rows = table[(table.metric == "auc") & (table.group == "all")]
        aucs.append(dict(zip(rows.attack, rows.value, strict=True)))
    assert aucs[0] == aucs[1]


@pytest.mark.parametrize(
    "labels", [[0.0, 1e300], [0.0, 2.0**63], np.array([1, 2**64 - 1], dtype=np.uint64), [-1e19, 0.0]]
)
def test_numbers_that_are_no_codes_are_refused_in_a_line(labels: object) -> None:
    for make in (
        lambda: vestige.Records(np.eye(2), labels),
        lambda: vestige.Predictions(Loss([0.1, 0.2]), labels, [1, 0]),
    ):
        with pytest.raises(InputError, match="whole numbers below 2\\^53 as labels"):
            make()


@pytest.mark.parametrize("labels", [np.array([1j, 2]), np.array([b"ab", b"cd"], dtype="V2"), [np.inf, 1.0]])
def test_what_is_no_number_is_refused_in_a_line(labels: object) -> None:
    for make in (
        lambda: vestige.Records(np.eye(2), labels),
        lambda: vestige.Predictions(Loss([0.1, 0.2]), labels, [1, 0]),
    ):
        with pytest.raises(InputError, match="labels"):
            make()

"""The plan of a comparison: what is counted, by a clock that ticks once whenever it is read."""

from itertools import count

import pytest
from tests.auditing.small_models import table, torch_recipe

from vestige import ShadowTraining
from vestige.auditing.comparison.cost import checkpoints_of, lines_of_cost
from vestige.core.messages import duration
from vestige.defences import MemGuard, TopK
from vestige.training.strategies import Measured, Strategy


@pytest.fixture(autouse=True)
def fixed_times(monkeypatch):
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: [Measured(Strategy(), 10.0)])
    ticks = count()
    monkeypatch.setattr("vestige.auditing.comparison.cost.perf_counter", lambda: float(next(ticks)))


def test_every_part_is_counted(tmp_path):
    """6 models of 3 recipes; attacked by three kinds of adversaries, those of early stopping by two; 1 s each."""
    training = ShadowTraining(torch_recipe(epochs=4), n_models=6, bank=tmp_path / "bank")
    defences = {"a": torch_recipe(epochs=2), "b": torch_recipe(epochs=3), "top": TopK(2)}
    lines = lines_of_cost(table(120), training, defences, 0)
    of_models, of_attacks, of_answers = 3 * 6 * 10.0, 6.0 * (2 * (1 + 3 + 2) + 3), 6.0
    assert lines[-3] == f"All models: {duration(of_models)}."
    assert lines[-2].startswith(
        f"Attacks on each model in turn: {duration(of_attacks)}, and defending answers: {duration(of_answers)}"
    )
    assert lines[-1].startswith(
        f"In all: {duration(of_models + 1 + of_attacks + of_answers)}, of which {duration(1.0)} "
    )


def test_more_records_take_longer_and_defences_are_fitted(tmp_path, monkeypatch):
    """Only so many records are attacked to measure; answers take a constant, for the clock does not see how many."""
    monkeypatch.setattr("vestige.auditing.comparison.cost._MEASURED", 400)
    training = ShadowTraining(torch_recipe(epochs=1), n_models=6, bank=tmp_path / "bank")
    lines = lines_of_cost(table(800), training, {"guard": MemGuard()}, 0)
    assert f"Attacks on each model in turn: {duration(6.0 * (2 * 2 + 1) * 2)}, and defending" in lines[-2]
    assert f"defending answers: {duration(6.0)};" in lines[-2]


def test_checkpoints_are_some_epochs_before_the_last():
    assert checkpoints_of(torch_recipe(epochs=1)) == ()
    assert checkpoints_of(torch_recipe(epochs=4)) == (1, 2, 3)
    many = checkpoints_of(torch_recipe(epochs=100))
    assert (len(many), many[0], many[-1]) == (12, 1, 99)

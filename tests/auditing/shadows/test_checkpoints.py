"""Reference models read at a checkpoint are those of a training that ends there, label-only attacks included."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.auditing.small_models import plan_of, table, torch_recipe

from vestige import ShadowTraining, SklearnRecipe, audit, audit_recipe
from vestige.auditing.shadows import job
from vestige.auditing.shadows.answers import labels_of_shadows, models_read
from vestige.auditing.shadows.training import train_shadows
from vestige.core.errors import InputError
from vestige.training.bank import Bank
from vestige.training.model_key import key_of
from vestige.training.strategies import Measured, Strategy

EPOCHS = 4


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch):
    """Models alone: stacks of other epochs could be grouped otherwise, which changes last bits."""
    measured = [Measured(Strategy(), 0.001)]
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: measured)


def audited(tmp_path: Any, epochs: int = EPOCHS, **options: Any) -> Any:
    members, nonmembers = table(seed=1), table(seed=2)
    model = torch_recipe(epochs=EPOCHS).fit(members, seed=3).classifier
    training = ShadowTraining(torch_recipe(epochs=epochs), n_models=8, bank=tmp_path / "bank", **options)
    return audit(model, members, nonmembers, adversary=training)


def same(one: Any, other: Any) -> None:
    pd.testing.assert_frame_equal(one.results, other.results)
    pd.testing.assert_frame_equal(one.records, other.records)


def test_read_at_an_epoch_they_are_the_models_of_so_many_epochs(tmp_path):
    at_two = audited(tmp_path, checkpoints=(1, 2), epoch=2)
    same(at_two, audited(tmp_path, epochs=2))
    said = {check.name: check.message for check in at_two.preflight.checks}
    assert said["shadow_models"].endswith("as they were after epoch 2.")


def test_checkpoints_that_are_not_read_change_nothing(tmp_path):
    whole = audited(tmp_path)
    same(whole, audited(tmp_path, checkpoints=(1, EPOCHS)))
    same(whole, audited(tmp_path, checkpoints=(1, EPOCHS), epoch=EPOCHS))  # the last epoch is the end
    assert not whole.records["lira_online"].equals(audited(tmp_path, checkpoints=(1,), epoch=1).records["lira_online"])


def test_another_epoch_of_the_same_models_trains_none(tmp_path, monkeypatch):
    audited(tmp_path, checkpoints=(1, 2), epoch=1)
    monkeypatch.setattr(job, "train_group", None)
    audited(tmp_path, checkpoints=(1, 2), epoch=2)


def test_what_is_read_decides_no_model_and_no_checkpoints_give_the_keys_of_before():
    plan = plan_of(torch_recipe(epochs=3))
    again, of_sources = plan_of(torch_recipe(epochs=3)), plan_of(torch_recipe(epochs=3), sources=True)
    assert [key_of(one.model_key(0)) for one in (again, of_sources)] == [key_of(plan.model_key(0))] * 2
    at = [plan_of(torch_recipe(epochs=3), checkpoints=(1, 2), epoch=epoch) for epoch in (None, 1, 2)]
    assert len({key_of(one.model_key(0)) for one in at}) == 1
    assert key_of(at[0].model_key(0)) != key_of(plan.model_key(0))
    assert at[1].as_text() == at[2].as_text()


def test_label_only_attacks_ask_the_copies(tmp_path):
    plan, bank = plan_of(torch_recipe(epochs=3), checkpoints=(1,), epoch=1), Bank(tmp_path / "bank")
    shadows = train_shadows(plan, tmp_path / "run", bank)
    answers = shadows.store.read(shadows.kind, rows=shadows.rows_read())
    asked = [m.labels(plan.records.inputs, np.arange(60)) for m in labels_of_shadows(shadows, bank).targets()]
    np.testing.assert_array_equal(asked, answers.argmax(axis=2))
    assert {model.epoch for model in models_read(shadows, bank, "this")} == {1}
    ends = shadows.store.read(shadows.kind, rows=[plan.rows_of(i)[-1] for i in range(plan.n_models)])
    assert not np.array_equal(answers, ends)


def test_a_recipes_audit_reads_its_models_at_an_epoch(tmp_path):
    def played(epochs: int, **options: Any) -> Any:
        training = ShadowTraining(torch_recipe(epochs=epochs), n_models=8, bank=tmp_path / "bank", **options)
        return audit_recipe(table(), training)

    same(played(EPOCHS, checkpoints=(2,), epoch=2), played(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoints": (3, 1)}, r"Expected checkpoints that rise, within 1\.\.4, .*, found \[3, 1\]"),
        ({"checkpoints": (0,)}, "Expected checkpoints that rise"),
        ({"checkpoints": (5,)}, "Expected checkpoints that rise"),
        ({"checkpoints": (1,), "epoch": 2}, r"Expected an epoch among the checkpoints \[1\], found 2"),
        ({"epoch": 2}, r"Expected an epoch among the checkpoints \[\], found 2"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        ShadowTraining(torch_recipe(epochs=EPOCHS), **options)


def test_a_recipe_without_epochs_has_no_checkpoints():
    from sklearn.naive_bayes import GaussianNB

    with pytest.raises(InputError, match="Expected a recipe that counts epochs for checkpoints"):
        ShadowTraining(SklearnRecipe(GaussianNB()), checkpoints=(1,))

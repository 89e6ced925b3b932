"""Why records are at risk: sensitivities of retrainings one by one, resumed from the bank, and files for one reader."""

import dataclasses
import stat
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from vestige import (
    Predictions,
    Records,
    Shadow,
    ShadowTraining,
    SklearnRecipe,
    TorchRecipe,
    audit,
    audit_recipe,
    silent,
)
from vestige.attacks.modified_entropy import modified_entropy
from vestige.auditing.risk_causes.retraining import Retraining, cost_of_retraining
from vestige.auditing.risk_causes.why import RiskCauses, why_at_risk
from vestige.core.errors import InputError, TrainingError, UnsupportedModelError
from vestige.core.probabilities import from_logits, from_probabilities
from vestige.training.executors.in_process import InProcess
from vestige.training.leave_one_out import NOTHING, train_without

ATTACKS = ["modified_entropy", "correctness"]
CLASSES = ["ant", "bee", "cow", "doe"]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))


def broken() -> nn.Module:
    raise ValueError("no network today")


RECIPE = TorchRecipe(network, epochs=30, batch_size=16, optimiser=partial(torch.optim.Adam, lr=0.02))


def sides(n: int = 120) -> list[Records]:
    rng = np.random.default_rng(0)
    found = []
    for name in "mn":
        labels = rng.integers(0, 4, n)
        inputs = (np.eye(6)[labels] * (1 + labels[:, None]) + rng.normal(size=(n, 6))).astype(np.float32)
        ids = [f"{name}{i}" for i in range(n)]
        found.append(Records(inputs, np.asarray(CLASSES)[labels], ids=ids, classes=CLASSES))
    return found


@pytest.fixture(scope="module")
def audited() -> tuple[Any, Any, list[Records]]:
    members, nonmembers = sides()
    model = RECIPE.fit(members, seed=3).classifier
    return audit(model, members, nonmembers, attacks=ATTACKS, progress=silent), model, [members, nonmembers]


def known(table: pd.DataFrame | None) -> pd.DataFrame:
    assert table is not None
    return table


def looked_at(audited: Any, tmp_path: Path, **more: Any) -> RiskCauses:
    result, _, records = audited
    retraining = Retraining(RECIPE, seed=3, n_records=5, bank=tmp_path / "bank")
    return why_at_risk(result, *records, retraining=retraining, progress=silent, **more)


def entropy(model: Any, records: Records) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.from_numpy(records.inputs)).numpy()
    return -modified_entropy(from_logits(logits), records.labels)


def entropy_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return -float(modified_entropy(from_probabilities(probabilities), labels)[0])


def test_sensitivity_is_that_of_one_training_after_the_other(audited, tmp_path):
    """Each record taken out of its batch by hand, and the model of all records is the audited one."""
    found = known(looked_at(audited, tmp_path).sensitivity)
    _, model, (members, _) = audited
    for row in found.itertuples():
        place = members.ids.tolist().index(row.id)

        class Without(TorchRecipe):
            def batches(self, *given: Any) -> Any:
                return [rows[rows != place] for rows in super().batches(*given)]  # noqa: B023

        fields = {field.name: getattr(RECIPE, field.name) for field in dataclasses.fields(RECIPE)}
        one = members.take([place])
        without = entropy(Without(**fields).fit(members, seed=3).classifier, one)
        assert row.sensitivity == pytest.approx(float(np.log(without / entropy(model, one))[0]), abs=1e-3)
    assert len(found) == 5
    assert (found.sensitivity > -0.5).all()
    assert found.sensitivity.mean() > 0.1


def test_what_was_stopped_goes_on_from_the_bank(audited, tmp_path, monkeypatch):
    retraining = Retraining(RECIPE, seed=3, n_records=5, bank=tmp_path / "bank")
    before = cost_of_retraining(audited[2][0], retraining)
    assert (before.n_models, before.n_stored) == (6, 0)
    assert before.seconds > 0
    assert str(before).startswith("6 models, 0 stored: ")
    first = looked_at(audited, tmp_path)
    assert cost_of_retraining(audited[2][0], retraining).n_stored == 6
    assert (tmp_path / "bank").stat().st_mode & 0o077 == 0
    monkeypatch.setattr("vestige.auditing.risk_causes.retraining.train_without", None)
    again = looked_at(audited, tmp_path)
    pd.testing.assert_frame_equal(known(first.sensitivity), known(again.sensitivity))
    assert first.sensitivity_correlation == again.sensitivity_correlation


def test_the_order_of_a_result_does_not_matter(audited, tmp_path):
    result, model, records = audited
    order = np.random.default_rng(0).permutation(len(result.records))
    mixed = dataclasses.replace(result, records=result.records.iloc[order].reset_index(drop=True))
    a, b = (looked_at((one, model, records), tmp_path, model=model) for one in (result, mixed))
    pd.testing.assert_frame_equal(a.classes, b.classes)
    pd.testing.assert_frame_equal(known(a.sensitivity), known(b.sensitivity))
    planes = [known(one.plane).sort_values("id", ignore_index=True) for one in (a, b)]
    pd.testing.assert_frame_equal(planes[0], planes[1])


def test_classes_are_those_of_the_model_and_the_picture_has_the_ends(audited, tmp_path):
    result, model, (members, nonmembers) = audited
    found = why_at_risk(result, members, nonmembers, model=model, progress=silent)
    for row in found.classes.itertuples(index=False):
        accuracies = []
        for side in (members, nonmembers):
            own = side.take(side.labels == CLASSES.index(row[0]))
            with torch.no_grad():
                predicted = model(torch.from_numpy(own.inputs)).argmax(dim=1).numpy()
            accuracies.append((predicted == own.labels).mean())
        assert row.generalisation_error == pytest.approx(accuracies[0] - accuracies[1])
    assert found.classes.generalisation_error.is_monotonic_increasing
    assert found.sensitivity is None
    plane = known(found.plane)
    ranked = found.classes.sort_values("mean_risk")["class"].tolist()
    assert plane["class"].drop_duplicates().tolist() == ranked
    assert plane.groupby("at")["class"].unique().map(list).to_dict() == {"lowest": ranked[:2], "highest": ranked[2:]}
    assert len(plane) == 240


def test_a_recipe_without_a_model_and_another_kind_of_model(tmp_path):
    members, nonmembers = sides(60)
    pool = Records(
        np.concatenate([members.inputs, nonmembers.inputs]), np.concatenate([members.labels, nonmembers.labels])
    )
    recipe = SklearnRecipe(LogisticRegression(C=100.0))
    result = audit_recipe(pool, ShadowTraining(recipe, n_models=4, bank=tmp_path), attacks=ATTACKS, progress=silent)
    retraining = Retraining(recipe, n_records=4, bank=tmp_path, executor=InProcess())
    found = known(why_at_risk(result, pool, retraining=retraining, progress=silent).sensitivity)
    member = np.flatnonzero(result.records["member"])
    assert set(found["id"]) <= set(member)
    whole = LogisticRegression(C=100.0).fit(pool.inputs[member], pool.labels[member])
    for row in found.itertuples():
        others = member[member != row.id]
        parts = [LogisticRegression(C=100.0).fit(pool.inputs[others], pool.labels[others]), whole]
        x, y = pool.inputs[[row.id]], pool.labels[[row.id]]
        m = [max(1e-10, entropy_of(part.predict_proba(x), y)) for part in parts]
        assert row.sensitivity == pytest.approx(np.log(m[0] / m[1]), rel=1e-6)


def test_one_failure_is_told_and_stops_nothing(audited, tmp_path, monkeypatch):
    def some_fail(recipe: Any, records: Records, left_out: Any, seed: int, strategy: Any) -> Any:
        for row, model in zip(left_out, train_without(recipe, records, left_out, seed, strategy), strict=True):
            yield ValueError("diverged") if row in failing else model

    failing = {int(one[1:]) for one in known(looked_at(audited, tmp_path).sensitivity)["id"][:2]}
    monkeypatch.setattr("vestige.auditing.risk_causes.retraining.train_without", some_fail)
    found = looked_at(audited, tmp_path / "other")
    assert len(known(found.sensitivity)) == 3
    assert {int(one[1:]) for one in found.failures["id"]} == failing
    assert set(found.failures["why"]) == {"ValueError: diverged"}
    assert "over 3 training records, each left out once" in str(found)
    assert str(found).endswith("; 2 trainings failed.")
    failing.add(NOTHING)
    with pytest.raises(TrainingError, match="found that training failed: ValueError: diverged"):
        looked_at(audited, tmp_path / "third")


def test_files_are_for_their_owner_and_harmless_to_spreadsheets(tmp_path):
    rng = np.random.default_rng(0)
    member, labels = np.arange(300) < 150, np.arange(300) % 3
    table = np.full((300, 3), 0.1)
    table[np.arange(300), labels] = rng.uniform(0.3, 0.8, 300) + 0.1 * member * labels
    table /= table.sum(axis=1, keepdims=True)
    answers = Predictions(table, np.array(["=1+1", "<b>", "c"])[labels], member, classes=["=1+1", "<b>", "c"])
    why = why_at_risk(audit(answers, attacks=ATTACKS, adversary=Shadow(answers)))
    why.save(tmp_path / "new" / "why")
    files = {path.name: path for path in (tmp_path / "new" / "why").iterdir()}
    assert set(files) == {"why.html", "classes.csv"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert "'=1+1" in files["classes.csv"].read_text()
    page, shown = files["why.html"].read_text(), why._repr_html_()
    assert page.startswith("<!doctype html>")
    assert "Do not release" in page
    for text in (page, shown):
        assert "&lt;b&gt;" in text
        assert "<svg" in text
        assert "<script" not in text
    assert "doctype" not in shown
    assert str(why).startswith("Mean risk and generalisation error over 3 classes: Pearson correlation nan")


def test_what_does_not_fit_is_refused(audited, tmp_path):
    result, model, (members, nonmembers) = audited
    why = partial(why_at_risk, progress=silent)
    with pytest.raises(InputError, match="Expected an audit with risk and correctness of every record, found none"):
        why(audit(model, members, nonmembers, attacks=["loss"], progress=silent))
    with pytest.raises(InputError, match="Expected the audited records, found 0 sets of them"):
        why(result, model=model)
    with pytest.raises(InputError, match="found 120 missing and"):
        why(result, members, model=model)
    wrong = dataclasses.replace(members, labels=np.asarray(CLASSES)[(members.labels + 1) % 4])
    with pytest.raises(InputError, match="found 0 missing and 120 of another class"):
        why(result, wrong, nonmembers, model=model)
    with pytest.raises(UnsupportedModelError, match="Expected a torch module with a last layer for features"):
        why(result, members, nonmembers, model=lambda x: np.full((len(x), 4), 0.25))
    with pytest.raises(InputError, match="Expected a recipe to retrain with, found str"):
        Retraining("same")
    with pytest.raises(InputError, match="Expected a record to leave out, found 0"):
        Retraining(RECIPE, n_records=0)
    failing = Retraining(TorchRecipe(broken, epochs=1), n_records=2, bank=tmp_path)
    with pytest.raises((TrainingError, ValueError), match="no network today"):
        why(result, members, nonmembers, retraining=failing)

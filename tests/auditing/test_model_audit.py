"""Audits of fitted models: with shadow models and without, from estimators, tables and networks."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from tests.auditing.planted import rows
from tests.auditing.small_models import bayes, counting, failing, plan_of, table, torch_recipe, trainings

import vestige
from vestige import Predictions, Shadow, audit
from vestige.auditing import run_folder, trained_models
from vestige.auditing.adversary import adversary_models
from vestige.auditing.plan import plan_of as audit_plan
from vestige.auditing.querying.session import TargetSession
from vestige.auditing.querying.settings import Querying
from vestige.auditing.references.scores import ReferenceScores
from vestige.auditing.shadows import cost as planning
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.trained_models import cost_of, design
from vestige.core.errors import InputError, OutputError, RunFolderError, TrainingError, UnsupportedModelError
from vestige.core.half_written import half_written
from vestige.core.progress import silent
from vestige.core.records import Records, joined
from vestige.core.result import AuditResult, Check, Validity
from vestige.data.signals.store import SignalStore
from vestige.training.function_recipe import FunctionRecipe
from vestige.training.sklearn_recipe import SklearnRecipe
from vestige.training.strategies import Measured, Strategy

N = 60  # on each side


@pytest.fixture
def bank(tmp_path):
    return tmp_path / "bank"


def noise(n: int = N, seed: int = 0, **columns: Any) -> Records:
    """Records with labels that nothing tells: whatever a model knows of them, it has learnt by heart."""
    rng = np.random.default_rng(seed)
    return Records(rng.normal(size=(n, 5)), rng.integers(0, 2, n), classes=["no", "yes"], **columns)


def forest(members: Records) -> RandomForestClassifier:
    return RandomForestClassifier(50, random_state=3).fit(members.inputs, members.labels)


def said(result: AuditResult) -> dict[str, Any]:
    return {check.name: check for check in result.preflight.checks}


def lira(result: AuditResult, metric: str = "auc") -> float:
    found = rows(result, attack="lira_online", metric=metric, group="all")
    return float(found["value"].iloc[0])


# -------------------------------------------------------------------------------------- without training


def test_a_model_alone_is_audited_as_its_predictions_are():
    members, nonmembers = noise(ids=np.arange(N)), noise(seed=1, ids=np.arange(N, 2 * N))
    model = forest(members)
    result = audit(model, members=members, nonmembers=nonmembers)
    pool = joined(members, nonmembers)
    p, member = model.predict_proba(pool.inputs), np.arange(2 * N) < N
    same = audit(Predictions(p, pool.labels, member, ids=pool.ids, inputs=pool.inputs, classes=pool.classes))
    pd.testing.assert_frame_equal(result.results, same.results)
    pd.testing.assert_frame_equal(result.records, same.records)
    assert "lira_online" not in set(result.results["attack"])
    assert "attackers with reference models or access to the parameters were not tested" in result.adversary.sentence


def test_a_function_is_a_model_too():
    members = noise()
    result = audit(forest(members).predict_proba, members=members, nonmembers=noise(seed=1))
    assert result.provenance.n_records == 2 * N


# ----------------------------------------------------------------------------------------- with training


def test_shadow_models_of_a_leaking_model_play_lira_and_set_the_thresholds(bank, tmp_path):
    members, nonmembers = noise(), noise(seed=1)
    training = ShadowTraining("same", n_models=8, bank=bank)
    result = audit(forest(members), members=members, nonmembers=nonmembers, adversary=training, run=tmp_path / "run")
    assert lira(result) > 0.8
    assert result.finding.state == "LEAK SHOWN"
    assert (result.adversary.n_references, result.adversary.knowledge) == (8, "records and recipe")
    assert "has 8 models like it, and knows which of these records each was trained on" in result.adversary.sentence
    assert set(result.results["n_references"]) == {8}
    assert "Gaussians around the mean of 4 models or more" in result.provenance.definitions["reference models"]
    assert said(result)["recipe"].message.startswith("random_state: each model's own seed")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "attacks.bib", "audit.toml", "manifest.json", "records.parquet", "report.html", "report.json", "results.csv",
        "results.parquet", "summary.html", "targets.parquet", "shadows.json", "signals.zarr", "queries.sqlite",
    }  # fmt: skip


def test_a_model_that_learnt_nothing_by_heart_shows_no_leak(bank):
    members, nonmembers = table(), table(seed=1)
    model = GaussianNB().fit(members.inputs, members.labels)
    result = audit(
        model, members=members, nonmembers=nonmembers, adversary=ShadowTraining("same", n_models=8, bank=bank)
    )
    assert 0.3 < lira(result) < 0.7


def test_a_torch_network_with_its_recipe(bank, tmp_path):
    rng = np.random.default_rng(0)
    sides = [Records(rng.normal(size=(N, 4)).astype(np.float32), rng.integers(0, 3, N), classes="abc") for _ in "io"]
    recipe = torch_recipe(epochs=40, optimiser=partial(torch.optim.Adam, lr=0.05))
    model = recipe.fit(sides[0], seed=99).classifier
    training = ShadowTraining(recipe, n_models=8, bank=bank)
    result = audit(model, members=sides[0], nonmembers=sides[1], adversary=training, run=tmp_path / "run")
    assert lira(result) > 0.6
    store = SignalStore.open(tmp_path / "run" / "signals.zarr")
    assert store.read("logits").shape == (8, 2 * N, 3)


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(50, 10, n)
    age[rng.random(n) < 0.1] = np.nan
    town = pd.Categorical(rng.choice(["Ulm", "Ghent", "Turku"], n))
    return pd.DataFrame({"age": age, "town": town, "weight": rng.normal(70, 10, n)})


def pipeline() -> Pipeline:
    numbers = make_pipeline(SimpleImputer())
    columns = ColumnTransformer([("n", numbers, ["age", "weight"]), ("c", OneHotEncoder(), ["town"])])
    return Pipeline([("columns", columns), ("tree", DecisionTreeClassifier(random_state=0))])


def test_a_pipeline_on_a_table_with_categories_and_missing_values_trained_the_same(bank):
    labels = [np.random.default_rng(seed).choice(["sick", "well"], N) for seed in (5, 6)]
    members, nonmembers = (Records(people(N, seed), labels[seed]) for seed in (0, 1))
    model = pipeline().fit(members.inputs, labels[0])
    assert list(model.classes_) == ["sick", "well"]  # the shadow models learn codes, the model knows names
    training = ShadowTraining("same", n_models=8, bank=bank)
    result = audit(model, members=members, nonmembers=nonmembers, adversary=training)
    assert lira(result) > 0.7
    assert said(result)["shadow_models"].message.startswith("8 shadow models on random halves of the 120 audited rec")


def test_nobodys_records_are_taken_apart(bank, tmp_path):
    subjects = np.array([f"person {i}" for i in range(2 * N // 4) for _ in range(4)])
    members, nonmembers = noise(subjects=subjects[:N]), noise(seed=1, subjects=subjects[N:])
    member = design(8, joined(members, nonmembers), seed=0)
    for person in np.unique(subjects):
        assert (member[:, subjects == person].all(axis=1) | ~member[:, subjects == person].any(axis=1)).all()
    training = ShadowTraining("same", n_models=8, bank=bank)
    result = audit(forest(members), members=members, nonmembers=nonmembers, adversary=training, run=tmp_path / "run")
    np.testing.assert_array_equal(SignalStore.open(tmp_path / "run" / "signals.zarr").read("member"), member)
    assert set(result.results["unit"]) == {"subject"}


def test_duplicates_between_members_and_nonmembers_are_told(bank):
    members = noise()
    nonmembers = replace(noise(seed=1), inputs=np.concatenate([members.inputs[:30], noise(seed=1).inputs[30:]]))
    nonmembers = Records(nonmembers.inputs, nonmembers.labels, classes=None)
    members = Records(members.inputs, members.labels)
    training = ShadowTraining("same", n_models=4, bank=bank)
    result = audit(forest(members), members=members, nonmembers=nonmembers, adversary=training)
    check = said(result)["duplicates"]
    assert check.validity is Validity.LIMITED
    assert check.message.startswith("30 of 60 nonmembers (50.0%) have exactly the inputs of a member")


def test_two_shadow_models_are_the_fewest(bank):
    members, nonmembers = noise(), noise(seed=1)
    training = ShadowTraining("same", n_models=2, bank=bank)
    result = audit(forest(members), members=members, nonmembers=nonmembers, adversary=training)
    assert lira(result) > 0.6
    assert result.adversary.n_references == 2


# ------------------------------------------------------------------------------------- again, and again


def sides() -> dict[str, Any]:
    ids = np.arange(60)
    return {
        "members": table(ids=[f"in-{i}" for i in ids]),
        "nonmembers": table(seed=1, ids=[f"out-{i}" for i in ids]),
    }


def bayes_of(members: Records) -> GaussianNB:
    return GaussianNB().fit(members.inputs, members.labels)


def training_of(tmp_path: Path, recipe: Any = None, **more: Any) -> ShadowTraining:
    return ShadowTraining(recipe or counting(tmp_path / "log"), **{"n_models": 8, "bank": tmp_path / "bank", **more})


def audited(tmp_path: Path, run: Path | None, recipe: Any = None, **more: Any) -> AuditResult:
    both = sides()
    return audit(bayes_of(both["members"]), **both, adversary=training_of(tmp_path, recipe, **more), run=run)


def trained(
    tmp_path: Path, run: str = "run", recipe: Any = None, progress: Any = silent, **more: Any
) -> tuple[ReferenceScores, dict[str, Check]]:
    """The shadow models of an audit, and what is said of them, without the rest of it."""
    members, nonmembers = sides().values()
    model = bayes_of(members)
    run_folder.prepare(tmp_path / run)
    training = training_of(tmp_path, recipe, **more)
    plan = audit_plan(model, members, nonmembers, adversary=training, run=tmp_path / run, progress=progress)
    with TargetSession.open(model, members, nonmembers, Querying(), None, silent) as session:
        answers = session.answers(members.n_records, 0)
    references = adversary_models(plan, answers).scores
    assert references is not None
    return references, {check.name: check for check in references.attacks.checks}


@pytest.fixture
def no_page(monkeypatch):
    """The page costs a second and is not what is looked at."""
    monkeypatch.setattr("vestige.report.write_page", lambda result, folder: (folder / "report.html").touch())


@pytest.mark.usefixtures("no_page")
def test_nothing_is_trained_again_elsewhere_in_the_same_folder_or_without_one(tmp_path, monkeypatch):
    first = audited(tmp_path, tmp_path / "run")
    assert len(trainings(tmp_path / "log")) == 8
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    second = audited(tmp_path, None)
    assert list((tmp_path / "temporary").iterdir()) == []
    shutil.rmtree(tmp_path / "bank")
    third = audited(tmp_path, tmp_path / "run")
    assert len(trainings(tmp_path / "log")) == 8
    for other in (second, third):
        pd.testing.assert_frame_equal(first.results, other.results)
        pd.testing.assert_frame_equal(first.records, other.records)


def test_another_number_of_models_in_the_folder_is_refused(tmp_path):
    trained(tmp_path)
    with pytest.raises(RunFolderError, match="of the same n_asked, found 8 there and 10 here; name another folder"):
        trained(tmp_path, n_models=10)


@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("n_moved", [0, 1, 6])
def test_a_kill_while_results_are_written_is_no_end(n_moved, tmp_path, monkeypatch):
    """The shadow models are there already, so that results come file by file."""

    true = run_folder._move

    def move_some(partial: Path, folder: Path) -> None:
        for path in sorted(partial.iterdir(), key=lambda path: path.name == "manifest.json")[:n_moved]:
            path.rename(folder / path.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "_move", move_some)
    with pytest.raises(KeyboardInterrupt):
        audited(tmp_path, tmp_path / "run", n_models=2)
    monkeypatch.setattr(run_folder, "_move", true)
    audited(tmp_path, tmp_path / "run", n_models=2)
    assert len(trainings(tmp_path / "log")) == 2
    assert (tmp_path / "run" / "manifest.json").exists()


def test_what_a_kill_left_of_a_store_is_in_nobodys_way(tmp_path):
    trained(tmp_path)
    run = tmp_path / "killed"
    run.mkdir()
    with half_written(run, "signals.zarr") as left:
        shutil.copytree(left, tmp_path / left.name)
    shutil.move(tmp_path / left.name, run)
    shutil.copy(tmp_path / "run" / "shadows.json", run)
    trained(tmp_path, "killed")
    assert not (run / left.name).exists()


def test_a_run_folder_is_one_process_at_a_time(tmp_path):
    with (
        run_folder.alone(tmp_path / "run"),
        pytest.raises(RunFolderError, match="Expected to be alone in run, found another process that trains shadow"),
    ):
        trained(tmp_path)
    assert not (tmp_path / "run").exists()
    with run_folder.alone(tmp_path / "run"):
        (tmp_path / "run" / "something").touch()
    assert (tmp_path / "run" / "something").exists()


def test_a_run_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match=r"Expected to write the run to .*run, found Not a directory; name another"),
        run_folder.alone(tmp_path / "file" / "run"),
    ):
        pass


# ------------------------------------------------------------------------------------------------- time


def test_too_short_a_time_is_refused_before_anything_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_measured", lambda *args: [Measured(Strategy(), 100.0)])
    with pytest.raises(InputError, match=r"Expected time for 2 shadow models, about 4 min, found 60 s; give more with"):
        trained(tmp_path, within=60.0)
    assert not (tmp_path / "run").exists()


def test_fewer_models_than_were_asked_for_say_what_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_measured", lambda *args: [Measured(Strategy(), 100.0)])
    references, checks = trained(tmp_path, within=500.0)
    assert len(trainings(tmp_path / "log")) == references.n_models == 4
    check = checks["models_left_out"]
    assert check.validity is Validity.LIMITED
    assert check.message.startswith("4 of 8 shadow models fit the time there was: each record's mean")
    assert trained(tmp_path, within=500.0)[1] == checks  # the plan stands
    assert len(trainings(tmp_path / "log")) == 4


def test_time_that_runs_out_gives_a_usable_result_and_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_measured", lambda *args: [Measured(Strategy(), 0.01)])
    recipe = counting(tmp_path / "log", 0.4)
    references, checks = trained(tmp_path, recipe=recipe, within=1.5)
    n = len(trainings(tmp_path / "log"))
    assert 1 <= n == references.n_models < 8
    check = checks["models_left_out"]
    assert check.message.startswith(f"{n} of 8 shadow models fit the time there was")
    assert check.remedy == "Start the audit again: it goes on where it ended."
    assert "models_left_out" not in trained(tmp_path, recipe=recipe)[1]
    assert len(trainings(tmp_path / "log")) == 8


def test_the_cost_of_an_audit_is_told_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_measured", lambda *args: [Measured(Strategy(), 0.5)])
    members, nonmembers = table(), table(seed=1)
    model = GaussianNB().fit(members.inputs, members.labels)
    training = ShadowTraining("same", n_models=64, bank=tmp_path / "bank")
    cost = cost_of(model, members, nonmembers, training, 0, Querying())
    assert (cost.n_models, cost.seconds, cost.disk) == (64, 32.0, 64 * 120 * 3 * 8)


# ----------------------------------------------------------------------------------------------- faults


def test_the_report_has_lira_and_neither_ids_nor_paths_nor_what_failures_quote(tmp_path):
    plan = plan_of(FunctionRecipe(bayes), 8, records=joined(*sides().values()))
    bad = FunctionRecipe(failing, parameters={"seeds": [plan.seed_of(5)]})
    result = audited(tmp_path, tmp_path / "run", recipe=bad)
    assert said(result)["failed_models"].message == "1 of 8 shadow models failed: 5."
    assert result.adversary.n_references == 7
    noted = json.loads((tmp_path / "run" / "failures.json").read_text())
    assert "patient-17" in noted["model 5"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "LiRA, online" in page
    assert "7 shadow models on random halves of the 120 audited records" in page
    for name in ("report.html", "report.json", "results.csv"):
        text = (tmp_path / "run" / name).read_text()
        secrets = ("in-17", "out-17", "patient-17", str(tmp_path), tmp_path.name, "bank/")
        assert [secret for secret in secrets if secret in text] == []
    with pytest.raises(TrainingError, match=r"^Shadow model 5: Expected failing to train on 60 records"):
        trained(tmp_path, "other", recipe=bad, stop_at_failure=True)


def test_an_interrupt_leaves_a_run_that_goes_on(tmp_path):
    def interrupt(step: str, done: int, total: int) -> None:
        if step.startswith("training shadow models") and done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, progress=interrupt)
    references, _ = trained(tmp_path)
    assert len(trainings(tmp_path / "log")) == 8
    assert references.n_models == 8


def test_progress_says_what_was_picked(tmp_path):
    steps: list[str] = []
    trained(tmp_path, n_models=2, progress=lambda step, done, total: steps.append(step))
    assert steps[0] == "measuring how fast models can be trained"
    assert steps[-1].startswith("training shadow models (one model at a time in this process")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"members": noise()},
            r"Expected members and nonmembers beside a model \(GaussianNB\), found one side only",
        ),
        ({}, r"found none; give both, as Records or as \(inputs, labels\), or Predictions as target\."),
        (
            {
                "members": noise(),
                "nonmembers": noise(seed=1),
                "adversary": Shadow(Predictions([[0.9, 0.1]] * 2, [0, 1], [1, 0])),
            },
            "Expected a shadow model's predictions beside the target's, found records as well; give ShadowTraining.",
        ),
        ({"adversary": ShadowTraining("same")}, "Expected members and nonmembers beside a model"),
    ],
)
def test_what_does_not_go_with_a_model_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        audit(GaussianNB(), **given)


def test_sides_are_records_or_inputs_and_labels(bank):
    sides = {name: noise(seed=n) for n, name in enumerate(("members", "nonmembers"))}
    model = GaussianNB().fit(sides["members"].inputs, sides["members"].labels)
    by_records = audit(model, *sides.values(), attacks=["loss"])
    pairs = [(side.inputs, side.labels) for side in sides.values()]
    by_pairs = audit(model, *pairs, attacks=["loss"])
    pd.testing.assert_series_equal(by_pairs.results["value"], by_records.results["value"])


def test_a_side_that_is_no_records_is_refused():
    """In a process of its own: what the tests' checks of types would catch must be told to users in words."""
    code = "import vestige; vestige.audit(lambda x: x, members=[[0.0]], nonmembers=([[1.0]], [1]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.rstrip().endswith(
        "InputError: Expected Records or (inputs, labels) as members, found list; give vestige.Records(inputs, "
        "labels), or read files with vestige.data.read_two_records."
    )


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"members": noise()}, "members and nonmembers beside predictions, found one side only"),
        ({"nonmembers": noise()}, "members and nonmembers beside predictions, found one side only"),
        (
            {"adversary": ShadowTraining("same")},
            "members and nonmembers beside ShadowTraining, found predictions alone",
        ),
        ({"querying": Querying()}, "members and nonmembers beside querying, found predictions alone"),
    ],
)
def test_what_does_not_go_with_predictions_is_refused(given, found):
    target = Predictions([[0.9, 0.1]] * 2, [0, 1], [1, 0])
    with pytest.raises(InputError, match=f"Expected {found}"):
        audit(target, **given)


def test_what_is_no_model_or_none_of_these_records_is_refused(bank):
    members, nonmembers = noise(), noise(seed=1)
    both: dict[str, Any] = {"members": members, "nonmembers": nonmembers}
    with pytest.raises(
        UnsupportedModelError,
        match="Expected a torch module, a fitted classifier with predict_proba or pr",
    ):
        audit(3, **both)
    with pytest.raises(InputError, match="Expected a fitted GaussianNB, found one without classes_; fit it first"):
        audit(GaussianNB(), **both)
    with pytest.raises(InputError, match="Expected the same classes, found no, yes and none; name the classes of both"):
        audit(forest(members), members=members, nonmembers=Records(nonmembers.inputs, nonmembers.labels))
    with pytest.raises(InputError, match="Expected a scikit-learn estimator as target to train the same, found method"):
        audit(forest(members).predict_proba, **both, adversary=ShadowTraining("same", bank=bank))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipe": "sane"}, "Expected a recipe or the word same, found 'sane'; such as vestige.SklearnRecipe"),
        ({"n_models": 7}, "Expected an even number of shadow models, 2 or more, found 7; they come in pairs."),
        ({"n_models": 0}, "2 or more, found 0"),
        ({"within": 0.0}, "Expected a time above 0 s for shadow models, found 0."),
        ({"within": float("nan")}, "Expected a time above 0 s for shadow models, found nan."),
    ],
)
def test_training_that_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        ShadowTraining(**{"recipe": "same", **given})


def test_a_recipe_that_is_named_is_the_one_that_is_used():
    recipe = SklearnRecipe(GaussianNB())
    assert ShadowTraining(recipe).recipe_like(GaussianNB()) is recipe
    same = ShadowTraining("same").recipe_like(GaussianNB(var_smoothing=0.5))
    assert isinstance(same, SklearnRecipe)
    assert same.estimator.var_smoothing == 0.5


def test_audit_is_the_door(bank):
    assert vestige.audit is audit
    assert trained_models.design(4, noise(), 0).shape == (4, N)

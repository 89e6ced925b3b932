"""The audit of a recipe: no model and no nonmembers are needed, and nothing is shown where nothing is learnt."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.auditing.planted import row

from vestige import Records, ShadowTraining, SklearnRecipe, audit_recipe
from vestige.auditing.files.audit_file import read_audit_file
from vestige.core.errors import InputError


def noise(n: int = 240, seed: int = 0, n_people: int | None = None) -> Records:
    """Labels that have nothing to do with the inputs: all that a model can do is remember them."""
    rng = np.random.default_rng(seed)
    subjects = None if n_people is None else np.arange(n) % n_people
    return Records(rng.normal(size=(n, 6)), rng.integers(0, 2, size=n), subjects=subjects)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    training = ShadowTraining(
        SklearnRecipe(RandomForestClassifier(20, random_state=0)), n_models=8, bank=folder / "bank"
    )
    return audit_recipe(noise(), training, run=folder / "run"), folder


def test_what_a_recipe_remembers_is_found_without_nonmembers(leaking):
    result, _ = leaking
    assert row(result, attack="lira_online", metric="auc", group="all").value > 0.9
    assert result.finding.state == "LEAK SHOWN"
    assert int(result.records["member"].sum()) == 120
    [check] = [c for c in result.preflight.checks if c.name == "recipe_audit"]
    assert check.message.startswith("No given model was audited but its recipe: 8 models were trained on random halves")
    assert not [c for c in result.preflight.checks if c.name == "reference_counts" and c.validity != "VALID"]


def test_every_model_is_the_target_in_turn(leaking):
    result, folder = leaking
    lira = result.targets.query("attack == 'lira_online' and metric == 'auc'")
    assert lira["model"].tolist() == list(range(8))
    assert (lira["value"] > 0.85).all()
    [spread] = [s for s in result.spread if (s.attack, s.metric) == ("lira_online", "auc")]
    assert spread.n_targets == 8
    assert spread.mean == pytest.approx(lira["value"].mean())
    assert spread.lower < spread.mean < spread.upper
    first = row(result, attack="lira_online", metric="auc", group="all").value
    assert lira["value"].iloc[0] == pytest.approx(first)  # the verdict's model, scored by the same six
    stored = pd.read_parquet(folder / "run" / "targets.parquet")
    pd.testing.assert_frame_equal(stored, result.targets, check_dtype=False)
    assert "Training again" in (folder / "run" / "report.html").read_text()


def test_a_recipe_that_remembers_nothing_shows_nothing(tmp_path):
    training = ShadowTraining(SklearnRecipe(LogisticRegression(C=1e-3)), n_models=8, bank=tmp_path / "bank")
    result = audit_recipe(noise(400), training)
    [spread] = [s for s in result.spread if (s.attack, s.metric) == ("lira_online", "auc")]
    assert abs(spread.mean - 0.5) < 0.06


def test_people_are_not_split(tmp_path):
    training = ShadowTraining(
        SklearnRecipe(RandomForestClassifier(10, random_state=0)), n_models=6, bank=tmp_path / "bank"
    )
    result = audit_recipe(noise(240, n_people=80), training)
    assert row(result, attack="lira_online", metric="auc", group="all").unit == "subject"
    assert (result.records.groupby("subject")["member"].nunique() == 1).all()


def test_what_is_no_recipe_is_refused(tmp_path):
    with pytest.raises(InputError, match="found the word same, which needs a model to clone"):
        audit_recipe(noise(), ShadowTraining("same"))
    two = ShadowTraining(SklearnRecipe(LogisticRegression()), n_models=2, bank=tmp_path / "bank")
    with pytest.raises(InputError, match="Expected at least 4 models for the audit of a recipe, found 2"):
        audit_recipe(noise(), two)


# ------------------------------------------------------------------------------------------- as a file


def written(folder: Path, text: str) -> Path:
    (folder / "audit.toml").write_text(text)
    records = noise()
    frame = pd.DataFrame(records.inputs, columns=[f"x{i}" for i in range(6)]).assign(label=records.labels)
    frame.to_csv(folder / "all.csv", index=False)
    (folder / "ours.py").write_text(
        "from sklearn.tree import DecisionTreeClassifier\n\n"
        "def fit(inputs, labels, *, seed):\n"
        "    return DecisionTreeClassifier(random_state=seed).fit(inputs, labels)\n"
    )
    return folder / "audit.toml"


WHOLE = '[data]\nrecords = "all.csv"\n[recipe]\ntrain = "ours:fit"\nn_shadows = 6\n'


def test_an_audit_file_without_a_target_audits_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("VESTIGE_BANK", str(tmp_path / "bank"))
    path = written(tmp_path, WHOLE)
    vestige = [sys.executable, "-m", "vestige"]
    plan = subprocess.run([*vestige, "plan", path], capture_output=True, text=True, check=True)
    assert "No queries: there is no model but those that are trained." in plan.stdout
    subprocess.run([*vestige, "audit", path, "--out", tmp_path / "run", "--quiet"], check=True)
    report = (tmp_path / "run" / "report.json").read_text()
    assert "No given model was audited but its recipe" in report
    assert '"spread":[{' in report
    assert read_audit_file(tmp_path / "run" / "audit.toml").is_of_recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[data]\nrecords = "all.csv"\n', "Expected [recipe] for the audit of a recipe, found none"),
        ('[recipe]\ntrain = "ours:fit"\n[data]\nmembers = "all.csv"\n', "found members without [target]"),
        (WHOLE + '[target]\nmodel = "m:m"\n', "Expected members and nonmembers in [data] beside [target]"),
        (WHOLE + '[reference]\nfile = "r.npz"\n', "Expected no [reference] in the audit of a recipe"),
        (WHOLE + "[inputs]\nlow = 0.0\nhigh = 1.0\n", "Expected no [inputs] in the audit of a recipe"),
        (
            '[target]\nmodel = "m:m"\n[data]\nmembers = "all.csv"\n',
            "Expected an entry data.nonmembers, found none; add it. Where there are none, audit the recipe",
        ),
    ],
)
def test_what_is_half_of_each_is_refused(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        read_audit_file(written(tmp_path, text))
    assert message in str(error.value)

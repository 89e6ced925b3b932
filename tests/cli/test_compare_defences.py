"""`vestige compare-defences`: a plan with tables [[defence]], its cost, and its refusals."""

from pathlib import Path

import pandas as pd
import pytest

MINE = """
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from vestige import Records, SklearnRecipe

def records():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=240)
    return Records(rng.normal(size=(240, 4)) + np.eye(4)[labels], labels)

train = SklearnRecipe(DecisionTreeClassifier())
def shallow(depth):
    return SklearnRecipe(DecisionTreeClassifier(max_depth=depth))
"""
PLAN = """
[data]
records = "mine:records"
[recipe]
train = "mine:train"
n_shadows = 6
[[defence]]
name = "two digits"
use = "vestige.defences:Rounded"
parameters = { digits = 2 }
[[defence]]
name = "shallow"
use = "mine:shallow"
parameters = { depth = 2 }
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "plan.toml").write_text(PLAN)
    return tmp_path / "plan.toml"


def test_a_plan_is_priced_and_compared(vestige, plan, tmp_path):
    bank = ("--bank", str(tmp_path / "bank"))
    cost = vestige("plan", str(plan), *bank)
    assert cost.code == 0
    assert "two digits: no models of its own" in cost.out
    assert "shallow: " in cost.out
    assert "All models: " in cost.out
    done = vestige("compare-defences", str(plan), "--out", str(tmp_path / "run"), *bank)
    assert done.code == 0, done.err
    assert "shallow: the strongest adaptive attack (" in done.out
    table = pd.read_csv(tmp_path / "run" / "comparison.csv")
    assert set(table.defence) == {"none", "two digits", "shallow"}
    assert (tmp_path / "run" / "comparison.html").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth = 2", "deep = 2", "deep"),
        ('name = "shallow"', 'name = "two digits"', "found two of that name"),
        ('"mine:shallow"\nparameters = { depth = 2 }', '"mine:MINE"', "MINE"),
        ("n_shadows = 6", "n_shadows = 4", "Expected 6 models per defence or more, found 4"),
        ("[[defence]]", "[[defense]]", "defense"),
    ],
)
def test_what_is_refused(vestige, plan, tmp_path, old, new, message):
    plan.write_text(PLAN.replace(old, new))
    done = vestige("compare-defences", str(plan), "--out", str(tmp_path / "run"))
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_an_audit_with_defences_is_sent_to_the_comparison(vestige, plan, tmp_path):
    done = vestige("audit", str(plan), "--out", str(tmp_path / "run"))
    assert done.code == 2
    assert "vestige compare-defences" in done.err

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


def test_canaries_are_asked_for_and_said(vestige, plan, tmp_path):
    done = vestige("compare-defences", str(plan), "--out", str(tmp_path / "run"), "--canaries", "24")
    assert done.code == 0, done.err
    assert "CANARIES: 24 of 240 records were given another label" in done.out


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


NETWORKS = """
import functools
import numpy as np
from pathlib import Path
from torch import nn
from vestige import Records, TorchRecipe
from vestige.training.pretrained import Pretrained, Trainable, save_weights
from vestige.training.selena import Selena

def some(n, seed, n_classes=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    return Records((rng.normal(size=(n, 4)) + np.eye(4)[labels]).astype("float32"), labels)

def network(n_classes):
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, n_classes))

def records():
    return some(120, 0)

train = TorchRecipe(functools.partial(network, 3), epochs=2, batch_size=20, full_batches=True)

def transfer(seed):
    source = some(80, seed, n_classes=4)
    model = TorchRecipe(functools.partial(network, 4), epochs=2).fit(source, seed=0)
    file = save_weights(model, Path(__file__).with_name("source.safetensors"))
    begun = Pretrained(functools.partial(network, 3), file, trainable=Trainable.LAST, records=source)
    return TorchRecipe(begun, epochs=2, batch_size=20)

def selena(n_models):
    return Selena(train, n_models=n_models, n_without=1)
"""
TRAINED = """
[data]
records = "mine:records"
[recipe]
train = "mine:train"
n_shadows = 6
[[defence]]
name = "transfer"
use = "mine:transfer"
parameters = { seed = 1 }
[[defence]]
name = "SELENA"
use = "mine:selena"
parameters = { n_models = 3 }
"""


def test_transfer_and_selena_from_a_plan(vestige, tmp_path):
    (tmp_path / "mine.py").write_text(NETWORKS)
    (tmp_path / "plan.toml").write_text(TRAINED)
    bank = ("--bank", str(tmp_path / "bank"))
    cost = vestige("plan", str(tmp_path / "plan.toml"), *bank)
    assert cost.code == 0, cost.err
    assert "each is distilled from 3 sub-models" in cost.out
    for name in ("run", "again"):
        done = vestige("compare-defences", str(tmp_path / "plan.toml"), "--out", str(tmp_path / name), *bank)
        assert done.code == 0, done.err
    first, second = (pd.read_csv(tmp_path / name / "comparison.csv") for name in ("run", "again"))
    assert {"none", "transfer", "SELENA"} <= set(first.defence)
    assert first.equals(second)  # the models are those of the bank
    assert len(list((tmp_path / "bank").glob("[0-9a-f]*/done.json"))) == 18


def test_records_of_a_pretraining_are_refused_in_a_plan(vestige, tmp_path):
    text = NETWORKS.replace("return some(120, 0)", "return some(80, 1, n_classes=4)").replace(
        "network, 3", "network, 4"
    )
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "plan.toml").write_text(TRAINED)
    done = vestige("compare-defences", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "run"))
    assert done.code == 2
    assert "Expected pretraining records that are not audited, found 80" in done.err

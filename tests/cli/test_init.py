"""`vestige init`: what it writes is an audit that runs."""

import tomllib

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def table(tmp_path):
    draw = np.random.default_rng(0)
    given = pd.DataFrame(
        {
            "Patient_ID": np.arange(200) // 2,
            "ward": draw.choice(["a", "b", "c"], 200),
            "diagnosis": draw.choice(["ill", "well"], 200),
            "in_train": np.arange(200) // 2 % 2,
            "admitted": "2024-01-01",
        }
    )
    p = draw.random(200)
    given["prob_ill"], given["prob_well"] = p, 1 - p
    given.to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path / "predictions.csv"


def test_a_table_of_predictions(vestige, table, tmp_path):
    file = tmp_path / "audit.toml"
    assert vestige("init", table, "--out", file).code == 0
    said = tomllib.loads(file.read_text())
    assert said["data"] == {
        "label": "diagnosis", "member": "in_train", "subject": "Patient_ID", "order": ["admitted"]
    }  # fmt: skip
    assert '# groups = ["ward"]' in file.read_text()
    done = vestige("audit", file, "--out", tmp_path / "run", "-q")
    assert done.code == 0, done


def test_a_model_with_its_records(vestige, tmp_path):
    draw = np.random.default_rng(0)
    for name in ("train", "test"):
        pd.DataFrame({"age": draw.random(50), "y": draw.integers(2, size=50)}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    asked = ("--members", tmp_path / "train.csv", "--nonmembers", tmp_path / "test.csv", "--out", tmp_path / "a.toml")
    assert vestige("init", "--model", "module:model", *asked).code == 0
    said = tomllib.loads((tmp_path / "a.toml").read_text())
    assert said["target"] == {"model": "module:model", "access": "confidence"}
    assert said["data"]["label"] == "y"
    assert "recipe" not in said  # commented: training costs time


def test_a_file_of_yours_is_never_replaced(vestige, table, tmp_path):
    (tmp_path / "audit.toml").write_text("mine")
    done = vestige("init", table, "--out", tmp_path / "audit.toml")
    assert done.code == 2
    assert "found one; name another" in done.err
    assert (tmp_path / "audit.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Expected FILE, or --model"),
        (("nothing.csv",), "Expected a table in nothing.csv"),
        (("a.bin",), "found none"),
    ],
)
def test_bad_input(vestige, tmp_path, arguments, said):
    done = vestige("init", *arguments, "--out", tmp_path / "a.toml")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert not (tmp_path / "a.toml").exists()


def test_other_columns_on_the_two_sides_are_said(vestige, tmp_path):
    pd.DataFrame({"age": [1.0], "y": [1]}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"age": [1.0], "y": [1], "extra": [0]}).to_csv(tmp_path / "b.csv", index=False)
    asked = ("--members", tmp_path / "a.csv", "--nonmembers", tmp_path / "b.csv", "--out", tmp_path / "c.toml")
    assert "found one of them alone to have extra;" in vestige("init", "--model", "m:m", *asked).err

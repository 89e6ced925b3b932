"""Audits of models on the command line: a model by every door, what is refused, and what the run says was asked."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
import xgboost
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from tests.cli.test_bad_input import refused
from tests.targets.model_files import planted_pickle
from tests.targets.servers import FaultyProxy, always, free_port, logistic, status

N = 60  # on each side
NAMES = np.array(["high", "low", "mid"])

PYTHON = """
import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from vestige import Records

rng = np.random.default_rng(0)
records = Records(rng.normal(size=(60, 2)).astype("float32"), rng.integers(0, 3, 60), ids=np.arange(60))
others = Records(rng.normal(size=(60, 2)).astype("float32"), rng.integers(0, 3, 60), ids=np.arange(60, 120))


def forest():
    return RandomForestClassifier(5, random_state=0).fit(records.inputs, records.labels)


def network():
    torch.manual_seed(0)
    return torch.nn.Linear(2, 3)


def scores(inputs):
    return np.column_stack([inputs, inputs[:, 0] * 0]) * 3.0


def decided(inputs):
    return scores(inputs).argmax(axis=1)


def chances(inputs):
    z = np.exp(scores(inputs))
    return z / z.sum(axis=1, keepdims=True)


def four(inputs):
    return np.full((len(inputs), 4), 0.25)


def sometimes_nan(inputs):
    p = chances(inputs)
    p[7] = np.nan
    return p


def fails(inputs):
    raise RuntimeError("no memory on the card")


def fit(inputs, labels, *, seed):
    return RandomForestClassifier(3, random_state=seed % 2**31).fit(inputs, labels)
"""


def frame(side: int) -> pd.DataFrame:
    rng = np.random.default_rng(side)
    x = rng.normal(size=(N, 2))
    codes = rng.integers(0, 3, N)
    return pd.DataFrame(
        {"row": np.arange(N) + N * side, "age": x[:, 0], "dose": x[:, 1], "outcome": NAMES[codes], "code": codes}
    )


def save(folder: Path, name: str, side: int) -> None:
    table = frame(side)
    table.drop(columns="code").to_csv(folder / f"{name}.csv", index=False)
    table.drop(columns="outcome").to_parquet(folder / f"{name}.parquet")
    x = table[["age", "dose"]].to_numpy("float32")
    np.savez(folder / f"{name}.npz", inputs=x, labels=table["code"].to_numpy(), ids=table["row"].to_numpy())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with records, models in files, and Python that makes some."""
    folder = tmp_path_factory.mktemp("made")
    save(folder, "in", 0)
    save(folder, "out", 1)
    (folder / "clinic_models.py").write_text(PYTHON)
    members = frame(0)
    x, x32 = members[["age", "dose"]], members[["age", "dose"]].to_numpy("float32")
    forest = RandomForestClassifier(10, random_state=0).fit(x, members["outcome"])
    skops.io.dump(forest, folder / "forest.skops")
    joblib.dump(forest, folder / "forest.joblib")
    plain = RandomForestClassifier(10, random_state=0).fit(x32, members["code"])
    graph = to_onnx(plain, x32[:1], options={"zipmap": False})
    (folder / "forest.onnx").write_bytes(graph.SerializeToString())
    boosted = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(x, members["code"])
    boosted.save_model(folder / "boosted.ubj")
    everyone = pd.concat([members, frame(1)])
    p = forest.predict_proba(everyone[["age", "dose"]])
    answers = everyone[["row", "outcome"]].assign(member=np.repeat([1, 0], N))
    answers = answers.assign(**{f"prob_{name}": p[:, i] for i, name in enumerate(NAMES)})
    answers.iloc[::-1].to_csv(folder / "answers.csv", index=False)  # matched by id, not by position
    return folder


CSV = ["--label", "outcome", "--set", "data.id=row"]
PARQUET = ["--label", "code", "--set", "data.id=row"]
PYTHON_RECORDS = {"members": "clinic_models:records", "nonmembers": "clinic_models:others"}


def beside(made: Path, model: str, kind: str, *columns: str) -> list[object]:
    return [
        "--model", model if ":" in model else made / model,
        "--members", made / f"in.{kind}",
        "--nonmembers", made / f"out.{kind}",
        *columns,
    ]  # fmt: skip


def audit_toml(folder: Path, target: dict[str, Any], data: dict[str, Any] | None = None, more: str = "") -> Path:
    lines = ["[target]", *(f"{k} = {json.dumps(v)}" for k, v in target.items())]
    lines += ["[data]", *(f"{k} = {json.dumps(v)}" for k, v in (data or PYTHON_RECORDS).items())]
    path = folder / "audit.toml"
    path.write_text("\n".join([*lines, more]))
    return path


@pytest.fixture
def own(made, tmp_path):
    """An empty folder beside the shared ones, with the Python in it."""
    (tmp_path / "clinic_models.py").write_text(PYTHON)
    return tmp_path


@pytest.fixture(scope="module")
def audited(vestige, made):
    """The run of a model in a file, and how the command ended."""
    run = made / "runs" / "forest"
    return run, vestige("audit", *beside(made, "forest.skops", "csv", *CSV), "--out", run)


def numbers(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "results.parquet")


def nothing_left(folder: Path, *names: str) -> None:
    """Only these, and what Python compiled."""
    found = {path.name for path in folder.iterdir()} - {"__pycache__", "clinic_models.py", "audit.toml"}
    assert found == set(names)


# ---------------------------------------------------------------------------------- a model by every door


def leaks(run: Path) -> bool:
    found = numbers(run)
    worst = found[(found["attack"] == "worst") & (found["metric"] == "auc") & (found["group"] == "all")]
    return bool(worst["value"].max() > 0.8)


def test_a_model_file_is_audited(audited):
    run, done = audited
    assert (done.code, done.err) == (0, "")
    assert "LEAK SHOWN" in done.out
    assert leaks(run)
    said = json.loads((run / "report.json").read_text())
    assert "correctness" in {row["attack"] for row in said["threat_models"]}
    assert set(pd.read_parquet(run / "records.parquet")["id"]) == set(range(2 * N))


@pytest.mark.parametrize(
    ("model", "kind", "more"),
    [
        ("forest.onnx", "npz", []),
        ("boosted.ubj", "parquet", PARQUET),
        ("forest.joblib", "csv", [*CSV, "--trust-pickle"]),
    ],
)
def test_a_model_file_of_another_kind_is_audited(vestige, made, tmp_path, model, kind, more):
    done = vestige("audit", *beside(made, model, kind, *more), "--out", tmp_path / "run", "-q")
    assert done == (0, "", "")
    assert leaks(tmp_path / "run")


def test_a_model_and_a_table_of_its_answers_give_the_same_numbers(vestige, made, audited, tmp_path):
    done = vestige("audit", *beside(made, "answers.csv", "csv", *CSV), "--out", tmp_path / "run", "-q")
    assert done == (0, "", "")
    pd.testing.assert_frame_equal(numbers(audited[0]), numbers(tmp_path / "run"))


def test_a_table_of_answers_need_not_repeat_who_is_a_member(vestige, made, audited, tmp_path):
    table = pd.read_csv(made / "answers.csv")
    table.drop(columns="member").to_csv(tmp_path / "answers.csv", index=False)
    table.drop(columns=["member", "row"]).to_csv(tmp_path / "nobody.csv", index=False)
    sides = beside(made, "", "csv", *CSV)[2:]
    done = vestige("audit", "--model", tmp_path / "answers.csv", *sides, "--out", tmp_path / "run", "-q")
    assert done == (0, "", "")
    pd.testing.assert_frame_equal(numbers(audited[0]), numbers(tmp_path / "run"))
    refused(vestige("audit", "--model", tmp_path / "nobody.csv", *sides, "--out", tmp_path / "no"), "a column row")


@pytest.mark.parametrize("answers", ["logits", "labels"])
def test_a_function_of_python_is_audited_as_declared(vestige, own, answers):
    name = "decided" if answers == "labels" else "scores"
    access = "label" if answers == "labels" else "confidence"
    path = audit_toml(own, {"model": f"clinic_models:{name}", "answers": answers, "access": access})
    done = vestige("audit", path, "--out", own / "run")
    assert (done.code, done.err) == (0, "")
    assert ("confidence" in set(numbers(own / "run")["access"])) == (access == "confidence")


def test_a_factory_of_python_is_audited_with_gradients(vestige, own):
    path = audit_toml(own, {"model": "clinic_models:network", "access": "gradients"})
    assert vestige("audit", path, "--out", own / "run", "-q") == (0, "", "")
    assert "gradient_norm" in set(numbers(own / "run")["attack"])


def test_an_address_is_audited_and_an_answer_that_was_given_is_not_asked_again(vestige, own):
    data = {"members": "in.npz", "nonmembers": "out.npz"}
    for name, side in (("in", 0), ("out", 1)):
        table = frame(side)
        x = table[["age", "dose"]].to_numpy()
        np.savez(own / f"{name}.npz", inputs=x, labels=table["code"].to_numpy() % 2, ids=table["row"].to_numpy())
    n = 2 * N + 32
    with FaultyProxy(logistic) as server:
        target = {"model": f"{server.url}/v2/models/m", "budget": n, "price": 0.5}
        path = audit_toml(own, target, data, "[endpoint]\nbatch = 16")
        planned = vestige("plan", path)
        assert planned.code == 0, planned
        assert f"{n} queries: 120 for 120 records, 32 of them again" in planned.out
        assert "10 requests of up to 16 records" in planned.out
        assert "0.08 to pay, at 0.5 per 1,000 queries" in planned.out
        assert "0 of the budget of 152 queries are left then" in planned.out
        assert not server.posts  # the plan asks nothing
        assert vestige("audit", path, "--out", own / "run", "-q") == (0, "", "")
        n_posts = len(server.posts)
        assert n_posts == 10
        assert vestige("audit", path, "--out", own / "run", "-q") == (0, "", "")
        assert len(server.posts) == n_posts


def test_shadow_models_are_trained_like_the_model(vestige, own):
    recipe = '[recipe]\ntrain = "clinic_models:fit"\nn_shadows = 4'
    path = audit_toml(own, {"model": "clinic_models:forest"}, more=recipe)
    planned = vestige("plan", path, "--bank", own / "bank")
    assert planned.code == 0, planned
    assert planned.out.startswith("Runs code of yours, as the audit does: ")
    assert "\n152 queries: 120 for 120 records" in planned.out
    assert "model" in planned.out.split("\n", 2)[2]
    done = vestige("audit", path, "--out", own / "run", "--bank", own / "bank", "--set", "recipe.n_shadows=6", "-q")
    assert done == (0, "", "")
    assert numbers(own / "run")["n_references"].max() == 6
    said = tomllib.loads((own / "run" / "audit.toml").read_text())
    assert said["recipe"]["n_shadows"] == 6


def test_why_records_are_at_risk_is_planned_and_written_for_the_owner_alone(vestige, own):
    why = '[recipe]\ntrain = "clinic_models:fit"\nn_shadows = 4\n[why_at_risk]\nn_retrained = 3'
    path = audit_toml(own, {"model": "clinic_models:forest"}, more=why)
    planned = vestige("plan", path, "--bank", own / "bank")
    assert planned.code == 0, planned
    assert "Training without a record each: 4 models, " in planned.out
    done = vestige("audit", path, "--out", own / "run", "--bank", own / "bank")
    assert done.code == 0, done
    assert "Why records are at risk, for you alone: " in done.out
    written = {one.name: one for one in (own / "run" / "why").iterdir()}
    assert set(written) == {"why.html", "classes.csv", "sensitivity.csv"}
    assert {one.stat().st_mode & 0o777 for one in written.values()} == {0o600}
    assert len(pd.read_csv(written["sensitivity.csv"])) == 3
    again = own / "run" / "audit.toml"
    assert vestige("audit", again, "--out", own / "run", "--bank", own / "bank", "-q") == (0, "", "")
    for more, message in (
        ("[why_at_risk]\nn_retrained = 3", "Expected [recipe] with train = module:name for n_retrained"),
        ('[recipe]\ntrain = "same"\n[why_at_risk]\nn_retrained = 3', "Expected [recipe] with train = module:name"),
        ("[why_at_risk]\nn_retrained = -1", "Expected n_retrained of 0 or more"),
    ):
        refused = vestige(
            "audit", audit_toml(own, {"model": "clinic_models:forest"}, more=more), "--out", own / "other"
        )
        assert (refused.code, message in refused.err) == (2, True), refused


def test_source_models_are_trained_on_records_of_a_file(vestige, made, own):
    save(own, "own", 2)
    recipe = '[recipe]\ntrain = "same"\nrecords = "own.csv"\n[paths]\nrelative_to = "."'
    data = {"members": str(made / "in.csv"), "nonmembers": str(made / "out.csv"), "label": "outcome", "id": "row"}
    path = audit_toml(own, {"model": str(made / "forest.skops")}, data, recipe)
    bank = ("--bank", own / "bank")
    planned = vestige("plan", path, "--set", "recipe.n_sources=2", *bank)
    assert planned.code == 0, planned
    assert "source models x " in planned.out
    done = vestige("audit", path, "--out", own / "run", *bank, "--set", "recipe.n_sources=2", "-q")
    assert done == (0, "", "")
    again = vestige("audit", own / "run" / "audit.toml", "--out", own / "again", *bank, "-q")
    assert again == (0, "", "")
    pd.testing.assert_frame_equal(numbers(own / "run"), numbers(own / "again"))
    assert "shadow_strict" in set(numbers(own / "run")["threshold"])
    refused = vestige("audit", path, "--out", own / "other", *bank, "--set", "recipe.checkpoints=[1]", "-q")
    assert refused.code == 2
    assert "Expected a recipe that counts epochs for checkpoints" in refused.err
    overlap = vestige("audit", path, "--out", own / "other", *bank, "--set", f"recipe.records={made / 'in.csv'}", "-q")
    assert "Expected source records that are not audited, found 60 records that are" in overlap.err


def test_a_plan_of_a_model_of_this_process_says_how_long(vestige, made, own):
    path = audit_toml(own, {"model": "clinic_models:scores", "answers": "logits"})
    done = vestige("plan", path)
    assert (done.code, done.err) == (0, "")
    assert "152 queries" in done.out
    assert "measured on 120 records" in done.out
    assert "No shadow models" in done.out
    data = {"members": str(made / "in.csv"), "nonmembers": str(made / "out.csv"), "label": "outcome", "id": "row"}
    done = vestige("plan", audit_toml(own, {"model": str(made / "answers.csv")}, data))
    assert (done.code, done.out.splitlines()[0]) == (0, "No queries: the table has the answers.")


# ----------------------------------------------------------------------------- what the run says was asked


def test_the_run_says_what_was_asked_and_can_be_asked_again_from_there(vestige, made, own):
    for name in ("forest.skops", "in.csv", "out.csv"):
        (own / name).write_bytes((made / name).read_bytes())
    data = {"members": "in.csv", "nonmembers": "out.csv", "label": "outcome", "id": "row"}
    more = '[options]\nmin_cell = 5\n[policy]\nfail_if = ["auc.upper > 0.6"]'
    path = audit_toml(own, {"model": "forest.skops"}, data, more)
    done = vestige("audit", path, "--out", own / "runs" / "one", "-q")
    assert done.code == 3
    assert "auc.upper" in done.err
    written = own / "runs" / "one" / "audit.toml"
    said = tomllib.loads(written.read_text())
    assert said["target"] == {"model": "forest.skops", "access": "confidence"}
    assert said["data"] == data | {"groups": [], "order": [], "inputs": []}
    assert said["inputs"] == {"categories": {}, "encoding": "as_is", "channels_first": False}
    assert said["options"]["min_cell"] == 5
    assert {"arithmetic", "subject_score", "risk_prior", "risk_bins", "seed", "name"} <= set(said["options"])
    assert said["policy"] == {"fail_if": ["auc.upper > 0.6"]}
    assert said["paths"] == {"relative_to": "../.."}
    assert str(own) not in written.read_text()
    again = vestige("audit", written, "--out", own / "elsewhere" / "two", "-q")
    assert again == done
    pd.testing.assert_frame_equal(numbers(own / "runs" / "one"), numbers(own / "elsewhere" / "two"))
    assert tomllib.loads((own / "elsewhere" / "two" / "audit.toml").read_text()) == said
    assert vestige("plan", written).code == 0


def test_a_model_is_audited_behind_a_defence_that_the_run_records(vestige, own):
    defence = '[target.defence]\nuse = "vestige.defences:Rounded"\nparameters = { digits = 1 }'
    path = audit_toml(own, {"model": "clinic_models:forest"}, more=defence)
    assert vestige("plan", path).code == 0
    assert vestige("audit", path, "--out", own / "one", "-q") == (0, "", "")
    found = numbers(own / "one")
    assert set(found["defence"]) == {"rounded (digits=1)"}
    said = tomllib.loads((own / "one" / "audit.toml").read_text())["target"]["defence"]
    assert said == {
        "use": "vestige.defences:Rounded", "parameters": {"digits": 1}, "known": "adaptive", "seed": 0,
    }  # fmt: skip
    assert vestige("audit", own / "one" / "audit.toml", "--out", own / "two", "-q") == (0, "", "")
    pd.testing.assert_frame_equal(found, numbers(own / "two"))
    other = vestige("audit", path, "--set", "target.defence.parameters.digits=2", "--out", own / "one")
    refused(other, "a run of the same defence")


def test_labels_alone_are_refused_to_who_sees_confidences(vestige, own):
    defence = '[target.defence]\nuse = "vestige.defences:LabelsOnly"'
    path = audit_toml(own, {"model": "clinic_models:forest"}, more=defence)
    refused(vestige("audit", path, "--out", own / "run"), "leaves labels alone, labels_only; ask for access")
    nothing_left(own)
    done = vestige("audit", path, "--set", "target.access=label", "--out", own / "run", "-q")
    assert done == (0, "", "")
    assert set(numbers(own / "run")["defence"]) == {"labels_only"}


def test_what_options_said_can_be_asked_again_as_a_file(vestige, made, tmp_path):
    arguments = [*beside(made, "boosted.ubj", "parquet", *PARQUET), "--access", "label", "--set", "options.min_cell=3"]
    arguments += ["--set", "target.budget=5000", "--set", "target.price=0.5"]
    done = vestige("audit", *arguments, "--fail-if", "auc.upper > 0.99", "--out", tmp_path / "run")
    assert done.code == 0, done
    said = tomllib.loads((tmp_path / "run" / "audit.toml").read_text())
    assert (said["target"]["access"], said["data"]["id"], said["options"]["min_cell"]) == ("label", "row", 3)
    assert said["policy"]["fail_if"] == ["auc.upper > 0.99"]
    assert (said["target"]["budget"], said["target"]["price"]) == (5000, 0.5)
    assert vestige("plan", tmp_path / "run" / "audit.toml").code == 0


OWN_ATTACK = """
def sureness(p_true):
    "How sure it is."
    return p_true
"""


def test_an_own_attack_of_a_file_is_played_and_found_again_from_the_run(vestige, own):
    (own / "lab").mkdir()
    (own / "lab" / "attack.py").write_text(OWN_ATTACK)
    use = '[attacks]\nuse = ["loss", "lab.attack:sureness"]\n[policy]\nfail_if = ["sureness:auc.upper > 0.5"]'
    path = audit_toml(own, {"model": "clinic_models:chances"}, more=use)
    done = vestige("audit", path, "--out", own / "run", "-q")
    assert done.code == 3
    assert "sureness auc.upper" in done.err
    assert set(numbers(own / "run")["attack"]) == {"loss", "sureness", "worst"}
    assert vestige("audit", own / "run" / "audit.toml", "--out", own / "run", "-q") == done
    (own / "lab" / "attack.py").write_text(OWN_ATTACK.replace("return p_true", "return p_true**3"))
    wrong = audit_toml(own, {"model": "clinic_models:chances"}, more='[attacks]\nuse = ["los"]')
    for command in (["audit", wrong, "--out", own / "other"], ["plan", wrong]):
        refused(vestige(*command), "found los", "you may mean loss")
    refused(vestige("audit", path, "--attack", "all", "--out", own / "other"), "--attack inside AUDIT.toml")


def test_attacks_are_named_as_options_of_a_model(vestige, made, tmp_path):
    arguments = [*beside(made, "answers.csv", "csv", *CSV), "--attack", "correctness", "--attack", "entropy"]
    assert vestige("audit", *arguments, "--out", tmp_path / "run", "-q") == (0, "", "")
    assert set(numbers(tmp_path / "run")["attack"]) == {"correctness", "entropy", "worst"}
    said = tomllib.loads((tmp_path / "run" / "audit.toml").read_text())
    assert said["attacks"] == {"use": ["correctness", "entropy"]}


def test_a_run_may_be_played_again_in_its_own_folder(vestige, audited):
    run, _ = audited
    first = numbers(run)
    assert vestige("audit", run / "audit.toml", "--out", run, "-q") == (0, "", "")
    pd.testing.assert_frame_equal(first, numbers(run))


def test_another_policy_is_judged_beside_that_of_the_file(vestige, own):
    path = audit_toml(own, {"model": "clinic_models:chances"}, more='[policy]\nfail_if = ["auc.lower > 0.99"]')
    done = vestige("audit", path, "--fail-if", "auc.upper >= 0", "--out", own / "run")
    assert done.code == 3
    assert "auc.lower > 0.99" in done.err
    said = tomllib.loads((own / "run" / "audit.toml").read_text())
    assert said["policy"] == {"fail_if": ["auc.lower > 0.99", "auc.upper >= 0"]}
    wrong = audit_toml(own, {"model": "clinic_models:chances"}, more='[policy]\nfail_if = ["auc"]')
    refused(vestige("audit", wrong, "--out", own / "other"), "METRIC", "'auc'")


def test_modules_are_found_again_and_an_endless_bound_is_written_as_toml(vestige, own):
    bounds = "[inputs]\nlow = [-inf, -9]\nhigh = [inf, 9.5]"
    path = audit_toml(own, {"model": "clinic_models:scores", "answers": "logits"}, more=bounds)
    assert vestige("audit", path, "--out", own / "runs" / "a", "-q") == (0, "", "")
    written = own / "runs" / "a" / "audit.toml"
    assert tomllib.loads(written.read_text())["inputs"]["low"] == [-np.inf, -9]
    again = vestige("plan", written)
    assert (again.code, again.err) == (0, "")


# ------------------------------------------------------------------------------------------- refused


Entries = dict[str, Any]
OF_PYTHON: dict[str, tuple[Entries, list[str]]] = {
    "four columns for three classes": ({"model": "clinic_models:four"}, ["(120, 3)", "(120, 4)", "as many outputs"]),
    "logits as probabilities": ({"model": "clinic_models:scores"}, ["probabilities", "record 1", "as logits"]),
    "probabilities as logits": (
        {"model": "clinic_models:chances", "answers": "logits"},
        ["found probabilities", "softmax would be applied twice"],
    ),
    "numbers as labels": (
        {"model": "clinic_models:chances", "answers": "labels", "access": "label"},
        ["one predicted label per record"],
    ),
    "labels for confidences": (
        {"model": "clinic_models:decided", "answers": "labels"},
        ["number per class, found predicted labels"],
    ),
    "NaN": ({"model": "clinic_models:sometimes_nan"}, ["NaN", "record 8"]),
    "gradients of a forest": (
        {"model": "clinic_models:forest", "access": "gradients"},
        ["torch module", "confidence or label"],
    ),
    "another access": ({"model": "clinic_models:forest", "access": "all"}, ["target.access", "'gradients'"]),
    "a budget of less than a pass": (
        {"model": "clinic_models:chances", "budget": 151},
        ["a budget of 152 queries or more, found 151", "None of these 152 was sent"],
    ),
    "no module": ({"model": "clinic_modles:forest"}, ["a module clinic_modles"]),
    "no such name": ({"model": "clinic_models:tree"}, ["tree in clinic_models", "spelling"]),
    "no file": ({"model": "gone.onnx"}, ["gone.onnx", "found no file"]),
    "another suffix": ({"model": "clinic_models.py"}, [".onnx", "found clinic_models.py", "export"]),
    "an endpoint of another form": ({"model": "http://127.0.0.1/predict"}, ["/v2/models/", "/predict"]),
    "an unknown entry": ({"model": "clinic_models:forest", "levels": 3}, ["target.levels", "spelling"]),
}


@pytest.mark.parametrize("name", OF_PYTHON)
def test_a_model_that_cannot_be_audited(vestige, own, name):
    target, essentials = OF_PYTHON[name]
    path = audit_toml(own, target)
    refused(vestige("audit", path, "--out", own / "run"), *essentials)
    refused(vestige("audit", path, "--out", own / "run"), *essentials)  # and not because of what the first start left


@pytest.mark.parametrize("name", [*OF_PYTHON])
def test_what_is_refused_leaves_nothing(vestige, own, name):
    refused(vestige("audit", audit_toml(own, OF_PYTHON[name][0]), "--out", own / "runs" / "one"))
    nothing_left(own)


def test_a_run_that_was_refused_does_not_refuse_the_next(vestige, own):
    for name in ("labels for confidences", "logits as probabilities", "NaN"):
        refused(vestige("audit", audit_toml(own, OF_PYTHON[name][0]), "--out", own / "run"))
    good = audit_toml(own, {"model": "clinic_models:chances", "access": "label"})
    assert vestige("audit", good, "--out", own / "run", "-q") == (0, "", "")


def test_a_function_that_fails_is_not_our_fault(vestige, own):
    done = vestige("audit", audit_toml(own, {"model": "clinic_models:fails"}), "--out", own / "run")
    refused(done, "found that it failed", "no memory on the card")


def test_a_plan_is_refused_like_the_audit(vestige, own):
    for name in ("a budget of less than a pass", "gradients of a forest", "no file", "another access"):
        target, essentials = OF_PYTHON[name]
        refused(vestige("plan", audit_toml(own, target)), *essentials)
    nothing_left(own)


OPTIONS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "a pickle": ("forest.joblib", "csv", CSV, ["a pickle can run any code", ".skops", "--trust-pickle"]),
    "no such label": ("forest.skops", "csv", ["--label", "diagnosis"], ["column diagnosis", "outcome"]),
    "no such id": ("forest.skops", "csv", ["--label", "outcome", "--set", "data.id=number"], ["column number", "id"]),
    "an access that is none": ("forest.skops", "csv", [*CSV, "--access", "all"], ["'gradients'", "access"]),
    "answers that are none": ("forest.skops", "csv", [*CSV, "--set", "target.answers=odds"], ["'logits'", "answers"]),
    "gradients of a graph": ("forest.onnx", "npz", ["--access", "gradients"], ["torch module", "confidence or label"]),
    "gradients of a table": ("answers.csv", "csv", [*CSV, "--access", "gradients"], ["torch module", "a table"]),
    "answers of a table": ("answers.csv", "csv", [*CSV, "--set", "target.answers=logits"], ["answers", "leave it out"]),
    "a small budget": ("forest.skops", "csv", [*CSV, "--set", "target.budget=5"], ["budget of", "found 5", "was sent"]),
    "a price that is none": (
        "forest.skops",
        "csv",
        [*CSV, "--set", "target.price=-1"],
        ["price of 0 or more", "found -1.0"],
    ),
    "a shadow": ("forest.skops", "csv", [*CSV, "--shadow", "s.csv"], ["--shadow", "nothing for a model"]),
    "a positive class": ("forest.skops", "csv", [*CSV, "--positive", "p=1"], ["--positive", "nothing for a model"]),
    "labels apart": ("forest.skops", "csv", [*CSV, "--labels", "l.npy"], ["--labels LABELS.npy for each"]),
    "a base of labels": ("forest.skops", "csv", [*CSV, "--set", "data.label_base=1"], ["data.label_base", "unknown"]),
    "a column of members": ("forest.skops", "csv", [*CSV, "--member", "m"], ["--member", "nothing for a model"]),
    "probabilities": ("forest.skops", "csv", [*CSV, "--set", "target.probabilities=true"], ["target.probabilities"]),
    "a file of predictions": ("forest.skops", "csv", [*CSV, "predictions.csv"], ["FILE", "nothing for a model"]),
    "shadow models": ("forest.skops", "csv", [*CSV, "--within", "4m"], ["--within", "nothing for a model"]),
    "columns of an npz": ("forest.onnx", "npz", ["--set", "data.id=row"], ["npz", "name its arrays"]),
    "a policy that is none": ("forest.skops", "csv", [*CSV, "--fail-if", "auc"], ["METRIC", "'auc'"]),
    "a single column of inputs": (
        "forest.skops",
        "csv",
        [*CSV, "--set", 'data.inputs=["age"]'],
        ["the model", "missing: - dose"],
    ),
    "a missing column": ("boosted.ubj", "parquet", [*PARQUET, "--set", 'data.inputs=["age"]'], ["dose", "found"]),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_cannot_be_audited(vestige, made, tmp_path, name):
    model, kind, more, essentials = OPTIONS[name]
    done = vestige("audit", *beside(made, model, kind, *more), "--out", tmp_path / "run")
    refused(done, *essentials)
    assert str(made) not in done.err
    nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("more", "essentials"),
    [
        (["--access", "label"], ["--access beside --model", "nothing for predictions"]),
        (["--set", "target.answers=logits"], ["no entry target.answers"]),
        (["--set", "target.budget=5"], ["no entry target.budget"]),
        (["--trust-pickle"], ["--trust-pickle beside --model"]),
        (["--bank", "bank"], ["--bank beside an AUDIT.toml"]),
        (["--within", "5m"], ["--within beside an AUDIT.toml"]),
    ],
)
def test_options_of_a_model_beside_predictions(vestige, made, tmp_path, more, essentials):
    refused(vestige("audit", made / "answers.csv", *more, "--out", tmp_path / "run"), *essentials)
    nothing_left(tmp_path)


def test_what_is_set_stands_for_what_the_file_says(vestige, own):
    path = audit_toml(own, {"model": "clinic_models:forest", "access": "label"}, more="[options]\nmin_cell = 5")
    said = ("--set", "target.access=confidence", "--set", "options.name=clinic", "--set", "attacks.use=['loss']")
    assert vestige("audit", path, *said, "--out", own / "run", "-q") == (0, "", "")
    written = tomllib.loads((own / "run" / "audit.toml").read_text())
    assert (written["target"]["access"], written["options"]["name"]) == ("confidence", "clinic")
    assert (written["options"]["min_cell"], written["attacks"]) == (5, {"use": ["loss"]})
    for command in (["audit", path, "--out", own / "other"], ["plan", path]):
        wrong = vestige(*command, "--set", "options.min_cells=4")
        refused(wrong, "audit.toml: ", "options.min_cells", "found min_cells = 4", "you may mean min_cell")


@pytest.mark.parametrize(
    ("more", "essential"),
    [(["--model", "m.onnx"], "--model"), (["--access", "label"], "--access"), (["--label", "y"], "--label")],
)
def test_options_beside_an_audit_file(vestige, own, more, essential):
    path = audit_toml(own, {"model": "clinic_models:forest"})
    refused(vestige("audit", path, *more, "--out", own / "run"), f"{essential} inside AUDIT.toml", "write it into")


def test_one_side_alone_and_missing_records(vestige, made, tmp_path):
    sides = ["--model", made / "forest.skops", "--members", made / "in.csv"]
    refused(vestige("audit", *sides, *CSV, "--out", tmp_path / "run"), "--members and --nonmembers")
    gone = [*sides, "--nonmembers", "gone.csv", *CSV]
    refused(vestige("audit", *gone, "--out", tmp_path / "run"), "found no file gone.csv")
    same = [*sides, "--nonmembers", made / "in.csv", *CSV]
    refused(vestige("audit", *same, "--out", tmp_path / "run"), "in.csv", "the same")
    nothing_left(tmp_path)


@pytest.mark.parametrize("suffix", ["onnx", "safetensors", "skops", "ubj", "json", "txt", "pt2", "pt"])
def test_a_pickle_by_another_name_is_refused_and_not_run(vestige, own, suffix):
    planted_pickle(own / f"model.{suffix}", own / "planted")
    target = {"model": f"model.{suffix}"} | (
        {"factory": "clinic_models:network"} if suffix in ("pt", "safetensors") else {}
    )
    done = vestige("audit", audit_toml(own, target), "--out", own / "run")
    refused(done, f"model.{suffix}")
    assert str(own) not in done.err
    nothing_left(own, f"model.{suffix}")


def test_weights_without_the_network_they_belong_to(vestige, own):
    torch.save(torch.nn.Linear(2, 3).state_dict(), own / "weights.pt")
    refused(vestige("audit", audit_toml(own, {"model": "weights.pt"}), "--out", own / "run"), "factory", "weights.pt")
    path = audit_toml(own, {"model": "weights.pt", "factory": "clinic_models:network", "access": "gradients"})
    assert vestige("audit", path, "--out", own / "run", "-q") == (0, "", "")


@pytest.mark.parametrize("command", ["audit", "plan"])
def test_an_address_at_which_nobody_listens(vestige, own, command):
    target = {"model": f"http://127.0.0.1:{free_port()}/v2/models/m"}
    path = audit_toml(own, target, more='[endpoint]\nn_tries = 1\ntimeout = "2s"')
    out = ["--out", own / "run"] if command == "audit" else []
    refused(vestige(command, path, *out), "127.0.0.1")
    nothing_left(own)


def test_a_server_that_refuses_leaves_nothing(vestige, own):
    with FaultyProxy(logistic, always(status(400, "no"))) as server:
        path = audit_toml(own, {"model": f"{server.url}/v2/models/m"}, more="[endpoint]\nn_tries = 1")
        refused(vestige("audit", path, "--out", own / "run"), "400")
        assert server.posts
    nothing_left(own)


def test_a_variable_that_is_not_set_is_named_and_a_secret_is_not(vestige, own):
    target = {"model": "http://127.0.0.1:9/v2/models/m"}
    path = audit_toml(own, target, more='[endpoint.headers]\nAuthorization = "NO_SUCH_VARIABLE_OF_OURS"')
    refused(vestige("audit", path, "--out", own / "run"), "NO_SUCH_VARIABLE_OF_OURS")
    path = audit_toml(own, target, more='[endpoint.headers]\nAuthorization = "Bearer s3cr3t"')
    done = vestige("audit", path, "--out", own / "run")
    refused(done, "environment variable")
    assert "s3cr3t" not in done.err
    nothing_left(own)


Change = Callable[[pd.DataFrame], pd.DataFrame]
TABLES: dict[str, tuple[Change, list[str]]] = {
    "an answer is missing": (lambda t: t[1:], ["none for 1 of 120", "119"]),
    "no ids": (lambda t: t.drop(columns="row"), ["column row"]),
    "a class is missing": (lambda t: t.drop(columns="prob_mid"), ["mid"]),
    "another side": (lambda t: t.assign(member=1 - t["member"]), ["who is a member"]),
    "NaN": (lambda t: t.assign(prob_mid=np.nan), ["NaN in row 1, class column 3"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_predictions_that_does_not_fit(vestige, made, tmp_path, name):
    change, essentials = TABLES[name]
    change(pd.read_csv(made / "answers.csv")).to_csv(tmp_path / "answers.csv", index=False)
    arguments = ["--model", tmp_path / "answers.csv", *beside(made, "", "csv", *CSV)[2:]]
    refused(vestige("audit", *arguments, "--out", tmp_path / "run"), *essentials)
    nothing_left(tmp_path, "answers.csv")

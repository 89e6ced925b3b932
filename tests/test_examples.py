"""Every example runs as it says: make.py, vestige plan and audit, audit.py; an own attack; and labels alone."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from tests.targets.servers import _is_ready, _started, needs_mlserver_sklearn

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
OF_A_MODEL = sorted(path.parent.name for path in EXAMPLES.glob("*/make.py"))

# One process for all four commands of an example: starting Python and importing takes most of their time.
_RUN = """
import runpy, sys
runpy.run_path("make.py")
print("made", flush=True)
sys.stdin.readline()  # until the server is there, if there is one
from vestige import cli
for arguments in (["plan", "audit.toml"], ["audit", "audit.toml", "--out", "RUN"]):
    sys.argv = ["vestige", *arguments]
    code = cli._exit_code()
    assert code == 0, code
runpy.run_path("audit.py")
"""


def run_in(folder: Path, when_made) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-c", _RUN], cwd=folder, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        made = process.stdout.readline()
        with when_made() if made == "made\n" else nullcontext():
            out, err = process.communicate("\n", timeout=120)
    assert process.returncode == 0, err
    return out


@contextmanager
def served(folder: Path):
    """MLServer in an example's folder, at another port than the example says, which may be taken here."""
    server, url = _started(folder, "digits")
    try:
        for file in ("audit.toml", "audit.py"):
            text = (folder / file).read_text()
            assert "http://127.0.0.1:8080/v2/models/digits" in text
            (folder / file).write_text(text.replace("http://127.0.0.1:8080/v2/models/digits", url))
        assert _is_ready(server, url)
        yield
    finally:
        server.kill()
        server.wait()


def test_there_is_an_example_for_every_kind_of_door():
    assert OF_A_MODEL == ["boosted_trees", "http_endpoint", "onnx_model", "sklearn_pipeline", "torch_network"]
    for name in OF_A_MODEL:
        said = (EXAMPLES / name / "audit.py").read_text().splitlines()
        body = [line for line in said if line and not line.startswith(("import", "from", "here", '"""', "print"))]
        assert len(body) <= 5, name


@pytest.mark.parametrize("name", OF_A_MODEL)
def test_the_example_runs(name, tmp_path):
    if name == "http_endpoint":
        needs_mlserver_sklearn()
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__"))

    out = run_in(folder, partial(served, folder) if name == "http_endpoint" else nullcontext)
    assert out.count("LEAK SHOWN") == 2  # of the command and of audit.py
    assert " queries: " in out
    asked = tomllib.loads((folder / "RUN" / "audit.toml").read_text())
    assert asked["target"]["model"] == tomllib.loads((folder / "audit.toml").read_text())["target"]["model"]
    results = pd.read_parquet(folder / "RUN" / "results.parquet")
    assert {"correctness", "loss", "entropy"} <= set(results["attack"])
    assert ("gradient_norm" in set(results["attack"])) == (name == "torch_network")


def commanded(folder: Path, *arguments: str) -> str:
    """What a command prints, run beside a copy of the defences' examples."""
    shutil.copytree(EXAMPLES / "defences", folder / "defences", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "vestige", *arguments], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        capture_output=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_after_a_leak_the_command_that_compares_defences_is_named(tmp_path):
    printed = commanded(tmp_path, "audit", "defences/audit.toml", "--out", "LEAK")
    assert "LEAK SHOWN" in printed
    assert "vestige compare-defences PLAN.toml" in " ".join(printed.split())


def test_the_model_of_the_example_is_audited_behind_a_defence(tmp_path):
    use = ("--set", "target.defence.use=vestige.defences:Rounded", "--set", "target.defence.parameters.digits=1")
    commanded(tmp_path, "audit", "defences/audit.toml", "--out", "DEFENDED", *use)
    commented = (EXAMPLES / "defences" / "audit.toml").read_text().replace("# [t", "[t").replace("# use", "use")
    said = tomllib.loads(commented.replace("# parameters", "parameters"))["target"]["defence"]
    assert (
        tomllib.loads((tmp_path / "DEFENDED" / "audit.toml").read_text())["target"]["defence"].items() >= said.items()
    )


@pytest.mark.parametrize(
    ("plan", "defences"), [("forest.toml", {"one digit", "labels only"}), ("network.toml", {"DP-SGD", "5 epochs"})]
)
def test_one_command_says_which_defence_helps_and_its_price(plan, defences, tmp_path):
    to = ("--out", "RUN", "--bank", "bank")
    printed = commanded(tmp_path, "compare-defences", f"defences/{plan}", *to)
    for name in defences:
        said = next(line for line in printed.splitlines() if line.startswith(f"{name}: the strongest adaptive attack"))
        assert "test accuracy" in said
        assert ("Better than early stopping, epoch " in said) == (plan == "network.toml")
    table = pd.read_csv(tmp_path / "RUN" / "comparison.csv")
    assert set(table["defence"]) >= defences | {"none"}
    areas = (
        table[(table["metric"] == "auc") & table["adversary"].isin(["adaptive", "any"])]
        .groupby("defence")["value"]
        .max()
    )
    assert all(areas[name] < areas["none"] for name in defences)


def printed_by(name: str, folder: Path) -> str:
    """What an example of one short file prints, run in a folder of its own."""
    file = EXAMPLES / name
    assert len(file.read_text().splitlines()) <= 20
    done = subprocess.run(
        [sys.executable, str(file)], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_own_attack_keeps_the_laws_is_audited_and_is_a_feature_of_the_learnt_ratio(tmp_path):
    printed = printed_by("own_attack.py", tmp_path)
    assert "margin keeps the laws" in printed
    assert "LEAK SHOWN" in printed
    results = pd.read_parquet(tmp_path / "RUN" / "results.parquet")
    ours = results[results["attack"] == "entropy"]
    assert len(results[results["attack"] == "margin"]) == len(ours) > 20
    (learnt,) = json.loads((tmp_path / "RUN" / "report.json").read_text())["provenance"]["learnt"]
    assert (learnt["attack"], learnt["features"][-1]["name"]) == ("learnt_ratio", "margin")


def test_an_audit_by_labels_alone_chooses_everything_on_shadow_models(tmp_path):
    printed = printed_by("label_only.py", tmp_path)
    assert "LEAK SHOWN" in printed
    assert "has 8 models like it" in printed
    played = pd.read_parquet(tmp_path / "RUN" / "results.parquet")
    assert {
        "noise_robustness", "label_only_likelihood_ratio", "boundary_distance", "calibrated_boundary_distance",
        "settled_boundary_distance",
    } <= set(played.query("threshold == 'shadow_strict'")["attack"])  # fmt: skip

"""A run folder is whole or not there, is one audit's, and gives nobody away."""

import getpass
import io
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from tests.auditing.planted import logits_of

import vestige.report
from vestige import Options, Predictions, Records, Shadow, ShadowTraining, audit, audit_recipe
from vestige.auditing import run_folder
from vestige.core.errors import OutputError, RunFolderError, TargetError
from vestige.core.outputs import Logits
from vestige.report.renderer import RENDERER
from vestige.training.function_recipe import FunctionRecipe

FILES = {
    "attacks.bib",
    "audit.toml",
    "manifest.json",
    "records.parquet",
    "report.html",
    "report.json",
    "results.csv",
    "results.parquet",
    "summary.html",
}
SAFE = ("report.html", "report.json", "results.csv", "results.parquet", "summary.html")
N = 200


def _target(seed: int = 51, **columns) -> Predictions:
    z, y, m = logits_of(N, 1.0, seed=seed)
    return Predictions(Logits(z), y, m, **columns)


def _contents(folder: Path) -> dict[str, bytes]:
    """Of all files but the ledger, whose pages change when it is opened."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "queries.sqlite"}


def _same_but_for_the_time(a: dict[str, bytes], b: dict[str, bytes]) -> bool:
    return a.keys() == b.keys() and all(a[name] == b[name] for name in ("results.csv", "audit.toml", "results.parquet"))


@pytest.fixture(scope="module")
def result():
    return audit(_target())


@pytest.fixture(scope="module")
def pristine(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine") / "run"
    run_folder.write(result, folder)
    return folder


@pytest.fixture
def run(pristine, tmp_path):
    """A folder of its own with a finished run in it."""
    return Path(shutil.copytree(pristine, tmp_path / "run"))


def test_every_file_is_there_and_nothing_beside_it(tmp_path):
    result = audit(_target(), run=tmp_path / "deep" / "run")
    assert set(os.listdir(tmp_path / "deep" / "run")) == FILES
    assert os.listdir(tmp_path / "deep") == ["run"]
    table = pd.read_parquet(tmp_path / "deep" / "run" / "results.parquet")
    pd.testing.assert_frame_equal(table, result.results, check_exact=True)
    records = pd.read_parquet(tmp_path / "deep" / "run" / "records.parquet")
    pd.testing.assert_frame_equal(records, result.records, check_exact=True)
    csv = pd.read_csv(tmp_path / "deep" / "run" / "results.csv")
    assert csv["value"].to_numpy() == pytest.approx(table["value"].to_numpy(), nan_ok=True, abs=0)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_records_are_for_their_owner_alone(result, tmp_path, umask):
    before = os.umask(umask)
    try:
        run_folder.write(result, tmp_path / "run")
        run_folder.write(result, tmp_path / "run")  # and after replacing
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run" / "records.parquet").stat().st_mode) == 0o600


def test_nothing_disclosive_is_in_the_safe_files(tmp_path, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "login-planted")
    assert getpass.getuser() == "login-planted"
    folder = tmp_path / "path-planted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    inputs = pd.DataFrame({"input_planted": 98173462.0 + rng.random(N), "more": rng.random(N)})
    target = _target(
        ids=np.array([f"id-planted-{i:03}" for i in range(N)]),
        subjects=np.array([f"subject-planted-{i:03}" for i in range(N)]),
        order={"order-name": np.array([f"2024-01-{i % 28 + 1:02}" for i in range(N)], dtype="datetime64[D]")},
        inputs=inputs,
    )
    result = audit(target, run=folder / "run")
    asked = {"target": {"file": str(folder / "data.npz")}, "policy": {"fail_if": ["auc.upper > 0.99"]}}
    run_folder.write(result, folder / "run", asked)
    assert len(set(result.records["id"])) == N
    for name in SAFE:
        if name.endswith(".parquet"):
            table = pq.read_table(folder / "run" / name)
            text = table.to_pandas().to_csv() + str(table.schema.metadata)
        else:
            text = (folder / "run" / name).read_text()
        assert "planted" not in text, name
        assert "98173462" not in text, name
        assert str(tmp_path) not in text, name
        assert "2024-01-" not in text, name
    assert "planted" in (folder / "run" / "records.parquet").read_bytes().decode("latin1")


def test_small_groups_are_nowhere_in_the_safe_files(tmp_path):
    z, y, m = logits_of(N, 1.0, seed=52)
    ward = np.where(np.arange(N) % 25 == 0, "rare", np.where(np.arange(N) % 2 == 0, "even", "odd"))
    audit(Predictions(Logits(z), y, m, groups={"ward": ward}), run=tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "results.csv")
    assert (table["n_members"].dropna() >= 10).all()
    assert (table["n_nonmembers"].dropna() >= 10).all()
    rare = table[table["group"] == "ward=rare"]
    assert set(rare["status"]) == {"suppressed"}
    assert rare[["value", "lower", "upper", "false_positives"]].isna().all(axis=None)


def test_the_page_needs_no_network(run):
    page = (run / "report.html").read_text()
    for fetched in ('src="http', "src='http", "@import", 'href="http://cdn', "<link"):
        assert fetched not in page


def test_asked_and_manifest_can_be_read_and_say_what_was_audited(result, tmp_path):
    asked = {"target": {"file": 'a folder/täble "x".csv'}, "policy": {"fail_if": ["auc.upper > 0.6"]}}
    run_folder.write(result, tmp_path / "run", asked)
    told = tomllib.loads((tmp_path / "run" / "audit.toml").read_text())
    assert told["target"] == asked["target"]
    assert told["policy"] == asked["policy"]
    assert set(told["options"]) == set(Options.__dataclass_fields__) - {"headline_fpr", "purpose", "author"}  # not set
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["inputs"] == {"target": result.provenance.target_digest, "shadow": "", "references": ""}
    assert len(manifest["inputs"]["target"]) == 64
    assert manifest["seed"] == 0
    assert manifest["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("name", ["a\\b", 'say "so"', "line\nbreak", "tab\t", "été", "\x7f", "😀"])
def test_any_name_is_valid_toml(tmp_path, name):
    audit(_target(), options=Options(name=name), run=tmp_path / "run")
    assert tomllib.loads((tmp_path / "run" / "audit.toml").read_text())["options"]["name"] == name


def test_options_stand_in_the_file_with_their_types(run):
    told = tomllib.loads((run / "audit.toml").read_text())["options"]
    assert told["seed"] == 0
    assert told["risk_prior"] == 0.5


# ------------------------------------------------------------------------ again, and something else


def test_the_same_audit_replaces_itself(run, result):
    before = _contents(run)
    (run / "report.html").write_text("spoilt")
    audit(_target(), run=run)
    after = _contents(run)
    assert after["report.html"].startswith(b"<!")
    assert _same_but_for_the_time(before, after)
    assert os.listdir(run.parent) == ["run"]


def test_other_inputs_are_refused_with_both_sides_named(run, result):
    before = _contents(run)
    with pytest.raises(RunFolderError) as caught:
        audit(_target(seed=53), run=run)
    message = str(caught.value)
    assert result.provenance.target_digest[:8] in message
    assert audit(_target(seed=53)).provenance.target_digest[:8] in message
    assert "--out" in message
    assert _contents(run) == before
    assert os.listdir(run.parent) == ["run"]


def test_other_options_are_refused_with_both_sides_named(run):
    before = _contents(run)
    with pytest.raises(RunFolderError) as caught:
        audit(_target(), options=Options(seed=77), run=run)
    assert "seed 0" in str(caught.value)
    assert "seed 77" in str(caught.value)
    assert _contents(run) == before


@pytest.mark.parametrize("columns", ["ids", "subjects", "groups", "inputs", "order", "classes"])
def test_every_column_that_is_given_counts_as_input(run, columns):
    """Each of them changes the run's files, so a run with it is another audit."""
    given: Any = {
        "ids": np.arange(N) + 1,
        "subjects": np.arange(N),
        "groups": {"half": np.arange(N) % 2},
        "inputs": np.random.default_rng(0).normal(size=(N, 2)),
        "order": {"day": np.arange(N) % 5},
        "classes": ("a", "b", "c"),
    }[columns]
    before = _contents(run)
    with pytest.raises(RunFolderError):
        audit(_target(**{columns: given}), run=run)
    assert _contents(run) == before


def test_ids_are_not_taken_for_subjects(tmp_path):
    names = np.arange(N)
    audit(_target(ids=names), run=tmp_path / "run")
    with pytest.raises(RunFolderError):
        audit(_target(subjects=names), run=tmp_path / "run")


def test_a_shadow_counts_as_input(run):
    with pytest.raises(RunFolderError, match="shadow"):
        audit(_target(), adversary=Shadow(_target(seed=54)), run=run)


def test_a_file_in_the_way_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "taken").write_text("mine")

    def computing(step: str, done: int, total: int) -> None:
        raise AssertionError("computed before looking")

    for place in (tmp_path / "taken", tmp_path / "taken" / "run"):
        with pytest.raises(OutputError, match="--out"):
            audit(_target(), run=place, progress=computing)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    with pytest.raises(RunFolderError, match="other files"):
        audit(_target(), run=tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["cat.jpg"]


@pytest.mark.parametrize(
    "manifest", ["", "{}", "[]", '"text"', '{"format": "other-tool-7", "inputs": {}, "options": {}}']
)
def test_a_foreign_manifest_is_refused(result, tmp_path, manifest):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text(manifest)
    with pytest.raises(RunFolderError):
        run_folder.write(result, tmp_path / "run")
    assert os.listdir(tmp_path / "run") == ["manifest.json"]


def test_an_empty_folder_is_used(result, tmp_path):
    (tmp_path / "run").mkdir()
    run_folder.write(result, tmp_path / "run")
    assert set(os.listdir(tmp_path / "run")) == FILES


# ---------------------------------------------------------------------------------- interrupted


def _fails(error: BaseException):
    def writer(*_: object, **__: object) -> None:
        raise error

    return writer


@pytest.mark.parametrize("writer", ["write_results", "write_records", "write_json", "write_page"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("ours"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_nothing(result, tmp_path, monkeypatch, writer, error):
    monkeypatch.setattr(vestige.report, writer, _fails(error))
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        run_folder.write(result, tmp_path / "run")
    assert os.listdir(tmp_path) == []
    if expected is OutputError:
        assert "No space left" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_writer_that_fails_leaves_the_earlier_run(run, result, monkeypatch):
    before = _contents(run)
    monkeypatch.setattr(vestige.report, "write_page", _fails(OSError(28, "No space left on device")))
    with pytest.raises(OutputError):
        run_folder.write(result, run)
    assert _contents(run) == before
    assert os.listdir(run.parent) == ["run"]


@pytest.mark.parametrize("n_moved", [0, 3, 6])
def test_killed_while_replacing_every_file_is_whole(run, result, monkeypatch, n_moved):
    """File by file, the manifest last: whatever was moved, each file is that of an audit of these inputs."""
    moved: list[str] = []
    replace = os.replace

    def killed(source, target):
        if Path(target).parent == run and len(moved) == n_moved:
            raise SystemExit(137)
        replace(source, target)
        if Path(target).parent == run:
            moved.append(Path(target).name)

    before = _contents(run)
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        run_folder.write(result, run)
    monkeypatch.undo()
    assert len(moved) == n_moved
    assert "manifest.json" not in moved
    assert set(os.listdir(run)) == FILES
    assert _same_but_for_the_time(_contents(run), before)
    assert len(pd.read_parquet(run / "records.parquet")) == N
    json.loads((run / "report.json").read_text())


def test_an_audit_that_is_refused_leaves_no_folders(tmp_path):
    z, y, m = logits_of(N, 1.0, seed=51)
    z[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        audit(Predictions(Logits(z), y, m), run=tmp_path / "new" / "folders" / "run")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_said_once_and_nothing_of_the_run_stays(result, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"^Expected to write the run to \S+, found File too large; nothing was"):
            run_folder.write(result, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ others' folders, and signals

STOPPED = """
import signal
for number in (signal.SIGTERM, signal.SIGHUP):  # which a parent in the background has told to be ignored
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
import os, signal, sys, time
from pathlib import Path
import numpy as np
import vestige.report
from vestige import Predictions, audit

number, run, umask = int(sys.argv[1]), Path(sys.argv[2]), os.umask(0)
document = vestige.report.write_json

def stopped(*arguments):
    document(*arguments)
    (partial,) = run.parent.glob(".run-*")
    assert partial.stat().st_mode & 0o777 == 0o700, oct(partial.stat().st_mode)
    assert (partial / "records.parquet").exists()
    os.kill(os.getpid(), number)
    time.sleep(60)

vestige.report.write_json = stopped
p = np.random.default_rng(0).uniform(0.1, 0.9, 80)
audit(Predictions(np.column_stack([p, 1 - p]), np.zeros(80, dtype=int), np.arange(80) < 40), run=run)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_audit_that_is_told_to_stop_while_it_writes_leaves_nothing(tmp_path, number):
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED, str(int(number)), str(tmp_path / "run")], capture_output=True, text=True
    )
    assert ended.returncode == -number, ended.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["clinic", "cl[i]nic", "cl*nic", "c"])
def test_hidden_folders_beside_the_run_stay(tmp_path, name):
    mine = [f".{name}-2023-backup", ".clinic-2023-backup", f".{name}-999999-abc", f".{name}-0-{'0' * 32}"]
    for other in dict.fromkeys(mine):
        (tmp_path / other).mkdir()
        (tmp_path / other / "work").write_text("mine")
    audit(_target(), run=tmp_path / name)
    with pytest.raises(RunFolderError):
        audit(_target(seed=53), run=tmp_path / name)
    for other in mine:
        assert (tmp_path / other / "work").read_text() == "mine"


def test_copies_of_the_ledger_stay(tmp_path):
    for name in ("queries.sqlite", "queries.sqlite-wal", "queries.sqlite.backup", "queries.sqlite-2023"):
        (tmp_path / name).write_text("")
    run_folder.forget_queries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["queries.sqlite-2023", "queries.sqlite.backup"]


@pytest.mark.parametrize("exists", [True, False])
def test_what_a_killed_audit_left_is_removed_by_the_next(tmp_path, exists):
    run = tmp_path / "run"
    if exists:
        run.mkdir()
    code = STOPPED.replace('run.parent.glob(".run-*")', 'run.parent.rglob(".run-*")')
    ended = subprocess.run([sys.executable, "-c", code, "9", str(run)], capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    assert len(list(tmp_path.rglob("records.parquet"))) == 1
    audit(_target(), run=run)
    assert os.listdir(tmp_path) == ["run"]
    assert set(os.listdir(run)) == FILES


def _computing(step: str, done: int, total: int) -> None:
    raise AssertionError("computed before looking")


@pytest.mark.parametrize("place", ["link", "file", "file/run", "file/a/b", "n" * 250, "a" * 300 + "/run"])
def test_a_place_that_cannot_be_used_is_refused_before_anything_is_computed(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    with pytest.raises(OutputError, match="--out"):
        audit(_target(), run=tmp_path / place, progress=_computing)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_a_place_that_nobody_can_write_is_refused_before_anything_is_computed():
    with pytest.raises(OutputError, match=r"/proc/vestige/run, found .*--out"):
        audit(_target(), run="/proc/vestige/run", progress=_computing)


def test_a_run_that_is_a_folder_of_its_own_disk_is_written_inside_it(result, tmp_path, monkeypatch):
    """What is beside a mounted folder is on another disk, from which nothing can be moved."""
    (tmp_path / "run").mkdir()
    replace = os.replace

    def on_one_disk(source, target):
        assert (tmp_path / "run") in Path(source).parents
        replace(source, target)

    monkeypatch.setattr(os, "replace", on_one_disk)
    run_folder.write(result, tmp_path / "run")
    assert set(os.listdir(tmp_path / "run")) == FILES


# ------------------------------------------------------------------------ a page that cannot be drawn


@pytest.mark.usefixtures("pictures")
def test_a_picture_that_cannot_be_drawn_is_told_on_the_page(result, tmp_path, monkeypatch):
    monkeypatch.setattr("vestige.report.renderer._SCRIPT", tmp_path / "nowhere.py")
    RENDERER._end()
    run_folder.write(result, tmp_path / "run")
    RENDERER._end()
    assert set(os.listdir(tmp_path / "run")) == FILES
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("This picture could not be drawn: the renderer ended") == 7
    assert "<svg" not in page


def test_a_page_that_cannot_be_drawn_does_not_lose_the_run(result, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("vestige.report.page._facts", broken)
    run_folder.write(result, tmp_path / "run")
    assert set(os.listdir(tmp_path / "run")) == FILES
    assert "This page could not be drawn (ZeroDivisionError)" in (tmp_path / "run" / "report.html").read_text()


NAMES = ["a\x07b", "red\x1b[31m", "turned\u202e", "\ufffe", "\x00", "x" * 5000, "x" * 5001, "\ud800"]


@pytest.mark.usefixtures("pictures")
def test_names_of_groups_and_classes_end_no_audit_and_move_no_terminal(tmp_path):
    z, y, m = logits_of(N, 1.0, seed=51)
    groups = {"wa\x1b[31mrd": np.array(NAMES)[np.arange(N) % len(NAMES)]}
    target = Predictions(Logits(z), y, m, groups=groups, classes=("c\x00", "c\x07", "c\\x07"))
    found = audit(target, run=tmp_path / "run", options=Options(min_cell=1, name="na\x1bme"))
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<svg") == 8
    assert {c for c in page if not c.isprintable()} <= {"\n"}
    assert {c for c in (tmp_path / "run" / "results.csv").read_text() if not c.isprintable()} <= {"\n"}
    table = found.results
    assert table["group"].str.startswith("wa\\x1b[31mrd=").any()
    assert table["group"].nunique() == 1 + len(NAMES) + 3 + 2  # all, groups, classes, and the worst of each
    printed = io.StringIO()
    vestige.report.print_result(found, Console(file=printed), None)
    assert {c for c in printed.getvalue() if not c.isprintable()} <= {"\n"}


# ------------------------------------------------------------------------ another audit's run, refused at once


def test_predictions_of_another_audit_are_refused_before_anything_is_computed(run):
    before = _contents(run)
    for other in (
        lambda: audit(_target(seed=53), run=run, progress=_computing),
        lambda: audit(_target(), options=Options(seed=77), run=run, progress=_computing),
        lambda: audit(_target(), attacks=["loss"], run=run, progress=_computing),
        lambda: audit(_target(), adversary=Shadow(_target(seed=54)), run=run, progress=_computing),
    ):
        with pytest.raises(RunFolderError, match="--out"):
            other()
    assert _contents(run) == before


def _never(inputs):
    raise AssertionError("asked before looking")


def _sides(seed: int = 0):
    rng = np.random.default_rng(seed)
    return {
        name: Records(rng.normal(size=(40, 2)), rng.integers(0, 2, 40), ids=np.arange(40) + 40 * k)
        for k, name in enumerate(("members", "nonmembers"))
    }


def _asked(inputs):
    p = 1 / (1 + np.exp(-np.asarray(inputs)[:, 0]))
    return np.column_stack([p, 1 - p])


def test_models_and_recipes_of_another_audit_are_refused_before_anything_is_asked_or_trained(run, tmp_path):
    audit(_asked, **_sides(), run=tmp_path / "asked")
    recipe = ShadowTraining(FunctionRecipe(lambda inputs, labels, *, seed: _never), bank=tmp_path / "bank")
    before = _contents(run), _contents(tmp_path / "asked")
    for other in (
        lambda: audit(_never, **_sides(), run=run),
        lambda: audit(_never, **_sides(1), run=tmp_path / "asked"),
        lambda: audit(_never, **_sides(), run=tmp_path / "asked", options=Options(seed=7)),
        lambda: audit(_target(), run=tmp_path / "asked", progress=_computing),
        lambda: audit_recipe(_sides()["members"], recipe, run=run),
        lambda: audit_recipe(_sides()["members"], recipe, run=tmp_path / "asked"),
    ):
        with pytest.raises(RunFolderError, match="--out"):
            other()
    assert (_contents(run), _contents(tmp_path / "asked")) == before
    audit(_asked, **_sides(), run=tmp_path / "asked")  # and its own is played again


def test_a_near_model_that_fails_leaves_the_finished_run_its_ledger(tmp_path):
    audit(_asked, **_sides(), run=tmp_path / "run")
    with pytest.raises(TargetError, match="asked before looking"):
        audit(_never, **_sides(), run=tmp_path / "run")
    assert (tmp_path / "run" / "queries.sqlite").exists()
    audit(_asked, **_sides(), run=tmp_path / "run")

"""Bad input: one line on stderr that says how to mend it, exit code 2, and nothing half-written."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Done, N, arrays, save_csv, save_npz, table

PROBS, LABELS, MEMBER = (arrays()[name] for name in ("probs", "labels", "member"))


def refused(done: Done, *essentials: str, expected: str = "Expected") -> None:
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.startswith("vestige: ")
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    assert len(done.err) < 600
    assert "Traceback" not in done.err
    missing = [e for e in (*essentials, expected) if e not in done.err]
    assert not missing, f"{missing} not in: {done.err}"


def _with(values: np.ndarray, at, value) -> np.ndarray:
    changed = np.array(values)
    changed[at] = value
    return changed


NPZ: dict[str, tuple[Any, list[str]]] = {
    "mismatched labels": ({"labels": LABELS[:-1]}, ["119", "120"]),
    "mismatched membership": ({"member": MEMBER[:-1]}, ["119", "120"]),
    "mismatched ids": ({"ids": np.arange(N + 1)}, ["121", "120", "ids"]),
    "NaN": ({"probs": _with(PROBS, (4, 1), np.nan)}, ["NaN", "row 5"]),
    "infinity": ({"probs": _with(PROBS, (4, 1), np.inf)}, ["infinity", "row 5"]),
    "not probabilities": ({"probs": PROBS * 0.9}, ["sum of 0.9", "row 1", "data.npz"]),
    "negative": ({"probs": PROBS - [0.9, -0.9, 0]}, ["[0, 1]"]),
    "logits as probabilities": ({"probs": 5 * PROBS - 2}, ["logits"]),
    "probabilities as logits": ({"probs": None, "logits": PROBS}, ["probabilities"]),
    "label out of range": ({"labels": _with(LABELS, 9, 3)}, ["3", "row 10", "0..2"]),
    "labels from 1": ({"labels": LABELS + 1}, ["--set data.label_base=1"]),
    "negative label": ({"labels": _with(LABELS, 9, -1)}, ["-1", "row 10"]),
    "text labels": ({"labels": np.array(["a", "b", "c"])[LABELS]}, ["text", "class"]),
    "text labels of other classes": (
        {"labels": np.array(["a", "b", "c"])[LABELS], "classes": np.array(["a", "b", "d"])},
        ["found c"],
    ),
    "no members": ({"member": np.zeros(N, dtype=int)}, ["member"]),
    "no nonmembers": ({"member": np.ones(N, dtype=int)}, ["nonmember"]),
    "membership of another kind": ({"member": MEMBER + 1}, ["0 or 1"]),
    "one class column": ({"probs": PROBS[:, :1]}, ["--positive"]),
    "one axis": ({"probs": PROBS[:, 0]}, ["records x classes"]),
    "repeated ids": ({"ids": _with(np.arange(N), 1, 0)}, ["--subject", "unique"]),
    "id on both sides": ({"ids": _with(np.arange(N), N - 1, 0)}, ["--subject", "side"]),
    "object array": ({"labels": LABELS.astype(object)}, ["pickle", "labels"]),
    "object ids": ({"ids": np.array([str(i) for i in range(N)], dtype=object)}, ["pickle", "ids"]),
    "no labels": ({"labels": None}, ["labels"]),
    "no outputs": ({"probs": None}, ["probs"]),
    "regression": ({"labels": LABELS + 0.37}, ["regression"]),
    "multi-label": ({"labels": np.eye(3)[LABELS]}, ["multi-label"]),
    "shadow of another width": (
        {"shadow_probs": PROBS[:, :2] / PROBS[:, :2].sum(axis=1, keepdims=True)}
        | {"shadow_labels": LABELS % 2, "shadow_member": MEMBER},
        ["3 classes", "2"],
    ),
    "shadow without membership": ({"shadow_probs": PROBS, "shadow_labels": LABELS}, ["shadow_member"]),
    "shadow without nonmembers": (
        {"shadow_probs": PROBS, "shadow_labels": LABELS, "shadow_member": np.ones(N, dtype=int)},
        ["nonmember"],
    ),
    "NaN in the shadow": (
        {"shadow_probs": _with(PROBS, (4, 1), np.nan), "shadow_labels": LABELS, "shadow_member": MEMBER},
        ["NaN", "row 5", "shadow"],
    ),
    "subjects on both sides only": ({"subjects": np.arange(N) % (N // 2)}, ["subject"]),
    "no records": ({"probs": PROBS[:0], "labels": LABELS[:0], "member": MEMBER[:0]}, ["member"]),
}


@pytest.mark.parametrize("name", NPZ)
def test_npz(vestige, tmp_path, name):
    changes, essentials = NPZ[name]
    path = save_npz(tmp_path / "data.npz", **changes)
    done = vestige("audit", path, "--out", tmp_path / "run")
    refused(done, *essentials)
    assert str(tmp_path) not in done.err  # a log may be shown to others
    assert os.listdir(tmp_path) == ["data.npz"]


TABLES = {
    "no label column": (lambda t: t.drop(columns="label"), [], ["column label", "--label"]),
    "no member column": (lambda t: t.drop(columns="member"), [], ["column member", "--member"]),
    "no outputs": (lambda t: t[["label", "member"]], [], ["prob_"]),
    "no group column": (lambda t: t, ["--group", "ward"], ["ward", "--group"]),
    "no subject column": (lambda t: t, ["--subject", "patient"], ["patient", "--subject"]),
    "no id column": (lambda t: t, ["--set", "data.id=row"], ["row", "data.id"]),
    "no order column": (lambda t: t, ["--order", "day"], ["day", "--order"]),
    "no input column": (lambda t: t, ["--set", 'data.inputs=["age"]'], ["age", "data.inputs"]),
    "one class column": (lambda t: t.drop(columns=["prob_1", "prob_2"]), [], ["--positive prob_0=0"]),
    "unnamed columns": (
        lambda t: t.assign(label=t["label"].map(list("abc").__getitem__)).rename(
            columns=lambda c: c.replace("prob_", "v")
        ),
        [],
        ["prob_<class>"],
    ),
    "labels of other classes": (lambda t: t.assign(label=t["label"].map(list("abc").__getitem__)), [], ["a, b, c"]),
    "an empty cell": (lambda t: t.assign(prob_1=t["prob_1"].where(t.index != 4)), [], ["row 5"]),
    "text among numbers": (lambda t: t.assign(prob_1=t["prob_1"].astype(str).where(t.index != 4, "x")), [], ["x", "5"]),
    "repeated ids": (lambda t: t.assign(id=[0, 0, *range(2, N)]), [], ["--subject"]),
    "id on both sides": (lambda t: t.assign(id=[*range(N - 1), 0]), [], ["--subject", "side"]),
    "no members": (lambda t: t.assign(member=0), [], ["member"]),
    "no rows": (lambda t: t[:0], [], ["row"]),
    "regression": (lambda t: t.assign(label=t["label"] + 0.37), [], ["regression"]),
    "positive of no class": (lambda t: t, ["--positive", "prob_1=zebra"], ["zebra"]),
    "positive without a class": (lambda t: t, ["--positive", "prob_1"], ["COLUMN=CLASS"]),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", TABLES)
def test_tables(vestige, tmp_path, name, kind):
    change, options, essentials = TABLES[name]
    frame = change(table(arrays()))
    path = tmp_path / f"data.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    refused(vestige("audit", path, *options, "--out", tmp_path / "run"), *essentials)
    assert os.listdir(tmp_path) == [path.name]


def _write(name: str):
    def write(folder: Path) -> Path:
        path = folder / name
        if "npz" in name:
            save_npz(path)
        elif "npy" in name:
            np.save(path, PROBS)
        elif "parquet" in name:
            table(arrays()).to_parquet(path)
        else:
            save_csv(path)
        return path

    return write


def _truncated(name: str, keep: float):
    def write(folder: Path) -> Path:
        path: Path = _write(name)(folder)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        return path

    return write


def _holding(name: str, content: bytes):
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated npz": (_truncated("a.npz", 0.7), "truncated"),
    "truncated parquet": (_truncated("a.parquet", 0.7), "truncated"),
    "an npy alone": (_write("a.npy"), "--labels"),
    "empty npz": (_holding("a.npz", b""), "empty"),
    "empty csv": (_holding("a.csv", b""), "empty"),
    "a header alone": (_holding("a.csv", b"label,member,prob_0,prob_1\n"), "row"),
    "a picture": (_holding("a.npz", b"\x89PNG\r\n\x1a\n" + bytes(200)), "found"),
    "a picture named csv": (_holding("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(200)), "found"),
    "a page": (_holding("a.csv", b"<html><body>not found</body></html>"), "found"),
    "a workbook": (_holding("a.csv", b"PK\x03\x04" + bytes(100)), "found"),
    "a pickle": (_holding("a.pkl", pickle.dumps({"probs": [1]})), "pickle"),
    "missing": (lambda folder: folder / "nowhere.npz", "none there"),
    "a folder": (lambda folder: folder, "folder"),
    "a device": (lambda folder: Path("/dev/null"), "device"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(vestige, tmp_path, name):
    write, essential = FILES[name]
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in")
    refused(vestige("audit", path, "--out", tmp_path / "run"), path.name, essential)
    assert os.listdir(tmp_path) == ["in"]


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("kind", ["npz", "npy", "pkl"])
def test_a_pickle_is_never_loaded(vestige, tmp_path, kind):
    sprung = tmp_path / "sprung"
    trap = np.array([_Trap(sprung)] * N, dtype=object)
    path = tmp_path / f"data.{kind}"
    arguments: list[object] = [path]
    if kind == "npz":
        save_npz(path, ids=trap)
    elif kind == "npy":
        np.save(path, PROBS)
        np.save(tmp_path / "labels.npy", LABELS)
        np.save(tmp_path / "member.npy", trap, allow_pickle=True)
        arguments += ["--labels", tmp_path / "labels.npy", "--member", tmp_path / "member.npy"]
    else:
        path.write_bytes(pickle.dumps(trap))
    refused(vestige("audit", *arguments, "--out", tmp_path / "run"), "pickle")
    assert not sprung.exists()
    assert not (tmp_path / "run").exists()


NPY: dict[str, tuple[Any, list[str]]] = {
    "mismatched labels": ({"labels": LABELS[:-1]}, ["119", "120"]),
    "NaN": ({"outputs": _with(PROBS, (4, 1), np.nan)}, ["NaN", "row 5"]),
    "probabilities as logits": ({"outputs": PROBS}, ["target.probabilities"]),
    "label out of range": ({"labels": _with(LABELS, 9, 3)}, ["3", "row 10"]),
    "one column": ({"outputs": PROBS[:, :1]}, ["2 classes"]),
    "multi-label": ({"labels": np.eye(3)[LABELS]}, ["multi-label"]),
}


@pytest.mark.parametrize("name", NPY)
def test_npy(vestige, tmp_path, name):
    changes, essentials = NPY[name]
    found = {"outputs": np.log(PROBS), "labels": LABELS, "member": MEMBER} | changes
    for key, values in found.items():
        np.save(tmp_path / f"{key}.npy", values)
    files = sorted(os.listdir(tmp_path))
    done = vestige(
        "audit", tmp_path / "outputs.npy", "--labels", tmp_path / "labels.npy",
        "--member", tmp_path / "member.npy", "--out", tmp_path / "run",
    )  # fmt: skip
    refused(done, *essentials)
    assert sorted(os.listdir(tmp_path)) == files


def test_two_tables(vestige, tmp_path):
    whole = table(arrays())
    members, nonmembers = (whole[whole["member"] == side].drop(columns="member") for side in (1, 0))
    a, b = save_csv(tmp_path / "a.csv", members), save_csv(tmp_path / "b.csv", nonmembers)
    empty = save_csv(tmp_path / "empty.csv", members[:0])
    fewer = save_csv(tmp_path / "fewer.csv", nonmembers.drop(columns="prob_2"))
    wrong = save_csv(tmp_path / "wrong.csv", nonmembers.assign(member=1))
    ids = save_csv(tmp_path / "ids.csv", members.assign(id=range(len(members))))
    same = save_csv(tmp_path / "same.csv", nonmembers.assign(id=range(len(nonmembers))))
    files = sorted(os.listdir(tmp_path))
    run = ("--out", tmp_path / "run")
    refused(vestige("audit", "--members", a, *run), "--nonmembers")
    refused(vestige("audit", "--nonmembers", a, *run), "--members")
    refused(vestige("audit", a, "--members", a, "--nonmembers", b, *run), "both")
    refused(vestige("audit", "--members", empty, "--nonmembers", b, *run), "empty.csv")
    refused(vestige("audit", "--members", a, "--nonmembers", fewer, *run), "fewer.csv", "prob_2")
    refused(vestige("audit", "--members", a, "--nonmembers", wrong, *run), "wrong.csv", "member")
    refused(vestige("audit", "--members", a, "--nonmembers", a, *run), "same")
    refused(vestige("audit", "--members", ids, "--nonmembers", same, *run), "--subject", "side")
    refused(
        vestige("audit", save_csv(tmp_path / "a.csv"), "--set", f"target.shadow_members={a}", *run),
        "target.shadow_nonmembers",
    )
    assert sorted(os.listdir(tmp_path)) == files


ARGUMENTS = {
    "no file": ([], "FILE"),
    "labels without a member file": (["{npz}", "--labels", "{npz}"], "--member"),
    "probabilities without labels": (["{npz}", "--set", "target.probabilities=true"], "--labels"),
    "two shadows": (["{both}", "--shadow", "{npz}"], "one shadow"),
    "a shadow file that is not there": (["{npz}", "--shadow", "nowhere.csv"], "nowhere.csv"),
    "a condition that is none": (["{npz}", "--fail-if", "auc > 0.5"], "METRIC"),
    "a condition on another attack": (["{npz}", "--fail-if", "lira:auc.upper > 0.5"], "lira"),
    "a prior of 1": (["{npz}", "--set", "options.risk_prior=1"], "between 0 and 1"),
    "no bins": (["{npz}", "--set", "options.risk_bins=0"], "1 risk bin"),
}
SETTINGS = {
    "an unknown arithmetic": (["{npz}", "--set", "options.arithmetic=exact"], "stable, published"),
    "a negative seed": (["{npz}", "--set", "options.seed=-1"], "0 or more as seed"),
    "a seed that is no number": (
        ["{npz}", "--set", "options.seed=x"],
        "a whole number as seed in [options], found 'x'",
    ),
    "labels from 2": (["{npz}", "--set", "data.label_base=2"], "0 or 1 as label_base, found 2"),
    "a negative cell": (["{npz}", "--set", "options.min_cell=-1"], "0 or more as min_cell"),
    "an entry that is none": (["{npz}", "--set", "options.min_cells=1"], "you may mean min_cell"),
    "a table that is none": (["{npz}", "--set", "opions.seed=1"], "you may mean options"),
    "a table of models": (["{npz}", "--set", "endpoint.batch=8"], "no entry endpoint"),
    "an entry without a value": (["{npz}", "--set", "options.seed"], "TABLE.NAME=VALUE"),
    "an entry without a table": (["{npz}", "--set", "seed=1"], "TABLE.NAME=VALUE"),
    "an entry given twice": (["{npz}", "--set", "options.seed=1", "--set", "options.seed=2"], "options.seed once"),
    "an entry beside its option": (["{npz}", "--name", "a", "--set", "options.name=b"], "--name and --set"),
}
OLD = {
    "the arithmetic of before": (["{npz}", "--arithmetic", "published"], "--set options.arithmetic=published, found"),
    "the seed of before": (["{npz}", "--seed", "7"], "--set options.seed=7, found --seed"),
    "the base of labels of before": (["{npz}", "--label-base=1"], "--set data.label_base=1, found --label-base"),
    "the probabilities of before": (["{npz}", "--probabilities"], "--set target.probabilities=true, found"),
    "the inputs of before": (["{npz}", "--input", "a", "--input", "b"], '--set \'data.inputs=["a", "b"]\', found'),
}
IGNORED = {
    "people in an npz by a column": (["{npz}", "--subject", "patient"], "--subject"),
    "a group in an npz by a column": (["{npz}", "--group", "ward"], "--group"),
    "ids in an npz by a column": (["{npz}", "--set", "data.id=row"], "data.id"),
    "a label column in an npz": (["{npz}", "--label", "diagnosis"], "--label"),
    "an input column in an npz": (["{npz}", "--set", "data.inputs=['age']"], "data.inputs"),
    "a positive column in an npz": (["{npz}", "--positive", "p=sick"], "--positive"),
}
USAGE = {
    "an unknown option": (["{npz}", "--frobnicate"], "--frobnicate"),
    "two files": (["{npz}", "{npz}"], "argument"),
}


@pytest.mark.parametrize("name", [*ARGUMENTS, *SETTINGS, *OLD, *IGNORED, *USAGE])
def test_arguments(vestige, tmp_path, name):
    """What an npz cannot do must be refused: who names the people and gets records believes a wrong interval."""
    arguments, essential = (ARGUMENTS | SETTINGS | OLD | IGNORED | USAGE)[name]
    npz = save_npz(tmp_path / "data.npz")
    both = save_npz(tmp_path / "both.npz", **arrays("shadow_", seed=62))
    given = [a.format(npz=npz, both=both) for a in arguments]
    done = vestige("audit", *given, "--out", tmp_path / "run")
    refused(done, essential, expected="--help" if name in USAGE else "Expected")
    assert sorted(os.listdir(tmp_path)) == ["both.npz", "data.npz"]


def test_no_out_and_no_such_command(vestige, tmp_path):
    refused(vestige("audit", save_npz(tmp_path / "data.npz")), "--out", expected="--help")
    refused(vestige("adit", tmp_path), "adit", expected="--help")


def test_the_help_that_is_shown_for_want_of_a_command_is_not_an_error_message(vestige):
    done = vestige()
    assert "audit" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_file_in_the_way(vestige, tmp_path):
    path = save_npz(tmp_path / "data.npz")
    for place in (path, path / "run", path / "deep" / "run"):
        refused(vestige("audit", path, "--out", place), "--out")
    refused(vestige("demo", "--inputs", path), "data.npz")
    assert os.listdir(tmp_path) == ["data.npz"]


def test_a_folder_that_is_no_run(vestige, tmp_path):
    path = save_npz(tmp_path / "data.npz")
    refused(vestige("audit", path, "--out", tmp_path), "other files", "--out")
    assert os.listdir(tmp_path) == ["data.npz"]


def test_a_run_of_other_inputs_or_options(vestige, tmp_path):
    first, second = save_npz(tmp_path / "data.npz"), save_npz(tmp_path / "other.npz", **arrays(seed=63))
    run = tmp_path / "run"
    assert vestige("audit", first, "--out", run, "--quiet").code == 0
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    refused(vestige("audit", second, "--out", run), "inputs", "--out")
    refused(vestige("audit", first, "--out", run, "--set", "options.seed=7"), "seed 7", "seed 0", "--out")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert sorted(os.listdir(tmp_path)) == ["data.npz", "other.npz", "run"]


def test_bad_input_leaves_no_folders(vestige, tmp_path):
    path = save_npz(tmp_path / "data.npz", labels=LABELS[:-1])
    refused(vestige("audit", path, "--out", tmp_path / "runs" / "clinic"))
    assert os.listdir(tmp_path) == ["data.npz"]

"""The command line from end to end: shapes of input, gate and exit codes, what is printed and where."""

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.cli.conftest import ENVIRONMENT, N_SHADOW, Done, N, arrays, save_csv, save_npz, table
from typer.main import get_command

from vestige import cli
from vestige.attacks import CATALOGUE
from vestige.auditing import stopping

PYTHON = (sys.executable, "-m", "vestige")
ESCAPE = "\x1b"


def results(run: Path) -> pd.DataFrame:
    return pd.read_parquet(run / "results.parquet")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The same predictions in every shape, members first, with the shadow's beside them."""
    folder = tmp_path_factory.mktemp("files")
    target, shadow = arrays(), arrays("shadow_", seed=62, n=N_SHADOW)
    save_npz(folder / "alone.npz")
    save_npz(folder / "both.npz", **shadow)
    save_npz(folder / "shadow.npz", **{k.removeprefix("shadow_"): v for k, v in shadow.items()})
    for name, frame in (("target", table(target)), ("shadow", table(shadow, "shadow_"))):
        save_csv(folder / f"{name}.csv", frame)
        frame.to_parquet(folder / f"{name}.parquet", index=False)
        for side, value in (("members", 1), ("nonmembers", 0)):
            save_csv(folder / f"{name}_{side}.csv", frame[frame["member"] == value].drop(columns="member"))
    np.save(folder / "probs.npy", target["probs"])
    np.save(folder / "logits.npy", np.log(target["probs"]))
    np.save(folder / "labels.npy", target["labels"])
    np.save(folder / "member.npy", target["member"])
    return folder


@pytest.fixture(scope="session")
def audited(vestige, files, tmp_path_factory):
    """Runs of the npz, without and with its shadow."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("alone", "both"):
        done = vestige("audit", files / f"{name}.npz", "--out", folder / name)
        assert done.code == 0, done
    return folder


def _equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


# ---------------------------------------------------------------------------- shapes of input


@pytest.mark.parametrize(
    "given",
    [
        ("{f}/target.csv",),
        ("{f}/target.parquet",),
        ("--members", "{f}/target_members.csv", "--nonmembers", "{f}/target_nonmembers.csv"),
        (
            "{f}/probs.npy",
            "--set",
            "target.probabilities=true",
            "--labels",
            "{f}/labels.npy",
            "--member",
            "{f}/member.npy",
        ),
    ],
    ids=["csv", "parquet", "two tables", "npy"],
)
def test_every_shape_gives_the_same_table(vestige, files, audited, tmp_path, given):
    done = vestige("audit", *(a.format(f=files) for a in given), "--out", tmp_path / "run", "--quiet")
    assert done == Done(0, "", "")
    _equal(results(tmp_path / "run"), results(audited / "alone"))


def test_an_npy_is_of_logits_unless_said_otherwise(vestige, files, audited, tmp_path):
    arguments = ("--labels", files / "labels.npy", "--member", files / "member.npy", "--out", tmp_path / "run", "-q")
    assert vestige("audit", files / "logits.npy", *arguments).code == 0
    found, expected = (
        r[r["metric"] == "auc"]["value"] for r in (results(tmp_path / "run"), results(audited / "alone"))
    )
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-9)


@pytest.mark.parametrize(
    "given",
    [
        ("{f}/alone.npz", "--shadow", "{f}/shadow.npz"),
        ("{f}/target.csv", "--shadow", "{f}/shadow.csv"),
        ("{f}/target.parquet", "--shadow", "{f}/shadow.parquet"),
        [
            "{f}/target.csv",
            "--set",
            "target.shadow_members={f}/shadow_members.csv",
            "--set",
            "target.shadow_nonmembers={f}/shadow_nonmembers.csv",
        ],
        ("{f}/alone.npz", "--shadow", "{f}/shadow.csv"),
    ],
    ids=["npz", "csv", "parquet", "two tables", "mixed"],
)
def test_every_shape_of_a_shadow_gives_the_same_table(vestige, files, audited, tmp_path, given):
    done = vestige("audit", *(a.format(f=files) for a in given), "--out", tmp_path / "run", "--quiet")
    assert done == Done(0, "", "")
    _equal(results(tmp_path / "run"), results(audited / "both"))
    assert results(tmp_path / "run")["threshold"].str.startswith("shadow_").any()


def test_classes_of_tables_are_matched_by_name(vestige, audited, tmp_path):
    """Not by the order of the columns, and not by the alphabet."""
    frame = table(arrays())
    names = {0: "pear", 1: "apple", 2: "Zebra fish"}
    frame["label"] = frame["label"].map(names)
    columns = {f"prob_{c}": f"prob_{name}" for c, name in names.items()}
    frame = frame.rename(columns=columns)[["prob_Zebra fish", "member", "prob_pear", "label", "prob_apple"]]
    assert vestige("audit", save_csv(tmp_path / "t.csv", frame), "--out", tmp_path / "run", "-q").code == 0
    found, expected = results(tmp_path / "run"), results(audited / "alone")
    for c, name in names.items():
        of_class = [r[(r["group"] == g) & (r["metric"] == "auc")] for r, g in
                    ((found, f"class={name}"), (expected, f"class={c}"))]  # fmt: skip
        assert len(of_class[0]) == 6
        assert of_class[0]["value"].to_numpy() == pytest.approx(of_class[1]["value"].to_numpy(), abs=1e-12)


def test_one_probability_column_by_name(vestige, tmp_path):
    rng = np.random.default_rng(0)
    sick = rng.random(N) < 0.5
    member = np.arange(N) < N // 2
    p = np.clip(0.5 + np.where(sick, 1, -1) * rng.normal(0.1 + 0.2 * member, 0.2), 0, 1)
    label = np.where(sick, "sick", "healthy")
    one = pd.DataFrame({"label": label, "member": member.astype(int), "score": p})
    two = pd.DataFrame({"label": label, "member": member.astype(int), "prob_sick": p, "prob_healthy": 1 - p})
    for name, frame, options in (("one", one, ["--positive", "score=sick"]), ("two", two, [])):
        path = save_csv(tmp_path / f"{name}.csv", frame)
        assert vestige("audit", path, *options, "--out", tmp_path / name, "-q") == Done(0, "", "")
    _equal(results(tmp_path / "one"), results(tmp_path / "two"))


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_labels_from_1(vestige, audited, tmp_path, kind):
    found = arrays()
    found["labels"] = found["labels"] + 1
    path = tmp_path / f"data.{kind}"
    save_npz(path, **found) if kind == "npz" else save_csv(path, table(found))
    assert vestige("audit", path, "--set", "data.label_base=1", "--out", tmp_path / "run", "-q") == Done(0, "", "")
    _equal(results(tmp_path / "run"), results(audited / "alone"))


def test_named_columns(vestige, audited, tmp_path):
    frame = table(arrays()).rename(columns={"label": "diagnosis", "member": "trained"})
    frame = frame.assign(row=range(N), ward=np.arange(N) % 2, day=np.arange(N) % 7)
    path = save_csv(tmp_path / "t.csv", frame)
    done = vestige(
        "audit", path, "--label", "diagnosis", "--member", "trained", "--set", "data.id=row", "--group", "ward",
        "--order", "day", "--out", tmp_path / "run", "-q",
    )  # fmt: skip
    assert done == Done(0, "", "")
    found = results(tmp_path / "run")
    assert {"ward=0", "ward=1"} <= set(found["group"])
    told = json.loads((tmp_path / "run" / "report.json").read_text())
    assert any("order" in check["name"] for check in told["validity"]["checks"])
    assert pd.read_parquet(tmp_path / "run" / "records.parquet")["id"].tolist() == list(range(N))


def test_subjects_and_inputs_are_found_by_their_names(vestige, tmp_path):
    frame = table(arrays()).assign(subject=np.arange(N) // 2, input_age=np.random.default_rng(0).random(N))
    done = vestige("audit", save_csv(tmp_path / "t.csv", frame), "--out", tmp_path / "run")
    assert done.code == 0
    assert set(results(tmp_path / "run")["unit"]) == {"subject"}
    told = json.loads((tmp_path / "run" / "report.json").read_text())
    assert "blind_inputs" in {check["name"] for check in told["validity"]["checks"]}


def test_a_class_without_records_is_ordinary(vestige, tmp_path):
    found = arrays()
    path = save_npz(tmp_path / "data.npz", labels=np.minimum(found["labels"], 1))
    assert vestige("audit", path, "--out", tmp_path / "run", "-q") == Done(0, "", "")


def test_rounded_probabilities_are_accepted_and_limited(vestige, tmp_path):
    path = save_npz(tmp_path / "data.npz", probs=arrays()["probs"].round(2))
    done = vestige("audit", path, "--out", tmp_path / "run")
    assert done.code == 0
    assert "LIMITED" in done.out
    assert "2 decimals" in done.out


def test_repeated_inputs_warn_and_name_subject_where_it_is_seen(vestige, tmp_path):
    frame = table(arrays()).assign(input_age=np.repeat(np.arange(N // 4), 4))
    done = vestige("audit", save_csv(tmp_path / "t.csv", frame), "--out", tmp_path / "run")
    assert done.code == 0
    assert "--subject" in done.out + done.err


def test_what_was_asked_is_written_out_in_full(vestige, tmp_path):
    """Every default and every column: the file must be enough to ask again."""
    frame = table(arrays()).rename(columns={"label": "diagnosis"}).assign(ward=np.arange(N) % 2)
    path = save_csv(tmp_path / "t.csv", frame)
    done = vestige("audit", path, "--label", "diagnosis", "--group", "ward", "--out", tmp_path / "run", "-q")
    assert done.code == 0
    text = (tmp_path / "run" / "audit.toml").read_text()
    tomllib.loads(text)
    for asked in ("diagnosis", "ward", "label_base", "arithmetic", "min_cell"):
        assert asked in text, asked


@pytest.mark.parametrize("given", [("both.npz",), ("target.csv", "--shadow", "{f}/shadow.csv", "--attack", "loss")])
def test_a_run_of_predictions_can_be_asked_again_from_its_file(vestige, files, tmp_path, given):
    arguments = [a.format(f=files) for a in given]
    conditions = ("--fail-if", "auc.upper > 0.5", "--set", "options.seed=3")
    first = vestige("audit", files / arguments[0], *arguments[1:], *conditions, "--out", tmp_path / "one", "-q")
    again = vestige("audit", tmp_path / "one" / "audit.toml", "--out", tmp_path / "two", "-q")
    assert (first.code, first) == (3, again)
    _equal(results(tmp_path / "one"), results(tmp_path / "two"))
    said = [tomllib.loads((tmp_path / name / "audit.toml").read_text()) for name in ("one", "two")]
    assert said[0] == said[1]
    plan = vestige("plan", tmp_path / "one" / "audit.toml")
    assert (plan.code, plan.out) == (0, "No queries and no shadow models: the predictions are there.\n")


def test_the_file_of_a_run_of_before_is_read(vestige, files, audited, tmp_path):
    """It had `[columns]`, an empty text for what was not named, and paths from where the command ran."""
    (tmp_path / "audit.toml").write_text(f"""
        [target]
        file = "{files / "target.csv"}"
        probabilities = false
        [columns]
        label = "label"
        member = "member"
        id = ""
        subject = ""
        groups = []
        order = []
        inputs = []
        positive = ""
        label_base = 0
        [policy]
        fail_if = []
        [attacks]
        use = ["all"]
        [options]
        arithmetic = "stable"
        subject_score = "mean"
        risk_prior = 0.5
        risk_bins = 5
        min_cell = 10
        seed = 0
        name = "target"
        """)
    assert vestige("audit", tmp_path / "audit.toml", "--out", tmp_path / "run", "-q") == Done(0, "", "")
    _equal(results(tmp_path / "run"), results(audited / "alone"))
    set_ = ("--set", "options.name=clinic", "--set", "options.seed=0")
    assert vestige("audit", tmp_path / "audit.toml", *set_, "--out", tmp_path / "named", "-q").code == 0
    assert set(results(tmp_path / "named")["target"]) == {"clinic"}


# --------------------------------------------------------------------------------- exit codes


def test_fail_if_passed_broken_and_undecided(vestige, files, tmp_path):
    def gate(*conditions: str) -> Done:
        options = [o for c in conditions for o in ("--fail-if", c)]
        return Done(*vestige("audit", files / "alone.npz", *options, "--out", tmp_path / "run", "--quiet"))

    passes, breaks, open_ = "auc.upper > 0.999", "auc.upper > 0.5", "tpr_at_fpr_0.01.upper > 0.03"
    for conditions, code, words in (
        ((passes,), 0, ["passed"]),
        ((breaks,), 3, ["broken"]),
        ((open_,), 4, ["undecided", "1,000 nonmembers"]),
        ((open_, passes), 4, ["undecided", "passed"]),
        ((open_, breaks), 3, ["undecided", "broken"]),
        ((breaks, passes, open_), 3, ["undecided", "broken", "passed"]),
    ):
        done = gate(*conditions)
        assert done.code == code, done
        assert done.out == ""
        lines = done.err.splitlines()
        assert len(lines) <= len(conditions)
        assert all(line.startswith("vestige: ") for line in lines)
        if code:
            assert all(word in done.err for word in words if word != "passed")
    assert (tmp_path / "run" / "report.html").exists()  # the run is kept, whatever the gate says


def test_quiet_prints_nothing_when_the_gate_passes(vestige, files, tmp_path):
    done = vestige("audit", files / "alone.npz", "--fail-if", "auc.upper > 0.999", "--out", tmp_path / "run", "--quiet")
    assert done == Done(0, "", "")


def test_a_fault_of_ours_exits_70(monkeypatch, capfd):
    def broken(**_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(cli, "app", broken)
    assert cli._exit_code() == 70
    out, err = capfd.readouterr()
    assert out == ""
    assert "RuntimeError: planted" in err
    assert err.splitlines()[-1].startswith("vestige: internal error")


def test_a_fault_of_ours_leaves_no_run(files, tmp_path):
    code = """
import sys
import vestige.evaluation.preflight as preflight
def broken(*_, **__): raise RuntimeError("planted")
preflight.sizes = broken
from vestige.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", str(files / "alone.npz"), "--out", str(tmp_path / "run")],
        capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert done.returncode == 70
    assert done.stdout == ""
    assert "RuntimeError: planted" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_stop_of_which_a_library_made_another_error_is_an_interruption(monkeypatch, capfd):
    """As NumPy does where it reads the format of a buffer."""

    def translated(**_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ValueError("not a valid buffer") from error

    monkeypatch.setattr(cli, "app", translated)
    monkeypatch.setattr(stopping, "_RECEIVED", [])
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray leaves a handler of its own in this process
    try:
        with stopping.stopping_raises():
            assert cli._exit_code() == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
    said = "vestige: interrupted by SIGTERM; nothing was written; the same command starts again.\n"
    assert capfd.readouterr().err == said


def test_an_interruption_is_no_fault(monkeypatch, capfd):
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    assert cli._exit_code() == 130
    assert capfd.readouterr().err.count("\n") == 1


# ----------------------------------------------------------------------- processes of their own


def _run(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [*PYTHON, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False, **options)


def test_a_full_disk_exits_2_and_leaves_nothing(files, tmp_path):
    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = _run("audit", files / "alone.npz", "--out", tmp_path / "run", preexec_fn=small_files_only)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("vestige: Expected")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_bad_input_of_a_real_process(tmp_path):
    path = save_npz(tmp_path / "data.npz", labels=arrays()["labels"][:-1])
    done = _run("audit", path, "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vestige: ")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["data.npz"]


def test_the_version():
    done = _run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{metadata.version('vestige')}\n", "")


def test_a_pipe_that_closes_early_is_no_internal_error(files, tmp_path):
    """As with `vestige audit ... | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*PYTHON, "audit", str(files / "alone.npz"), "--out", str(tmp_path / "run")],
            stdout=pipe, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False,
        )  # fmt: skip
    assert done.returncode != 70
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "report.html").exists()


# -------------------------------------------------------------------------------------- output


def test_what_is_printed(vestige, files, tmp_path):
    run = tmp_path / "a run"
    done = vestige("audit", files / "both.npz", "--name", "clinic", "--out", run)
    assert done.code == 0
    assert done.err == ""  # no progress in a pipe
    assert ESCAPE not in done.out
    for word in ("Validity", "Adversary", "Finding", "LEAK SHOWN", "were not tested", "worst"):
        assert word in done.out
    assert done.out.splitlines()[-1] == f"Page: {run / 'report.html'}"
    assert max(map(len, done.out.splitlines()[:-1])) <= 80
    assert set(results(run)["target"]) == {"clinic"}


def test_quiet_is_silent(vestige, files, tmp_path):
    assert vestige("audit", files / "alone.npz", "--quiet", "--out", tmp_path / "run") == Done(0, "", "")
    assert (tmp_path / "run" / "report.html").exists()


def test_the_same_command_again_replaces_its_run(vestige, files, tmp_path):
    for _ in range(2):
        assert vestige("audit", files / "alone.npz", "-q", "--out", tmp_path / "run") == Done(0, "", "")
    assert os.listdir(tmp_path) == ["run"]


def _on_a_terminal(*arguments: object) -> tuple[int, str]:
    """Run with stderr on a pseudo-terminal and stdout in a pipe; return the code and what the terminal got."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PYTHON, *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=theirs, env=ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "100"},
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    seen += os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
        os.close(ours)
        return process.wait(timeout=30), seen.decode()


def test_progress_is_shown_on_a_terminal_unless_quiet(files, tmp_path):
    rng = np.random.default_rng(0)
    n = 200_000
    logits = rng.normal(size=(n, 3)).astype(np.float32)
    np.savez(tmp_path / "big.npz", logits=logits, labels=rng.integers(0, 3, size=n), member=np.arange(n) % 2)
    code, seen = _on_a_terminal("audit", tmp_path / "big.npz", "--out", tmp_path / "run")
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert ESCAPE in seen
    assert (
        len({step for step in ("scoring", "threshold", "interval", "attack", "test", "writing") if step in plain}) > 2
    )
    assert _on_a_terminal("audit", files / "alone.npz", "--out", tmp_path / "quiet", "--quiet") == (0, "")


# ---------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("command", ["audit", "demo"])
def test_help_mentions_every_option_and_fits(vestige, command):
    done = vestige(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert ESCAPE not in done.out
    assert max(len(line.rstrip()) for line in done.out.splitlines()) <= 80
    parameters = get_command(cli.app).commands[command].params  # type: ignore[attr-defined]
    options = [o for p in parameters if p.param_type_name == "option" for o in p.opts]
    assert "--out" in options
    for option in options:
        assert re.search(rf"(^|\s|│){re.escape(option)}(\s|,|$)", done.out, re.MULTILINE), option
    for parameter in parameters:
        assert getattr(parameter, "help", None) or parameter.param_type_name == "argument"


def test_help_of_the_program_names_the_commands(vestige):
    for flag in ("--help", "-h"):
        done = vestige(flag)
        assert (done.code, done.err) == (0, "")
        assert "audit" in done.out
        assert "demo" in done.out


def test_every_attack_is_listed_with_what_it_needs(vestige):
    done = vestige("attacks")
    header, *rows = [line.split("\t") for line in done.out.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert header == ["name", "in all", "access", "queries a record", "knows", "needs", "source"]
    assert [row[0] for row in rows] == [attack.name for attack in CATALOGUE]
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert (by_name["loss"]["queries a record"], by_name["nn_nasr"]["in all"]) == ("1", "no")
    assert by_name["boundary_distance"]["queries a record"] == "up to 1,000"
    assert by_name["lira_online"]["knows"] == "train, data, label"


# ---------------------------------------------------------------------------------------- demo


@pytest.fixture(scope="session")
def demo_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "inputs"
    done = _run("demo", "--inputs", folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {Path(line) for line in done.stdout.splitlines()} == set(folder.iterdir())
    return folder


def test_the_demo_files_can_be_audited(vestige, demo_files, tmp_path):
    for i, given in enumerate(
        (
            ["{f}/predictions.npz"],
            ["{f}/target.csv", "--shadow", "{f}/shadow.csv"],
            ["--members", "{f}/members.csv", "--nonmembers", "{f}/nonmembers.csv", "--shadow", "{f}/shadow.csv"],
        )
    ):
        done = vestige("audit", *(a.format(f=demo_files) for a in given), "--out", tmp_path / str(i))
        assert done.code == 0, done
        assert "LEAK SHOWN" in done.out
    one, two, three = (results(tmp_path / str(i)) for i in range(3))
    _equal(two, three)
    _equal(one, two)
    named = {name for path in demo_files.iterdir() for name in [path.name]}
    assert {"predictions.npz", "target.csv", "members.csv", "nonmembers.csv", "shadow.csv"} <= named


def test_the_demo(tmp_path):
    done = _run("demo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert ESCAPE not in done.stdout
    assert "LEAK SHOWN" in done.stdout
    page = done.stdout.splitlines()[-1].removeprefix("Page: ")
    assert (tmp_path / page).read_text().startswith("<!")
    assert (results(tmp_path / "runs" / "demo")["lower"] > 0.7).any()


# -------------------------------------------------------------------------------------- import


def test_importing_the_package_is_quick_and_brings_nothing_heavy():
    code = """
import sys, time
start = time.process_time()
import vestige
print(time.process_time() - start)
print(*{name.split(".")[0] for name in sys.modules})
"""
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        taken, modules = done.stdout.splitlines()
        seconds.append(float(taken))
        heavy = {"torch", "pandas", "scipy", "sklearn", "pyarrow", "altair", "rich", "typer"}
        assert not heavy & set(modules.split())
    assert min(seconds) < 0.3


# ------------------------------------------------------------------------------------ which attacks


def test_attacks_are_chosen_by_name_and_own_ones_by_their_place(vestige, files, tmp_path):
    (tmp_path / "mine.py").write_text("def sureness(p_true):\n    return p_true\n")
    place = f"{tmp_path}/mine.py:sureness"
    chosen = ("--attack", "loss", "--attack", place, "--fail-if", "sureness:auc.upper > 0.5", "--verbose")
    done = vestige("audit", files / "alone.npz", *chosen, "--out", tmp_path / "run")
    assert done.code == 3
    assert "sureness auc.upper" in done.err
    assert "to be asked for: it was left out on request" in " ".join(done.out.split())
    assert set(results(tmp_path / "run")["attack"]) == {"loss", "sureness", "worst"}
    for name in ("report.html", "report.json", "results.csv"):
        assert str(tmp_path) not in (tmp_path / "run" / name).read_text()


@pytest.mark.parametrize(
    ("attack", "essentials"),
    [("los", ["found los", "loss"]), ("no_module_here:f", ["no_module_here"]), ("numpy:mean", ["numpy|mean|signals"])],
)
def test_attacks_that_cannot_be_chosen(vestige, files, tmp_path, attack, essentials):
    done = vestige("audit", files / "alone.npz", "--attack", attack, "--out", tmp_path / "run")
    assert done.code == 2
    assert done.out == ""
    assert all(re.search(essential, done.err) for essential in essentials)
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------- stopped, and nowhere to print


@pytest.mark.parametrize(("number", "said"), [(signal.SIGTERM, " by SIGTERM"), (signal.SIGHUP, " by SIGHUP")])
def test_a_command_that_is_told_to_stop_cleans_up_and_says_what_is_kept(files, tmp_path, number, said):
    code = f"""
import os, signal, sys, time
signal.signal({int(number)}, signal.SIG_DFL)  # a parent in the background has told it to be ignored
import vestige.report
from vestige.cli import main
def stopped(*_):
    os.kill(os.getpid(), {int(number)})
    time.sleep(60)
vestige.report.write_json = stopped
sys.argv = ["vestige", "audit", {str(files / "alone.npz")!r}, "--out", {str(tmp_path / "run")!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 128 + number
    assert done.stderr == f"vestige: interrupted{said}; nothing was written; the same command starts again.\n"
    assert os.listdir(tmp_path) == []


def test_standard_output_that_is_full_costs_one_line_and_not_the_run(files, tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PYTHON, "audit", str(files / "alone.npz"), "--out", str(tmp_path / "run")],
            stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "vestige: Expected to print to standard output, found: No space left on device; "
        f"the run is in {tmp_path / 'run'}.\n"
    )
    assert len(results(tmp_path / "run"))


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["data", "list"]])
def test_standard_output_that_is_full_is_said_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PYTHON, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert done.returncode == 2
    assert done.stderr.startswith("vestige: Expected to print to standard output, found: No space left on device")
    assert done.stderr.count("\n") == 1


def test_standard_output_of_few_letters_shows_others_by_their_code(files, tmp_path):
    done = subprocess.run(
        [*PYTHON, "audit", str(files / "alone.npz"), "--out", str(tmp_path / "Zürich")],
        capture_output=True, env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Z\\xfcrich" in done.stdout


def test_names_on_the_terminal_move_nothing(vestige, tmp_path):
    done = vestige("audit", "no\x1b[31msuch\u202efile.npz", "--out", tmp_path / "run")
    assert done.code == 2
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err

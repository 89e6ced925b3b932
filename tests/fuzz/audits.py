"""Whole audits of damaged files by the command line, each in a process of its own that has imported everything before.

Forked, not started: an audit of a small file takes less time than to import what it needs.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tests.fuzz.formats import FORMATS, Fuzzed, emptied
from tests.fuzz.models import MODELS, StoredModel, forked, forking, import_libraries
from tests.fuzz.mutants import damaged, in_text
from tests.fuzz.reading import Outcome
from tests.targets.model_files import X, Y

from vestige.targets.files import apart

_SECONDS = 240  # on a machine that is busy otherwise
_CODES = (0, 2, 3, 4)


def _with_records(stored: StoredModel) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        path = folder / f"model{stored.suffix}"
        code, said = forked(lambda: stored.write(path))
        assert code == 0, said
        for name, rows in (("members", slice(0, 30)), ("nonmembers", slice(30, 60))):
            table = "".join(f"{a},{b},{c},{label}\n" for (a, b, c), label in zip(X[rows], Y[rows], strict=True))
            (folder / f"{name}.csv").write_text(f"a,b,c,label\n{table}")
        return [path]

    return make


def _with_audit_file(folder: Path) -> list[Path]:
    make = _with_records(next(m for m in MODELS if m.suffix == ".ubj"))
    make(folder)
    said = '[target]\nmodel = "model.ubj"\naccess = "confidence"\n[data]\nmembers = "members.csv"\n'
    (folder / "audit.toml").write_text(f'{said}nonmembers = "nonmembers.csv"\nlabel = "label"\n[options]\nseed = 3\n')
    return [folder / "audit.toml"]


_WITH = ("--members", "members.csv", "--nonmembers", "nonmembers.csv", "--label", "label")
AUDITED = (
    *(fuzzed for fuzzed in FORMATS if fuzzed.command),
    Fuzzed("audit.toml", _with_audit_file, lambda _: None, in_text, ("audit.toml",)),
    *(
        Fuzzed(m.name, _with_records(m), lambda _: None, m.inside, ("--model", f"model{m.suffix}", *_WITH))
        for m in MODELS
        if not m.given
    ),
)
"""What whole audits are made of: the formats that hold predictions, and those models that need no code beside them."""


def audit_mutants(fuzzed: Fuzzed, n: int, folder: Path, first: int = 0) -> Outcome:
    """Audit mutants by their seeds; every other one is damaged inside a container that stays sound."""
    files = fuzzed.make(emptied(folder))
    sound = {path: path.read_bytes() for path in files}
    there = set(os.listdir(folder))
    code, said = run_forked(["audit", *fuzzed.command, "--out", "RUN", "-q"], folder)
    assert code == 0, said
    found, begun = Outcome(), time.perf_counter()
    for seed in range(first, first + n):
        rng = np.random.default_rng([seed, *fuzzed.name.encode()])
        path, inside = files[int(rng.integers(len(files)))], seed % 2 == 1
        path.write_bytes((fuzzed.inside if inside else damaged)(sound[path], rng))
        os.rename(emptied(folder / "RUN"), folder.with_name("gone"))
        folder.with_name("gone").rmdir()
        code, said = run_forked(["audit", *fuzzed.command, "--out", "RUN", "-q"], folder)
        path.write_bytes(sound[path])
        found.n += 1
        found.n_inside += inside
        found.n_read += code == 0
        found.n_read_inside += inside and code == 0
        if wrong := _what_is_wrong(code, said, set(os.listdir(folder)) - there, folder / "RUN"):
            found.faults.append(f"{seed} ({path.name}): {wrong}")
    found.seconds = time.perf_counter() - begun
    return found


def _what_is_wrong(code: int, said: str, new: set[str], run: Path) -> str:
    """Empty if an audit ended as it may."""
    line = said.strip()
    if code not in _CODES:
        return f"exit code {code}: {line[-300:]}"
    if code and ("\n" in line or not line.startswith("vestige: ")):
        return f"not one line with exit code {code}: {line[-300:]}"
    if "Traceback" in line:
        return f"a traceback: {line[-300:]}"
    if new - {"RUN"}:
        return f"left behind: {sorted(new)}"
    is_whole = (run / "manifest.json").is_file() and (run / "report.html").is_file()
    if code == 0 and not is_whole:
        return "no whole run with exit code 0"
    if code == 2 and run.exists():
        return f"a run with exit code 2: {sorted(os.listdir(run))}"
    return ""


def run_forked(arguments: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run the command line in a folder; its exit code, negative for a signal, and its standard error."""
    log = folder.with_name("stderr.txt")
    process = os.fork()
    if process == 0:
        try:
            os.chdir(folder)
            signal.alarm(_SECONDS)
            err, out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), os.open(os.devnull, os.O_WRONLY)
            os.dup2(err, 2)
            os.dup2(out, 1)
            sys.argv = ["vestige", *arguments]
            setattr(apart, "subprocess", forking)  # noqa: B010  # what it imports is not its to give
            apart.SECONDS = 5.0
            from vestige.cli import _exit_code

            code = _exit_code()
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 99
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")


def import_everything() -> None:
    """Import what audits import, so that a forked process need not; nothing of it may start a thread."""
    import altair  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import vl_convert  # noqa: F401
    import xarray  # noqa: F401

    import vestige.auditing.audit
    import vestige.auditing.run_folder
    import vestige.auditing.trained_models
    import vestige.cli
    import vestige.report  # noqa: F401

    import_libraries()

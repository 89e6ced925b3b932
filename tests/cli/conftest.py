"""The command line as users run it, and files of predictions to run it on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from tests.auditing.planted import logits_of, softmax

N, N_SHADOW = 120, 110
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "FORCE_COLOR", "TERM")} | {
    "OMP_NUM_THREADS": "1",  # these data are small, and the machine may be shared
    "OPENBLAS_NUM_THREADS": "1",
}

# Starting Python takes a second, so one process runs all commands, each with files as stdout and stderr. It has no
# type checks of the tests in it: what they would catch must be told to users in words.
_SHELL = """
import json, os, sys, tempfile
from vestige import cli
for line in sys.stdin:
    sys.argv = ["vestige", *json.loads(line)]
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(kept[0], 1), os.dup2(kept[1], 2)
            os.close(kept[0]), os.close(kept[1])
        told = []
        for file in (out, err):
            file.seek(0)
            told.append(file.read().decode())
    print(json.dumps([code, *told]), flush=True)
"""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(scope="session")
def vestige() -> Iterator[Command]:
    """Run `vestige ARGUMENTS`, with pipes instead of a terminal."""
    with subprocess.Popen(
        [sys.executable, "-c", _SHELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as shell:
        stdin, stdout = shell.stdin, shell.stdout
        assert stdin is not None
        assert stdout is not None

        def run(*arguments: object) -> Done:
            stdin.write(json.dumps([str(a) for a in arguments]) + "\n")
            stdin.flush()
            return Done(*json.loads(stdout.readline()))

        yield run
        stdin.close()


def arrays(prefix: str = "", seed: int = 61, n: int = N, leak: float = 1.5) -> dict[str, np.ndarray]:
    """What an npz holds: probabilities of three classes, labels and membership, members first."""
    z, y, m = logits_of(n, leak, seed=seed)
    return {f"{prefix}probs": softmax(z), f"{prefix}labels": y, f"{prefix}member": m.astype(np.int8)}


def table(a: dict[str, np.ndarray], prefix: str = "") -> pd.DataFrame:
    """The same as a table."""
    columns = {"label": a[f"{prefix}labels"], "member": a[f"{prefix}member"]}
    return pd.DataFrame(columns | {f"prob_{c}": a[f"{prefix}probs"][:, c] for c in range(3)})


def save_npz(path: Path, **changes: np.ndarray | None) -> Path:
    """Write a good npz, but for what is changed; what is changed to None is left out."""
    found = {name: values for name, values in (arrays() | changes).items() if values is not None}
    np.savez(path, allow_pickle=True, **found)
    return path


def save_csv(path: Path, frame: pd.DataFrame | None = None) -> Path:
    (table(arrays()) if frame is None else frame).to_csv(path, index=False)
    return path

"""Play the audits that train with an old commit and with this tree, and compare their numbers to 1e-12.

`python -m tests.auditing.pinned.compare COMMIT [NAME ...]`; the old commit has its own way of saying the same audits.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tests.auditing.pinned.audits import TRAINING

ROOT = Path(__file__).parents[3]


def differences(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> list[str]:
    """Return what is not equal: rows by their keys, numbers to 1e-12, NaN where NaN was."""
    old, new = _by_key(old), _by_key(new)
    found = [f"{name}: only in one of them" for name in sorted(set(old) ^ set(new))]
    for name in sorted(set(old) & set(new)):
        before, after = old[name], new[name]
        if before.shape != after.shape:
            found.append(f"{name}: shape {before.shape} and {after.shape}")
        elif before.dtype.kind == "U":
            unequal = np.flatnonzero(before != after)
            found += [f"{name}: {before[i]} and {after[i]}" for i in unequal[:3]]
        else:
            unequal = np.flatnonzero(~np.isclose(before, after, rtol=1e-12, atol=1e-12, equal_nan=True))
            key = old.get(f"{name.rsplit(':', 1)[0]}:key", np.arange(before.size))
            found += [f"{name}: {key[i]} {before[i]!r} and {after[i]!r}" for i in unequal[:3]]
    return found


def _by_key(tables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows of each table by their keys: the order of the attacks is no number."""
    order = {name: np.argsort(values, kind="stable") for name, values in tables.items() if name.endswith(":key")}
    return {name: values[order[f"{name.split(':')[0]}:key"]] for name, values in tables.items()}


def _play(tree: Path, folder: Path, names: list[str]) -> None:
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"}
    words = [sys.executable, "-m", "tests.auditing.pinned.audits", str(folder), *names]
    subprocess.run(words, cwd=tree, env=environment, check=True)


def main(commit: str, names: list[str]) -> int:
    """Compare; return 1 if a number differs."""
    unequal = []
    with tempfile.TemporaryDirectory() as place:
        old = Path(place, "tree")
        subprocess.run(["git", "worktree", "add", "--detach", str(old), commit], cwd=ROOT, check=True)
        try:
            for tree, name in ((old, "old"), (ROOT, "new")):
                _play(tree, Path(place, name), names)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(old)], cwd=ROOT, check=True)
        for name in names:
            tables = [dict(np.load(Path(place, side, f"{name}.npz"))) for side in ("old", "new")]
            unequal += [f"{name}/{line}" for line in differences(*tables)]
            print(name, "compared", sum(v.size for v in tables[0].values()), "cells", flush=True)
    print("\n".join(unequal) or "all equal")
    return int(bool(unequal))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:] or list(TRAINING)))

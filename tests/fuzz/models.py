"""Damaged stored models, each opened and asked in a process that must not crash, hang or print, whatever the file does.

Processes are forked from one that has imported the libraries and used none: to start one takes longer than a mutant.
"""

import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz import mutants
from tests.fuzz.formats import Mutant, emptied
from tests.fuzz.reading import Outcome
from tests.targets.model_files import X, Y, perceptron

from vestige import ModelFile
from vestige.core.errors import VestigeError
from vestige.core.outputs import Logits
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files import apart

_SECONDS = 120  # for the whole of it, on a machine that is busy otherwise


@dataclass(frozen=True)
class StoredModel:
    """A kind of stored model: as `Fuzzed`, and how it is opened."""

    name: str
    write: Callable[[Path], Any]
    suffix: str
    inside: Mutant
    given: dict[str, Any]


def _xgboost(path: Path) -> None:
    import xgboost

    xgboost.XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1).fit(X, Y).save_model(path)


def _lightgbm(path: Path) -> None:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, n_jobs=1, verbose=-1).fit(X, Y)
    model.booster_.save_model(path)


def _skops(make: Callable[[], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import skops.io

        skops.io.dump(make().fit(X, Y), path)

    return write


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(3, max_depth=3, random_state=0)


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(algorithm="kd_tree")


def _onnx(path: Path) -> None:
    from skl2onnx import to_onnx

    path.write_bytes(to_onnx(_forest().fit(X, Y), X[:1], options={"zipmap": False}).SerializeToString())


def _in_onnx(content: bytes, rng: np.random.Generator) -> bytes:
    """A number or a name of the graph replaced; the message is well formed."""
    import onnx

    model = onnx.load_from_string(content)
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    for _ in range(int(rng.integers(1, 4))):
        attribute = attributes[int(rng.integers(len(attributes)))]
        if len(attribute.ints):
            attribute.ints[int(rng.integers(len(attribute.ints)))] = int(
                rng.choice([-1, 0, 1, 7, 2**20, 2**40, -(2**62)])
            )
        elif len(attribute.floats):
            attribute.floats[int(rng.integers(len(attribute.floats)))] = float(rng.choice([np.nan, np.inf, 1e30, -1.0]))
        elif len(attribute.strings):
            attribute.strings[int(rng.integers(len(attribute.strings)))] = rng.bytes(3)
        else:
            attribute.i = int(rng.integers(-3, 9))
    return bytes(model.SerializeToString())


def _torch(path: Path) -> None:
    import torch

    torch.save(perceptron().state_dict(), path)


def _safetensors(path: Path) -> None:
    from safetensors.torch import save_file

    save_file(perceptron().state_dict(), path)


def _in_safetensors(content: bytes, rng: np.random.Generator) -> bytes:
    start = 8 + int.from_bytes(content[:8], "little")
    header = mutants.in_json(content[8:start], rng)
    return len(header).to_bytes(8, "little") + header + content[start:]


def _in_lines(content: bytes, rng: np.random.Generator) -> bytes:
    """A number of a line of several replaced, as in tables of nodes."""
    lines = content.split(b"\n")
    at = [i for i, line in enumerate(lines) if b"=" in line and line.partition(b"=")[2][:1].isdigit()]
    for _ in range(int(rng.integers(1, 3))):
        i = at[int(rng.integers(len(at)))]
        name, _, values = lines[i].partition(b"=")
        numbers = values.split(b" ")
        numbers[int(rng.integers(len(numbers)))] = bytes(
            rng.choice([b"0", b"-1", b"1", b"99", b"1e9", b"2147483648", b"x"])
        )
        lines[i] = name + b"=" + b" ".join(numbers)
    return b"\n".join(lines)


_LOGITS: dict[str, Any] = {"answers": AnswerFormat(Logits)}
MODELS = (
    StoredModel("xgboost, binary", _xgboost, ".ubj", mutants.damaged, {}),
    StoredModel("xgboost, json", _xgboost, ".json", mutants.in_json, {}),
    StoredModel("lightgbm", _lightgbm, ".txt", _in_lines, {}),
    StoredModel("skops, forest", _skops(_forest), ".skops", mutants.in_zip, {}),
    StoredModel("skops, neighbours", _skops(_neighbours), ".skops", mutants.in_zip, {}),
    StoredModel("onnx", _onnx, ".onnx", _in_onnx, {}),
    StoredModel("torch, weights", _torch, ".pt", mutants.in_zip, {"factory": perceptron}),
    StoredModel("safetensors", _safetensors, ".safetensors", _in_safetensors, {"factory": perceptron}),
)


def import_libraries() -> None:
    """Import what opens models, so that a forked process need not; nothing of it may start a thread."""
    import lightgbm  # noqa: F401
    import onnxruntime  # noqa: F401
    import sklearn.ensemble
    import sklearn.neighbors  # noqa: F401
    import skops.io  # noqa: F401
    import torch
    import xgboost  # noqa: F401

    torch.set_num_threads(1)


def ask_mutants(stored: StoredModel, n: int, folder: Path, first: int = 0, seconds: float = 5.0) -> Outcome:
    """Open and ask mutants by their seeds; every other one is damaged where the format stays what it is."""
    path = emptied(folder) / f"model{stored.suffix}"
    code, said = forked(lambda: stored.write(path))
    assert code == 0, said
    sound = path.read_bytes()
    code, said = forked(lambda: _asked(stored, path))
    assert (code, said) == (0, "read"), said
    found, begun = Outcome(), time.perf_counter()
    before, apart.SECONDS = apart.SECONDS, seconds
    try:
        for seed in range(first, first + n):
            rng = np.random.default_rng([seed, *stored.name.encode()])
            inside = seed % 2 == 1
            path.write_bytes((stored.inside if inside else mutants.damaged)(sound, rng))
            code, said = forked(lambda: _asked(stored, path))
            found.n += 1
            found.n_inside += inside
            found.n_read += said == "read"
            found.n_read_inside += inside and said == "read"
            if code or said not in ("read", "refused"):
                found.faults.append(f"{seed} ({path.name}): {code} {said}")
    finally:
        apart.SECONDS = before
    found.seconds = time.perf_counter() - begun
    return found


def _asked(stored: StoredModel, path: Path) -> str:
    setattr(apart, "subprocess", forking)  # noqa: B010  # what it imports is not its to give
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ModelFile(path, **stored.given).open_model(3).answers(X).whole()
    except VestigeError as error:
        message = str(error)
        return "refused" if message.isprintable() else f"not one line: {message!r}"
    return "read"


def forked(do: Callable[[], Any]) -> tuple[int, str]:
    """Do it in a forked process; its exit code, negative for a signal, and what it returns, raises or prints."""
    replies, reply = os.pipe()
    process = os.fork()
    if process == 0:
        code = 0
        try:
            os.close(replies)
            signal.alarm(_SECONDS)
            os.dup2(reply, 2)
            said = do()
        except BaseException as error:
            code, said = 99, f"{type(error).__name__}: {str(error)[:300]}"
        os.write(reply, str(said).encode(errors="replace"))
        os._exit(code)
    os.close(reply)
    with open(replies, "rb") as stream:
        said = stream.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said


class forking:
    """Stands for `subprocess` in `apart`: the child is forked, and serves as one that was started."""

    PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL

    class Popen:
        def __init__(self, arguments: list[str], **_: Any) -> None:
            from vestige.targets.files.child import serve

            (given, self_in), (self_out, replied) = os.pipe(), os.pipe()
            self.returncode: int | None = None
            self.pid = os.fork()
            if self.pid == 0:
                os.dup2(given, 0)
                os.dup2(replied, 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                os.closerange(3, 64)
                try:
                    serve(arguments[-1])
                finally:
                    os._exit(98)
            os.close(given)
            os.close(replied)
            self.stdin, self.stdout = open(self_in, "wb"), open(self_out, "rb")  # noqa: SIM115

        def kill(self) -> None:
            if self.poll() is None:
                os.kill(self.pid, signal.SIGKILL)

        def poll(self) -> int | None:
            return self._waited(os.WNOHANG)

        def wait(self) -> int | None:
            return self._waited(0)

        def _waited(self, how: int) -> int | None:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, how)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
            return self.returncode

"""Every format that is read: a small sound file of it, how it is read to its end, and how to damage what it holds."""

import gzip
import io
import json
import shutil
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tests.data.published import tarred, zipped
from tests.data.sets.test_cifar import binary10
from tests.fuzz import mutants

from vestige.auditing.files.audit_file import read_audit_file
from vestige.auditing.shadows.plan import _read_plan
from vestige.core.predictions import Predictions
from vestige.data import (
    RecordColumns,
    read_image_folder,
    read_image_parquet,
    read_npy,
    read_predictions,
    read_records,
    read_references,
)
from vestige.data.sets.image_sets import read_cifar10, read_idx_images
from vestige.data.sets.published_sets import read_location30
from vestige.data.sets.uci import read_german_credit, read_hepatitis
from vestige.data.signals.layout import AT_THE_END, ModelTable, SignalLayout, VariableSpec
from vestige.data.signals.store import SignalStore
from vestige.targets.ledger import Ledger
from vestige.training.bank import Bank
from vestige.training.model_key import ModelKey, key_of

Mutant = Callable[[bytes, np.random.Generator], bytes]
N = 24


@dataclass(frozen=True)
class Fuzzed:
    """A format.

    Attributes:
        name: What results call it.
        make: Writes a sound file, or several, into a folder, and returns those that are damaged.
        read: Reads all that an audit would read of them; from the folder.
        inside: Damages a file's content and leaves its container whole.
        command: Arguments of `vestige audit` in the folder; none if the command line does not read it.
    """

    name: str
    make: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]
    inside: Mutant
    command: tuple[str, ...] = ()


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(N, 3)) + 2
    return {
        "logits": logits,
        "labels": rng.integers(0, 3, N),
        "member": np.arange(N) // 2 % 2,
        "ids": np.array([f"p{i}" for i in range(N)]),
        "subjects": np.arange(N) // 2,
        "group_ward": np.array(["a", "b", "c"])[np.arange(N) % 3],
    }


def _table() -> pd.DataFrame:
    arrays = _arrays()
    exps = np.exp(arrays["logits"])
    probs = np.round(exps / exps.sum(axis=1, keepdims=True), 6)
    columns = {f"prob_{i}": probs[:, i] for i in range(3)}
    rest = {name: arrays[key] for name, key in (("label", "labels"), ("member", "member"), ("id", "ids"))}
    return pd.DataFrame({**columns, **rest, "subject": arrays["subjects"], "note": ["x, y", 'a "b"'] * (N // 2)})


def _records_table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {
        "age": rng.integers(0, 90, N),
        "dose": rng.normal(size=N),
        "ward": ["a", "b é"] * (N // 2),
    }
    return pd.DataFrame({**columns, "seen": pd.date_range("2024-01-01", periods=N), "label": [0, 1] * (N // 2)})


def _all_of(predictions: tuple[Predictions | None, ...] | Predictions) -> None:
    for part in predictions if isinstance(predictions, tuple) else (predictions,):
        for output in () if part is None else part.outputs:
            output.whole()


def _references(path: Path) -> None:
    for _ in read_references(path).models():
        pass


def saved(name: str, write: Callable[[Path], Any]) -> Callable[[Path], list[Path]]:
    """What writes one file into a folder."""

    def make(folder: Path) -> list[Path]:
        write(folder / name)
        return [folder / name]

    return make


def _beside_predictions(make: Callable[[Path], list[Path]]) -> Callable[[Path], list[Path]]:
    """What writes predictions beside, which are not damaged."""

    def both(folder: Path) -> list[Path]:
        _npz(_arrays())(folder / "t.npz")
        return make(folder)

    return both


def _csv(table: Callable[[], pd.DataFrame]) -> Callable[[Path], Any]:
    return lambda path: table().to_csv(path, index=False)


def _npz(arrays: Mapping[str, Any], save: Callable[..., None] = np.savez_compressed) -> Callable[[Path], Any]:
    return lambda path: save(path, **arrays)


def _npys(folder: Path) -> list[Path]:
    for name in ("logits", "labels", "member", "ids"):
        np.save(folder / f"{name}.npy", _arrays()[name])
    return sorted(folder.glob("*.npy"))


def _of_npys(folder: Path) -> None:
    _all_of(read_npy(*(folder / f"{n}.npy" for n in ("logits", "labels", "member")), ids=folder / "ids.npy"))


def _pngs(folder: Path) -> list[Path]:
    from PIL import Image

    for i in range(6):
        (folder / f"set/c{i % 2}").mkdir(parents=True, exist_ok=True)
        kind = "png" if i % 2 else "jpg"
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"set/c{i % 2}/{i}.{kind}")
    return sorted(folder.glob("set/*/*"))


def _image_parquet(path: Path) -> None:
    from PIL import Image

    images = []
    for i in range(6):
        stream = io.BytesIO()
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        images.append({"bytes": stream.getvalue(), "path": None})
    pd.DataFrame({"image": images, "label": np.arange(6) % 2}).to_parquet(path)


def _idx(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (N, 4, 4), dtype=np.uint8), rng.integers(0, 10, N).astype(np.uint8)
    (folder / "images.gz").write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, N, 4, 4) + images.tobytes()))
    (folder / "labels").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, N) + labels.tobytes())
    return [folder / "images.gz", folder / "labels"]


def _idx_inside(content: bytes, rng: np.random.Generator) -> bytes:
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(mutants.damaged(gzip.decompress(content), rng), 1)
    return content[:8] + mutants.damaged(content[8:], rng)


def _reference_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    member = rng.permuted(np.repeat([[0], [1]], 3, axis=0).repeat(N, axis=1), axis=0)
    return {
        "reference_phi": rng.normal(size=(6, N)),
        "reference_member": member,
        "reference_ids": np.array([f"p{i}" for i in range(N)]),
    }


def _zarr(version: Any) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        import warnings

        import zarr

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # text in arrays is not yet in the specification
            group = zarr.create_group(folder / "refs.zarr", zarr_format=version)
            for name, values in _reference_arrays().items():
                group.create_array(name, data=values, chunks=(3, N) if values.ndim == 2 else (N,))
        return [path for path in sorted((folder / "refs.zarr").rglob("*")) if path.is_file()]

    return make


def _json_or_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    return mutants.in_json(content, rng) if content.startswith(b"{") else mutants.damaged(content, rng)


def _run(folder: Path) -> list[Path]:
    rng = np.random.default_rng(3)
    layout = SignalLayout(
        ModelTable([0, 1], [AT_THE_END, AT_THE_END], [7, 8]),
        np.array([np.arange(N) % 2 == 0, np.arange(N) % 2 == 1]),
        {"logits": VariableSpec("float32", n_classes=3)},
        ids=[f"p{i}" for i in range(N)],
    )
    (folder / "run").mkdir()
    store = SignalStore.create(folder / "run" / "signals.zarr", layout)
    for row in range(2):
        store.write_row(row, {"logits": rng.normal(size=(N, 3)).astype(np.float32)})
    return [path for path in sorted((folder / "run").rglob("*")) if path.is_file()]


_AUDIT = """
[target]
model = "model.onnx"
access = "confidence"
budget = 1000
[data]
members = "train.parquet"
nonmembers = "test.parquet"
label = "outcome"
groups = ["ward"]
[inputs]
low = 0.0
high = 1.0
[recipe]
train = "same"
n_shadows = 64
[attacks]
use = ["loss", "entropy"]
[policy]
fail_if = ["auc.upper > 0.6"]
[options]
seed = 3
"""
_FACTS = ModelKey(data="digest of records", membership="digest of a row", recipe={"epochs": 3}, seed=0)


def _bank(folder: Path) -> list[Path]:
    Bank(folder / "bank").put_all({key_of(_FACTS): (_FACTS, {"weights": bytes(range(64))}, {"seconds": 0.4})})
    return [path for path in sorted((folder / "bank").rglob("*")) if path.is_file() and path.name != "locks"]


def _of_bank(folder: Path) -> None:
    bank = Bank(folder / "bank")
    bank.get(key_of(_FACTS), _FACTS)
    bank.how(key_of(_FACTS), _FACTS)


def _ledger(folder: Path) -> list[Path]:
    ledger = Ledger(folder / "queries.sqlite", N, "model", 100)
    ledger.note("loss", np.arange(N), answers=[(bytes([i]) * 16, bytes([i]) * 9) for i in range(N)], version="7")
    ledger.note("entropy", np.array([1]), kept=np.array([2, 2]), failed=1)
    ledger.close()
    return [folder / "queries.sqlite"]


def _of_ledger(folder: Path) -> None:
    for left in folder.glob("queries.sqlite-*"):
        left.unlink()
    ledger = Ledger(folder / "queries.sqlite", N, "model", 100)
    try:
        ledger.per_attack()
        ledger.per_record("loss")
        ledger.answers([bytes([3]) * 16])
    finally:
        ledger.close()


def _ledger_inside(content: bytes, rng: np.random.Generator) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "q.sqlite"
        path.write_bytes(content)
        mutants.in_sqlite(path, rng)
        return path.read_bytes()


def _plan(path: Path) -> None:
    from vestige.auditing.shadows.plan import _FORMAT, _digest_of

    text = {
        "format": _FORMAT,
        "strategy": {"n_processes": 1, "threads": 1, "stack": 1},
        "groups": [[0], [1]],
        "asked": {"seed": 0},
    }
    path.write_text(json.dumps({**text, "digest": _digest_of(text)}))


def _in_plan(content: bytes, rng: np.random.Generator) -> bytes:
    from vestige.auditing.shadows.plan import _digest_of

    said = json.loads(mutants.in_json(content, rng))
    if isinstance(said, dict):
        said.pop("digest", None)
        said["digest"] = _digest_of(said)
    return json.dumps(said).encode()


def _uci(write: str, n_fields: int) -> Callable[[Path], Any]:
    return lambda path: path.write_text("\n".join([write] * n_fields) + "\n")


_GERMAN = "A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 67 A143 A152 2 A173 1 A192 A201 1"
_HEPATITIS = "2,30,2,1,2,2,2,2,1,2,2,2,2,2,1.00,85,18,4.0,?,1"
_LOCATION = "\n".join(f'"{i % 30 + 1}",' + ",".join("01"[(i * j) % 2] for j in range(446)) for i in range(8)) + "\n"

FORMATS = (
    Fuzzed(
        "csv", saved("t.csv", _csv(_table)), lambda f: _all_of(read_predictions(f / "t.csv")), mutants.in_text,
        ("t.csv",),
    ),
    Fuzzed(
        "csv.gz", saved("t.csv.gz", _csv(_table)), lambda f: _all_of(read_predictions(f / "t.csv.gz")),
        mutants.in_gzip, ("t.csv.gz",),
    ),
    Fuzzed(
        "parquet", saved("t.parquet", lambda path: _table().to_parquet(path)),
        lambda f: _all_of(read_predictions(f / "t.parquet")), mutants.in_parquet, ("t.parquet",),
    ),
    Fuzzed(
        "npz", saved("t.npz", _npz(_arrays())), lambda f: _all_of(read_predictions(f / "t.npz")), mutants.in_zip,
        ("t.npz",),
    ),
    Fuzzed(
        "npy", _npys, _of_npys, mutants.in_npy,
        ("logits.npy", "--labels", "labels.npy", "--member", "member.npy", "--set", "data.id=ids.npy"),
    ),
    Fuzzed(
        "csv of records", saved("r.csv", _csv(_records_table)), lambda f: read_records(f / "r.csv"), mutants.in_text
    ),
    Fuzzed(
        "parquet of records", saved("r.parquet", lambda path: _records_table().to_parquet(path)),
        lambda f: read_records(f / "r.parquet", RecordColumns(order=("seen",))), mutants.in_parquet,
    ),
    Fuzzed(
        "npz of records",
        saved("r.npz", _npz({"inputs": np.eye(N), "labels": np.arange(N) % 2, "ids": np.arange(N)})),
        lambda f: read_records(f / "r.npz"), mutants.in_zip,
    ),
    Fuzzed("idx", _idx, lambda f: read_idx_images(f / "images.gz", f / "labels"), _idx_inside),
    Fuzzed(
        "cifar, binary", saved("c.tar.gz", lambda path: tarred(path, binary10())),
        lambda f: read_cifar10(f / "c.tar.gz"), mutants.in_tar,
    ),
    Fuzzed("image folder", _pngs, lambda f: read_image_folder(f / "set"), mutants.in_text),
    Fuzzed(
        "parquet of images", saved("i.parquet", _image_parquet), lambda f: read_image_parquet(f / "i.parquet"),
        mutants.in_parquet,
    ),
    Fuzzed("german credit", saved("german.data", _uci(_GERMAN, 9)), lambda f: read_german_credit(f / "german.data"),
           mutants.in_text),
    Fuzzed("hepatitis", saved("hepatitis.data", _uci(_HEPATITIS, 9)), lambda f: read_hepatitis(f / "hepatitis.data"),
           mutants.in_text),
    Fuzzed(
        "location30", saved("l.zip", lambda path: zipped(path, {"bangkok": _LOCATION.encode()})),
        lambda f: read_location30(f / "l.zip"), mutants.in_zip,
    ),
    Fuzzed(
        "npz of references", _beside_predictions(saved("refs.npz", _npz(_reference_arrays(), np.savez))),
        lambda f: _references(f / "refs.npz"), mutants.in_zip, ("t.npz", "--reference", "refs.npz"),
    ),
    Fuzzed(
        "zarr 3 of references", _beside_predictions(_zarr(3)), lambda f: _references(f / "refs.zarr"), _json_or_bytes,
        ("t.npz", "--reference", "refs.zarr"),
    ),
    Fuzzed("zarr 2 of references", _zarr(2), lambda f: _references(f / "refs.zarr"), _json_or_bytes),
    Fuzzed("signals of a run", _run, lambda f: _references(f / "run"), _json_or_bytes),
    Fuzzed(
        "audit.toml", saved("audit.toml", lambda path: path.write_text(_AUDIT)),
        lambda f: read_audit_file(f / "audit.toml"), mutants.in_text,
    ),
    Fuzzed("ledger", _ledger, _of_ledger, _ledger_inside),
    Fuzzed("plan", saved("shadows.json", _plan), lambda f: _read_plan(f / "shadows.json"), _in_plan),
    Fuzzed("bank", _bank, _of_bank, _json_or_bytes),
)  # fmt: skip


def emptied(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

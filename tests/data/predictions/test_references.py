"""Reference models from npz files, Zarr groups and runs; what is damaged, foreign or could run code is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from vestige import Predictions, References
from vestige.core.errors import InputError
from vestige.core.outputs import Logits, Phi, Probabilities
from vestige.data import Columns, read_npz, read_references, references_beside
from vestige.data.signals.layout import ModelTable, SignalLayout, VariableSpec
from vestige.data.signals.store import SignalStore

MODELS, RECORDS = 4, 6
RNG = np.random.default_rng(0)
PHI = RNG.normal(size=(MODELS, RECORDS))
LOGITS = RNG.normal(size=(MODELS, RECORDS, 3)).astype(np.float32)
MEMBER = (RNG.random((MODELS, RECORDS)) < 0.5).astype(int)
IDS = np.array([f"patient {i}" for i in range(RECORDS)])


def as_npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "references.npz", **arrays)
    return folder / "references.npz"


def as_zarr(folder: Path, zarr_format: Any = 3, **arrays: np.ndarray) -> Path:
    group = zarr.create_group(folder / "references.zarr", zarr_format=zarr_format)
    for name, values in arrays.items():
        group.create_array(name, data=values)
    return folder / "references.zarr"


def whole(references: References) -> np.ndarray:
    return np.stack(list(references.models()))


@pytest.mark.parametrize("write", [as_npz, as_zarr])
@pytest.mark.parametrize(
    ("key", "kind", "values"),
    [("phi", Phi, PHI), ("logits", Logits, LOGITS), ("probs", Probabilities, np.full((MODELS, RECORDS, 2), 0.5))],
)
def test_every_kind_from_both_formats(tmp_path, write, key, kind, values):
    found = read_references(
        write(tmp_path, **{f"reference_{key}": values, "reference_member": MEMBER, "reference_ids": np.arange(RECORDS)})
    )
    assert found.kind is kind
    np.testing.assert_array_equal(whole(found), values)
    np.testing.assert_array_equal(found.member, MEMBER)
    np.testing.assert_array_equal(found.ids, np.arange(RECORDS))
    assert found.labels is found.target is None


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")  # on writing
@pytest.mark.parametrize("write", [as_npz, as_zarr])
def test_ids_and_labels_may_be_text(tmp_path, write):
    labels = np.array(["a", "b", "a", "b", "a", "b"])
    path = write(tmp_path, reference_phi=PHI, reference_member=MEMBER, reference_ids=IDS, reference_labels=labels)
    found = read_references(path, classes=["b", "a"])
    np.testing.assert_array_equal(found.ids, IDS)
    np.testing.assert_array_equal(found.labels, [1, 0, 1, 0, 1, 0])


def test_zarr_of_version_2_is_read(tmp_path):
    found = read_references(as_zarr(tmp_path, 2, reference_phi=PHI, reference_member=MEMBER))
    np.testing.assert_array_equal(whole(found), PHI)


def test_targets_with_queries_stand_beside_the_references(tmp_path):
    with_queries = np.stack([LOGITS, LOGITS + 1], axis=2)
    path = as_npz(
        tmp_path,
        reference_logits=with_queries,
        reference_member=MEMBER,
        logits=with_queries[0],
        labels=np.zeros(RECORDS, dtype=int),
        member=np.arange(RECORDS) % 2,
    )
    found = read_references(path)
    assert found.n_queries == 2
    np.testing.assert_array_equal(found.target, with_queries[0])
    target, _ = read_npz(path)
    np.testing.assert_array_equal(target.output(Logits).whole(), LOGITS[0])
    assert isinstance(target, Predictions)


def test_what_the_target_answered_about_all_reference_records_has_its_own_key(tmp_path):
    path = as_npz(tmp_path, reference_phi=PHI, reference_member=MEMBER, target_phi=PHI[1])
    np.testing.assert_array_equal(read_references(path).target, PHI[1])
    assert references_beside(path, Columns(), None) is not None
    assert references_beside(as_npz(tmp_path, phi=PHI[0]), Columns(), None) is None


def test_a_run_is_a_file_of_references(tmp_path):
    layout = SignalLayout(
        ModelTable([0, 0, 1, 1, 2, 2], [5, 0, 5, 0, 5, 0], [1, 1, 2, 2, 3, 3]),
        np.repeat(MEMBER[:3].astype(bool), 2, axis=0),
        {"logits": VariableSpec("float32", n_classes=3)},
        ids=IDS,
    )
    store = SignalStore.create(tmp_path / "run" / "signals.zarr", layout)
    for row in (0, 1, 4, 5):  # model 1 is not finished
        store.write_row(row, {"logits": LOGITS[row % 4]})
    found = read_references(tmp_path / "run")
    assert found.kind is Logits
    np.testing.assert_array_equal(whole(found), LOGITS[[1, 1]])  # at the end of training only
    np.testing.assert_array_equal(found.member, MEMBER[[0, 2]].astype(bool))
    np.testing.assert_array_equal(found.ids, IDS)


@pytest.mark.parametrize("write", [as_npz, as_zarr])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"phi": PHI}, "Expected one of the arrays reference_logits, reference_probs, reference_phi, found phi"),
        ({"reference_phi": PHI, "reference_logits": LOGITS}, "found reference_logits, reference_phi"),
        ({"reference_phi": PHI}, "Expected the array reference_member, found reference_phi"),
        ({"reference_phi": PHI, "reference_member": MEMBER[:2]}, "Expected membership of reference models as"),
        (
            {"reference_phi": PHI, "reference_member": MEMBER, "target_logits": LOGITS[0]},
            "Expected the target's answers as target_phi, as the references', found target_logits",
        ),
    ],
)
def test_what_is_missing_or_there_twice_is_named(tmp_path, write, arrays, message):
    path = write(tmp_path, **arrays)
    with pytest.raises(InputError) as error:
        read_references(path)
    assert str(error.value).startswith(f"{path.name}: ")
    assert message in str(error.value)


def test_codecs_that_could_run_code_are_refused(tmp_path):
    path = as_zarr(tmp_path, 2, reference_phi=PHI, reference_member=MEMBER)
    metadata = path / "reference_phi" / ".zarray"
    said = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(said | {"filters": [{"id": "pickle", "protocol": 5}]}))
    with pytest.raises(InputError, match="Expected Zarr codecs for numbers and text, found pickle"):
        read_references(path)
    modern = as_zarr(tmp_path / "modern", reference_phi=PHI, reference_member=MEMBER)
    metadata = modern / "reference_phi" / "zarr.json"
    said = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(said | {"codecs": [{"name": "numcodecs.pickle", "configuration": {}}]}))
    with pytest.raises(InputError, match=r"found numcodecs\.pickle"):
        read_references(modern)


def test_damaged_and_foreign_folders_are_refused(tmp_path):
    path = as_zarr(tmp_path, reference_phi=PHI, reference_member=MEMBER)
    [chunk] = [p for p in (path / "reference_phi" / "c").rglob("*") if p.is_file()]
    chunk.write_bytes(b"\x00" * 7)
    with pytest.raises(InputError, match=r"references\.zarr\[reference_phi\]: Expected a whole Zarr array"):
        whole(read_references(path))
    (path / "reference_phi" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="Expected Zarr metadata as JSON"):
        read_references(path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="Expected a Zarr group or the folder of a run, found neither"):
        read_references(empty)
    shutil.rmtree(empty)
    with pytest.raises(InputError, match="Expected a file, found none there"):
        read_references(empty)
    (tmp_path / "table.csv").write_text("reference_phi\n1\n")
    with pytest.raises(InputError, match="Expected an npz file, found a text table"):
        read_references(tmp_path / "table.csv")


def chunked(folder: Path, zarr_format: Any, **how: Any) -> Path:
    group = zarr.create_group(folder / "references.zarr", zarr_format=zarr_format)
    for name, values in {"reference_phi": PHI, "reference_member": MEMBER}.items():
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, **how)
        array[:] = values
    return folder / "references.zarr"


WRITTEN_OUT: dict[str, Any] = {"config": {"write_empty_chunks": True}}


@pytest.mark.parametrize(
    ("zarr_format", "how"),
    [
        (2, {"chunks": (1, 3)}),
        (2, {"chunks": (1, 3), "chunk_key_encoding": {"name": "v2", "separator": "/"}}),
        (3, {"chunks": (1, 3)}),
        (3, {"chunks": (1, 3), "shards": (2, 6)}),
    ],
)
@pytest.mark.parametrize("key", ["reference_phi", "reference_member"])
def test_a_missing_chunk_is_no_chunk_of_zeros(tmp_path, zarr_format, how, key):
    path = chunked(tmp_path, zarr_format, **how, **WRITTEN_OUT)
    np.testing.assert_array_equal(whole(read_references(path)), PHI)
    objects = sorted(p for p in (path / key).rglob("*") if p.is_file() and not p.name.startswith((".z", "zarr.json")))
    objects[1].unlink()
    with pytest.raises(InputError, match=rf"references\.zarr\[{key}\]: Expected every chunk of the Zarr array, found"):
        whole(read_references(path))


@pytest.mark.parametrize("key", ["reference_phi", "reference_member"])
def test_a_chunk_that_is_missing_in_a_shard_is_noticed(tmp_path, key):
    path = chunked(tmp_path, 3, chunks=(1, 3), shards=(2, 6), **WRITTEN_OUT)
    del zarr.open_group(path, mode="r+")[key]
    values = {"reference_phi": PHI, "reference_member": MEMBER}[key]
    array = zarr.open_group(path, mode="r+").create_array(
        key, shape=values.shape, dtype=values.dtype, chunks=(1, 3), shards=(2, 6), **WRITTEN_OUT
    )
    array[:, :3] = values[:, :3]  # the writer was killed
    assert array.nchunks == array.nchunks_initialized
    with pytest.raises(InputError, match="Expected every chunk of the Zarr array, found some missing in a shard"):
        whole(read_references(path))


def test_reference_models_with_their_columns_in_another_order_are_refused(tmp_path):
    arrays = {"reference_logits": LOGITS, "reference_member": MEMBER, "reference_classes": np.array(["b", "a", "c"])}
    path = as_npz(tmp_path, **arrays)
    assert read_references(path, classes=["b", "a", "c"]).n_models == MODELS
    with pytest.raises(InputError, match="Expected the target's classes a, b, c in this order, found b, a, c for the"):
        read_references(path, classes=["a", "b", "c"])

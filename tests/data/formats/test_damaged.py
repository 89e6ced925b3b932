"""Damage that a library told by another exception than usual, each found by the fuzz, or by a stranger."""

import gzip
import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from tests.data.published import zipped
from tests.data.refusals import refused

from vestige.data import read_npy, read_npz, read_predictions, read_records, read_references
from vestige.data.sets.published_sets import read_location30

NPZ = {"probs": np.full((4, 2), 0.5), "labels": np.array([0, 1, 0, 1]), "member": np.array([0, 1, 1, 0])}


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **{**NPZ, **arrays})
    return stream.getvalue()


def test_a_gzipped_table_that_is_damaged_late(tmp_path):
    rows = "".join(f"{i % 2},{i // 2 % 2},0.5,0.5,{i}\n" for i in range(40_000))
    content = bytearray(gzip.compress(f"label,member,prob_0,prob_1,id\n{rows}".encode()))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "t.csv.gz").write_bytes(content)
    refused(lambda: read_predictions(tmp_path / "t.csv.gz"), "t.csv.gz: Expected a whole gzip file, found a truncated")


@pytest.mark.parametrize(("place", "value"), [(6, 85), (10, 77)])  # a version to come, and an unknown way of packing
def test_an_npz_whose_zip_is_odd(tmp_path, place, value):
    content = bytearray(npz())
    content[content.rfind(b"PK\x01\x02") + place] = value
    (tmp_path / "t.npz").write_bytes(content)
    refused(lambda: read_npz(tmp_path / "t.npz")[0].outputs[0].whole(), "t.npz")


def test_an_npz_whose_entry_has_a_name_that_is_no_text(tmp_path):
    content = npz(é=np.arange(4)).replace("é.npy".encode(), b"\xff\xff.npy")
    (tmp_path / "t.npz").write_bytes(content)
    refused(lambda: read_npz(tmp_path / "t.npz"), "t.npz: Expected a whole npz file, found a truncated or damaged one")


@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF, 0xD800])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_that_is_no_characters(tmp_path, code, order):
    ids = np.array(["a", "b", "c", "d"]).view(np.uint32).copy()
    ids[1] = code
    odd = ids.astype(f"{order}u4").view(f"{order}U1")
    (tmp_path / "t.npz").write_bytes(npz(ids=odd))
    refused(lambda: read_npz(tmp_path / "t.npz"), "t.npz[ids]: Expected text, found numbers that are no characters")


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_text_of_a_zarr_group_that_is_no_characters(tmp_path):
    ids = np.array(["a", "b", "c", "d"]).view(np.uint32).copy()
    ids[1] = 0x110000
    group = zarr.create_group(tmp_path / "r.zarr", zarr_format=2)
    arrays = {"phi": np.ones((2, 4)), "member": np.array([[0, 1, 0, 1], [1, 0, 1, 0]]), "ids": ids.view("<U1")}
    for name, values in arrays.items():
        group.create_array(f"reference_{name}", data=values, filters=None, compressors=None)
    refused(lambda: read_references(tmp_path / "r.zarr"), "r.zarr[reference_ids]: Expected text, found numbers")


@pytest.mark.parametrize(("size", "said"), [(2**40, " files for "), (0, "Expected a whole Zarr array")])
def test_a_zarr_array_whose_shape_or_chunks_are_damaged(tmp_path, size, said):
    group = zarr.create_group(tmp_path / "r.zarr", zarr_format=3)
    arrays = {"phi": np.ones((2, 4)), "member": np.array([[0, 1, 0, 1], [1, 0, 1, 0]])}
    for name, values in arrays.items():
        group.create_array(f"reference_{name}", data=values)
    metadata = tmp_path / "r.zarr" / "reference_member" / "zarr.json"
    document = json.loads(metadata.read_text())
    if size:
        document["shape"][1] = size
    else:
        document["chunk_grid"]["configuration"]["chunk_shape"][1] = 0
    metadata.write_text(json.dumps(document))
    refused(lambda: read_references(tmp_path / "r.zarr"), "r.zarr[reference_member]", said)


@pytest.mark.parametrize(("at", "value"), [(12, 2**31 - 1), (8, 2**31 - 1), (4, 2**32 - 1)])  # sizes it tells
def test_a_chunk_of_blosc_whose_header_is_damaged(tmp_path, at, value):
    """Blosc believed it, and ended the process."""
    group = zarr.create_group(tmp_path / "r.zarr", zarr_format=2)
    rng = np.random.default_rng(0)
    for name, values in {"phi": rng.normal(size=(2, 400)), "member": np.tile([[0, 1], [1, 0]], 200)}.items():
        group.create_array(f"reference_{name}", data=values)
    assert read_references(tmp_path / "r.zarr").answers.shape == (2, 400)
    chunk = tmp_path / "r.zarr" / "reference_phi" / "0.0"
    content = bytearray(chunk.read_bytes())
    content[at : at + 4] = value.to_bytes(4, "little")
    chunk.write_bytes(content)
    refused(lambda: list(read_references(tmp_path / "r.zarr").models()), "r.zarr[reference_phi]: Expected a whole Zarr")


def test_dates_without_a_unit(tmp_path):
    for name in ("logits", "labels", "member"):
        np.save(tmp_path / f"{name}.npy", NPZ["probs" if name == "logits" else name])
    np.save(tmp_path / "labels.npy", np.arange(4).astype("<M8[D]").view("<i8").view("<M8"))
    paths = [tmp_path / f"{name}.npy" for name in ("logits", "labels", "member")]
    refused(lambda: read_npy(*paths), "labels.npy: Expected numbers, text or dates, found datetime64 without a unit")


def test_a_header_that_is_no_python(tmp_path):
    for name in ("logits", "labels", "member"):
        np.save(tmp_path / f"{name}.npy", NPZ["probs" if name == "logits" else name])
    content = (tmp_path / "member.npy").read_bytes()
    (tmp_path / "member.npy").write_bytes(content.replace(b"{'descr'", b"{'descr\"", 1).replace(b"False", b"Fal e", 1))
    paths = [tmp_path / f"{name}.npy" for name in ("logits", "labels", "member")]
    refused(lambda: read_npy(*paths), "member.npy: Expected an array saved by NumPy, found a damaged or foreign header")


def no_utf8():
    odd = pa.array([b"a", b"\xff", b"c", b"d"])
    return pa.Array.from_buffers(pa.string(), 4, odd.buffers())


@pytest.mark.parametrize("column", ["id", "label", "note"])
def test_text_of_a_parquet_file_that_is_not_utf8(tmp_path, column):
    columns = {"label": ["0", "1", "0", "1"], "member": [0, 1, 1, 0], "prob_0": [0.5] * 4, "prob_1": [0.5] * 4}
    pq.write_table(pa.table({**columns, "id": list("abcd"), "note": list("abcd"), column: no_utf8()}), tmp_path / "t")
    if column == "note":  # which nobody needs
        assert read_predictions(tmp_path / "t")[0].n_records == 4
        return
    what = f"t: Expected UTF-8 text in column {column}, found other bytes; save it as UTF-8"
    refused(lambda: read_predictions(tmp_path / "t"), what)
    refused(lambda: read_records(tmp_path / "t"), "t: Expected UTF-8 text in column")


def test_lists_in_a_column_that_is_not_used(tmp_path):
    columns = {"label": [0, 1, 0, 1], "member": [0, 1, 1, 0], "prob_0": [0.5] * 4, "prob_1": [0.5] * 4}
    pq.write_table(pa.table({**columns, "note": [[1.0]] * 4, "more": [{"a": 1}] * 4}), tmp_path / "t")
    assert read_predictions(tmp_path / "t")[0].notes == ("Columns not used, nor checked: note, more.",)


def test_a_published_zip_packed_in_an_unknown_way(tmp_path):
    content = bytearray(zipped(tmp_path / "l.zip", {"bangkok": b"1,0\n"}).read_bytes())
    content[8] = content[content.rfind(b"PK\x01\x02") + 10] = 77
    (tmp_path / "l.zip").write_bytes(content)
    with pytest.raises(NotImplementedError), zipfile.ZipFile(tmp_path / "l.zip") as archive:
        archive.read("bangkok")
    refused(lambda: read_location30(tmp_path / "l.zip"), "l.zip", "Expected a whole zip file")


@pytest.mark.parametrize("name", [b"", b"\xff\xffngkok"])  # none, and one that is no text though it says so
def test_a_published_zip_whose_entry_has_no_name(tmp_path, name):
    content = zipped(tmp_path / "l.zip", {"bängko" if name else "bangkok": b"1,0\n"}).read_bytes()
    at = content.rfind(b"PK\x01\x02")
    if name:
        content = content[:at] + content[at:].replace("bängko".encode(), name)
    else:
        content = content[: at + 28] + b"\0\0" + content[at + 30 :].replace(b"bangkok", b"")
        content = content.replace(
            (53).to_bytes(4, "little") + at.to_bytes(4, "little"), (46).to_bytes(4, "little") + at.to_bytes(4, "little")
        )
    (tmp_path / "l.zip").write_bytes(content)
    refused(lambda: read_location30(tmp_path / "l.zip"), "l.zip: Expected")


def test_labels_far_apart_cost_no_more_than_close_ones(tmp_path):
    (tmp_path / "t.csv").write_text("x,label\n1,0\n2,4000000000000000\n3,7\n")
    assert read_records(tmp_path / "t.csv").n_classes == 3

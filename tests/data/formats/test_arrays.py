import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.refusals import refused

from vestige.data.formats.arrays import NpyStream, NpzFile, npy_file

DTYPES = ["f2", "<f4", ">f4", "f8", "i1", "u2", "i8", "?"]


def opened(path):
    return npy_file(path).table()


def saved_npz(path, compressed, **arrays):
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 300),
    k=st.integers(1, 9),
    n_rows=st.integers(1, 400),
    dtype=st.sampled_from(DTYPES),
    compressed=st.booleans(),
    fortran=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_streaming_equals_loading(tmp_path_factory, n, k, n_rows, dtype, compressed, fortran, seed):
    folder = tmp_path_factory.mktemp("streams")
    array = (np.random.default_rng(seed).random((n, k)) * 100).astype(dtype)
    array = np.asfortranarray(array) if fortran else array
    np.save(folder / "x.npy", array)
    tables = [
        opened(folder / "x.npy"),
        NpzFile(saved_npz(folder / "x.npz", compressed, probs=array)).table("probs"),
    ]
    for table in tables:
        assert (table.shape, table.dtype) == (array.shape, array.dtype)
        for _ in range(2):  # a table is read more than once
            blocks = list(table.blocks(n_rows))
            assert all(0 < len(b) <= n_rows for b in blocks)
            assert sum(len(b) for b in blocks) == n
            if n:
                np.testing.assert_array_equal(np.concatenate(blocks), array)


def test_blocks_may_be_kept(tmp_path):
    array = np.arange(20.0).reshape(10, 2)
    np.save(tmp_path / "x.npy", array)
    blocks = list(opened(tmp_path / "x.npy").blocks(3))
    blocks[0][:] = -1
    np.testing.assert_array_equal(np.concatenate(blocks[1:]), array[3:])


def test_c_order_is_streamed_and_not_mapped(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    table = opened(tmp_path / "x.npy")
    assert isinstance(table, NpyStream)
    assert not isinstance(next(table.blocks(2)).base, np.memmap)


def test_a_large_compressed_npz_is_never_held(tmp_path):
    rng = np.random.default_rng(0)
    array = np.round(rng.random((100_000, 100), dtype=np.float32), 2)  # 40 MB
    saved_npz(tmp_path / "x.npz", True, probs=array)
    total = array.sum(dtype=np.float64)
    del array
    tracemalloc.start()
    try:
        table = NpzFile(tmp_path / "x.npz").table("probs")
        seen = sum(block.sum(dtype=np.float64) for block in table.blocks(4096))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == pytest.approx(total)
    assert peak < 8e6


def test_reading_may_stop_early(tmp_path):
    np.savez(tmp_path / "x.npz", probs=np.zeros((100, 2)))
    blocks = NpzFile(tmp_path / "x.npz").table("probs").blocks(10)
    next(blocks)
    del blocks  # and leaves no open file behind: warnings are errors


def test_a_truncated_npy_is_noticed_at_once(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((100, 2)))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[:-8])
    refused(lambda: opened(tmp_path / "x.npy"), "x.npy", "1,728 bytes", "found only 1,720", "truncated", "save it")


def test_an_npy_with_more_than_one_array_is_refused(tmp_path):
    with (tmp_path / "x.npy").open("wb") as stream:
        np.save(stream, np.zeros((4, 2)))
        np.save(stream, np.zeros((4, 2)))
    refused(lambda: opened(tmp_path / "x.npy"), "one array per file")


def test_a_file_cut_while_it_is_read_is_noticed(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((100, 2)))
    table = opened(tmp_path / "x.npy")
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[: 128 + 50 * 16 + 3])
    refused(lambda: list(table.blocks(7)), "x.npy: Expected 100 rows", "truncated")


def test_a_file_changed_between_two_readings_is_noticed(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((100, 2)))
    table = opened(tmp_path / "x.npy")
    list(table.blocks(50))
    np.save(tmp_path / "x.npy", np.zeros((50, 2)))
    refused(lambda: list(table.blocks(7)), "x.npy", "changed")
    (tmp_path / "x.npy").unlink()
    refused(lambda: list(table.blocks(7)), "x.npy: Expected a file", "found none")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_in_the_middle_of_an_entry_is_noticed(tmp_path, compressed):
    array = np.random.default_rng(0).random((1000, 10))
    path = saved_npz(tmp_path / "x.npz", compressed, probs=array)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    path.write_bytes(data)
    refused(lambda: list(NpzFile(path).table("probs").blocks(100)), "x.npz[probs]", "damaged", "save it again")


def test_an_entry_shorter_than_its_header_says_is_noticed(tmp_path):
    import zipfile

    buffer = io.BytesIO()
    np.save(buffer, np.zeros((100, 2)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("probs.npy", buffer.getvalue()[:-160])
    refused(lambda: NpzFile(tmp_path / "x.npz").table("probs"), "x.npz[probs]", "found only", "truncated")
    refused(lambda: NpzFile(tmp_path / "x.npz").load("probs"), "x.npz[probs]", "found only", "truncated")


def test_a_foreign_header_is_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': garbage")
    refused(lambda: opened(tmp_path / "x.npy"), "x.npy", "damaged or foreign header", "numpy.save")

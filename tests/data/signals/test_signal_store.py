"""The store of signals, against plain numpy arrays; and what becomes of it when things go wrong."""

import errno
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tests.data.signals.stores import (
    IDS,
    N_MODELS,
    N_RECORDS,
    VARIABLES,
    files_of,
    flip,
    layout_of,
    signals_of,
    small_chunks,
)

from vestige.core.errors import ArtefactError, InputError, OutputError
from vestige.core.half_written import is_half_written
from vestige.data.signals.layout import Damage, ModelTable, VariableSpec
from vestige.data.signals.store import SignalStore

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _several_objects(monkeypatch):
    small_chunks(monkeypatch)  # logits: 10 records of 24 bytes, 4 objects a row; losses 2, labels and member 1


@pytest.fixture
def store(tmp_path):
    """Without any row."""
    return SignalStore.create(tmp_path / "signals.zarr", layout_of())


@pytest.fixture
def full(store):
    """With all rows."""
    for row in range(N_MODELS):
        store.write_row(row, signals_of(row))
    return store


def _plain(name):
    """What should be in the store, as one array."""
    return layout_of().member if name == "member" else np.stack([signals_of(row)[name] for row in range(N_MODELS)])


# --------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize(
    ("n_models", "n_records", "spec"),
    [
        (1, 1, VariableSpec("float32")),
        (3, 50, VariableSpec("float64", n_classes=4)),
        (2, 101, VariableSpec("float32", n_queries=3, n_classes=5)),
        (5, 64, VariableSpec("int16", n_queries=2)),
        (2, 9, VariableSpec("bool")),
        (2, 9, VariableSpec("float16", n_classes=1000)),  # one record is more than an object should be
        (1, 33, VariableSpec("uint64", n_classes=2)),
    ],
    ids=str,
)
def test_what_is_written_is_read(tmp_path, n_models, n_records, spec):
    rng = np.random.default_rng(0)
    member = rng.random((n_models, n_records)) < 0.5
    layout = layout_of(
        models=ModelTable(np.arange(n_models), np.zeros(n_models, int), np.arange(n_models)),
        member=member,
        variables={"values": spec},
        ids=None,
    )
    plain = np.stack([signals_of(row, {"values": spec}, n_records)["values"] for row in range(n_models)])
    store = SignalStore.create(tmp_path / "s.zarr", layout)
    for row in rng.permutation(n_models):
        store.write_row(int(row), {"values": plain[row]})
    for opened in (store, SignalStore.open(tmp_path / "s.zarr"), SignalStore.open(tmp_path / "s.zarr", layout)):
        found = opened.read("values")
        np.testing.assert_array_equal(found, plain)
        assert found.dtype == spec.dtype
        np.testing.assert_array_equal(opened.read("member"), member)
        assert opened.ids is None
        assert opened.verify() == ()


def test_any_part_is_the_part_of_the_whole(full):
    for name in VARIABLES:
        for rows in (None, [2], [3, 0], [], np.array([True, False, True, True])):
            whole = _plain(name) if rows is None else _plain(name)[rows if len(rows) else slice(0)]
            for records in (slice(None), slice(9, 11), slice(13, 14), slice(30, 99), slice(5, 5), slice(20, 3)):
                np.testing.assert_array_equal(full.read(name, rows=rows, records=records), whole[:, records])


def test_the_ids_come_back(full):
    assert full.ids.tolist() == IDS
    np.testing.assert_array_equal(SignalStore.open(full.folder).ids, IDS)


@pytest.mark.parametrize(
    "ids",
    [
        np.arange(37) - 5,
        np.arange(37, dtype=np.uint64) + 2**63,
        np.arange(37) / 4,
        np.arange("2020-01-01", "2020-02-07", dtype="datetime64[D]"),
        np.array([f"Müller {i}" for i in range(37)]),
        np.array([f"a{i}".encode() for i in range(37)]),
    ],
    ids=lambda ids: ids.dtype.name,
)
def test_ids_of_any_type_come_back(tmp_path, ids):
    layout = layout_of(ids=ids)
    SignalStore.create(tmp_path / "s.zarr", layout)
    found = SignalStore.open(tmp_path / "s.zarr", layout).ids
    assert found is not None
    expected = np.char.decode(ids) if ids.dtype.kind == "S" else ids  # bytes are text everywhere
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.kind == expected.dtype.kind


def test_plain_xarray_reads_it(full):
    with xr.open_zarr(full.folder, consolidated=False) as ds:
        assert dict(ds.sizes) == {"model": 4, "record": 37, "query": 2, "class": 3}
        assert set(ds.data_vars) == {*VARIABLES, "member"}
        for name, spec in VARIABLES.items():
            assert ds[name].dims == spec.dims
            assert ds[name].dtype == spec.dtype
            np.testing.assert_array_equal(ds[name].values, _plain(name))
        np.testing.assert_array_equal(ds.member.values, layout_of().member)
        assert ds.model.values.tolist() == [0, 0, 1, 1]
        assert ds.epoch.values.tolist() == [5, 9, 5, 9]
        assert ds.seed.values.tolist() == [11, 11, 12, 12]
        assert ds.complete.values.tolist() == [True] * 4
        assert ds.epoch.dims == ds.seed.dims == ds.complete.dims == ("model",)
        assert ds.record.values.tolist() == list(range(37))


def test_its_data_set_knows_the_ids_and_what_is_missing(store):
    store.write_row(1, signals_of(1))
    ds = store.dataset()
    assert ds.record.values.tolist() == IDS
    one = ds.isel(model=1).sel(record=IDS[3])
    np.testing.assert_array_equal(one.logits.values, signals_of(1)["logits"][3])
    assert np.isnan(ds.losses.values[[0, 2, 3]]).all()
    assert (ds.labels.values[0] == -1).all()


# -------------------------------------------------------------------------------------- writing


def test_the_bytes_depend_on_the_signals_alone(tmp_path):
    folders = [tmp_path / name / "signals.zarr" for name in ("whole", "turned")]
    whole, turned = (SignalStore.create(folder, layout_of()) for folder in folders)
    for row in range(N_MODELS):
        whole.write_row(row, signals_of(row))
    for row in reversed(range(N_MODELS)):
        turned.write_row(row, {name: values.copy() for name, values in reversed(signals_of(row).items())})
    assert files_of(folders[0]) == files_of(folders[1])
    whole.write_row(2, signals_of(2))
    assert files_of(folders[0]) == files_of(folders[1])


def test_every_row_has_objects_of_its_own_and_every_codec_chain_ends_in_crc32c(full):
    import json

    before = files_of(full.folder)
    full.write_row(1, signals_of(0))
    changed = {name for name, content in files_of(full.folder).items() if before[name] != content}
    assert changed
    assert all("/c/1/" in name for name in changed)
    arrays = [json.loads(text) for name, text in before.items() if name.endswith("/zarr.json")]
    assert len(arrays) == len(VARIABLES) + 6
    assert all(array["codecs"][-1]["name"] == "crc32c" for array in arrays)


def test_chunks_of_fill_values_are_written_too(tmp_path):
    spec = {
        "a": VariableSpec("float32"),
        "b": VariableSpec("int8"),
        "c": VariableSpec("uint8"),
        "d": VariableSpec("bool"),
    }
    layout = layout_of(variables=spec, member=np.zeros((4, 37), bool))
    store = SignalStore.create(tmp_path / "s.zarr", layout)
    empty = {"a": np.full(37, np.nan, np.float32), "b": np.full(37, -1, np.int8), "c": np.zeros(37, np.uint8)}
    store.write_row(0, {**empty, "d": np.zeros(37, bool)})
    assert store.verify() == ()
    assert np.isnan(store.read("a", rows=[0])).all()


def test_a_row_counts_once_it_is_whole(store, monkeypatch):
    assert store.complete().tolist() == [False] * 4
    store.write_row(2, signals_of(2))
    true = SignalStore._put

    def put(it, row, *part):
        true(it, row, *part)
        assert store.complete().tolist() == [False, False, True, False]

    with monkeypatch.context() as patch:
        patch.setattr(SignalStore, "_put", put)
        store.write_row(0, signals_of(0))
    assert store.complete().tolist() == [True, False, True, False]
    assert SignalStore.open(store.folder, layout_of()).complete().tolist() == [True, False, True, False]
    expected = "Expected a complete row, found none for model 0 at epoch 9; compute it, or read rows=store.complete"
    with pytest.raises(ArtefactError, match=expected):
        store.read("losses")
    with pytest.raises(ArtefactError, match=expected):
        list(store.table("losses").blocks(4))
    np.testing.assert_array_equal(store.read("losses", rows=store.complete()), _plain("losses")[[0, 2]])


@pytest.mark.parametrize("was_there", [False, True])
def test_an_exception_while_writing_leaves_no_row(store, was_there, monkeypatch):
    if was_there:
        store.write_row(1, signals_of(1))

    true = SignalStore._put

    def half_a_row(it, row, name, start, values):
        if start:
            raise ZeroDivisionError
        true(it, row, name, start, values)

    monkeypatch.setattr(SignalStore, "_put", half_a_row)
    with pytest.raises(ZeroDivisionError):
        store.write_row(1, signals_of(0))
    assert not store.complete().any()
    assert not [name for name in files_of(store.folder) if "/c/1" in name]


def test_a_row_with_too_few_records_or_a_variable_left_out_is_not_complete(store):
    short = {name: values[:36] for name, values in signals_of(0).items()}
    with pytest.raises(InputError, match="Expected logits of 37 records for model 0 at epoch 5, found 36; give every"):
        store.write_row(0, short)
    with pytest.raises(InputError, match="Expected losses of 37 records for model 0 at epoch 5, found 0"):
        store.write_row(0, {k: v for k, v in signals_of(0).items() if k != "losses"})
    assert not store.complete().any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phi": np.zeros(37)}, "Expected one of the variables member, logits, losses, labels, found 'phi'"),
        (
            {"losses": np.zeros((37, 3), np.float32)},
            "Expected losses of model 0 at epoch 5 as float64 of shape records, found float32 of shape 37 x 3",
        ),
        ({"logits": np.zeros((37, 2, 4), np.float32)}, "of shape records x 2 x 3, found float32 of shape 37 x 2 x 4"),
        ({"losses": np.float64(3)}, "as float64 of shape records, found float64 of shape a single value"),
        ({"losses": np.zeros(38)}, "Expected losses of 37 records for model 0 at epoch 5, found 38; give every"),
    ],
)
def test_what_is_no_part_of_a_row_is_refused(full, values, message):
    before = files_of(full.folder)
    with pytest.raises(InputError, match=message):
        full.write_row(0, {**signals_of(0), **values})
    assert files_of(full.folder) == before


def test_a_store_opened_to_read_is_not_written(full):
    with pytest.raises(InputError, match="Expected the layout it must have, to write to it, found none; open it with"):
        SignalStore.open(full.folder).write_row(0, signals_of(0))
    assert full.complete().all()


@pytest.mark.parametrize("row", [-1, 4])
def test_a_row_that_is_none_is_refused(full, row):
    with pytest.raises(InputError, match=r"signals.zarr: Expected rows of its 4 models, as a mask or as positions"):
        full.write_row(row, signals_of(0))
    assert full.complete().all()


@pytest.mark.parametrize("rows", [[-1], [4], [1.0], ["a"], 1, [[0, 1]], [True, False]], ids=str)
def test_rows_that_are_none_are_refused(full, rows):
    with pytest.raises(InputError, match="Expected rows of its 4 models, as a mask or as positions from 0, found "):
        full.read("losses", rows=rows)


def test_what_cannot_be_read_is_refused(full):
    with pytest.raises(InputError, match="Expected one of the variables member, logits, losses, labels, found 'phi'"):
        full.read("phi")
    with pytest.raises(InputError, match="Expected one of the variables"):
        full.table("phi")
    with pytest.raises(InputError, match="Expected consecutive records, found a step of 2"):
        full.read("losses", records=slice(0, 9, 2))


# --------------------------------------------------------------------------------- disk trouble


def test_a_full_disk_leaves_no_row_and_the_next_try_succeeds(tmp_path):
    spec = {"losses": VariableSpec("float64", n_classes=100)}
    layout = layout_of(variables=spec)
    store = SignalStore.create(tmp_path / "s.zarr", layout)
    values = signals_of(0, spec)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # the system refuses to make files any longer
    try:
        with pytest.raises(
            OutputError, match=r"s.zarr: Expected to write losses of model 0 at epoch 5, found: file too"
        ):
            store.write_row(0, values)
        with pytest.raises(OutputError, match=r"t.zarr: Expected to write a new store, found: file too large; it does"):
            SignalStore.create(tmp_path / "t.zarr", layout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not store.complete().any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.zarr"]
    assert not list((tmp_path / "s.zarr" / "losses").rglob("*.partial"))
    store.write_row(0, values)
    np.testing.assert_array_equal(store.read("losses", rows=[0])[0], values["losses"])


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_every_write_may_fail(store, monkeypatch, reason):
    from zarr.storage import _local

    put, writes, fails_at = _local._put, [0], [0]

    def failing(*arguments, **options):
        writes[0] += 1
        if writes[0] == fails_at[0]:
            raise OSError(reason, "No space left on device")
        return put(*arguments, **options)

    def write_failing(at):
        writes[0], fails_at[0] = 0, at
        store.write_row(3, signals_of(3))

    monkeypatch.setattr(_local, "_put", failing)
    for at in range(1, 9):  # 4 objects of logits, 2 of losses, 1 of labels and of member
        with pytest.raises(OutputError, match=r"signals.zarr: Expected to write .* of model 1 at epoch 9, found: no s"):
            write_failing(at)
        assert not store.complete().any()
    with pytest.raises(OutputError, match="Expected to write model 1 at epoch 9, found: no space left"):
        write_failing(9)  # the mark
    assert not store.complete().any()
    write_failing(10)
    assert store.complete().tolist() == [False] * 3 + [True]


def test_a_file_in_the_way_is_an_output_error(store, tmp_path):
    (store.folder / "losses" / "c").write_text("")
    with pytest.raises(OutputError, match="Expected to write losses of model 0 at epoch 5, found: "):
        store.write_row(0, signals_of(0))
    assert not store.complete().any()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"s.zarr: Expected to write a new store, found: "):
        SignalStore.create(tmp_path / "file" / "s.zarr", layout_of())


def test_a_folder_that_is_there_is_never_overwritten(full):
    before = files_of(full.folder)
    with pytest.raises(OutputError, match=r"signals.zarr: Expected no folder yet, found one; open it or remove it"):
        SignalStore.create(full.folder, layout_of())
    assert files_of(full.folder) == before


# --------------------------------------------------------------------------------------- damage


def _kinds(files):
    """Files by what they are, so that every kind is tried."""
    kinds: dict[str, list[str]] = {}
    for name in files:
        kinds.setdefault(name.split("/c/")[0], []).append(name)
    return list(kinds.values())


def _noticed(folder):
    """What the library says about a store that should be whole."""
    try:
        store = SignalStore.open(folder, layout_of())
    except ArtefactError as error:
        return str(error)
    return store.verify()


def test_every_flipped_bit_is_noticed(full):
    """Of every file in turn, metadata, coordinates, ids, marks and signals, until 60 bits were flipped."""
    rng = np.random.default_rng(7)
    files, n_flips = files_of(full.folder), 0
    kinds = _kinds(files)
    assert len(kinds) == 20  # ids, the root's metadata, 9 arrays' and their objects
    assert _noticed(full.folder) == ()
    while n_flips < 60:
        kind = kinds[n_flips % len(kinds)]
        name = kind[rng.integers(len(kind))]
        bit = int(rng.integers(8 * len(files[name])))
        flip(full.folder / name, bit)
        found = _noticed(full.folder)
        assert found, (name, bit)
        if isinstance(found, str):
            assert found.startswith("signals.zarr: Expected "), found
            assert found.endswith("remove it, so that it is computed again.") or "format" in found
        flip(full.folder / name, bit)
        n_flips += 1
    assert _noticed(full.folder) == ()


def test_a_flipped_bit_in_a_signal_is_named_and_only_its_row_is_written_again(full):
    rng = np.random.default_rng(8)
    whole = files_of(full.folder)
    objects = [name for name in whole if "/c/" in name and name.split("/")[0] in full.variables]
    for name in rng.permutation(objects)[:20].tolist():
        variable, _, row, block = name.split("/")[:4]
        flip(full.folder / name, int(rng.integers(8 * len(whole[name]))))
        size = {"logits": 10, "losses": 19}.get(variable, N_RECORDS)
        start, stop = int(block) * size, min(N_RECORDS, (int(block) + 1) * size)
        assert full.verify() == (Damage(int(row), variable, start, stop),)
        model = ["model 0 at epoch 5", "model 0 at epoch 9", "model 1 at epoch 5", "model 1 at epoch 9"][int(row)]
        message = f"signals.zarr: Expected {variable} of {model}, records {start} to {stop - 1}, found a damaged object"
        with pytest.raises(ArtefactError, match=message):
            full.read(variable)
        with pytest.raises(ArtefactError, match=message):
            list(full.table(variable).blocks(4))
        others = [other for other in range(N_MODELS) if other != int(row)]
        np.testing.assert_array_equal(full.read(variable, rows=others), _plain(variable)[others])
        full.write_row(int(row), signals_of(int(row)))
        assert files_of(full.folder) == whole


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 7])
def test_a_missing_or_truncated_object_is_named(full, content):
    for variable, row, key in (("logits", 1, "2/0/0"), ("losses", 3, "1"), ("member", 0, "0")):
        path = full.folder / variable / "c" / str(row) / key
        path.unlink() if content is None else path.write_bytes(content)
        assert [(damage.row, damage.variable) for damage in full.verify()] == [(row, variable)]
        found = "found none; compute" if content is None else "found a damaged object; compute this row again"
        with pytest.raises(ArtefactError, match=f"Expected {variable} of {full.models.named(row)}, .*, {found}"):
            full.read(variable)
        full.write_row(row, signals_of(row))
    assert full.verify() == ()


def test_a_damaged_mark_does_not_count_and_is_listed(full):
    mark = full.folder / "complete" / "c" / "2"
    for bit in range(0, 8 * len(mark.read_bytes()), 3):
        flip(mark, bit)
        assert full.complete().tolist() == [True, True, False, True]
        assert full.verify() == (Damage(2, "complete", 0, N_RECORDS),)
        with pytest.raises(ArtefactError, match="the mark of model 1 at epoch 5, found a damaged object; compute this"):
            full.read("losses")
        flip(mark, bit)
    full.write_row(2, signals_of(2))
    assert full.complete().all()


# -------------------------------------------------------------------------------- killed writers

_WRITER = """
import os, signal, sys
from tests.data.signals.stores import layout_of, signals_of
from vestige.data.signals.store import SignalStore
store = SignalStore.open(sys.argv[1], layout_of())
{body}
"""


def _start(body, folder):
    return subprocess.Popen([sys.executable, "-c", _WRITER.format(body=body), str(folder)], cwd=ROOT)


def _complete_rows_are_right(folder):
    store = SignalStore.open(folder, layout_of())
    assert store.verify() == ()
    for row in np.flatnonzero(store.complete()).tolist():
        for name, values in signals_of(row).items():
            np.testing.assert_array_equal(store.read(name, rows=[row])[0], values)
    return store


@pytest.mark.parametrize("was_there", [False, True])
def test_a_writer_killed_within_a_row_leaves_no_row(store, was_there):
    if was_there:
        store.write_row(1, signals_of(1))
    child = _start(
        """
store.write_row(0, signals_of(0))
true = SignalStore._put
def put(it, row, name, start, values):
    true(it, row, name, start, values)
    if start:
        os.kill(os.getpid(), signal.SIGKILL)
SignalStore._put = put
store.write_row(1, signals_of(3))
""",
        store.folder,
    )
    assert child.wait(60) == -9
    again = _complete_rows_are_right(store.folder)
    assert again.complete().tolist() == [True, False, False, False]
    for row in (1, 2, 3):
        again.write_row(row, signals_of(row))
    fresh = SignalStore.create(store.folder.with_name("fresh"), layout_of())
    for row in range(N_MODELS):
        fresh.write_row(row, signals_of(row))
    assert files_of(store.folder) == files_of(fresh.folder)


def test_a_writer_killed_at_any_moment_leaves_only_whole_rows(store):
    """The child writes all rows over and over; it is killed at random moments, with all of them written before."""
    rng = np.random.default_rng(9)
    n_incomplete = 0
    for _ in range(4):
        child = _start(
            "while True:\n    for row in range(4):\n        store.write_row(row, signals_of(row))", store.folder
        )
        for row in range(N_MODELS):
            (store.folder / "complete" / "c" / str(row)).unlink(missing_ok=True)
        deadline = time.monotonic() + 60
        while not store.complete().any() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        child.kill()
        assert child.wait(60) == -9
        n_incomplete += int((~_complete_rows_are_right(store.folder).complete()).sum())
    assert n_incomplete  # some kills fell within a row


def test_a_store_killed_while_it_was_made_is_made_anew(tmp_path):
    folder = tmp_path / "signals.zarr"
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, signal, sys\n"
            "from tests.data.signals.stores import layout_of\n"
            "from vestige.data.signals import store\n"
            "store._write_ids = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
            "store.SignalStore.create(sys.argv[1], layout_of())",
            str(folder),
        ],
        cwd=ROOT,
    )
    assert child.wait(60) == -9
    assert [is_half_written(path, "signals.zarr") for path in tmp_path.iterdir()] == [True]
    store = SignalStore.create(folder, layout_of())
    assert [path.name for path in tmp_path.iterdir()] == ["signals.zarr"]
    assert not store.complete().any()


# --------------------------------------------------------------------------------------- memory

_MEMORY = """
import resource, sys
import numpy as np
from vestige.data.signals.store import SignalStore
from vestige.data.signals.layout import ModelTable, SignalLayout, VariableSpec

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

n_models, n_records, step = 32, 100_000, 5_000
zeros = np.zeros(n_models, int)
spec = {"logits": VariableSpec("float32", n_classes=20)}
layout = SignalLayout(ModelTable(np.arange(n_models), zeros, zeros), np.zeros((n_models, n_records), bool), spec)
store = SignalStore.create(sys.argv[1], layout)
store.write_row(0, {"logits": np.zeros((n_records, 20), np.float32)})
store.read("logits", rows=[0], records=slice(0, step))
block = np.arange(n_records * 20, dtype=np.float32).reshape(n_records, 20)
before = peak()
for row in range(n_models):
    store.write_row(row, {"logits": block + row})
total = 0
for start in range(0, n_records, step):
    found = store.read("logits", records=slice(start, start + step))
    assert found.shape == (n_models, step, 20)
    assert (found[:, 3, 0] == (start + 3) * 20 + np.arange(n_models)).all()
    total += found.nbytes
print(total / 2**20, peak() - before)
"""


def test_memory_is_that_of_a_block_not_of_the_store(tmp_path):
    command = [sys.executable, "-c", _MEMORY, str(tmp_path / "s.zarr")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    total, grown = (float(v) for v in done.stdout.split())  # [MB]
    assert total == pytest.approx(244.1, abs=0.1)
    assert grown < 60  # two blocks of 12 MB, an object of 4 MB, and what the allocator keeps

"""What a store is made of: refused if it was made for anything else, naming both sides."""

import json
import os
import shutil

import numpy as np
import pytest
from tests.data.signals.stores import VARIABLES, files_of, layout_of, signals_of

from vestige.core.errors import ArtefactError
from vestige.data.signals.layout import ModelTable, VariableSpec
from vestige.data.signals.store import SignalStore


@pytest.fixture
def folder(tmp_path):
    SignalStore.create(tmp_path / "signals.zarr", layout_of()).write_row(0, signals_of(0))
    return tmp_path / "signals.zarr"


def _fewer(n):
    return {"member": layout_of().member[:, :n], "ids": layout_of().ids[:n]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (_fewer(30), "Expected a store made for 30 records, found one for 37 records; name another folder, or remove"),
        (
            {"ids": layout_of().ids[::-1]},
            "Expected a store made for ids of digest [0-9a-f]{12}, found one for ids of digest [0-9a-f]{12};",
        ),
        ({"ids": None}, "Expected a store made for ids of digest none, found one for ids of digest [0-9a-f]{12};"),
        ({"member": ~layout_of().member}, "made for member of digest [0-9a-f]{12}, found one for member of digest"),
        (
            {"models": ModelTable([0, 1], [5, 5], [11, 12]), "member": layout_of().member[:2]},
            "Expected a store made for 2 models, found one for 4; name another",
        ),
        (
            {"models": ModelTable([0, 0, 1, 1], [5, 9, 5, 10], [11, 11, 12, 12])},
            "Expected a store with model 1 at epoch 10 of seed 12 in row 3, found model 1 at epoch 9 of seed 12;",
        ),
        (
            {"models": ModelTable([0, 0, 1, 1], [5, 9, 5, 9], [11, 11, 13, 13])},
            "Expected a store with model 1 at epoch 5 of seed 13 in row 2, found model 1 at epoch 5 of seed 12;",
        ),
        (
            {"variables": {"logits": VariableSpec("float64", n_queries=2, n_classes=3)}},
            "made for logits float64 \\(model, record, query 2, class 3\\), found one for logits float32 \\(model, "
            "record, query 2, class 3\\), losses float64 \\(model, record\\), labels int16",
        ),
        (
            {"made_from": {"records": "abc124", "bank": "def456"}},
            "made for records abc124, bank def456, found one for records abc123, bank def456;",
        ),
        ({"made_from": {}}, "made for nothing named, found one for records abc123, bank def456;"),
    ],
    ids=str,
)
def test_a_store_made_for_something_else_is_refused(folder, changes, message):
    before = files_of(folder)
    with pytest.raises(ArtefactError, match=f"signals.zarr: .*{message}"):
        SignalStore.open(folder, layout_of(**changes))
    assert files_of(folder) == before


def test_without_an_expectation_it_says_what_it_holds(folder):
    store = SignalStore.open(folder)
    assert store.n_records == 37
    assert store.variables == {"member": VariableSpec("bool"), **VARIABLES}
    assert store.models.columns()["epoch"].tolist() == [5, 9, 5, 9]


def test_the_order_in_which_variables_are_named_does_not_matter(folder):
    turned = dict(reversed(VARIABLES.items()))
    assert SignalStore.open(folder, layout_of(variables=turned)).complete()[0]


def test_where_nothing_is_there_is_no_store(tmp_path):
    for name in ("none.zarr", "file.zarr", "empty.zarr"):
        (tmp_path / "file.zarr").write_text("")
        (tmp_path / "empty.zarr").mkdir(exist_ok=True)
        with pytest.raises(ArtefactError, match=f"{name}: Expected a store of signals, found: .*; name another folder"):
            SignalStore.open(tmp_path / name)


def test_a_zarr_group_of_someone_else_is_no_store(tmp_path):
    import zarr

    zarr.create_group(tmp_path / "other.zarr", attributes={"by": "someone"})
    with pytest.raises(ArtefactError, match=r"other.zarr: Expected a store of signals as it was made, found other"):
        SignalStore.open(tmp_path / "other.zarr")


@pytest.mark.parametrize("name", ["logits/zarr.json", "record/ids.parquet", "complete/zarr.json"])
def test_a_file_of_metadata_that_is_gone_is_noticed(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match="found other metadata or ids; remove it, so that it is computed again"):
        SignalStore.open(folder)


def test_metadata_changed_on_purpose_are_noticed(folder):
    path = folder / "losses" / "zarr.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"fill_value": 0.0}))
    with pytest.raises(ArtefactError, match="found other metadata or ids"):
        SignalStore.open(folder)


@pytest.mark.parametrize("name", ["model", "epoch", "seed", "record"])
def test_a_coordinate_that_is_gone_is_named(folder, name):
    shutil.rmtree(folder / name / "c")
    with pytest.raises(ArtefactError, match=f"Expected the coordinate {name}, found none; remove it"):
        SignalStore.open(folder)


def test_a_store_of_another_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("vestige.data.signals.store.FORMAT", "vestige-signals-0")
    SignalStore.create(tmp_path / "s.zarr", layout_of())
    monkeypatch.undo()
    with pytest.raises(ArtefactError, match=r"s.zarr: Expected a store of format vestige-signals-1, found .*-0"):
        SignalStore.open(tmp_path / "s.zarr")


def test_digests_made_of_zeros_do_not_break_the_seal(tmp_path):
    layout = layout_of(made_from={"records": "0" * 64})
    SignalStore.create(tmp_path / "s.zarr", layout)
    SignalStore.open(tmp_path / "s.zarr", layout)


def test_nobody_else_may_look_into_it(folder):
    assert os.stat(folder).st_mode & 0o077 == 0


def test_a_store_made_with_objects_of_another_size_stays_readable(tmp_path, monkeypatch):
    monkeypatch.setattr("vestige.data.signals.layout._CHUNK_BYTES", 100)
    small = SignalStore.create(tmp_path / "s.zarr", layout_of())
    small.write_row(0, signals_of(0))
    monkeypatch.undo()
    store = SignalStore.open(tmp_path / "s.zarr", layout_of())
    store.write_row(1, signals_of(1))
    assert store.verify() == ()
    for row in (0, 1):
        np.testing.assert_array_equal(store.read("logits", rows=[row])[0], signals_of(row)["logits"])

"""Named data sets: what is said of them is what is read, and what is missing is told with its cure."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.data.refusals import refused

from vestige.data.sets.named import SETS, NamedSet, data_folder, load, named_set

REAL = os.environ.get("VESTIGE_DATA")


# Decoding 60,000 JPEG images takes long where types are checked, as in the tests.
EACH = [pytest.param(name, marks=pytest.mark.slow) if name == "cifar10-jpeg" else name for name in SETS]


@pytest.mark.parametrize("name", EACH)
def test_what_is_said_of_a_set_is_what_is_read(name):
    known = SETS[name]
    if REAL is None or known.files_in(Path(REAL)) is None:
        pytest.skip(f"{name} is not here")
    records = load(name)
    assert records.n_records == known.n_records
    assert records.inputs.shape == (known.n_records, *known.shape)
    assert records.n_classes == known.n_classes
    assert np.unique(records.labels).size == known.n_classes
    assert records.ids is not None


def test_the_registry_is_consistent():
    assert list(SETS) == [known.name for known in SETS.values()]
    for known in SETS.values():
        assert 0 < known.n_train <= known.n_records
        assert known.files
        for file in known.files:
            assert not Path(file.path).is_absolute()
            assert file.sha256 is None or len(file.sha256) == 64
            assert file.url is None or file.url.endswith(file.name)


def test_the_folder_is_the_variable_or_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VESTIGE_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"
    monkeypatch.setenv("VESTIGE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "vestige" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".cache" / "vestige" / "data"


def test_what_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("VESTIGE_DATA", str(tmp_path))
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "adult.data").write_text("")
    refused(
        lambda: load("adult"),
        "adult: Expected uci/adult.data, uci/adult.test in the folder VESTIGE_DATA, found no uci/adult.test;",
        "run vestige data fetch adult, or set VESTIGE_DATA",
    )
    message = refused(lambda: load("cifar10-jpeg"), "cifar10-jpeg/train.parquet", "set VESTIGE_DATA")
    assert "fetch" not in message  # nobody publishes it
    monkeypatch.delenv("VESTIGE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused(lambda: load("mnist"), "the user's cache (vestige/data)", "vestige data fetch mnist")
    refused(lambda: load("mnist", folder=tmp_path), "in the folder, found no")


def test_an_unknown_name():
    refused(lambda: load("adutl"), "Expected one of mnist, cifar10", "found 'adutl'", "you may mean adult")
    refused(lambda: named_set("imagenette"), "found 'imagenette'", "you may mean imagenet")


def test_other_forms_of_the_same_files(tmp_path):
    known = SETS["cifar10"]
    assert known.files_in(tmp_path) is None
    (tmp_path / "cifar10" / "cifar-10-batches-py").mkdir(parents=True)
    assert known.files_in(tmp_path) == (tmp_path / "cifar10" / "cifar-10-batches-py",)
    (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").touch()
    assert known.files_in(tmp_path) == (tmp_path / "cifar10" / "cifar-10-binary.tar.gz",)


def cifar_batch(n, n_labels, seed):
    rng = np.random.default_rng(seed)
    return np.hstack([rng.integers(0, 10, (n, n_labels)), rng.integers(0, 256, (n, 3072))]).astype(np.uint8)


def test_the_training_part_comes_first(tmp_path):
    """Sets that are not at hand, in miniature and in the published form."""
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    batches = {f"data_batch_{i}": cifar_batch(4, 1, i) for i in range(1, 6)} | {"test_batch": cifar_batch(3, 1, 9)}
    for name, rows in batches.items():
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    records = load("cifar10", folder=tmp_path)
    expected = np.concatenate(list(batches.values()))
    assert records.labels.tolist() == expected[:, 0].tolist()
    np.testing.assert_array_equal(records.inputs[-1, 2, 5], expected[-1, 1:].reshape(3, 32, 32)[:, 2, 5])

    folder = tmp_path / "cifar100" / "cifar-100-binary"
    folder.mkdir(parents=True)
    for name, rows in (("train", cifar_batch(5, 2, 1)), ("test", cifar_batch(2, 2, 2))):
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    assert load("cifar100", folder=tmp_path).n_records == 7


def test_purchase_and_texas(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (3, 6_169)).astype(str)
    texas, purchase = tmp_path / "texas100", tmp_path / "purchase100"
    (texas / "inside" / "texas" / "100").mkdir(parents=True)
    purchase.mkdir()
    (texas / "inside" / "texas" / "100" / "feats").write_text("".join(",".join(row) + "\n" for row in bits))
    (texas / "inside" / "texas" / "100" / "labels").write_text("1\n100\n2\n")
    shutil.make_archive(str(texas / "dataset_texas"), "gztar", texas / "inside")
    (texas / "dataset_texas.tar.gz").rename(texas / "dataset_texas.tgz")
    assert load("texas100", folder=tmp_path).labels.tolist() == [0, 99, 1]
    (purchase / "inside").mkdir()
    rows = "".join(f"{label},{','.join(row[:600])}\n" for label, row in zip((5, 1, 100), bits, strict=True))
    (purchase / "inside" / "dataset_purchase").write_text(rows)
    shutil.make_archive(str(purchase / "dataset_purchase"), "gztar", purchase / "inside")
    (purchase / "dataset_purchase.tar.gz").rename(purchase / "dataset_purchase.tgz")
    assert load("purchase100", folder=tmp_path).labels.tolist() == [4, 0, 99]


def test_the_registry_is_a_value():
    assert isinstance(SETS["mnist"], NamedSet)
    with pytest.raises(TypeError):
        SETS["mine"] = SETS["mnist"]  # type: ignore[index]

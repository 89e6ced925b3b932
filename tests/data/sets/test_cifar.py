import pickle
from functools import partial

import numpy as np
import pytest
from tests.data.published import cut, foldered, tarred
from tests.data.refusals import refused

from vestige.core.records import joined
from vestige.data.sets.image_sets import Cifar100Labels, read_cifar10, read_cifar100

N = 4  # records per batch
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FINE, COARSE = [f"fine {i}" for i in range(100)], [f"coarse {i}" for i in range(20)]
STEMS = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def planes(seed, n=N):
    """Pixels as the files have them: red plane, green plane, blue plane."""
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def image(flat):
    """One image, pixel by pixel."""
    rows = [[[flat[c * 1024 + y * 32 + x] for c in range(3)] for x in range(32)] for y in range(32)]
    return np.array(rows, np.uint8)


def labels(seed, n_classes, n=N):
    return np.random.default_rng(100 + seed).integers(0, n_classes, n)


def binary10():
    files = {
        f"{stem}.bin": np.column_stack([labels(i, 10).astype(np.uint8), planes(i)]).tobytes()
        for i, stem in enumerate(STEMS)
    }
    return {"cifar-10-batches-bin/" + k: v for k, v in files.items()} | {
        "cifar-10-batches-bin/batches.meta.txt": ("\n".join(NAMES) + "\n\n").encode(),
        "cifar-10-batches-bin/readme.html": b"<html>",
    }


def binary100():
    files = {
        f"{stem}.bin": np.column_stack(
            [labels(i, 20).astype(np.uint8), labels(10 + i, 100).astype(np.uint8), planes(i)]
        ).tobytes()
        for i, stem in enumerate(["train", "test"])
    }
    names = {"fine_label_names.txt": "\n".join(FINE).encode(), "coarse_label_names.txt": "\n".join(COARSE).encode()}
    return files | names


def test_cifar_10_from_an_archive_and_a_folder(tmp_path):
    for source in (tarred(tmp_path / "c.tar.gz", binary10()), foldered(tmp_path / "folder", binary10())):
        train, test = read_cifar10(source)
        assert train.inputs.shape == (5 * N, 32, 32, 3)
        assert train.inputs.dtype == np.uint8
        assert train.inputs.flags.writeable
        np.testing.assert_array_equal(train.inputs[N + 1], image(planes(1)[1]))
        np.testing.assert_array_equal(test.inputs[0], image(planes(5)[0]))
        np.testing.assert_array_equal(train.labels, np.concatenate([labels(i, 10) for i in range(5)]))
        np.testing.assert_array_equal(test.labels, labels(5, 10))
        assert train.classes == test.classes == tuple(NAMES)
        assert train.ids[N + 1] == "data_batch_2/1"
        assert joined(train, test).n_records == 6 * N


def test_cifar_100_with_either_of_its_labels(tmp_path):
    source = tarred(tmp_path / "c.tgz", binary100())
    train, test = read_cifar100(source)
    np.testing.assert_array_equal(test.inputs[2], image(planes(1)[2]))
    np.testing.assert_array_equal(train.labels, labels(10, 100))
    assert train.classes == tuple(FINE)
    assert test.groups["coarse"].tolist() == [COARSE[i] for i in labels(1, 20)]
    assert test.ids.tolist() == [f"test/{i}" for i in range(N)]
    train, _ = read_cifar100(source, labels=Cifar100Labels.COARSE)
    np.testing.assert_array_equal(train.labels, labels(0, 20))
    assert train.classes == tuple(COARSE)
    assert train.groups["fine"].tolist() == [FINE[i] for i in labels(10, 100)]


def test_without_the_meta_file_numbers_are_names(tmp_path):
    files = {name: content for name, content in binary10().items() if "meta" not in name}
    train, test = read_cifar10(foldered(tmp_path, files))
    assert train.classes == test.classes == tuple("0123456789")


def test_a_missing_batch_is_named(tmp_path):
    files = binary10()
    del files["cifar-10-batches-bin/data_batch_3.bin"]
    refused(lambda: read_cifar10(tarred(tmp_path / "c.tar.gz", files)), "c.tar.gz", "found no data_batch_3.bin;")
    folder = foldered(tmp_path / "bin", files)
    refused(lambda: read_cifar100(folder), "bin: Expected train.bin, test.bin, found no train.bin, test.bin")
    refused(lambda: read_cifar10(tmp_path / "none"), "none: Expected a file, found none there")


def test_a_truncated_or_damaged_batch_is_named(tmp_path):
    folder = foldered(tmp_path / "bin", binary10())
    cut(folder / "data_batch_2.bin", 1)
    refused(lambda: read_cifar10(folder), "data_batch_2.bin: Expected records of 3,073 bytes", "12,291 bytes")
    (folder / "data_batch_2.bin").write_bytes(b"")
    refused(lambda: read_cifar10(folder), "data_batch_2.bin", "found 0 bytes")
    refused(lambda: read_cifar10(cut(tarred(tmp_path / "c.tar.gz", binary10()), 500)), "c.tar.gz", "truncated")


def test_a_label_that_is_no_class_is_refused_with_its_file_and_row(tmp_path):
    files = binary10()
    content = bytearray(files["cifar-10-batches-bin/data_batch_1.bin"])
    content[3073] = 10
    files["cifar-10-batches-bin/data_batch_1.bin"] = bytes(content)
    source = tarred(tmp_path / "c.tar.gz", files)
    refused(lambda: read_cifar10(source), "c.tar.gz[data_batch_1.bin]: Expected", "0..9", "found 10 in row 2")


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("batch", [{"data": planes(0), "labels": [0] * N}, Evil(), None])
def test_the_python_version_is_never_loaded_and_the_binary_one_named(tmp_path, protocol, batch):
    files = {f"cifar-10-batches-py/{stem}": pickle.dumps(batch, protocol) for stem in (*STEMS, "batches.meta")}
    expected = "Expected the binary version, cifar-10-binary.tar.gz, found the Python version, which is pickles"
    for source in (tarred(tmp_path / "c.tar.gz", files), foldered(tmp_path / "py", files)):
        refused(partial(read_cifar10, source), f"{source.name}: {expected}", "download the binary version")
    files = {stem: pickle.dumps(batch, protocol) for stem in ("train", "test", "meta")}
    source = tarred(tmp_path / "c100.tar.gz", files)
    refused(lambda: read_cifar100(source), "c100.tar.gz: Expected the binary version, cifar-100-binary.tar.gz")


def test_the_binary_version_is_read_beside_the_python_one(tmp_path):
    folder = foldered(tmp_path / "both", binary10() | {stem: pickle.dumps(Evil()) for stem in STEMS})
    assert joined(*read_cifar10(folder)).n_records == 6 * N


def test_a_meta_file_with_too_few_names_is_refused(tmp_path):
    files = binary10() | {"cifar-10-batches-bin/batches.meta.txt": "\n".join(NAMES[:9]).encode()}
    refused(lambda: read_cifar10(foldered(tmp_path, files)), "Expected 10 class names, found 9")

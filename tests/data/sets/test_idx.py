import gzip
import struct
from functools import partial

import numpy as np
import pytest
from tests.data.published import cut, flipped, real
from tests.data.refusals import refused

from vestige.core.errors import InputError
from vestige.data.sets.image_sets import read_idx_images

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 3, 1], np.uint8)


def idx(array, kind=8):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def saved(path, array, packed=False):
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return path


@pytest.fixture
def labels(tmp_path):
    return saved(tmp_path / "labels", LABELS)


@pytest.mark.parametrize("packed", [True, False])
def test_images_come_back_with_one_channel(tmp_path, labels, packed):
    records = read_idx_images(saved(tmp_path / "t10k-images.gz", IMAGES, packed), labels)
    assert records.inputs.shape == (5, 4, 3, 1)
    assert records.inputs.dtype == np.uint8
    assert records.inputs.flags.writeable
    np.testing.assert_array_equal(records.inputs[..., 0], IMAGES)
    np.testing.assert_array_equal(records.labels, LABELS)
    assert records.classes == tuple("0123456789")
    assert records.ids.tolist() == [f"t10k-images/{i}" for i in range(5)]


def test_other_classes_can_be_named(tmp_path, labels):
    names = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
    records = read_idx_images(saved(tmp_path / "images", IMAGES), labels, classes=names)
    assert [records.classes[c] for c in records.labels] == ["dress", "t-shirt", "boot", "dress", "trouser"]


def test_files_that_are_not_what_they_should_be(tmp_path, labels):
    images = saved(tmp_path / "images", IMAGES)
    refused(lambda: read_idx_images(labels, images), "labels: Expected images", "3 axes, found 1", "labels second")
    refused(lambda: read_idx_images(tmp_path / "no.gz", labels), "no.gz", "found none there")
    images.write_bytes(b"\x89PNG....")
    refused(lambda: read_idx_images(images, labels), "images: Expected an IDX file", "found 89 50 4e 47")
    images.write_bytes(b"")
    refused(lambda: read_idx_images(images, labels), "images: Expected an IDX file", "an empty file")
    images.write_bytes(idx(IMAGES.astype(">f4"), kind=0x0D))
    refused(lambda: read_idx_images(images, labels), "images: Expected unsigned bytes", "type 0d", "uint8")


@pytest.mark.parametrize(("n", "found"), [(1, "75"), (61, "15"), (70, "6")])
def test_a_truncated_file_is_refused(tmp_path, labels, n, found):
    path = cut(saved(tmp_path / "images", IMAGES), n)
    refused(lambda: read_idx_images(path, labels), f"found {found}: the file is truncated")


def test_something_after_the_end_is_refused(tmp_path, labels):
    path = tmp_path / "images"
    path.write_bytes(idx(IMAGES) + b"\n")
    refused(lambda: read_idx_images(path, labels), "Expected 76 bytes for 5 x 4 x 3", "found 77", "after its end")


def test_sizes_that_no_memory_holds_are_refused_without_being_tried(tmp_path, labels):
    path = tmp_path / "images"
    path.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3) + b"x")
    refused(lambda: read_idx_images(path, labels), "4,294,967,295 x 4,294,967,295", "truncated")


@pytest.mark.parametrize("n", [1, 4, 9, 30])
def test_truncated_gzip_is_refused(tmp_path, labels, n):
    path = cut(saved(tmp_path / "images.gz", IMAGES, packed=True), n)
    refused(lambda: read_idx_images(path, labels), "images.gz: Expected a whole gzip file", "download it again")


def test_a_flipped_bit_in_gzip_is_refused_or_changes_nothing(tmp_path, labels):
    whole = saved(tmp_path / "images.gz", IMAGES, packed=True).read_bytes()
    n_harmless = 0
    for at in range(10, len(whole)):
        path = flipped(saved(tmp_path / "images.gz", IMAGES, packed=True), at)
        try:
            np.testing.assert_array_equal(read_idx_images(path, labels).inputs[..., 0], IMAGES)
            n_harmless += 1  # it was in the bits that fill the last byte
        except InputError:
            refused(partial(read_idx_images, path, labels), "images.gz: Expected a whole gzip file")
    assert n_harmless <= 1


def test_counts_that_differ_are_refused(tmp_path):
    images, labels = saved(tmp_path / "images", IMAGES), saved(tmp_path / "labels", LABELS[:4])
    message = refused(lambda: read_idx_images(images, labels), "each of the 5 images of images", "found 4", "same part")
    assert message.startswith("labels: ")


def test_a_label_beyond_the_classes_is_refused(tmp_path):
    images, labels = saved(tmp_path / "images", IMAGES), saved(tmp_path / "labels", LABELS + 7)
    refused(lambda: read_idx_images(images, labels), "labels: Expected labels among the classes", "found 10 in row 1")


@pytest.mark.parametrize(("part", "n"), [("train", 60_000), ("t10k", 10_000)])
def test_mnist(part, n):
    folder = real("mnist")
    images, labels = (folder / f"{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    records = read_idx_images(images, labels)
    with gzip.open(images) as pixels, gzip.open(labels) as codes:
        expected = np.frombuffer(pixels.read()[16:], np.uint8).reshape(n, 28, 28)
        np.testing.assert_array_equal(records.inputs[..., 0], expected)
        np.testing.assert_array_equal(records.labels, np.frombuffer(codes.read()[8:], np.uint8))
    assert records.n_records == n
    assert records.n_classes == 10
    assert records.labels[:5].tolist() == ([5, 0, 4, 1, 9] if part == "train" else [7, 2, 1, 0, 4])

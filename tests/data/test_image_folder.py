import numpy as np
import pytest
from PIL import Image
from tests.data.refusals import refused

from vestige.data.image_folder import read_image_folder


def picture(seed, shape=(5, 4, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    save(root / "eel" / "2.PNG", picture(3))
    save(root / "eel" / "1.bmp", picture(2))
    save(root / "cat" / "b.png", picture(1))
    save(root / "cat" / "a.tiff", picture(0))
    return root


def test_classes_and_files_sorted_by_name(folder):
    records = read_image_folder(folder)
    assert records.classes == ("cat", "eel")
    assert records.labels.tolist() == [0, 0, 1, 1]
    assert records.ids.tolist() == ["cat/a.tiff", "cat/b.png", "eel/1.bmp", "eel/2.PNG"]
    np.testing.assert_array_equal(records.inputs, [picture(i) for i in range(4)])
    assert records.notes == ()


def test_grey_images_and_classes_that_are_numbers(tmp_path):
    for name in ("10", "9"):
        save(tmp_path / name / "x.png", picture(int(name), (5, 4)))
    records = read_image_folder(tmp_path, n_threads=1)
    assert records.inputs.shape == (2, 5, 4, 1)
    assert (records.classes, records.labels.tolist()) == (("10", "9"), [0, 1])


def test_hidden_files_are_passed_over_and_others_counted(folder):
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / "readme.md").write_text("hello")
    (folder / "cat" / "notes.txt").write_text("hello")
    records = read_image_folder(folder)
    assert records.n_records == 4
    assert records.notes == ("Left out, as their endings are no images': cat/notes.txt.",)


def test_mixed_sizes_name_both_files(folder):
    save(folder / "eel" / "3.png", picture(4, (7, 6, 3)))
    refused(lambda: read_image_folder(folder), "eel/3.png: Expected images of one size", "6 x 7", "cat/a.tiff")


def test_an_unreadable_file_is_named(folder):
    path = folder / "eel" / "1.bmp"
    path.write_bytes(path.read_bytes()[:40])
    refused(lambda: read_image_folder(folder), "eel/1.bmp: Expected an image", "cannot be decoded", "replace it")


def test_no_class_folder(tmp_path, folder):
    save(tmp_path / "flat" / "a.png", picture(0))
    refused(lambda: read_image_folder(tmp_path / "flat"), "flat: Expected one folder per class", "sort the images")
    refused(lambda: read_image_folder(tmp_path / "none"), "none: Expected a folder of class folders, found none there")
    refused(lambda: read_image_folder(folder / "cat" / "a.tiff"), "a.tiff", "found a file")


def test_a_level_too_high_or_an_empty_class(tmp_path, folder):
    refused(lambda: read_image_folder(tmp_path), "none in pets", "right above")
    (folder / "dog").mkdir()
    refused(lambda: read_image_folder(folder), "pets: Expected images in the folder of every class, found none in dog")

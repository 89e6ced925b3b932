import numpy as np
import pytest
from PIL import Image
from tests.data.refusals import refused

from vestige.core.records import joined
from vestige.data.records.images import read_image_folder, read_image_folders


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


# ------------------------------------------------------------------------------------- two folders


def test_two_folders_have_the_classes_of_both_and_ids_that_stay_apart(tmp_path):
    save(tmp_path / "in" / "cat" / "1.png", picture(0))
    save(tmp_path / "in" / "eel" / "1.png", picture(1))
    save(tmp_path / "out" / "bee" / "1.png", picture(2))
    save(tmp_path / "out" / "cat" / "1.png", picture(3))
    members, nonmembers = read_image_folders([tmp_path / "in", tmp_path / "out"])
    assert members.classes == nonmembers.classes == ("bee", "cat", "eel")
    assert members.labels.tolist() == [1, 2]
    assert nonmembers.labels.tolist() == [0, 1]
    assert members.ids.tolist() == ["in/cat/1.png", "in/eel/1.png"]
    assert nonmembers.ids.tolist() == ["out/bee/1.png", "out/cat/1.png"]
    np.testing.assert_array_equal(members.inputs, [picture(0), picture(1)])
    np.testing.assert_array_equal(nonmembers.inputs, [picture(2), picture(3)])
    assert joined(members, nonmembers).n_records == 4


def test_two_folders_of_one_name_are_told_apart_by_where_they_are(tmp_path):
    for site in ("a", "b"):
        save(tmp_path / site / "images" / "cat" / "1.png", picture(0))
    members, nonmembers = read_image_folders([tmp_path / "a" / "images", tmp_path / "b" / "images"])
    assert members.ids.tolist() == ["a/cat/1.png"]
    assert nonmembers.ids.tolist() == ["b/cat/1.png"]


def test_a_folder_and_one_of_the_same_name_inside_another_are_two(tmp_path):
    outer, inner = tmp_path / "set", tmp_path / "set" / "more" / "set"
    save(outer / "cat" / "1.png", picture(0))
    save(inner / "cat" / "1.png", picture(1))
    save(outer / "more" / "1.png", picture(2))
    members, nonmembers = read_image_folders([outer, inner])
    assert not set(members.ids.tolist()) & set(nonmembers.ids.tolist())


@pytest.mark.parametrize("again", [".", "../pets", "link"])
def test_the_same_folder_twice_is_refused(folder, tmp_path, again):
    (folder.parent / "link").symlink_to(folder)
    other = tmp_path / "link" if again == "link" else folder / again
    refused(lambda: read_image_folders([folder, other]), "pets: Expected two folders, found the same")


def test_two_folders_of_unlike_images_are_refused(tmp_path, folder):
    save(tmp_path / "others" / "cat" / "1.png", picture(0, (7, 6, 3)))
    refused(
        lambda: read_image_folders([folder, tmp_path / "others"]),
        "others: ",
        "as in pets",
        "height 5 x width 4 x 3",
        "height 7 x width 6",
    )


def test_notes_of_each_folder_are_its_own(tmp_path, folder):
    save(tmp_path / "others" / "cat" / "1.png", picture(0))
    (tmp_path / "others" / "cat" / "notes.txt").write_text("hello")
    members, nonmembers = read_image_folders([folder, tmp_path / "others"])
    assert members.notes == ()
    assert "cat/notes.txt" in nonmembers.notes[0]

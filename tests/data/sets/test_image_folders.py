"""Sets that are folders of images, in miniature and in the published form."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from tests.data.records.test_image_folder import picture, save
from tests.data.refusals import refused

from vestige.data.records.images import scaled
from vestige.data.sets.fetch import Found, fetch
from vestige.data.sets.image_folders import TISSUES, read_ch_mnist
from vestige.data.sets.named import SETS, load


def test_ch_mnist_as_tiles(tmp_path):
    folder = tmp_path / "ch-mnist" / "Kather_texture_2016_image_tiles_5000"
    for i, tissue in enumerate(TISSUES):
        save(folder / tissue / "1A11_CRC-Prim_Row_1.tif", np.full((150, 150, 3), 10 * i, np.uint8))
    tiles = load("ch-mnist", folder=tmp_path)
    assert tiles.inputs.shape == (8, *SETS["ch-mnist"].shape)
    assert tiles.inputs[:, 5, 5, 0].tolist() == [10 * i for i in range(8)]
    assert (tiles.labels.tolist(), tiles.classes) == (list(range(8)), TISSUES)
    (folder / TISSUES[7]).rename(folder / "09_OTHER")
    refused(lambda: read_ch_mnist(folder), "Expected the folders 01_TUMOR", "09_OTHER; give the published folder")


def ch_mnist_table(path, pixels, labels):
    header = ",".join([*(f"pixel{i:04}" for i in range(4096)), "label"])
    rows = [",".join(map(str, [*row, label])) for row, label in zip(pixels, labels, strict=True)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def test_ch_mnist_as_a_table(tmp_path):
    path = tmp_path / "ch-mnist" / "hmnist_64_64_L.csv"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4096))
    ch_mnist_table(path, pixels, [2, 8, 1])
    records = load("ch-mnist", folder=tmp_path)
    assert (records.labels.tolist(), records.classes) == ([1, 7, 0], TISSUES)
    assert records.ids[2] == "hmnist_64_64_L.csv/2"
    np.testing.assert_array_equal(records.inputs[1, 3, :, 0], pixels[1].reshape(64, 64)[3])
    ch_mnist_table(path, pixels, [2, 9, 0])
    refused(lambda: read_ch_mnist(path), "hmnist_64_64_L.csv: Expected labels from 1 to 8, found 0 to 9")
    path.write_text("a,b\n1,2\n")
    refused(lambda: read_ch_mnist(path), "Expected a header, then 4,096 grey values")
    path.write_bytes(b"\xff\n\xfe,\x80\n")
    refused(lambda: read_ch_mnist(path), "Expected a header, then 4,096 grey values")


def annotations(path, rows):
    table = np.array([(0, 0, 9, 9, label, file) for label, file in rows], dtype=[
        *((name, object) for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"))
    ])  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": table})


@pytest.fixture
def cars(tmp_path):
    folder = tmp_path / "cars196"
    save(folder / "cars_train" / "00001.jpg", np.full((300, 400, 3), 200, np.uint8))
    save(folder / "cars_train" / "00002.jpg", np.full((100, 50), 7, np.uint8))  # some are grey, and some are small
    save(folder / "cars_test" / "00001.jpg", np.full((230, 240, 3), 90, np.uint8))
    annotations(folder / "devkit" / "cars_train_annos.mat", [(2, "00001.jpg"), (1, "00002.jpg")])
    annotations(folder / "devkit" / "cars_test_annos_withlabels.mat", [(2, "00001.jpg")])
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": np.array(["Acura TL", "Audi S4"], dtype=object)})
    return folder


def test_cars(cars):
    records = load("cars196", folder=cars.parent)
    assert records.inputs.shape == (3, *SETS["cars196"].shape)
    assert (records.labels.tolist(), records.classes) == ([1, 0, 1], ("Acura TL", "Audi S4"))
    assert records.ids.tolist() == ["cars_train/00001.jpg", "cars_train/00002.jpg", "cars_test/00001.jpg"]
    assert records.inputs[:, 100, 100].tolist() == [[200] * 3, [7] * 3, [90] * 3]


def test_cars_that_are_damaged(cars):
    (cars / "cars_train" / "00002.jpg").unlink()
    refused(lambda: load("cars196", folder=cars.parent), "00002.jpg: Expected a file, found none there")
    savemat(cars / "devkit" / "cars_train_annos.mat", {"other": 1})
    refused(lambda: load("cars196", folder=cars.parent), "cars_train_annos.mat: Expected an entry annotations")
    (cars / "devkit" / "cars_train_annos.mat").write_bytes(b"no table at all" * 20)
    refused(lambda: load("cars196", folder=cars.parent), "cars_train_annos.mat: Expected a MATLAB file")


def test_cinic10_tells_where_an_image_is_from(tmp_path):
    for part in ("train", "valid", "test"):
        for i, name in enumerate(("airplane", "cat")):
            save(tmp_path / "cinic10" / part / name / f"n0269115{i}_1.png", picture(i, (32, 32, 3)))
            save(tmp_path / "cinic10" / part / name / f"cifar10-{part}-{i}.png", picture(9, (32, 32, 3)))
    records = load("cinic10", folder=tmp_path)
    assert records.inputs.shape == (12, 32, 32, 3)
    assert records.ids[:2].tolist() == ["train/airplane/cifar10-train-0.png", "train/airplane/n02691150_1.png"]
    assert records.labels.tolist() == [0, 0, 1, 1] * 3
    assert records.groups["origin"].tolist() == ["cifar10", "imagenet"] * 6
    np.testing.assert_array_equal(records.inputs[1], picture(0, (32, 32, 3)))


def test_imagenet_and_a_class_that_one_part_lacks(tmp_path):
    folder = tmp_path / "imagenet"
    for part in ("train", "val"):
        save(folder / part / "n01440764" / "a.JPEG", np.full((500, 375, 3), 100, np.uint8))
        save(folder / part / "n01443537" / "b.JPEG", np.full((90, 120, 3), 30, np.uint8))
    records = load("imagenet", folder=tmp_path)
    assert records.inputs.shape == (4, *SETS["imagenet"].shape)
    assert records.ids[2] == "val/n01440764/a.JPEG"
    assert records.inputs[:, 9, 9, 0].tolist() == [100, 30, 100, 30]
    (folder / "val" / "n01443537" / "b.JPEG").unlink()
    (folder / "val" / "n01443537").rmdir()
    refused(lambda: load("imagenet", folder=tmp_path), "Expected the same classes")


def test_a_folder_that_is_there_is_not_fetched(tmp_path):
    refused(lambda: fetch("imagenet", folder=tmp_path), "found none of its files published; put imagenet/train")
    for part in ("train", "val"):
        (tmp_path / "imagenet" / part).mkdir(parents=True)
    assert [file.found for file in fetch("imagenet", folder=tmp_path)] == [Found.FOLDER] * 2


def test_scaling_keeps_the_centre(tmp_path):
    wide = np.zeros((60, 200, 3), np.uint8)
    wide[:, 65:135] = 255
    path = tmp_path / "wide.png"
    Image.fromarray(wide).save(path)
    assert scaled(path.read_bytes(), "wide", size=30, mode="L").min() == 255
    refused(lambda: scaled(b"no image", "wide", size=30, mode="L"), "wide: Expected an image, found one that cannot")

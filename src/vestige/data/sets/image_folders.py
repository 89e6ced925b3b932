"""Sets that are published as folders of images: CH-MNIST, Cars196, CINIC-10 and ImageNet.

Their images are decoded one by one, and scaled at once where they differ in size.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.records import Codes, Records, joined
from vestige.data.formats.files import PathLike, file_name, named, opened, readable, row_ids
from vestige.data.records.images import Decode, as_it_is, read_image_folder, read_images, scaled

TISSUES = (
    *("01_TUMOR", "02_STROMA", "03_COMPLEX", "04_LYMPHO"),
    *("05_DEBRIS", "06_MUCOSA", "07_ADIPOSE", "08_EMPTY"),
)
"""Classes of CH-MNIST, as its folders are named."""


def read_ch_mnist(source: PathLike) -> Records:
    """Read CH-MNIST, tiles of tissue under the microscope, in grey, of 64 x 64 pixels.

    Args:
        source: The published folder of class folders with tiles of 150 x 150 pixels in colour, which are scaled; or the
            file `hmnist_64_64_L.csv` made from it: a header, then 4,096 grey values and a label 1 to 8 per line.

    Returns:
        Records with uint8 inputs of record x 64 x 64 x 1, the names of the class folders as classes, and file or row
        as ids.

    Raises:
        InputError: Something is missing, damaged or of another form.

    Source:
        Kather et al. 2016. Scaling is bilinear; how the file's maker did it is not said.
    """
    if Path(source).is_dir():
        tiles = read_image_folder(source, decode=partial(scaled, size=64, mode="L"))
        if tiles.classes != TISSUES:
            raise InputError(
                f"{file_name(source)}: Expected the folders {few(TISSUES, 8)}, found {few(tiles.classes, 8)}; give the "
                "published folder."
            )
        return tiles
    name = file_name(source)
    with opened(source) as stream:
        try:
            table = np.loadtxt(stream, dtype=np.uint8, delimiter=",", skiprows=1, ndmin=2)
        except (ValueError, OverflowError, UnicodeDecodeError):
            table = np.empty((0, 0), np.uint8)
    if not table.size or table.shape[1] != 64 * 64 + 1:
        raise InputError(
            f"{name}: Expected a header, then 4,096 grey values and a label in each line, found something else; give "
            "the published file."
        )
    labels = table[:, -1].astype(np.int64)
    if labels.min() < 1 or labels.max() > len(TISSUES):
        raise InputError(
            f"{name}: Expected labels from 1 to 8, found {labels.min()} to {labels.max()}; give the published file."
        )
    images = table[:, :-1].reshape(-1, 64, 64, 1)
    return Records(images, labels - 1, ids=row_ids(name, len(labels)), classes=Codes(TISSUES))


def read_cars196(
    train: PathLike, test: PathLike, names: PathLike, train_labels: PathLike, test_labels: PathLike
) -> Records:
    """Read Stanford's cars, in colour, of 224 x 224 pixels: the central square of the image, scaled.

    Args:
        train: The folder `cars_train`.
        test: The folder `cars_test`.
        names: `cars_meta.mat`.
        train_labels: `cars_train_annos.mat`.
        test_labels: `cars_test_annos_withlabels.mat`.

    Returns:
        Records of both parts, training first, with uint8 inputs, folder and file as ids, and the names of the cars as
        classes.

    Raises:
        InputError: Something is missing, damaged or of another form.

    Source:
        Krause et al. 2013.
    """
    content = _matlab(names)
    with named(file_name(names)):
        classes = tuple(str(name) for name in np.atleast_1d(_field(content, "class_names")))
        codes = Codes(classes)
    parts = [_cars(Path(folder), table, codes) for folder, table in ((train, train_labels), (test, test_labels))]
    return reduce(joined, parts)


def _cars(folder: Path, table: PathLike, classes: Codes) -> Records:
    content = _matlab(table)
    with named(file_name(table)):
        found = _field(content, "annotations")
        rows = [found] if isinstance(found, dict) else list(found)  # scipy gives one row as it is
        files = [str(_field(row, "fname")) for row in rows]
        labels = np.array([int(_field(row, "class")) for row in rows]) - 1
        ids = [f"{folder.name}/{file}" for file in files]
        images = read_images(
            [folder / Path(file).name for file in files], ids, decode=partial(scaled, size=224, mode="RGB")
        )
        return Records(images, labels, ids=ids, classes=classes)


def _matlab(path: PathLike) -> Any:
    """What a MATLAB file holds; of the versions that scipy reads, none has code in it."""
    from scipy.io import loadmat

    with readable(path):
        try:
            return loadmat(path, simplify_cells=True)
        except OSError:
            raise
        except Exception as error:  # the reader raises whatever damaged bytes make it happen upon
            raise InputError(
                f"{file_name(path)}: Expected a MATLAB file, found one that cannot be read ({type(error).__name__}); "
                "download it again."
            ) from None


def _field(table: Any, name: str) -> Any:
    if not isinstance(table, dict) or name not in table:
        raise InputError(f"Expected an entry {name}, found none; give the published file.")
    return table[name]


def read_cinic10(train: PathLike, validation: PathLike, test: PathLike) -> Records:
    """Read CINIC-10: the classes of CIFAR-10, with images of it and of ImageNet, in three parts.

    Args:
        train: The folder `train` of class folders.
        validation: The folder `valid`.
        test: The folder `test`.

    Returns:
        Records with uint8 inputs of record x 32 x 32 x 3, the parts in this order; part, class and file as ids; and a
        group `origin`: `cifar10` or `imagenet`, told by the file's name.

    Raises:
        InputError: As `read_image_folder`, or the parts differ in classes.

    Source:
        Darlow et al. 2018.
    """

    def with_origin(part: Records) -> Records:
        files = np.char.rpartition(part.ids.astype(np.str_), "/")[:, 2]
        return replace(part, groups={"origin": np.where(np.char.startswith(files, "cifar10-"), "cifar10", "imagenet")})

    return _parts((train, validation, test), partial(scaled, size=32, mode="RGB"), with_origin)


def read_imagenet(train: PathLike, validation: PathLike) -> Records:
    """Read ImageNet (ILSVRC 2012), in colour, of 64 x 64 pixels: the central square of the image, scaled.

    Args:
        train: The folder `train` of class folders with JPEG images.
        validation: The folder `val`, sorted into class folders too.

    Returns:
        Records with uint8 inputs, the training part first, and part, class and file as ids. They take 16 GB, and while
        the parts are joined 33 GB.

    Raises:
        InputError: As `read_image_folder`, or the parts differ in classes.

    Source:
        Russakovsky et al. 2015. At the usual 224 pixels the records would take 200 GB; 64 are those of Chrabaszcz et
        al. 2017.
    """
    return _parts((train, validation), partial(scaled, size=64, mode="RGB"))


def _unchanged(part: Records) -> Records:
    return part


def _parts(
    folders: Sequence[PathLike], decode: Decode = as_it_is, completed: Callable[[Records], Records] = _unchanged
) -> Records:
    """The parts of a set one after the other, with the name of its folder before each id."""
    parts = []
    for folder in folders:
        part = read_image_folder(folder, decode=decode)
        ids = [f"{file_name(folder)}/{id_}" for id_ in part.ids]
        parts.append(completed(replace(part, labels=np.array(part.classes)[part.labels], ids=np.array(ids))))
    return reduce(joined, parts)

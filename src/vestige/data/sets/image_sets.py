"""Sets of images as published: MNIST in the IDX format, CIFAR in binary.

CIFAR's Python version is pickles, which are never loaded.
"""

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.errors import InputError, refuse_if
from vestige.core.labels import Classes, as_codes
from vestige.core.messages import few
from vestige.core.records import Codes, Records, joined
from vestige.data.formats.files import Member, PathLike, file_name, named, opened, read_files, row_ids
from vestige.data.records.images import read_image_parquet

_SHAPE = (3, 32, 32)  # channel x height x width, as the files have it
_N_PIXELS = 3 * 32 * 32


def read_idx_images(images: PathLike, labels: PathLike, *, classes: Sequence[Any] = range(10)) -> Records:
    """Read images and their labels from two IDX files, such as MNIST's.

    Args:
        images: The file of images, of 3 axes.
        labels: The file of labels, of 1 axis.
        classes: What the labels are, in the order of the codes: the ten digits, or others for another set.

    Returns:
        Records with uint8 inputs of record x height x width x 1, and the images' file and row as ids.

    Raises:
        InputError: A file is missing, truncated, damaged or no IDX file of unsigned bytes, the numbers of images
            and labels differ, or a label is not one of the classes.
    """
    pixels, codes = _idx(images, "images", 3), _idx(labels, "labels", 1)
    if len(pixels) != len(codes):
        raise InputError(
            f"{file_name(labels)}: Expected a label for each of the {len(pixels):,} images of {file_name(images)}, "
            f"found {len(codes):,}; give two files of the same part."
        )
    with named(file_name(labels)):
        ids = row_ids(file_name(images).removesuffix(".gz"), len(pixels))
        return Records(pixels[..., np.newaxis], codes, ids=ids, classes=classes)


def read_mnist(
    train_images: PathLike, train_labels: PathLike, test_images: PathLike, test_labels: PathLike
) -> tuple[Records, Records]:
    """Read the training and the test part of MNIST.

    Raises:
        InputError: As `read_idx_images`.
    """
    return read_idx_images(train_images, train_labels), read_idx_images(test_images, test_labels)


def _idx(path: PathLike, what: str, n_axes: int) -> np.ndarray:
    with opened(path) as stream:
        content = stream.read()
    name, start = file_name(path), 4 + 4 * n_axes
    if len(content) < 4 or content[:2] != b"\x00\x00":
        raise InputError(
            f"{name}: Expected an IDX file, which starts with 00 00 08 and the number of axes, found "
            f"{content[:4].hex(' ') or 'an empty file'}; download it again."
        )
    refuse_if(
        (
            content[2] != 0x08,
            f"{name}: Expected unsigned bytes (type 08), found type {content[2]:02x}; save them as uint8.",
        ),
        (
            content[3] != n_axes,
            f"{name}: Expected {what}, an IDX file with {n_axes} axes, found {content[3]}; give the images first and "
            "their labels second.",
        ),
    )
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, min(start, len(content)), 4)]
    expected = start + math.prod(shape)  # Python integers do not overflow
    if len(content) != expected:
        found = "is truncated" if len(content) < expected else "has something after its end"
        sizes = " x ".join(f"{n:,}" for n in shape)
        raise InputError(
            f"{name}: Expected {expected:,} bytes for {sizes}, found {len(content):,}: the file {found}; "
            "download it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # a copy can be written to


# ----------------------------------------------------------------------------------------------- CIFAR


class Cifar100Labels(Enum):
    """Which of CIFAR-100's two labels is the class; the other becomes a group.

    Attributes:
        FINE: 100 classes.
        COARSE: 20 superclasses of 5 classes each.
    """

    FINE = "fine"
    COARSE = "coarse"


def read_cifar10(source: PathLike) -> tuple[Records, Records]:
    """Read CIFAR-10 from the published archive, or the folder it unpacks to.

    Args:
        source: `cifar-10-binary.tar.gz`, or a folder with its batches.

    Returns:
        The training and the test part, with uint8 inputs of record x 32 x 32 x 3, batch and row as ids, and the
        class names of the meta file; without that file the numbers are the names.

    Raises:
        InputError: A batch is missing, truncated or damaged, or it is the Python version, which is pickles.
    """
    stems = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return _read_parts(source, "cifar-10-binary.tar.gz", stems, {"labels": ("batches.meta.txt", 10)}, "labels")


def read_cifar100(source: PathLike, *, labels: Cifar100Labels = Cifar100Labels.FINE) -> tuple[Records, Records]:
    """Read CIFAR-100 from the published archive, or the folder it unpacks to.

    Args:
        source: `cifar-100-binary.tar.gz`, or a folder with its files.
        labels: Which labels are the classes; the others are the group `coarse` or `fine`.

    Returns:
        The training and the test part, as `read_cifar10` does.

    Raises:
        InputError: A file is missing, truncated or damaged, or it is the Python version, which is pickles.
    """
    kinds = {"coarse": ("coarse_label_names.txt", 20), "fine": ("fine_label_names.txt", 100)}
    return _read_parts(source, "cifar-100-binary.tar.gz", ["train", "test"], kinds, labels.value)


def read_cifar10_jpeg(train: Path, test: Path) -> Records:
    """Read a public copy of CIFAR-10 that is encoded as JPEG, from two Parquet files: all records, training first.

    Raises:
        InputError: As `read_image_parquet`.
    """
    return read_image_parquet(train, test, classes=[str(digit) for digit in range(10)])


def _read_parts(
    source: PathLike, archive: str, stems: Sequence[str], kinds: Mapping[str, tuple[str, int]], kind: str
) -> tuple[Records, Records]:
    """The training and the test part, the last batch, labelled by one of several kinds of labels.

    Their bytes stand before the pixels, in this order; of each there is the file of its names, and how many they are.
    """
    seen = {*stems, *(f"{stem}.bin" for stem in stems), *(text for text, _ in kinds.values())}
    files = read_files(source, seen.__contains__, lambda member: _read(member, len(kinds)))
    wanted = [f"{stem}.bin" for stem in stems]
    missing = [name for name in wanted if name not in files]
    name, are_pickles = file_name(source), any(not name.endswith((".bin", ".txt")) for name in files)
    refuse_if(
        (
            missing and are_pickles,
            f"{name}: Expected the binary version, {archive}, found the Python version, which is pickles that are "
            "never loaded; download the binary version.",
        ),
        (
            missing,
            f"{name}: Expected {few(wanted)}, found no {few(missing)}; give the published archive, or the folder that "
            "it unpacks to.",
        ),
    )
    names = {known: _names(files, text, n) for known, (text, n) in kinds.items()}
    *train, test = (_records(stem, files[f"{stem}.bin"], names, kind) for stem in stems)
    return reduce(joined, train), test


def _read(member: Member, n_labels: int) -> Any:
    """Names in a text; where a batch is and a row of bytes per record; nothing of a pickle."""
    if member.name.endswith(".txt"):
        return [line.strip() for line in member.stream.read().decode("latin-1").splitlines() if line.strip()]
    if not member.name.endswith(".bin"):
        return None
    content, size = member.stream.read(), n_labels + _N_PIXELS
    if not content or len(content) % size:
        raise InputError(
            f"{member.where}: Expected records of {size:,} bytes, found {len(content):,} bytes, which is no multiple: "
            "the file is truncated or of another kind; download it again."
        )
    return member.where, np.frombuffer(content, np.uint8).reshape(-1, size)


def _records(stem: str, batch: tuple[str, np.ndarray], names: Mapping[str, tuple[str, ...]], kind: str) -> Records:
    where, rows = batch
    with named(where):
        codes = {
            known: as_codes(rows[:, i], "labels", len(rows), "data", Classes(of_kind, None, len(of_kind)))
            for i, (known, of_kind) in enumerate(names.items())
        }
        images = rows[:, len(names) :].reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)
        return Records(
            np.ascontiguousarray(images),
            codes[kind],
            ids=row_ids(stem, len(rows)),
            groups={known: np.array(names[known])[codes[known]] for known in names if known != kind},
            classes=Codes(names[kind]),
        )


def _names(files: Mapping[str, Any], text: str, n_classes: int) -> tuple[str, ...]:
    """Class names; the numbers if their file is not there."""
    names = tuple(str(name) for name in files.get(text) or range(n_classes))
    if len(names) != n_classes:
        raise InputError(f"{text}: Expected {n_classes} class names, found {len(names)}; give the published files.")
    return names

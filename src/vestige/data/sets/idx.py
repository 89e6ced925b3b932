"""Images in the IDX format of MNIST, and of the sets that follow it, plain or gzipped."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.data.formats.files import PathLike, file_name, named, opened, row_ids

_UNSIGNED_BYTE = 0x08


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
            and labels differ, or a label is none of the classes.
    """
    pixels, codes = _read(images, "images", 3), _read(labels, "labels", 1)
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


def _read(path: PathLike, what: str, n_axes: int) -> np.ndarray:
    with opened(path) as stream:
        content = stream.read()
    name, start = file_name(path), 4 + 4 * n_axes
    if len(content) < 4 or content[:2] != b"\x00\x00":
        raise InputError(
            f"{name}: Expected an IDX file, which starts with 00 00 08 and the number of axes, found "
            f"{content[:4].hex(' ') or 'an empty file'}; download it again."
        )
    if content[2] != _UNSIGNED_BYTE:
        raise InputError(f"{name}: Expected unsigned bytes (type 08), found type {content[2]:02x}; save them as uint8.")
    if content[3] != n_axes:
        raise InputError(
            f"{name}: Expected {what}, an IDX file with {n_axes} axes, found {content[3]}; "
            "give the images first and their labels second."
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

"""Parquet files of encoded images and labels, as on the Hugging Face hub."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.columns import column
from vestige.core.errors import InputError
from vestige.core.messages import few
from vestige.core.progress import Progress, silent
from vestige.core.records import Codes, Records
from vestige.data.formats.files import Format, PathLike, expect_format, named
from vestige.data.formats.parquet_file import opened_parquet, whole_columns
from vestige.data.records.image_decoding import stack_images
from vestige.data.records.row_ids import row_ids

_N_BATCH = 2048  # encoded images held at once


@dataclass(frozen=True, eq=False)
class _Part:
    """One file: what is read before any image is decoded."""

    path: Path
    images: str  # the column, or the field in it, that holds the encoded images
    labels: np.ndarray
    classes: tuple[str, ...] | None


def read_image_parquet(
    *files: PathLike,
    image: str = "image",
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_threads: int = 2,
    progress: Progress = silent,
) -> Records:
    """Read images and labels from Parquet files, one after the other, as the records of one set.

    Args:
        files: One file, or the shards or parts of a set in order. Encoded images are read in batches: all that is
            held are the decoded ones.
        image: The column of images: encoded bytes, or a struct with the field `bytes`.
        label: The column of labels: numbers or names.
        classes: Class names in the order of the codes; if omitted, those in the hub's metadata, if there are any.
        n_threads: How many images are decoded at once; worth it for large ones.
        progress: Told after every batch.

    Returns:
        Records with uint8 inputs of record x height x width x channel, and file and row as ids.

    Raises:
        InputError: A file is damaged or lacks a column, an image or label is missing, an image cannot be decoded,
            or sizes are mixed.
    """
    parts = [_part(Path(path), image, label) for path in files]
    labels = np.concatenate([part.labels for part in parts]) if parts else np.empty(0)
    if labels.size == 0:
        raise InputError("Expected Parquet files with at least one image, found none; name the files.")
    ends = list(accumulate(part.labels.size for part in parts))

    def where(i: int) -> str:
        at = bisect_right(ends, i)
        return f"{parts[at].path.name}[row {i - ends[at] + parts[at].labels.size + 1:,}]"

    batches = (batch for part in parts for batch in _encoded(part, image))
    images = stack_images(batches, labels.size, load=_present, where=where, n_threads=n_threads, progress=progress)
    names = classes or parts[0].classes
    with named(parts[0].path.name):
        codes = Codes(names) if names is not None and labels.dtype.kind in "iu" else names
        return Records(images, labels, ids=_ids(parts), classes=codes)


def _part(path: Path, image: str, label: str) -> _Part:
    expect_format(path, Format.PARQUET)
    with opened_parquet(path, pre_buffer=False) as file:
        schema = file.schema_arrow
        for name, option in ((image, "image"), (label, "label")):
            if name not in schema.names:
                raise InputError(
                    f"{path.name}: Expected a column {name}, found {few(schema.names)}; name another with {option}=."
                )
        labels = whole_columns(file.read(columns=[label]), path.name).column(0)
        plain = labels.to_numpy() if labels.null_count == 0 else np.array(labels.to_pylist(), dtype=object)
    with named(path.name):
        checked = column(plain, f"column {label}", len(plain), "images")
        kinds = {
            field.name: str(field.type) for field in schema.field(image).flatten()
        }  # fields of a struct, or itself
        found = [name for name in (image, f"{image}.bytes") if kinds.get(name) in ("binary", "large_binary")]
        if not found:
            raise InputError(
                f"Expected encoded images in column {image}, bytes or a struct with a field bytes, found "
                f"{schema.field(image).type}; name another with image=."
            )
        return _Part(path, found[0], checked, _classes(schema.metadata, label))


def _classes(metadata: Any, label: str) -> tuple[str, ...] | None:
    """Class names as the hub's library writes them into the schema."""
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
        return tuple(str(name) for name in names)
    except (KeyError, TypeError, ValueError):
        return None


def _encoded(part: _Part, image: str) -> Iterator[list[bytes | None]]:
    with opened_parquet(part.path, pre_buffer=False) as file:
        for batch in file.iter_batches(_N_BATCH, columns=[part.images]):
            values = batch.column(0).to_pylist()
            yield values if part.images == image else [value and value["bytes"] for value in values]


def _present(content: bytes | None, where: str) -> bytes:
    if content is None:
        raise InputError(
            f"{where}: Expected an encoded image, found none, or only a path; embed the images in the file."
        )
    return content


def _ids(parts: Sequence[_Part]) -> np.ndarray:
    """File and row; with its folder where two files have one name, as the hub's `train/0000.parquet`."""
    paths = [part.path for part in parts]
    n_of_name = Counter(path.name for path in paths)
    names = [p.name if n_of_name[p.name] == 1 else f"{p.resolve().parent.name}/{p.name}" for p in paths]
    return np.concatenate([row_ids(name, part.labels.size) for name, part in zip(names, parts, strict=True)])

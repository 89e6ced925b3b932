"""CIFAR-10 and CIFAR-100 as published, the binary version and the Python version; nothing is unpickled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from typing import Any

import numpy as np

from vestige.core.errors import InputError
from vestige.core.labels import Classes, as_codes
from vestige.core.messages import few
from vestige.core.records import Codes, Records, joined
from vestige.data.formats.archives import Member, read_files
from vestige.data.formats.files import PathLike, file_name, named
from vestige.data.records.row_ids import row_ids
from vestige.data.sets.pickled_values import read_pickled_values

_SHAPE = (3, 32, 32)  # channel x height x width, as the files have it
_N_PIXELS = 3 * 32 * 32
_BINARY = ".bin"


@dataclass(frozen=True)
class _Kind:
    """One kind of label: its key in a pickled batch and its names' key in the pickled meta file or text file."""

    labels: str
    names: str
    text: str
    n_classes: int


@dataclass(frozen=True)
class _Layout:
    """The files of a set; `kinds` in the order of the bytes before the pixels of the binary version."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    kinds: tuple[_Kind, ...]

    def files(self, suffix: str) -> list[str]:
        return [name + suffix for name in (*self.train, *self.test)]

    def is_wanted(self, name: str) -> bool:
        texts = [kind.text for kind in self.kinds]
        return name in {*self.files(""), *self.files(_BINARY), self.meta, *texts}


@dataclass(frozen=True, eq=False)
class _Batch:
    where: str
    images: np.ndarray
    labels: Mapping[str, Any]


_FINE = _Kind("fine_labels", "fine_label_names", "fine_label_names.txt", 100)
_COARSE = _Kind("coarse_labels", "coarse_label_names", "coarse_label_names.txt", 20)
_ONLY = _Kind("labels", "label_names", "batches.meta.txt", 10)
_CIFAR10 = _Layout(tuple(f"data_batch_{i}" for i in range(1, 6)), ("test_batch",), "batches.meta", (_ONLY,))
_CIFAR100 = _Layout(("train",), ("test",), "meta", (_COARSE, _FINE))


class Cifar100Labels(Enum):
    """Which of CIFAR-100's two labels is the class; the other becomes a group."""

    FINE = "fine"
    """100 classes."""
    COARSE = "coarse"
    """20 superclasses of 5 classes each."""


def read_cifar10(source: PathLike) -> tuple[Records, Records]:
    """Read CIFAR-10 from the published archive, or the folder it unpacks to.

    Args:
        source: `cifar-10-binary.tar.gz` or `cifar-10-python.tar.gz`, or a folder with their batches.

    Returns:
        The training and the test part, with uint8 inputs of record x 32 x 32 x 3, batch and row as ids, and the
        class names of the meta file; without that file the numbers are the names.

    Raises:
        InputError: A batch is missing, truncated or damaged, or asks to run code.
    """
    return _read_parts(source, _CIFAR10, _ONLY, {})


def read_cifar100(source: PathLike, *, labels: Cifar100Labels = Cifar100Labels.FINE) -> tuple[Records, Records]:
    """Read CIFAR-100 from the published archive, or the folder it unpacks to.

    Args:
        source: `cifar-100-binary.tar.gz` or `cifar-100-python.tar.gz`, or a folder with their files.
        labels: Which labels are the classes; the others are the group `coarse` or `fine`.

    Returns:
        The training and the test part, as `read_cifar10` does.

    Raises:
        InputError: A file is missing, truncated or damaged, or asks to run code.
    """
    if labels is Cifar100Labels.FINE:
        return _read_parts(source, _CIFAR100, _FINE, {"coarse": _COARSE})
    return _read_parts(source, _CIFAR100, _COARSE, {"fine": _FINE})


def _read_parts(source: PathLike, layout: _Layout, kind: _Kind, groups: Mapping[str, _Kind]) -> tuple[Records, Records]:
    files = read_files(source, layout.is_wanted, lambda member: _read(member, layout))
    suffix = _BINARY if any(name in files for name in layout.files(_BINARY)) else ""
    missing = [name for name in layout.files(suffix) if name not in files]
    if missing:
        raise InputError(
            f"{file_name(source)}: Expected {few(layout.files(suffix))}, found no {few(missing)}; give the published "
            "archive, or the folder that it unpacks to."
        )
    names = {k.labels: _names(files, layout, k) for k in layout.kinds}

    def part(stems: Sequence[str]) -> Records:
        batches = [_records(stem, files[stem + suffix], kind, groups, names) for stem in stems]
        return reduce(joined, batches)

    return part(layout.train), part(layout.test)


def _records(
    stem: str, batch: _Batch, kind: _Kind, groups: Mapping[str, _Kind], names: Mapping[str, tuple[str, ...]]
) -> Records:
    with named(batch.where):
        codes = {k.labels: _codes(batch, k, names[k.labels]) for k in (kind, *groups.values())}
        return Records(
            batch.images,
            codes[kind.labels],
            ids=row_ids(stem, len(batch.images)),
            groups={group: np.array(names[k.labels])[codes[k.labels]] for group, k in groups.items()},
            classes=Codes(names[kind.labels]),
        )


def _codes(batch: _Batch, kind: _Kind, names: tuple[str, ...]) -> np.ndarray:
    values = batch.labels[kind.labels]
    return as_codes(values, kind.labels, len(batch.images), "data", Classes(names, None, len(names)))


def _read(member: Member, layout: _Layout) -> Any:
    content = member.stream.read()
    if member.name.endswith(_BINARY):
        return _binary_batch(content, member.where, layout.kinds)
    if member.name.endswith(".txt"):
        return [line.strip() for line in content.decode("latin-1").splitlines() if line.strip()]
    values = _by_text(read_pickled_values(content, member.where), member.where)
    return values if member.name == layout.meta else _python_batch(values, member.where, layout.kinds)


def _binary_batch(content: bytes, where: str, kinds: Sequence[_Kind]) -> _Batch:
    size = len(kinds) + _N_PIXELS
    if not content or len(content) % size:
        raise InputError(
            f"{where}: Expected records of {size:,} bytes, found {len(content):,} bytes, which is no multiple: the "
            "file is truncated or of another kind; download it again."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, size)
    return _Batch(where, _images(rows[:, len(kinds) :]), {k.labels: rows[:, i] for i, k in enumerate(kinds)})


def _python_batch(values: Mapping[str, Any], where: str, kinds: Sequence[_Kind]) -> _Batch:
    missing = [key for key in ("data", *(k.labels for k in kinds)) if key not in values]
    if missing:
        raise InputError(
            f"{where}: Expected a batch with {few(missing)}, found {few(list(values))}; give the published files."
        )
    data = values["data"]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _N_PIXELS:
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise InputError(
            f"{where}: Expected data as uint8 of n x {_N_PIXELS:,}, found {found}; give the published files."
        )
    return _Batch(where, _images(data), values)


def _images(flat: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(flat.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1))


def _names(files: Mapping[str, Any], layout: _Layout, kind: _Kind) -> tuple[str, ...]:
    """Class names from either version's meta file; the numbers if it is not there."""
    found = files.get(kind.text) or files.get(layout.meta, {}).get(kind.names)
    names = tuple(_text(name) for name in found or range(kind.n_classes))
    if len(names) != kind.n_classes:
        raise InputError(
            f"{layout.meta}: Expected {kind.n_classes} class names, found {len(names)}; give the published files."
        )
    return names


def _by_text(values: Any, where: str) -> dict[str, Any]:
    """A pickled dict by text: some who pickled it again have keys of bytes."""
    if not isinstance(values, dict):
        raise InputError(f"{where}: Expected a pickled dict, found {type(values).__name__}; give the published files.")
    return {_text(key): value for key, value in values.items()}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

"""Reference models in one file: what each answered about the audited records, and on which of them it was trained."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vestige.core.blocks import BlockTable
from vestige.core.errors import ArtefactError, InputError
from vestige.core.messages import brief, few
from vestige.core.outputs import Logits, Output, Phi, Probabilities
from vestige.core.references import References
from vestige.core.signal_store import FOLDER, SignalStore
from vestige.core.signals import AT_THE_END, DRAWN_TOGETHER, MEMBER
from vestige.data.classes import codes_of_array
from vestige.data.formats import Format, PathLike, expect_format, file_name, named, readable
from vestige.data.npz import REFERENCE, NpzFile, class_names, refuse_other_classes
from vestige.data.streams import text_as_text

_TARGET = "target_"
_KINDS: dict[str, type[Output]] = {"logits": Logits, "probs": Probabilities, "phi": Phi}
_RUN_KINDS: dict[str, type[Output]] = {"logits": Logits, "probabilities": Probabilities}
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_CODECS = {"bytes", "blosc", "zstd", "gzip", "zlib", "lz4", "crc32c", "transpose", "sharding_indexed", "vlen-utf8"}


def read_references(path: PathLike, *, label_base: int = 0, classes: Sequence[str] | None = None) -> References:
    """Read reference models' answers from an npz file, a Zarr group or the folder of a run that trained some.

    Keys: `reference_phi` (models x records), `reference_logits` or `reference_probs` (models x records x classes),
    each with an axis of queries after the records if there are several, the record as it is first; `reference_member`
    (models x records, 0 and 1); optional `reference_ids`, `reference_labels`, `reference_classes` (names of the
    columns), and `target_phi`, `target_logits` or `target_probs`: what the target answered about the same records and
    queries. Large arrays stay in the file.

    Args:
        path: File or folder. Nothing in it is unpickled.
        label_base: What integer labels count from, 0 or 1.
        classes: The target's class names, if it has any; for labels that are names.

    Returns:
        The reference models.

    Raises:
        InputError: A key is missing or there twice, the file is damaged or of another format, or what is in it does
            not fit together.
        ArtefactError: The signals of a run are damaged.
    """
    path = Path(path)
    with named(path.name):
        if path.is_dir():
            if (path / FOLDER).is_dir():
                return _of_run(path / FOLDER)
            return _of_arrays(_ZarrGroup(path), label_base, classes)
        expect_format(path, Format.NPZ)
        return _of_arrays(NpzFile(path), label_base, classes)


def holds_references(path: PathLike) -> bool:
    """Whether an npz file holds answers of reference models.

    Raises:
        InputError: It cannot be read.
    """
    return any(key.startswith(REFERENCE) for key in NpzFile(path).keys)


def _of_arrays(file: "NpzFile | _ZarrGroup", label_base: int, classes: Sequence[str] | None) -> References:
    kind = _only_kind(file, REFERENCE)
    if REFERENCE + "member" not in file.keys:
        raise InputError(f"Expected the array reference_member, found {few(file.keys, 12)}; add it.")

    def optional(key: str) -> np.ndarray | None:
        return file.load(key) if key in file.keys else None

    key_of_names = next((key for key in (REFERENCE + "classes", "classes") if key in file.keys), None)
    if key_of_names is not None:
        names = class_names(file.load(key_of_names), f"{file.name}[{key_of_names}]")
        refuse_other_classes(names, classes, "the reference models")
    labels = optional(REFERENCE + "labels")
    answers = file.table(REFERENCE + kind)
    target = optional(_TARGET + kind)
    others = [_TARGET + other for other in _KINDS if other != kind and _TARGET + other in file.keys]
    if others:
        raise InputError(f"Expected the target's answers as target_{kind}, as the references', found {others[0]}.")
    if target is None and kind in file.keys and len(file.table(kind).shape) == len(answers.shape) - 1:
        own = file.table(kind)
        if len(own.shape) > (1 if kind == "phi" else 2):  # the target's own, with queries
            target = file.load(kind)
    return References(
        _KINDS[kind],
        answers,
        file.load(REFERENCE + "member"),
        ids=optional(REFERENCE + "ids"),
        labels=None if labels is None else codes_of_array(labels, classes, label_base, "labels of the references"),
        target=target,
    )


def _only_kind(file: "NpzFile | _ZarrGroup", prefix: str) -> str:
    there = [kind for kind in _KINDS if prefix + kind in file.keys]
    if len(there) != 1:
        expected = ", ".join(prefix + kind for kind in _KINDS)
        found = few([prefix + kind for kind in there]) if there else few(file.keys, 12)
        raise InputError(f"Expected one of the arrays {expected}, found {found}; save the answers under one of them.")
    return there[0]


def _of_run(folder: Path) -> References:
    store = SignalStore.open(folder)
    kind = next((name for name in _RUN_KINDS if name in store.variables), None)
    if kind is None:
        raise InputError(f"Expected logits or probabilities in the run, found {few(list(store.variables))}.")
    rows = np.flatnonzero(store.complete() & (store.models.epoch == AT_THE_END))
    if rows.size == 0:
        raise ArtefactError(f"{folder.parent.name}: Expected a finished shadow model, found none; finish the run.")
    together = store.made_from.get(DRAWN_TOGETHER)
    return References(
        _RUN_KINDS[kind],
        store.table(kind, rows),
        store.read(MEMBER, rows=rows),
        ids=store.ids,
        groups=None if together is None else store.models.model[rows] // int(together),
    )


# -------------------------------------------------------------------------------------------------- Zarr


class _ZarrGroup:
    """The arrays of a Zarr group by key, versions 2 and 3; codecs that could run code are refused."""

    def __init__(self, path: Path) -> None:
        import zarr

        self.name, self._path = file_name(path), path
        _refuse_codecs(path, self.name)
        try:
            with readable(path):
                self._group = zarr.open_group(path, mode="r")
                self._arrays = dict(self._group.arrays())
        except (ValueError, KeyError, TypeError, RuntimeError, ArithmeticError):
            raise InputError(
                f"{self.name}: Expected a Zarr group or the folder of a run, found neither; name another."
            ) from None
        self.keys = tuple(self._arrays)
        if not self.keys:
            raise InputError(f"{self.name}: Expected arrays in the Zarr group, found none; name another.")

    def load(self, key: str) -> np.ndarray:
        """Return a whole array; text as text."""
        values = np.asarray(self._whole(key)[:])
        return text_as_text(values.astype(np.str_) if values.dtype.kind in "OT" else values, f"{self.name}[{key}]")

    def table(self, key: str) -> BlockTable:
        """Return an array to be read in blocks."""
        return _ZarrTable(self._whole(key))

    def _whole(self, key: str) -> "_WholeArray":
        name, array = f"{self.name}[{key}]", self._arrays[key]
        files = [file for file in (self._path / key).rglob("*") if file.is_file() and file.name not in _METADATA]
        with readable(self._path):
            _refuse_damaged_blosc(array, files, name)
        return _WholeArray(array, name, len(files))


class _ZarrTable:
    """A Zarr array as a `BlockTable`."""

    def __init__(self, array: "_WholeArray") -> None:
        self.name = array.name
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self._array = array

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""
        for start in range(0, self.shape[0], n_rows):
            yield np.asarray(self._array[start : start + n_rows])


class _WholeArray:
    """A Zarr array of which every chunk is there: zarr itself reads a missing one as fill values, such as zeros.

    Chunks that hold nothing but fill values are often left out when an array is written, and look like lost ones. So
    they are required; whoever means them writes them. A shard is one file of many chunks: whether those are all in it
    is seen by reading it with two fill values.

    Args:
        array: Of zarr.
        name: What it is called in messages.
        n_files: Files in its folder: there are no more chunks, or shards, than these. Zarr counts those that are there
            by listing all that should be, which a damaged shape makes more than fit into memory.

    Raises:
        InputError: A chunk is missing or damaged, here or when rows are read.
    """

    def __init__(self, array: Any, name: str, n_files: int) -> None:
        self.name, self.shape, self.dtype = name, tuple(array.shape), np.dtype(array.dtype)
        with _readable_zarr(name):
            sizes = array.shards or array.chunks
            n_wanted = math.prod(-(-length // size) for length, size in zip(array.shape, sizes, strict=True))
            if n_wanted > n_files:
                raise self._incomplete(f"{n_files:,} files for {n_wanted:,} of them")
            n_missing = array.nchunks - array.nchunks_initialized
        if n_missing > 0:
            raise self._incomplete(f"{n_missing:,} of {array.nchunks:,} missing")
        is_text = self.dtype.kind in "OTUS"
        fills = [None] if array.shards is None else ["", "-"] if is_text else [0, 1]
        self._arrays = [array if fill is None else _with_fill_value(array, fill) for fill in fills]

    def __getitem__(self, rows: slice) -> Any:
        with _readable_zarr(self.name):
            found = [np.asarray(array[rows]) for array in self._arrays]
        if any(not _same_entries(found[0], other) for other in found[1:]):
            raise self._incomplete("some missing in a shard")
        return found[0]

    def _incomplete(self, found: str) -> InputError:
        return InputError(
            f"{self.name}: Expected every chunk of the Zarr array, found {found}; write it again, also the chunks that "
            'hold nothing but the fill value (config={"write_empty_chunks": True}).'
        )


def _refuse_damaged_blosc(array: Any, files: Sequence[Path], name: str) -> None:
    """Refuse chunks whose header tells other sizes than they have: Blosc believes it, and ends the process.

    Raises:
        InputError: There is one.
    """
    packed = [type(codec).__name__ for codec in array.compressors]
    if array.shards is not None or "Blosc" not in "".join(packed[:1]):
        return
    n_after = 4 if packed[1:] == ["Crc32cCodec"] else 0
    for file in files:
        with file.open("rb") as chunk:
            header = chunk.read(16)
        n_bytes, n_block, n_packed = (int.from_bytes(header[at : at + 4], "little") for at in (4, 8, 12))
        is_whole = len(header) == 16 and n_packed == file.stat().st_size - n_after
        if not is_whole or not 0 < n_block <= max(n_bytes, 1) or n_bytes >= 1 << 31:
            raise InputError(f"{name}: Expected a whole Zarr array, found a damaged chunk {file.name}; write it again.")


@contextmanager
def _readable_zarr(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ArithmeticError, MemoryError):  # also its codecs'
        raise InputError(f"{name}: Expected a whole Zarr array, found a damaged one; write it again.") from None


def _with_fill_value(array: Any, fill: Any) -> Any:
    """The same array, of which what is missing reads as another value."""
    import zarr

    metadata = replace(array.metadata, fill_value=fill if isinstance(fill, str) else array.dtype.type(fill))
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path, config=array.config))


def _same_entries(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def _refuse_codecs(path: Path, name: str) -> None:
    """Refuse codecs that are not known to hold numbers or text only: some unpickle what they read."""
    for metadata in (*path.rglob("zarr.json"), *path.rglob(".zarray"), *path.rglob(".zmetadata")):
        with readable(metadata):
            text = metadata.read_text(encoding="utf-8", errors="replace")
        try:
            found = set(_codecs(json.loads(text)))
        except ValueError:
            raise InputError(f"{name}: Expected Zarr metadata as JSON, found a damaged {metadata.name}.") from None
        unknown = sorted(found - _CODECS)
        if unknown:
            raise InputError(
                f"{name}: Expected Zarr codecs for numbers and text, found {brief(unknown[0])}, which is not read: "
                "some run code. Write the arrays with zarr's own codecs."
            )


def _codecs(said: Any) -> Iterator[str]:
    """Names of all codecs, in metadata of version 3 (`codecs: [{name}]`) and 2 (`compressor`, `filters`: `{id}`)."""
    if isinstance(said, list):
        for entry in said:
            yield from _codecs(entry)
    elif isinstance(said, dict):
        for key, value in said.items():
            if key in ("codecs", "index_codecs", "compressor", "filters") and value is not None:
                entries = value if isinstance(value, list) else [value]
                yield from (str(e.get("name", e.get("id"))) if isinstance(e, dict) else str(e) for e in entries)
            if key != "attributes":
                yield from _codecs(value)

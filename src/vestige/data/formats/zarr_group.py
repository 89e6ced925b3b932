"""The arrays of a Zarr group, versions 2 and 3; codecs that could run code are refused, and so are missing chunks."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vestige.core.errors import InputError, refusing
from vestige.core.messages import brief
from vestige.data.formats.arrays import StoredArrays, text_as_text
from vestige.data.formats.files import file_name, readable

_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_CODECS = {"bytes", "blosc", "zstd", "gzip", "zlib", "lz4", "crc32c", "transpose", "sharding_indexed", "vlen-utf8"}


class ZarrGroup(StoredArrays):
    """The arrays of a Zarr group.

    Raises:
        InputError: It is none, or has no arrays; or one is damaged, when it is read.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._path = file_name(path), path
        _refuse_codecs(path, self.name)
        other = f"{self.name}: Expected a Zarr group or the folder of a run, found neither; name another."
        with refusing((OSError, ValueError, KeyError, TypeError, RuntimeError, ArithmeticError), other):
            self._arrays = dict(zarr.open_group(path, mode="r").arrays())
        self.keys = tuple(self._arrays)
        if not self.keys:
            raise InputError(f"{self.name}: Expected arrays in the Zarr group, found none; name another.")

    def array(self, key: str) -> "ZarrTable":
        """Return an array that is not read yet."""
        files = [file for file in (self._path / key).rglob("*") if file.is_file() and file.name not in _METADATA]
        name, array = f"{self.name}[{key}]", self._arrays[key]
        with readable(self._path):
            _refuse_damaged_blosc(array, files, name)
        return ZarrTable(array, name, len(files))


class ZarrTable:
    """A Zarr array of which every chunk is there, as a `BlockTable`.

    Zarr itself reads a missing chunk as fill values, such as zeros. Chunks that hold nothing but fill values are often
    left out when an array is written, and look like lost ones. So they are required; whoever means them writes them.
    A shard is one file of many chunks: whether those are all in it is seen by reading it with two fill values.

    Args:
        array: Of zarr.
        name: What it is called in messages.
        n_files: Files in its folder: there are no more chunks, or shards, than these. Zarr counts those that are there
            by listing all that should be, which a damaged shape makes more than fit into memory.

    Raises:
        InputError: A chunk is missing or damaged, here or when rows are read.
    """

    def __init__(self, array: Any, name: str, n_files: int) -> None:
        self.name, self.dtype = name, np.dtype(array.dtype)
        self.shape: tuple[int, ...] = tuple(array.shape)
        with _readable_zarr(name):
            sizes = array.shards or array.chunks
            n_wanted = math.prod(-(-length // size) for length, size in zip(array.shape, sizes, strict=True))
            if n_wanted > n_files:
                raise _incomplete(name, f"{n_files:,} files for {n_wanted:,} of them")
            n_missing = array.nchunks - array.nchunks_initialized
        if n_missing > 0:
            raise _incomplete(name, f"{n_missing:,} of {array.nchunks:,} missing")
        fills: list[Any] = ["", "-"] if self.dtype.kind in "OTUS" else [self.dtype.type(0), self.dtype.type(1)]
        self._arrays = [array] if array.shards is None else [_read_with(array, fill) for fill in fills]

    def table(self) -> "ZarrTable":
        """Return the array to be read in blocks."""
        return self

    def load(self) -> np.ndarray:
        """Return the whole array; text as text."""
        values = self._rows(slice(None))
        return text_as_text(values.astype(np.str_) if values.dtype.kind in "OT" else values, self.name)

    def _rows(self, rows: slice) -> np.ndarray:
        with _readable_zarr(self.name):
            first, *others = [np.asarray(array[rows]) for array in self._arrays]
        if not all(np.array_equal(first, other, equal_nan=first.dtype.kind == "f") for other in others):
            raise _incomplete(self.name, "some missing in a shard")
        return first

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows."""
        for start in range(0, self.shape[0], n_rows):
            yield self._rows(slice(start, start + n_rows))


def _incomplete(name: str, found: str) -> InputError:
    return InputError(
        f"{name}: Expected every chunk of the Zarr array, found {found}; write it again, also the chunks that hold "
        'nothing but the fill value (config={"write_empty_chunks": True}).'
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


def _readable_zarr(name: str) -> AbstractContextManager[None]:
    kinds = (OSError, ValueError, RuntimeError, KeyError, TypeError, ArithmeticError, MemoryError)  # also its codecs'
    return refusing(kinds, f"{name}: Expected a whole Zarr array, found a damaged one; write it again.")


def _read_with(array: Any, fill: Any) -> Any:
    """The same array, of which what is missing reads as another value."""
    metadata = replace(array.metadata, fill_value=fill)
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path, config=array.config))


def _refuse_codecs(path: Path, name: str) -> None:
    """Refuse codecs that are not known to hold numbers or text only: some unpickle what they read."""
    for metadata in (*path.rglob("zarr.json"), *path.rglob(".zarray"), *path.rglob(".zmetadata")):
        damaged = f"{name}: Expected Zarr metadata as JSON, found a damaged {metadata.name}."
        with readable(metadata), refusing(ValueError, damaged):
            codecs = set(_codecs(json.loads(metadata.read_text(encoding="utf-8", errors="replace"))))
        unknown = sorted(codecs - _CODECS)
        if unknown:
            raise InputError(
                f"{name}: Expected Zarr codecs for numbers and text, found {brief(unknown[0])}, which is not read: "
                "some run code. Write the arrays with zarr's own codecs."
            )


def _codecs(said: Any) -> Iterator[str]:
    """Names of all codecs, in metadata of version 3 (`codecs: [{name}]`) and 2 (`compressor`, `filters`: `{id}`)."""
    known = said if isinstance(said, dict) else {}
    for key in ("codecs", "index_codecs", "compressor", "filters"):
        held = known.get(key)
        entries = held if isinstance(held, list) else [] if held is None else [held]
        yield from (str(e.get("name", e.get("id"))) if isinstance(e, dict) else str(e) for e in entries)
    for value in said if isinstance(said, list) else [known[key] for key in known if key != "attributes"]:
        yield from _codecs(value)

"""Arrays that NumPy saved, npy and npz, read in blocks of rows: memory does not grow with the file.

Plain reads into fresh blocks, never a memory map: mapped pages that were read count as the process's memory.
"""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib import format as npy_format

from vestige.core.blocks import ArrayTable, BlockTable
from vestige.core.errors import InputError, refuse_if, refusing
from vestige.core.messages import few
from vestige.data.formats.files import ByteStream, Format, PathLike, expect_format, file_name, readable

_N_READ = 1 << 20  # bytes per read: a zip entry is unpacked in pieces of this size

# What the standard library raises on a damaged or encrypted zip file, or on an entry of it.
DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, NotImplementedError, KeyError, OverflowError, UnicodeDecodeError),
)
_OF_LITERALS = (ValueError, TypeError, SyntaxError, IndexError, MemoryError, tokenize.TokenError)  # headers are some


class NpyStream:
    """An array in an npy file, or in an npz's entry, as a `BlockTable`: rows are read when asked for.

    Args:
        name: The file and the key, for error messages.
        open_stream: Opens the file or the entry at its header.
        n_bytes: Its size.

    Raises:
        InputError: It holds objects, is truncated, or holds more than the one array.
    """

    def __init__(self, name: str, open_stream: Callable[[], AbstractContextManager[ByteStream]], n_bytes: int) -> None:
        self.name, self._open = name, open_stream
        with open_stream() as stream:
            self._header = self.shape, self._by_columns, self.dtype = read_header(stream, name)
            expected = stream.tell() + self.dtype.itemsize * math.prod(self.shape)
        wanted = f"{expected:,} bytes for shape {self.shape}"
        refuse_if(
            (n_bytes < expected, _truncated(name, wanted, f"{n_bytes:,}")),
            (n_bytes > expected, f"{name}: Expected {wanted}, found {n_bytes:,}; save one array per file."),
        )

    def table(self) -> BlockTable:
        """Return the array to be read in blocks; loaded if its rows are scattered over the file, or there are none."""
        return self if self.shape and not self._by_columns else ArrayTable(self.load(), self.name)

    def load(self) -> np.ndarray:
        """Return the whole array; text saved as bytes is decoded.

        Raises:
            InputError: The array is damaged, or is text that is not UTF-8.
        """
        truncated = f"{self.name}: Expected a whole array, found a truncated one; save it again."
        with self._open() as stream, readable_array(self.name), refusing(ValueError, truncated):
            array: np.ndarray = npy_format.read_array(stream, allow_pickle=False)
        return text_as_text(array, self.name)

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` rows, each an array of its own.

        Raises:
            InputError: The file ends early, is damaged, or is no longer the one that was opened.
        """
        n = self.shape[0]
        with self._open() as stream:
            if read_header(stream, self.name) != self._header:
                raise InputError(f"{self.name}: Expected the array first seen, found it changed; start again.")
            for start in range(0, n, n_rows):
                block = np.empty((min(n_rows, n - start), *self.shape[1:]), self.dtype)
                view, done = block.reshape(-1).view(np.uint8), 0
                with readable_array(self.name):
                    while done < view.size and (n_read := stream.readinto(view[done : done + _N_READ].data)):
                        done += n_read
                if done < view.size:
                    raise InputError(
                        _truncated(self.name, f"{n:,} rows", f"{start + done * len(block) // view.size:,}")
                    )
                yield block
            with readable_array(self.name):
                stream.read(1)  # reaching the end makes zipfile compare the checksum


def readable_array(name: str) -> AbstractContextManager[None]:
    """Tell a damaged or encrypted array as one `InputError`."""
    kinds = {True: "an encrypted one", False: "a truncated or damaged one"}
    return refusing(
        DAMAGES,
        lambda error: f"{name}: Expected a whole array, found {kinds['encrypted' in str(error)]}; save it again.",
    )


def read_header(stream: ByteStream, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether columns lie one behind the other, and type of a stored array; refuse Python objects.

    Raises:
        InputError: It is no npy header, or the array holds objects, which only a pickle could restore.
    """
    damaged = (
        f"{name}: Expected an array saved by NumPy, found a damaged or foreign header; save it again with numpy.save "
        "or numpy.savez."
    )
    with readable_array(name), refusing(_OF_LITERALS, damaged):
        version = npy_format.read_magic(stream)
        read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    refuse_if(
        (
            dtype.hasobject,
            f"{name}: Expected numbers or text, found an object array, which is a pickle; pickles are never loaded: "
            "convert it first, with .astype(float) or .astype(str).",
        ),
        (
            dtype.kind in "mM" and np.datetime_data(dtype)[0] == "generic",
            f"{name}: Expected numbers, text or dates, found {dtype} without a unit; save it with one.",
        ),
    )
    return tuple(int(n) for n in shape), bool(fortran_order), dtype


def text_as_text(array: np.ndarray, name: str) -> np.ndarray:
    """Return text that was saved as bytes decoded, and anything else as it is, once text is known to be text.

    Raises:
        InputError: Bytes are not UTF-8, or numbers stand where characters should.
    """
    if array.dtype.kind == "U":
        codes = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(-1).view(np.uint32)
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise InputError(f"{name}: Expected text, found numbers that are no characters; save it again.")
    if array.dtype.kind != "S":
        return array
    with refusing(UnicodeDecodeError, f"{name}: Expected UTF-8 text, found other bytes; save it with .astype(str)."):
        return np.char.decode(array, "utf-8")


def _truncated(name: str, expected: str, found: str) -> str:
    return f"{name}: Expected {expected}, found only {found}: the file is truncated; save it again."


class StoredArrays(ABC):
    """Arrays by key in one file or folder; large ones stay in it.

    Attributes:
        name: What it is called in messages.
        keys: Of the arrays.
    """

    name: str
    keys: tuple[str, ...]

    @abstractmethod
    def array(self, key: str) -> Any:
        """Return an array that is not read yet: `load` returns it whole, `table` to be read in blocks."""

    def load(self, key: str) -> np.ndarray:
        """Return a whole array; text as text."""
        return np.asarray(self.array(key).load())

    def table(self, key: str) -> BlockTable:
        """Return an array to be read in blocks."""
        return cast(BlockTable, self.array(key).table())

    def optional(self, key: str) -> np.ndarray | None:
        """Return a whole array; None if it is not there."""
        return self.load(key) if key in self.keys else None

    def require(self, keys: Iterable[str], cure: str) -> None:
        """Refuse a file that lacks an array.

        Raises:
            InputError: It does.
        """
        for key in keys:
            if key not in self.keys:
                raise InputError(f"{self.name}: Expected the array {key}, found {few(self.keys, 12)}; {cure}.")

    def class_names(self, key: str) -> tuple[str, ...]:
        """Return the names in an array of them.

        Raises:
            InputError: It holds something else.
        """
        classes = self.load(key)
        if classes.ndim != 1 or classes.dtype.kind not in "Uiub":
            raise InputError(
                f"{self.name}[{key}]: Expected one name per class, a class name per column of a model's outputs, found "
                f"{classes.dtype} of shape {classes.shape}; save a one-dimensional array of text or integers."
            )
        return tuple(str(name) for name in classes)


class NpzFile(StoredArrays):
    """The arrays of an npz file.

    Raises:
        InputError: The file is damaged or of another format; or an array is, when it is read.
    """

    def __init__(self, path: PathLike) -> None:
        expect_format(path, Format.NPZ)
        self._path, self.name = Path(path), file_name(path)
        damaged = f"{self.name}: Expected a whole npz file, found a truncated or damaged one; copy or save it again."
        with refusing(DAMAGES, damaged), readable(path), zipfile.ZipFile(path) as archive:
            self._sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        self.keys = tuple(entry.removesuffix(".npy") for entry in self._sizes if entry.endswith(".npy"))
        if not self.keys:
            raise InputError(f"{self.name}: Expected an npz file, found {_what_zip(self._sizes)}.")

    def array(self, key: str) -> NpyStream:
        """Return an array that is not read yet."""
        return NpyStream(f"{self.name}[{key}]", partial(self._opened, key), self._sizes[f"{key}.npy"])

    @contextmanager
    def _opened(self, key: str) -> Iterator[ByteStream]:
        with (
            readable_array(f"{self.name}[{key}]"),
            readable(self._path),
            zipfile.ZipFile(self._path) as archive,
            archive.open(f"{key}.npy") as stream,
        ):
            yield cast(ByteStream, stream)  # typed as IO, which has no readinto


class NpyFiles(StoredArrays):
    """Arrays in npy files, each by a key; None for one that there is not."""

    def __init__(self, paths: Mapping[str, PathLike | None]) -> None:
        self._paths = {key: path for key, path in paths.items() if path is not None}
        self.keys, self.name = tuple(self._paths), file_name(next(iter(self._paths.values())))

    def array(self, key: str) -> NpyStream:
        """Return an array that is not read yet."""
        return npy_file(self._paths[key])


class TwoSides(StoredArrays):
    """Arrays of members with those of nonmembers below them, and `member`, which tells them apart.

    Args:
        files: Of members and of nonmembers; may be the same.
        spelled: How a key is spelled on each side, such as `{}_train`.

    Raises:
        InputError: An array is on one side only, or `member` says otherwise.
    """

    def __init__(self, files: Sequence[StoredArrays], spelled: Sequence[str] = ("{}", "{}")) -> None:
        self.name = " and ".join(dict.fromkeys(file.name for file in files))
        self._sides = list(zip(files, spelled, strict=True))
        first, second = (
            {key for key in _keys_without(template, file.keys) if key != "member"} for file, template in self._sides
        )
        if first != second:
            raise InputError(
                f"{self.name}: Expected the same arrays of members and nonmembers, found {few(sorted(first ^ second))} "
                "on one side only; save it on both."
            )
        for (file, template), side in zip(self._sides, (True, False), strict=True):
            said = file.optional(template.format("member"))
            if said is not None and not np.all(said.astype(np.str_).astype(np.float64) == side):
                raise InputError(f"{file.name}: Expected one side, found another in the array member; leave it out.")
        self.keys = (*sorted(first), "member")

    def array(self, key: str) -> Any:
        """Return an array that is not read yet."""
        if key == "member":
            sizes = [file.array(template.format("labels")).shape[0] for file, template in self._sides]
            return _Joined([ArrayTable(np.full(n, side), key) for n, side in zip(sizes, (1, 0), strict=True)], key)
        if key == "classes":
            (file, template), (other, spelled) = self._sides
            names, others = file.class_names(template.format(key)), other.class_names(spelled.format(key))
            if names != others:
                raise InputError(f"Expected the same classes on both sides, found {few(names)} and {few(others)}.")
            return file.array(template.format(key))
        tables = [file.table(template.format(key)) for file, template in self._sides]
        return _Joined(tables, f"{self.name}[{key}]")


def _keys_without(template: str, keys: Iterable[str]) -> Iterator[str]:
    before, after = template.split("{}")
    return (k[len(before) : len(k) - len(after)] for k in keys if k.startswith(before) and k.endswith(after))


class _Joined:
    """Arrays below each other as a `BlockTable`."""

    def __init__(self, parts: Sequence[BlockTable], name: str) -> None:
        widths = {part.shape[1:] for part in parts}
        if len(widths) > 1:
            raise InputError(f"{name}: Expected arrays of one shape a record on both sides, found {sorted(widths)}.")
        self.name, self._parts = name, parts
        self.shape: tuple[int, ...] = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def table(self) -> BlockTable:
        """Return this."""
        return self

    def load(self) -> np.ndarray:
        """Return all of it."""
        return text_as_text(
            np.concatenate([block for part in self._parts for block in part.blocks(1 << 16)]), self.name
        )

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of `n_rows` rows; they go on over the seam."""
        held = np.empty((0, *self.shape[1:]), self.dtype)
        for part in self._parts:
            for block in part.blocks(n_rows):
                held = np.concatenate([held, block]) if len(held) else block.astype(self.dtype, copy=False)
                while len(held) >= n_rows:
                    yield held[:n_rows]
                    held = held[n_rows:]
        if len(held):
            yield held


def npy_file(path: PathLike) -> NpyStream:
    """Return the array of an npy file.

    Raises:
        InputError: The file is missing, truncated, of another format or holds objects.
    """
    expect_format(path, Format.NPY)
    return NpyStream(file_name(path), partial(_opened, Path(path)), Path(path).stat().st_size)


@contextmanager
def _opened(path: Path) -> Iterator[ByteStream]:
    # Unbuffered: a block is read straight into its array.
    with readable(path), path.open("rb", buffering=0) as stream:
        yield stream


def _what_zip(entries: Iterable[str]) -> str:
    if any(entry.startswith("xl/") for entry in entries):
        return "an Excel workbook; save the sheet as CSV UTF-8"
    if any(entry.endswith(".pkl") for entry in entries):
        return "a model with pickles in it, such as PyTorch's; pickles are never loaded: save its predictions"
    return "a zip without arrays; save the predictions with numpy.savez"

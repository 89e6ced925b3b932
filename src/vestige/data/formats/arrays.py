"""Arrays that NumPy saved, read in blocks of rows: memory does not grow with the file.

Plain reads into fresh blocks, never a memory map: mapped pages that were read count as the process's memory.
"""

import io
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from vestige.core.errors import InputError

ByteStream = io.BufferedIOBase | io.RawIOBase
OpenStream = Callable[[], AbstractContextManager[ByteStream]]

_N_READ = 1 << 20  # bytes per read: a zip entry is unpacked in pieces of this size

DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, NotImplementedError, KeyError, OverflowError, UnicodeDecodeError),
)
"""What the standard library raises on a damaged or encrypted zip file, or on an entry of it."""


@dataclass(frozen=True)
class Header:
    """What stands before the data of an npy file."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    n_bytes: int  # of the header itself

    @property
    def n_data_bytes(self) -> int:
        """Size of the data [bytes], in Python integers that cannot overflow."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size


class NpyStream:
    """An array in an npy file, or in an npz's entry, as a `BlockTable`: rows are read when asked for.

    Args:
        name: The file and the key, for error messages.
        open_stream: Opens the file or the entry at its header.
        header: What `read_header` found in it.
    """

    def __init__(self, name: str, open_stream: OpenStream, header: Header) -> None:
        self.name = name
        self.shape: tuple[int, ...] = header.shape
        self.dtype: np.dtype[Any] = header.dtype
        self._open = open_stream
        self._header = header

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
                n_read = self._fill(stream, block)
                if n_read < block.nbytes:
                    row_bytes = block.nbytes // block.shape[0]
                    raise _truncated(self.name, f"{n:,} rows", f"{start + n_read // row_bytes:,}")
                yield block
            with readable_array(self.name):
                stream.read(1)  # reaching the end makes zipfile compare the checksum

    def _fill(self, stream: ByteStream, block: np.ndarray) -> int:
        """Read a block's bytes; fewer than asked for means that the stream has ended."""
        view = block.reshape(-1).view(np.uint8)
        done = 0
        with readable_array(self.name):
            while done < view.size:
                n_read = stream.readinto(view[done : done + _N_READ].data)
                if not n_read:
                    break
                done += n_read
        return done


@contextmanager
def readable_array(name: str) -> Iterator[None]:
    """Tell a damaged or encrypted array as one `InputError`."""
    try:
        yield
    except InputError:
        raise
    except DAMAGES as error:
        found = "an encrypted one" if "encrypted" in str(error) else "a truncated or damaged one"
        raise InputError(f"{name}: Expected a whole array, found {found}; save it again.") from None


def read_header(stream: ByteStream, name: str) -> Header:
    """Parse the header of an npy file or npz entry, and refuse arrays of Python objects.

    Raises:
        InputError: It is no npy header, or the array holds objects, which only a pickle could restore.
    """
    with readable_array(name):
        try:
            version = npy_format.read_magic(stream)
            read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            shape, fortran_order, dtype = read(stream)
        except (ValueError, TypeError, SyntaxError, IndexError, MemoryError, tokenize.TokenError):  # it is a literal
            raise InputError(
                f"{name}: Expected an array saved by NumPy, found a damaged or foreign header; save it again "
                "with numpy.save or numpy.savez."
            ) from None
        n_bytes = stream.tell()
    if dtype.hasobject:
        raise InputError(
            f"{name}: Expected numbers or text, found an object array, which is a pickle; pickles are never loaded: "
            "convert it first, with .astype(float) or .astype(str)."
        )
    if dtype.kind in "mM" and np.datetime_data(dtype)[0] == "generic":
        raise InputError(f"{name}: Expected numbers, text or dates, found {dtype} without a unit; save it with one.")
    return Header(tuple(int(n) for n in shape), bool(fortran_order), dtype, n_bytes)


def check_size(header: Header, n_bytes: int, name: str) -> None:
    """Refuse a file or entry of `n_bytes` whose header promises another size.

    Raises:
        InputError: It is truncated, or holds more than the one array.
    """
    expected = header.n_bytes + header.n_data_bytes
    if n_bytes < expected:
        raise _truncated(name, f"{expected:,} bytes for shape {header.shape}", f"{n_bytes:,}")
    if n_bytes > expected:
        raise InputError(
            f"{name}: Expected {expected:,} bytes for shape {header.shape}, found {n_bytes:,}; save one array per file."
        )


def load_array(stream: ByteStream, name: str) -> np.ndarray:
    """Read a whole array from its header on; text saved as bytes is decoded.

    Raises:
        InputError: The array is damaged, or is text that is not UTF-8.
    """
    with readable_array(name):
        try:
            array: np.ndarray = npy_format.read_array(stream, allow_pickle=False)
        except ValueError:
            raise InputError(f"{name}: Expected a whole array, found a truncated one; save it again.") from None
    return text_as_text(array, name)


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
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: Expected UTF-8 text, found other bytes; save it with .astype(str).") from None


def _truncated(name: str, expected: str, found: str) -> InputError:
    return InputError(f"{name}: Expected {expected}, found only {found}: the file is truncated; save it again.")

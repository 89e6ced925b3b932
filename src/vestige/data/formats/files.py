"""The format of a file, told by its first bytes and never by its name alone; messages about its faults; and archives.

Every message starts with the file's name, without its folders: a report or a log may be shown to others.
"""

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np

from vestige.core.errors import InputError, refusing

PathLike = str | os.PathLike[str]
ByteStream = io.BufferedIOBase | io.RawIOBase
T = TypeVar("T")


@runtime_checkable
class FrameLike(Protocol):
    """A table in memory: a frame of pandas or polars, a Table of Arrow, or what else streams as one."""

    columns: Any

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return its rows as a stream of Arrow."""


TableSource = PathLike | FrameLike
"""What a table is read from."""

_N_START = 4096  # bytes that are enough to tell every format below


_N_READ = 1 << 20  # bytes per read
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_TAR, _TAR_AT = b"ustar", 257
_REFUSALS: dict[tuple[type[OSError], ...], str] = {
    (FileNotFoundError, NotADirectoryError): "a file, found none there; check the spelling and the folder of the path",
    (IsADirectoryError,): "a file, found a folder; name the file in it",
    (PermissionError,): "a readable file, found no permission to read it; run chmod u+r on it",
}
_DAMAGES = {
    "gzip": (EOFError, zlib.error, gzip.BadGzipFile),
    "tar": (tarfile.TarError,),
    # Also a way of packing that does not exist, and names that are no text.
    "zip": (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error),
}


class Format(Enum):
    """The shapes in which predictions and records come."""

    NPZ = "an npz file"
    NPY = "an npy file"
    PARQUET = "a Parquet file"
    CSV = "a text table"
    CSV_GZIP = "a gzipped text table"
    JSON = "JSON lines"
    FRAME = "a frame"


TABLES = (Format.CSV, Format.CSV_GZIP, Format.PARQUET, Format.JSON, Format.FRAME)

_OURS = {
    b"PK\x03\x04": Format.NPZ,
    b"PK\x05\x06": Format.NPZ,  # a zip without entries
    b"PAR1": Format.PARQUET,
    b"\x93NUMPY": Format.NPY,
}

_SAVE = "save it as npz, CSV or Parquet"
_MODEL = "name a model with --model, beside --members and --nonmembers"
_PICKLE = ("a pickle", f"pickles are never loaded; save an npz or CSV; {_MODEL}")
_R_DATA = ("R's own data format", "save it with write.csv(DATA, row.names = FALSE)")
_OTHERS = {
    b"\x80": _PICKLE,
    b"\x89HDF": ("an HDF5 file", f"{_SAVE}; {_MODEL}"),
    b"ARROW1": ("a Feather (Arrow) file", "save it as Parquet or CSV"),
    b"SQLite format 3": ("an SQLite database", _SAVE),
    b"MATLAB 5.0": ("a MATLAB file", _SAVE),
    b"RDX": _R_DATA,
    b"X\n\x00": _R_DATA,
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV UTF-8"),
    b"%PDF": ("a PDF", _SAVE),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8"),
    b"BZh": ("a bzip2 file", "unpack it, or pack it with gzip"),
    b"\xfd7zXZ": ("an xz file", "unpack it, or pack it with gzip"),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "unpack it, or pack it with gzip"),
    b"x\x01": ("a zlib stream, perhaps of joblib", _PICKLE[1]),
    b"x\x9c": ("a zlib stream, perhaps of joblib", _PICKLE[1]),
    b"x\xda": ("a zlib stream, perhaps of joblib", _PICKLE[1]),
    b"[": ("a JSON list", "save it as JSON lines, one record a line (in pandas: lines=True)"),
    b'{"learner"': ("an XGBoost model", _MODEL),
    b"{L": ("an XGBoost model", _MODEL),
    b"tree\n": ("a LightGBM model", _MODEL),
}


def file_name(path: TableSource) -> str:
    """Return the last part of a path: all that a message may show."""
    return "the frame" if isinstance(path, FrameLike) else Path(path).name


def same_table(one: TableSource, other: TableSource) -> bool:
    """Whether two paths lead to one file, or two frames are one."""
    if isinstance(one, FrameLike) or isinstance(other, FrameLike):
        return one is other
    return Path(one).samefile(other)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Put the file's name before a complaint that does not name it yet."""
    try:
        yield
    except InputError as error:
        if str(error).startswith((f"{name}: ", f"{name}[")):
            raise
        raise InputError(f"{name}: {error}") from None


@contextmanager
def readable(path: PathLike) -> Iterator[None]:
    """Tell what the operating system refuses as one `InputError`."""
    try:
        yield
    except OSError as error:
        other = f"a readable file, found: {error.strerror or 'a read error'}; copy or save it again"
        told = next((text for kinds, text in _REFUSALS.items() if isinstance(error, kinds)), other)
        raise InputError(f"{file_name(path)}: Expected {told}.") from None


@contextmanager
def opened(path: PathLike) -> Iterator[io.BufferedIOBase]:
    """Open a file for reading, unpacked if it is gzipped, and tell what is wrong with it as one `InputError`."""
    with readable(path):
        with Path(path).open("rb") as stream:
            packed = stream.read(len(_GZIP)) == _GZIP
        with whole(file_name(path)), gzip.open(path) if packed else Path(path).open("rb") as unpacked:
            yield unpacked


def whole(where: str) -> AbstractContextManager[None]:
    """Tell a damaged archive as one `InputError`."""

    def message(error: Exception) -> str:
        kind = next(kind for kind, errors in _DAMAGES.items() if isinstance(error, errors))
        return (
            f"{where}: Expected a whole {kind} file, found a truncated or damaged one; copy or save it again, or "
            "download it again."
        )

    return refusing(tuple(chain.from_iterable(_DAMAGES.values())), message)


def format_of(path: TableSource) -> Format:
    """Return the format of a file of predictions or records.

    Args:
        path: The file, or a frame; its content decides, not its extension.

    Returns:
        The format. Anything that is no known binary format counts as a text table.

    Raises:
        InputError: There is no such file, it is empty, or it is of a format Vestige does not read.
    """
    if isinstance(path, FrameLike):
        return Format.FRAME
    file, name = Path(path), file_name(path)
    with readable(path):
        if file.exists() and not file.is_file() and not file.is_dir():
            raise InputError(f"{name}: Expected a file, found a pipe or a device; save it to a file first.")
        with file.open("rb") as stream:
            start = stream.read(_N_START)
    if not start:
        raise InputError(f"{name}: Expected npz, npy, CSV or Parquet, found an empty file; save it again.")
    ours = next((kind for magic, kind in _OURS.items() if start.startswith(magic)), None)
    if ours is not None:
        return ours
    packed = start.startswith(_GZIP)
    if packed:
        with opened(path) as unpacked:
            start = unpacked.read(_N_START)
    others = [told for magic, told in _OTHERS.items() if start.startswith(magic)]
    if others or b"\x00" in start:
        what, cure = others[0] if others else ("binary data of another kind", f"{_SAVE}; {_MODEL}")
        raise InputError(f"{name}: Expected npz, npy, CSV or Parquet, found {what}; {cure}.")
    if start.startswith(b"{"):
        return Format.JSON
    return Format.CSV_GZIP if packed else Format.CSV


def expect_format(path: TableSource, *expected: Format) -> Format:
    """Return the format of a file, refusing all but the expected ones."""
    format_ = format_of(path)
    if format_ not in expected:
        known = " or ".join(kind.value for kind in expected if kind is not Format.FRAME)
        cure = "give a file of that format"
        if format_ is Format.NPY:
            cure = "give labels beside arrays: --labels LABELS.npy, and again for nonmembers"
        raise InputError(f"{file_name(path)}: Expected {known}, found {format_.value}; {cure}.")
    return format_


# ------------------------------------------------------------------------------------------ published sets


@dataclass(frozen=True, eq=False)
class Member:
    """One file of a published set.

    Attributes:
        name: The last part of its name, without `.gz`.
        where: What it is called in messages.
        stream: Its content, unpacked.
    """

    name: str
    where: str
    stream: ByteStream


def read_files(path: PathLike, wanted: Callable[[str], bool], read: Callable[[Member], T]) -> dict[str, T]:
    """Read the wanted files of a published set.

    Args:
        path: A folder, a tar or zip (the tar may be gzipped), or a single file (which may be gzipped).
        wanted: Whether a file of this name is to be read; hidden files never are.
        read: Reads one to its end.

    Returns:
        What `read` returned, by name.

    Raises:
        InputError: Something is damaged or unreadable, or two files have one name.
    """
    contents: dict[str, T] = {}
    with closing(_members(Path(path), lambda name: not name.startswith(".") and wanted(name))) as members:
        for member in members:
            if member.name in contents:
                raise InputError(
                    f"{member.where}: Expected one file {member.name}, found two; give the folder or archive with one."
                )
            with readable(path), whole(member.where):
                contents[member.name] = read(member)
    return contents


def _members(path: Path, wanted: Callable[[str], bool]) -> Generator[Member, None, None]:
    if path.is_dir():
        with readable(path):
            files = sorted(file for file in path.iterdir() if wanted(file.name.removesuffix(".gz")) and file.is_file())
        for file in files:
            with opened(file) as stream:
                yield Member(file.name.removesuffix(".gz"), file.name, stream)
        return
    with opened(path) as stream:
        start = stream.read(_TAR_AT + len(_TAR))
        stream.seek(0)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(cast(IO[bytes], stream)) as archive:
                for entry in archive.infolist():
                    name = PurePosixPath(entry.filename).name
                    if name and not entry.is_dir() and wanted(name):
                        with archive.open(entry) as content:
                            yield Member(name, f"{path.name}[{name}]", cast(ByteStream, content))
        elif start[_TAR_AT:] == _TAR:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_N_READ) as tar:
                for part in tar:
                    name = PurePosixPath(part.name).name
                    found = tar.extractfile(part) if part.isfile() and wanted(name) else None
                    if found is not None:
                        yield Member(name, f"{path.name}[{name}]", cast(ByteStream, found))
            while stream.read(_N_READ):  # gzip compares its checksum at the very end
                pass
        elif wanted(path.name.removesuffix(".gz")):
            yield Member(path.name.removesuffix(".gz"), path.name, stream)


def row_ids(file: str, n: int) -> np.ndarray:
    """Return ids for the records of one of several files: the file's name and the row in it, counted from 0.

    Args:
        file: What tells this file from the others of the data set.
        n: Number of records in it.

    Example:
        >>> row_ids("adult.test", 2).tolist()
        ['adult.test/0', 'adult.test/1']
    """
    return np.char.add(f"{file}/", np.arange(n).astype(np.str_))

"""Files as they are published: plain, gzipped, or in a folder, tar or zip, whose members are read as streams.

Nothing is ever unpacked to disk.
"""

import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar, cast

from vestige.core.errors import InputError
from vestige.data.formats.arrays import ByteStream
from vestige.data.formats.files import PathLike, opened, readable, whole

T = TypeVar("T")

_N_READ = 1 << 20  # bytes per read
_ZIP = b"PK\x03\x04"
_TAR, _TAR_AT = b"ustar", 257


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
    found: dict[str, T] = {}
    with closing(_members(Path(path), lambda name: not name.startswith(".") and wanted(name))) as members:
        for member in members:
            if member.name in found:
                raise InputError(
                    f"{member.where}: Expected one file {member.name}, found two; give the folder or archive with one."
                )
            with readable(path), whole(member.where):
                found[member.name] = read(member)
    return found


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
            yield from _members_of_zip(path, stream, wanted)
        elif start[_TAR_AT:] == _TAR:
            yield from _members_of_tar(path, stream, wanted)
        elif wanted(path.name.removesuffix(".gz")):
            yield Member(path.name.removesuffix(".gz"), path.name, stream)


def _members_of_tar(path: Path, stream: ByteStream, wanted: Callable[[str], bool]) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_N_READ) as archive:
        for entry in archive:
            name = PurePosixPath(entry.name).name
            content = archive.extractfile(entry) if entry.isfile() and wanted(name) else None
            if content is not None:
                yield Member(name, f"{path.name}[{name}]", cast(ByteStream, content))
    while stream.read(_N_READ):  # gzip compares its checksum at the very end
        pass


def _members_of_zip(path: Path, stream: ByteStream, wanted: Callable[[str], bool]) -> Iterator[Member]:
    with zipfile.ZipFile(cast(IO[bytes], stream)) as archive:
        for entry in archive.infolist():
            name = PurePosixPath(entry.filename).name
            if name and not entry.is_dir() and wanted(name):
                with archive.open(entry) as content:
                    yield Member(name, f"{path.name}[{name}]", cast(ByteStream, content))

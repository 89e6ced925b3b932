"""Downloads of named data sets from their publishers: the only code in Vestige that downloads anything.

A file is kept only whole and with its known checksum. Where none is known, the checksum of the first download is
written beside the file (`NAME.sha256`), and every later fetch holds the file against it: this sees damage and changes,
not a publisher who was deceived from the start.
"""

import gzip
import hashlib
import logging
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from vestige.core.errors import ArtefactError, InputError, OutputError, refusing
from vestige.core.extras import installing
from vestige.core.messages import few
from vestige.core.progress import Progress, silent
from vestige.data.sets.named import NamedSet, SourceFile, data_folder, folder_in_words, named_set

_N_CHUNK = 1 << 16  # bytes between two reports of progress
_TIMEOUT = 30  # seconds without a byte
_MAKE_ROOM = "make room or name another folder"


class Found(Enum):
    """How a file came to be there."""

    PRESENT = "was there, checksum as published"
    DOWNLOADED = "downloaded, checksum as published"
    UNCHANGED = "was there, checksum as recorded before"
    FOLDER = "was there, a folder, not checked"
    RECORDED = "kept, no checksum is published: this one is recorded"


@dataclass(frozen=True)
class FetchedFile:
    """A file of a set that is now in the data folder."""

    path: Path
    found: Found


def fetch(
    name: str, *, folder: Path | None = None, mirror: str | None = None, progress: Progress = silent
) -> list[FetchedFile]:
    """Download what is missing of a named data set and check what is there.

    Args:
        name: Such as `adult`.
        folder: Where to put it; `data_folder()` if omitted.
        mirror: Address of a copy of the data folder, used instead of the publishers'. Checksums stay theirs.
        progress: Told of every file, in bytes.

    Returns:
        Each file and how it came to be there.

    Raises:
        InputError: There is no such set, it cannot be fetched, or its files cannot be reached or are not the
            published ones.
        ArtefactError: A file that is there is another one.
        OutputError: The folder cannot be written to, or the disk is full.
    """
    return fetch_set(named_set(name), folder=folder, mirror=mirror, progress=progress)


def fetch_set(
    wanted: NamedSet, *, folder: Path | None = None, mirror: str | None = None, progress: Progress = silent
) -> list[FetchedFile]:
    """As `fetch`, of a set that need not be among those known by name."""
    if mirror is not None and not mirror.startswith(("http://", "https://")):
        raise InputError(f"Expected a mirror that starts with http:// or https://, found {mirror!r}.")
    where = folder_in_words() if folder is None else "the folder"
    root = data_folder() if folder is None else folder
    files = wanted.files
    if mirror is not None:
        files = tuple(replace(file, url=f"{mirror.rstrip('/')}/{file.path}") for file in files)
    missing = [file for file in files if not (root / file.path).exists()]
    if any(file.url is None for file in missing):
        raise InputError(
            f"{wanted.name}: Expected a set that is published where it can be fetched, found none of its files "
            f"published; put {few([file.path for file in missing])} into {where}, or name a mirror."
        )
    for folder_of in {(root / file.path).parent for file in missing}:  # find out before anything is downloaded
        with _written(f"Expected to write into {where}", "set VESTIGE_DATA to a folder of your own"):
            folder_of.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder_of):
                pass
    return [_file(file, root, progress) for file in files]


def _file(file: SourceFile, root: Path, progress: Progress) -> FetchedFile:
    path, record = root / file.path, root / f"{file.path}.sha256"
    known, is_new = file.sha256, not path.exists()
    if path.is_dir():
        return FetchedFile(path, Found.FOLDER)
    if known is None and record.exists():  # as sha256sum writes it; also if the file was removed, what is known was not
        known = (record.read_text(encoding="utf-8").split() or [""])[0]
    if is_new and file.url is not None:
        _download(file.url, path, known, progress)
    if is_new and file.sha256 is not None:
        return FetchedFile(path, Found.DOWNLOADED)
    digest = _digest(path)
    if known is None:
        with _written(f"{path.name}: Expected to write into the data folder", _MAKE_ROOM):
            record.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
        return FetchedFile(path, Found.RECORDED)
    if digest != known and (file.unpacked_sha256 is None or _unpacked_digest(path) != file.unpacked_sha256):
        expected = "file that was fetched first" if file.sha256 is None else "published file"
        cure = f", with {record.name} too if the publisher changed the file" if file.sha256 is None else ""
        raise ArtefactError(
            f"{file.name}: Expected the {expected}, SHA-256 {known[:12]}..., found {digest[:12]}...; remove it "
            f"and fetch again{cure}."
        )
    return FetchedFile(path, Found.UNCHANGED if file.sha256 is None else Found.PRESENT)


def _download(url: str, path: Path, sha256: str | None, progress: Progress) -> None:
    """Download a file beside its place, check it and move it there; of a failure nothing is left."""
    try:
        import pooch
    except ImportError:
        raise InputError(
            f"Expected the package pooch for downloads, found none; {installing('data')}, or copy the files "
            "into the data folder."
        ) from None
    pooch.get_logger().setLevel(logging.WARNING)
    with _written(f"{path.name}: Expected to write into the data folder", _MAKE_ROOM), _reached(url, path.name, sha256):
        receive = partial(_receive, name=path.name, progress=progress)
        pooch.retrieve(url, known_hash=sha256, fname=path.name, path=path.parent, downloader=receive)


def _receive(url: str, place: str, _: Any, *, name: str, progress: Progress) -> None:
    """What pooch calls with a place beside the file's own; pooch's own downloader leaves connections open."""
    import requests

    # A server that packs on the way would change the bytes of a file that is packed already.
    headers = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=_TIMEOUT, headers=headers) as response, open(place, "wb") as out:
        response.raise_for_status()
        total, done = int(response.headers.get("Content-Length", 0)), 0
        for chunk in response.iter_content(_N_CHUNK):
            done += out.write(chunk)
            if total:
                progress(name, min(done, total), total)


def _reached(url: str, name: str, sha256: str | None) -> AbstractContextManager[None]:
    """Tell what can go wrong on the network as one `InputError`."""
    from requests import exceptions

    host, by_hand = url.split("/")[2], "or put the file there by hand"

    def message(error: Exception) -> str:
        status = getattr(getattr(error, "response", None), "status_code", "an error")
        early = f"a whole file from {host}, found an early end; fetch it again"
        problems = {  # the first that fits
            exceptions.HTTPError: f"the file at {url}, found HTTP status {status}; try later, name a mirror, {by_hand}",
            exceptions.ChunkedEncodingError: early,
            exceptions.ContentDecodingError: early,
            exceptions.Timeout: f"an answer from {host}, found none in {_TIMEOUT} s; try again later, {by_hand}",
            exceptions.RequestException: f"to reach {host}, found no connection; check the network and its proxy, "
            f"{by_hand}",
            # What pooch raises for another checksum; it has removed the download.
            ValueError: f"the published file, SHA-256 {str(sha256)[:12]}..., found another from {host}, which was not "
            "kept; fetch it again or name another mirror",
        }
        return f"{name}: Expected {next(told for kind, told in problems.items() if isinstance(error, kind))}."

    return refusing((exceptions.RequestException, ValueError), message)


@contextmanager
def _written(expected: str, cure: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "a write error"
        raise OutputError(f"{expected}, found: {reason}; {cure}.") from None


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpacked_digest(path: Path) -> str | None:
    with suppress(OSError, EOFError, zlib.error), gzip.open(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
    return None

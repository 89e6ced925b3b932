"""Claims between processes: who works on what, known to the kernel and forgotten by it when the process dies.

Every name stands for one byte of one empty file, and claiming it is locking that byte. So nothing grows with the number
of names, nothing is left behind by a kill, and one open file holds any number of claims. The locks belong to the open
file and not to the process: two claims inside one process exclude each other too, and a claim lasts as long as a child
that was forked while it was held.
"""

import fcntl
import hashlib
import math
import os
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

_FLOCK = "hhqqi"  # struct flock: type, whence, start, length, process
_N_OFFSETS = 2**62  # two names share a byte about never, and would then only wait for each other
_POLL = 0.05  # seconds between two looks at another's claim


class Claim:
    """Names that are ours until this block is left, or this process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)  # which drops every lock of this open file


class Claims:
    """Names that have at most one holder at a time among all processes that use the same file.

    Attributes:
        path: The file; it is made if there is none, and stays empty.

    Methods raise OSError where the file cannot be opened or locked.

    Example:
        >>> import tempfile
        >>> claims = Claims(Path(tempfile.mkdtemp()) / "locks")
        >>> with claims.take(["a", "b"]):
        ...     claims.take(["b", "c"]) is None, claims.taken(["b"]), claims.taken(["c"])
        (True, True, False)
        >>> claims.taken(["a", "b"])
        False
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self, names: Collection[str]) -> Claim | None:
        """Claim all of these names or, if one of them is taken, none."""
        descriptor = self._open()
        try:
            for name in names:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _byte_of(name))
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return Claim(descriptor)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Wait until a name is free, and have it for the length of a block."""
        descriptor = self._open()
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, _byte_of(name))
            yield
        finally:
            os.close(descriptor)

    def taken(self, names: Collection[str]) -> bool:
        """Tell whether somebody holds one of these names, without touching it."""
        descriptor = self._open()
        try:
            return any(_is_locked(descriptor, name) for name in names)
        finally:
            os.close(descriptor)

    def wait(self, names: Collection[str], until: float = math.inf) -> None:
        """Return once nobody was seen to hold any of these names, or `time.monotonic()` is past `until`.

        Somebody may have taken one since.

        Waiting looks and does not lock, so nobody's claim fails because of one who waits.
        """
        while time.monotonic() <= until and self.taken(names):
            time.sleep(_POLL)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _byte_of(name: str) -> bytes:
    """The byte that stands for a name, as the kernel wants to hear of it; a process number is of no use here."""
    offset = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _N_OFFSETS
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)


def _is_locked(descriptor: int, name: str) -> bool:
    found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _byte_of(name))
    return bool(struct.unpack_from("h", found)[0] != fcntl.F_UNLCK)

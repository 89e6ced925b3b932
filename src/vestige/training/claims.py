"""Claims between processes: locks on names, which the operating system releases when a process ends.

    FOLDER/claim-*        the names of one claim, a line each
    FOLDER/claim-*.lock   locked while the claim is held; if it is not locked, its process was killed: both are removed
    FOLDER/NAME.lock      of a name that a process waits for (`hold`); one of them guards reading the claims

A claim has one open file, for any number of names.
"""

import math
import secrets
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

_POLL = 0.05  # seconds between two looks at another's claim
_LOOKING = "claims"


class Claims:
    """Names with at most one holder at a time, among all processes that use the folder and inside each.

    Attributes:
        folder: Folder of the files, made if there is none, readable by its owner alone.

    Methods raise OSError where a file cannot be written or locked.

    Example:
        >>> import tempfile
        >>> claims = Claims(Path(tempfile.mkdtemp()) / "claims")
        >>> with claims.take(["a", "b"]):
        ...     claims.take(["b", "c"]) is None, claims.taken(["b"]), claims.taken(["c"])
        (True, True, False)
        >>> claims.taken(["a", "b"])
        False
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, names: Collection[str]) -> ExitStack | None:
        """Claim all of these names, or none if one is taken. The returned block holds them until it is left."""
        with self.hold(_LOOKING), ExitStack() as held:
            if self._are_held(names):
                return None
            path = self.folder / f"claim-{secrets.token_hex(16)}"
            held.enter_context(self.hold(path.name))
            held.callback(_remove, path)
            path.touch(mode=0o600)
            path.write_text("\n".join(names))
            return held.pop_all()

    def hold(self, name: str, seconds: float = -1.0) -> "BaseFileLock":
        """Return a block that waits until a name is free, and then holds it.

        Args:
            name: The name.
            seconds: After this time `filelock.Timeout` is raised; below 0 there is no limit.
        """
        from filelock import FileLock

        return FileLock(self.folder / f"{name}.lock", timeout=seconds, mode=0o600, thread_local=False)

    def taken(self, names: Collection[str]) -> bool:
        """Tell whether one of these names is held, without claiming any."""
        with self.hold(_LOOKING):
            return self._are_held(names)

    def wait(self, names: Collection[str], until: float = math.inf) -> None:
        """Return once none of these names was seen to be held, or `time.monotonic()` is past `until`.

        One may have been taken again since.
        """
        while time.monotonic() <= until and self.taken(names):
            time.sleep(_POLL)

    def _are_held(self, names: Collection[str]) -> bool:
        """Whether one of the names is in a claim; claims of killed processes are removed on the way."""
        from filelock import Timeout

        for lock in self.folder.glob("claim-*.lock"):
            path = lock.with_suffix("")
            try:
                with self.hold(path.name, seconds=0.0):
                    _remove(path)
            except Timeout:
                with suppress(FileNotFoundError):  # it has just ended
                    if not set(names).isdisjoint(path.read_text().splitlines()):
                        return True
        return False


def _remove(path: Path) -> None:
    """Remove the files of a claim that the caller has locked; the names first: names without a lock would never go."""
    path.unlink(missing_ok=True)
    with suppress(OSError):  # Windows does not let go of open files, and filelock removes it there
        path.with_name(f"{path.name}.lock").unlink()

"""Claims between processes: who works on what, known to the operating system and forgotten by it when a process ends.

Every name is an empty file of its own in one folder, and claiming it is locking that file. The files stay, as many as
there were names: to remove one that somebody else has just opened would let two hold the same name.
"""

import math
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

_POLL = 0.05  # seconds between two looks at another's claim


class Claims:
    """Names that have at most one holder at a time among all processes that use the same folder, and inside one.

    Attributes:
        folder: Where the files are; it is made if there is none, for its owner alone.

    Methods raise OSError where a file cannot be opened or locked.

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
        """Claim all of these names or, if one of them is taken, none; what is returned holds them until it is left."""
        from filelock import Timeout

        with ExitStack() as held:
            for name in sorted(names):  # in one order, or two could each keep the other from having all
                try:
                    held.enter_context(self.hold(name, seconds=0.0))
                except Timeout:
                    return None
            return held.pop_all()

    def hold(self, name: str, seconds: float = -1.0) -> "BaseFileLock":
        """Return a block that waits until a name is free, and then has it.

        Args:
            name: Which one.
            seconds: After which `filelock.Timeout` is raised instead; below 0 for as long as it takes.
        """
        from filelock import FileLock

        return FileLock(self.folder / name, timeout=seconds, mode=0o600, thread_local=False)

    def taken(self, names: Collection[str]) -> bool:
        """Tell whether somebody holds one of these names; to look is to hold them for a moment."""
        claim = self.take(names)
        if claim is not None:
            claim.close()
        return claim is None

    def wait(self, names: Collection[str], until: float = math.inf) -> None:
        """Return once nobody was seen to hold any of these names, or `time.monotonic()` is past `until`.

        Somebody may have taken one since.
        """
        while time.monotonic() <= until and self.taken(names):
            time.sleep(_POLL)

"""A folder that is being written: under a unique name, with a mark, and locked as long as the process writes.

What a killed process leaves is recognised by its name, its mark and its lock, which the kernel has released. A folder
that lacks one of them is not ours, and stays.
"""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vestige.core.errors import OutputError

MARK, LOCK = ".vestige-half-written", ".vestige-lock"
_TRIES = 5
_SAID = "Vestige is writing here. Once nobody holds the lock beside this file, the folder is removed.\n"


@contextmanager
def half_written(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder to write in, for its owner alone; what is still under its name at the end is removed.

    Args:
        parent: Where; on the file system of the place that the folder is meant for.
        name: What the folder is called in the end.

    Raises:
        OSError: It cannot be made there.

    Example:
        >>> import os, tempfile
        >>> place = Path(tempfile.mkdtemp())
        >>> with half_written(place, "run") as partial:
        ...     _ = (partial / "results.csv").write_text("1")
        ...     os.rename(partial, place / "run")
        ...     settle(place / "run")
        >>> os.listdir(place), os.listdir(place / "run")
        (['run'], ['results.csv'])
    """
    from filelock import FileLock, Timeout  # here, because few commands write

    folder = parent / f".{name}-{secrets.token_hex(16)}"
    lock = FileLock(folder / LOCK, mode=0o600)
    try:
        for n_tries in range(1, _TRIES + 1):
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                with suppress(NotImplementedError):  # a file system without locks: what a kill leaves there stays
                    lock.acquire(timeout=0)
                (folder / MARK).write_text(_SAID)  # after the lock: who sees the mark sees the lock
                break
            except (Timeout, FileNotFoundError) as error:  # a neighbour took it, still empty, for one left behind
                if n_tries == _TRIES:
                    raise OSError("another process that removes it") from error
        yield folder
    finally:
        try:
            _remove_quietly(folder)
        except BaseException:  # told to stop at this very moment
            _remove_quietly(folder)
            raise
        finally:
            lock.release()


def settle(folder: Path) -> None:
    """Take mark and lock out of a folder that has its final name."""
    for name in (MARK, LOCK):
        (folder / name).unlink(missing_ok=True)


def is_half_written(path: Path, name: str) -> bool:
    """Whether a path has the name and the mark of a folder that is, or was, written for this name.

    Where a kill came before the mark, there is nothing but a lock.
    """
    if not re.fullmatch(rf"\.{re.escape(name)}-[0-9a-f]{{32}}", path.name) or path.is_symlink():
        return False
    try:
        names = {inner.name for inner in path.iterdir()}
        return names <= {LOCK} or (MARK in names and (path / MARK).read_text() == _SAID)
    except (OSError, ValueError):
        return False


def remove_left_behind(parent: Path, name: str) -> None:
    """Remove folders that killed processes left half-written for this name; those of living ones stay."""
    from filelock import FileLock, Timeout

    try:
        left_behind = [path for path in parent.iterdir() if is_half_written(path, name)]
    except OSError:
        return
    for path in left_behind:
        with suppress(OSError, Timeout, NotImplementedError), FileLock(path / LOCK, timeout=0):
            _remove(path)


@contextmanager
def writable(name: str, what: str) -> Iterator[None]:
    """Tell what the operating system refuses as one `OutputError`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{name}: Expected to write {what}, found: {reason(error)}; it does not count as written. Make room or "
            "mend the place, and start again."
        ) from None


def reason(error: OSError) -> str:
    """Return what the operating system says, without paths."""
    return (error.strerror or type(error).__name__).lower()


def _remove_quietly(folder: Path) -> None:
    with suppress(OSError):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove all of a folder, its mark last: what a kill leaves of it is then found again."""
    for path in folder.iterdir():
        if path.name in (MARK, LOCK):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    settle(folder)
    folder.rmdir()

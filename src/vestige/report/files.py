"""A file appears whole or not at all, and with its final mode from the first byte."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from vestige.core.errors import OutputError


@contextmanager
def replacing(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file to write beside `path`; it takes the name `path` once everything is written.

    Args:
        path: Where the file should end. What stands there stays until the new file is whole.
        mode: Permissions from the moment the file exists, less the umask.

    Yields:
        The file, open for writing.

    Raises:
        OutputError: The place cannot be written, or is full.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        # The remains of a killed run could be readable by others: never write into them.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield cast(BinaryIO, file)
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"Expected to write {path.name}, found {error.strerror or error} in {path.parent}: "
            "free the space or name another folder with --out."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)

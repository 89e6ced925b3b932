"""What every command prints with: one line for an error, progress on a terminal, tables, and output that fails."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vestige.core.names import harmless

_UNPRINTED: list[OSError] = []


@contextmanager
def printing(otherwise: str) -> Iterator[None]:
    """Let what is done not fail because it cannot be printed: say so in one line instead.

    A reader who has gone away, as `head` does, is told nothing.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if not cannot_print():
            raise
        with open(os.devnull, "w") as nowhere:  # what is left in the buffer would fail again at the end
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _UNPRINTED.append(error)
            found = error.strerror or error
            print(f"vestige: Expected to print to standard output, found: {found}; {otherwise}.", file=sys.stderr)


class Told:
    """Standard output that remembers that it could not be written: an error says no more than that there is no space.

    Args:
        stream: Standard output itself.

    Attributes:
        is_failed: Whether it could not.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self.is_failed = stream, False

    def write(self, text: str) -> int:
        """Write text."""
        return int(self._tried(self._stream.write, text))

    def flush(self) -> None:
        """Write what was kept back."""
        self._tried(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _tried(self, act: "Callable[..., Any]", *given: Any) -> Any:
        try:
            return act(*given)
        except OSError:
            self.is_failed = True
            raise


def cannot_print() -> bool:
    """Whether standard output could not be written; it was somebody else's error if it could."""
    return isinstance(sys.stdout, Told) and sys.stdout.is_failed


def is_unprinted() -> bool:
    """Whether something was not printed that somebody could have read."""
    return bool(_UNPRINTED)


def complain(message: str) -> None:
    """One line on standard error, whatever the names in it hold."""
    print(f"vestige: {harmless(message)}", file=sys.stderr)


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str | int | float]],
    numbers: Sequence[str] = (),
    *,
    as_json: bool = False,
) -> None:
    """Print a table that a person can read; in a pipe, columns are separated by tabs.

    Args:
        header: Names of the columns.
        rows: Their cells; numbers are written with commas.
        numbers: Names of columns that are aligned on the right.
        as_json: Whether to print a list of objects with the same names instead.
    """
    if as_json:
        print(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=1))
        return
    cells = [[cell if isinstance(cell, str) else f"{cell:,}" for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (header, *cells):
            print("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for line in cells:
        table.add_row(*line, style="dim" if "no" in line else None)
    Console().print(table)

"""Progress of long steps: a bar on a terminal, a line in a notebook, nothing in a pipe."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vestige.core.messages import duration
from vestige.core.progress import Progress, silent


@contextmanager
def progress_bar(*, in_bytes: bool = False) -> Iterator[Progress]:
    """Show how far each step is, n of N, with the time it took and an estimate of what is left, on standard error.

    `audit` does so by itself; `progress=vestige.silent` keeps it quiet.

    Args:
        in_bytes: Whether what is counted are bytes.

    Example:
        >>> with progress_bar() as progress:
        ...     progress("training shadow models", 3, 64)
    """
    if _in_notebook():
        line = _Line()
        yield line.show
        line.end()
    elif sys.stderr.isatty():
        with _bar(in_bytes) as show:
            yield show
    else:
        yield silent


@contextmanager
def _bar(in_bytes: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None)

        def show(step: str, done: int, total: int) -> None:
            if drawn.tasks[0].description != step:  # a step of another kind has a speed of its own
                drawn.reset(task, description=step, total=total)
            drawn.update(task, completed=done, total=total)

        yield show


class _Line:
    """One line that is written over."""

    def __init__(self) -> None:
        self._step, self._began, self._width = "", 0.0, 0

    def show(self, step: str, done: int, total: int) -> None:
        if step != self._step:
            self._step, self._began = step, time.monotonic()
        took = time.monotonic() - self._began
        left = f", {duration(took * (total - done) / done)} left" if 0 < done < total else ""
        text = f"{step}: {done:,} of {total:,}, {duration(took)}{left}"
        print(f"\r{text.ljust(self._width)}", end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def end(self) -> None:
        print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, whose standard error is no terminal and is shown all the same."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"

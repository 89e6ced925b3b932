"""What every command that makes a run shares: progress on a terminal, and writing and printing what was found."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vestige.core.names import harmless

if TYPE_CHECKING:
    from vestige.core.progress import Progress
    from vestige.core.result import AuditResult


Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "--attack",
        metavar="NAME",
        help="Play this one: all (the default), an attack of ours, or module:function of your own. Repeatable.",
    ),
]


def written(
    audited: "Callable[[Progress], AuditResult]", out: Path, asked: dict[str, Any], quiet: bool
) -> "AuditResult":
    """Audit, write the run and print what was found."""
    from vestige.auditing.run_folder import what_is_kept, write

    try:
        with bar(quiet) as progress:
            result = audited(progress)
            progress("writing the run", 0, 1)
            write(result, out, asked)
    except BaseException:
        KEPT.append(what_is_kept(out))  # for a command that is interrupted
        raise
    if not quiet:
        from rich.console import Console

        from vestige.report import print_result

        with printing(f"the run is in {out}"):
            print_result(result, Console(), str(out / "report.html"))
    return result


_UNPRINTED: list[OSError] = []
KEPT: list[str] = []
"""What a run that was interrupted keeps."""


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


@contextmanager
def bar(quiet: bool, *, in_bytes: bool = False) -> "Iterator[Progress]":
    """Progress with an estimate of the time left, on a terminal; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        from vestige.core.progress import silent

        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    sizes = (DownloadColumn(),) if in_bytes else ()
    columns = (TextColumn("{task.description}"), BarColumn(), *sizes, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None)

        def show(step: str, done: int, total: int) -> None:
            drawn.update(task, description=step, completed=done, total=total)

        yield show


def gate(policies: list[Any], result: "AuditResult", quiet: bool) -> int:
    """Judge every policy; a broken one weighs more than an undecided one."""
    from vestige.auditing.policy import Outcome, judge

    judgements = [judge(policy, result) for policy in policies]
    for judgement in judgements:
        if quiet and judgement.outcome is Outcome.PASSED:
            continue
        complain(f"{judgement.outcome.name.lower()}: {judgement.reason}")
    outcomes = {judgement.outcome for judgement in judgements}
    return int(next((o for o in (Outcome.BROKEN, Outcome.UNDECIDED) if o in outcomes), Outcome.PASSED))


def complain(message: str) -> None:
    """One line on standard error, whatever the names in it hold."""
    print(f"vestige: {harmless(message)}", file=sys.stderr)

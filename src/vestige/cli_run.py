"""What every command that makes a run shares: progress on a terminal, and writing and printing what was found."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vestige.core.progress import Progress
    from vestige.core.result import AuditResult


def written(
    audited: "Callable[[Progress], AuditResult]", out: Path, asked: dict[str, Any], quiet: bool
) -> "AuditResult":
    """Audit, write the run and print what was found."""
    from vestige.auditing.run_folder import write

    with Bar(quiet) as progress:
        result = audited(progress)
        progress("writing the run", 0, 1)
        write(result, out, asked)
    if not quiet:
        from rich.console import Console

        from vestige.report import print_result

        print_result(result, Console(), str(out / "report.html"))
    return result


class Bar:
    """Progress with an estimate of the time left, on a terminal; nothing in a pipe."""

    def __init__(self, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        from vestige.core.progress import silent

        if not self.shown:
            return silent
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self.bar.start()
        task = self.bar.add_task("", total=None)

        def show(step: str, done: int, total: int) -> None:
            self.bar.update(task, description=step, completed=done, total=total)

        return show

    def __exit__(self, *_: object) -> None:
        if self.shown:
            self.bar.stop()

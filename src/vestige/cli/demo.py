"""`vestige demo`: an audit of data that come with scikit-learn."""

from pathlib import Path
from typing import Annotated

import typer

from vestige.cli.running import run
from vestige.cli.settings import Quiet


def demo_command(
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for the run.")] = Path("runs/demo"),
    inputs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the example npz and CSV files there instead of auditing them."),
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Train an overfitted forest and a shadow on scikit-learn's digits, and audit it. No network, seconds."""
    if inputs is not None:
        from vestige.auditing.demo import write_demo_inputs

        for path in write_demo_inputs(inputs):
            print(path)
        return 0
    from vestige.auditing.files.predictions_file import predictions_file_of

    said = {"target": {"demo": "scikit-learn digits"}, "options": {"name": "demo"}}
    return run(predictions_file_of(said, Path.cwd(), "demo"), out, quiet=quiet)

"""`vestige data`: which data sets there are, and fetching them."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vestige.cli.printing import print_table
from vestige.cli.settings import AsJson

if TYPE_CHECKING:
    from vestige.data.sets.named import NamedSet

data_app = typer.Typer(
    name="data",
    no_args_is_help=True,
    help="Named data sets: list them, fetch them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_HEADER = ("name", "records", "inputs", "classes", "present", "where", "what")


@data_app.command("list")
def list_command(as_json: AsJson = False) -> int:
    """List the named data sets, and whether they are in the data folder.

    The folder is that of the environment variable VESTIGE_DATA, or vestige/data in your cache. In a pipe, columns
    are separated by tabs.
    """
    from vestige.data.sets.named import SETS, data_folder

    folder = data_folder()
    rows = [_row(known, folder) for known in SETS.values()]
    print_table(_HEADER, rows, numbers=("records", "inputs", "classes"), as_json=as_json)
    if sys.stdout.isatty() and not as_json:
        print(f"\nData folder: {folder}")
    return 0


@data_app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of `vestige data list`.")],
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A copy of the data folder to take files from; checksums stay the same."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Download a data set into the data folder and check it. What is there already is only checked.

    This is the only command that uses the network.
    """
    from vestige.core.progress import silent
    from vestige.data.sets.fetch import fetch
    from vestige.report.progress import progress_bar

    with nullcontext(silent) if quiet else progress_bar(in_bytes=True) as progress:
        files = fetch(name, mirror=mirror, progress=progress)
    if not quiet:
        for file in files:
            print(f"{file.path}: {file.found.value}")
    return 0


def _row(known: "NamedSet", folder: Path) -> tuple[str | int, ...]:
    files = known.files_in(folder)
    where = "" if files is None else str(files[0].parent if len(files) > 1 else files[0])
    inputs = " x ".join(f"{n:,}" for n in known.shape)
    present = "no" if files is None else "yes"
    return (known.name, known.n_records, inputs, known.n_classes, present, where, known.description)

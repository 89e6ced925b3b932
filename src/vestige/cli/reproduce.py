"""`vestige reproduce`: the papers' tables and figures, run through audits and judged."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vestige.cli.printing import print_table, printing
from vestige.cli.settings import AsJson, Quiet
from vestige.core.errors import InputError
from vestige.core.messages import duration, nearest
from vestige.core.progress import silent

if TYPE_CHECKING:
    from vestige.papers.reproduction.row import Row


def reproduce_command(
    row: Annotated[
        str | None, typer.Argument(metavar="ROW", help="Such as watson2022-table2; see --list.", show_default=False)
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List all rows, and what each needs.")] = False,
    paper: Annotated[
        str | None, typer.Option(metavar="NAME", help="All rows of a paper that run here, such as watson2022.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="NAME", help="On one data set alone, such as adult.")] = None,
    scale: Annotated[
        str,
        typer.Option(metavar="SCALE", help="smoke (seconds, to see that it runs), laptop, or paper (as published)."),
    ] = "laptop",
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Independent trials; the row's own number if omitted.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of results; what is there goes on and is not run again.")
    ] = Path("results"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Run tables and figures of four papers through audits, and set the numbers beside the published ones.

    A row is one table or figure on one data set. Each trial draws records and trains models anew. Results are kept
    after every trial in DIR/PAPER/ITEM-DATA.json, so that a run that was stopped goes on, and in a page per paper,
    DIR/PAPER.md with its pictures, that judges the claims of its rows together.

    Data sets are read from the folder VESTIGE_DATA, or vestige/data in your cache: see vestige data list.
    """
    from vestige.papers.reproduction.pages import write_pages
    from vestige.papers.reproduction.row import Scale
    from vestige.papers.reproduction.rows import ROWS
    from vestige.papers.reproduction.running import run_row
    from vestige.report.progress import progress_bar

    chosen = _chosen(ROWS, row, paper, data)
    if listed:
        _print_rows(chosen, as_json=as_json)
        return 0
    if row is None and paper is None:
        raise InputError("Expected a row or a paper to run, found none; see vestige reproduce --list.")
    if scale not in list(Scale):
        raise InputError(f"Expected one of {', '.join(Scale)} as the scale, found {scale!r}; laptop is usual.")
    run = [one for one in chosen if one.is_at_hand]
    if not run:
        raise InputError(f"Expected a row that runs here, found {chosen[0].name}: {chosen[0].state}.")
    with nullcontext(silent) if quiet else progress_bar() as progress:
        for one in run:
            run_row(one, Scale(scale), out, n_trials=trials, rows=ROWS, progress=progress)
    pages = write_pages(list(dict.fromkeys(one.paper for one in run)), ROWS, out, out)
    if not quiet:
        with printing(f"results are in {out}"):
            for page in pages:
                print(f"Page: {page}")
            if len(run) < len(chosen):
                print(f"{len(chosen) - len(run)} rows were left out: see vestige reproduce --list.")
    return 0


def _chosen(rows: "tuple[Row, ...]", name: str | None, paper: str | None, data: str | None) -> "list[Row]":
    """Rows of that name, paper and data; a data set goes by its name, or by the beginning of it."""
    for what, given, known in (
        ("row", name, {one.name for one in rows}),
        ("paper", paper, {str(one.paper) for one in rows}),
    ):
        if given is not None and given not in known:
            raise InputError(f"Expected the name of a {what}, found {given}; {nearest(given, sorted(known))}")
    found = [
        one
        for one in rows
        if (name is None or one.name == name) and (paper is None or str(one.paper) == paper)
    ]  # fmt: skip
    on_data = [one for one in found if data is None or one.data == data or one.data.startswith(f"{data}-")]
    if not on_data:
        sets = ", ".join(dict.fromkeys(one.data for one in found))
        raise InputError(f"Expected one of the data sets {sets}, found {data}; see vestige reproduce --list.")
    return on_data


def _print_rows(rows: "list[Row]", *, as_json: bool) -> None:
    lines = [
        (one.name, one.data, one.title, one.n_trials, duration(one.seconds) if one.seconds else "", one.state)
        for one in rows
    ]
    header = ("row", "data", "what", "trials", "time of one", "state")
    print_table(header, lines, numbers=("trials",), as_json=as_json)

"""Commands about finished runs: their page anew, what differs between them, single records, and an index."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vestige.cli.printing import print_table, printing
from vestige.cli.settings import AsJson, Quiet, Verbose
from vestige.core.errors import InputError

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]


def report_command(
    run: Run,
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="Write private.html too, for the owner of the data alone: it names the records at risk."
        ),
    ] = False,
    comparison: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of compare-defences, of which the pages say what helped."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Write a run's pages anew, such as those of an earlier Vestige, and print what they say; no number changes.

    report.html and summary.html (summary.pdf is the same on paper, for people without statistics) may be released.
    """
    from rich.console import Console

    from vestige.auditing.runs.opening import open_run, write_page_anew
    from vestige.report import print_result

    opened = open_run(run)
    if comparison is not None and not (comparison / "comparison.csv").is_file():
        raise InputError(f"Expected comparison.csv in {comparison}, found none; name the --out of compare-defences.")
    page = write_page_anew(opened, run, comparison)
    written = [f"the page is {page}"]
    if private:
        from vestige.auditing.runs.private import write_private

        written.append(f"for you alone, with records at risk: {write_private(opened, run, comparison)}")
    if not quiet:
        with printing("; ".join(written)):
            print_result(opened, Console(), str(page), verbose=verbose)
            print(*written[1:], sep="\n")
    return 0


def compare_command(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    others: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Those that are compared with it.")],
    as_json: AsJson = False,
) -> int:
    """Say what differs between runs: areas and rates of every attack, with paired 95 % intervals.

    Both runs need their records.parquet. Records are paired by id: say with data.id which column names them. A change
    is said only where it holds for all attacks and rates together.
    """
    from vestige.auditing.runs.changes import changes
    from vestige.auditing.runs.opening import open_run

    opened = open_run(first)
    found = {str(other): changes(opened, open_run(other)) for other in others}
    with printing("nothing is lost: ask again"):
        if as_json:
            said = {
                name: {"sentence": one.sentence, "warning": one.warning, "table": one.table.to_dict("records")}
                for name, one in found.items()
            }
            print(json.dumps(said, indent=1))
            return 0
        for name, one in found.items():
            print(f"{first} to {name}: {one}")
            cells = [
                (attack, metric, *(f"{number:.3f}" for number in numbers), change)
                for attack, metric, *numbers, change in one.table.itertuples(index=False)
            ]
            header = ("attack", "metric", "first", "second", "difference", "lower", "upper", "change")
            print_table(header, cells, header[2:-1])
    return 0


def records_command(
    run: Run,
    top: Annotated[int, typer.Option(metavar="N", help="How many members are listed.")] = 20,
    identity: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Say in words how far this record, or person, is at risk.")
    ] = None,
    prior: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of members among all whom an attacker could name.")
    ] = 0.5,
    attack: Annotated[
        str | None, typer.Option(metavar="NAME", help="By whose scores (default: the strongest).")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all members there, for its owner alone.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the members whom an attack finds first. For the owner of the data alone: do not publish what it prints.

    The false-positive rate of a member is the share of nonmembers who score at least as high: an attacker cannot name
    this member without naming them. Precision is the probability that such a naming is right at the stated prior.
    """
    from vestige.auditing.runs.at_risk import members_at_risk, told_of
    from vestige.auditing.runs.opening import open_run

    opened = open_run(run)
    if top < 1:
        raise InputError(f"Expected at least one record as --top, found {top}.")
    if identity is not None:
        told = told_of(opened, identity, attack=attack, prior=prior)
        with printing("nothing is lost: ask again"):
            print(json.dumps(asdict(told), indent=1) if as_json else told.words)
        return 0
    table = members_at_risk(opened, attack=attack, prior=prior)
    if csv is not None:
        from vestige.report.files import replacing
        from vestige.report.tables import cell_of_text

        safe = table.assign(**{table.columns[0]: table.iloc[:, 0].astype(str).map(cell_of_text)})
        with replacing(csv, mode=0o600) as file:
            safe.to_csv(file, index=False, lineterminator="\n")
    with printing("nothing is lost: ask again"):
        if as_json:
            print(table.head(top).to_json(orient="records", indent=1))
            return 0
        numbers = [name for name in table.columns if not name.endswith(("_lower", "_upper"))][1:]
        rows = [
            (str(line[table.columns[0]]), *(_with_bounds(line, name) for name in numbers))
            for line in table.head(top).to_dict("records")
        ]
        print_table((table.columns[0], *numbers), rows, numbers)
    return 0


def _with_bounds(line: Mapping[Hashable, float], name: str) -> str:
    """A number with its interval, where it has one."""
    if f"{name}_lower" not in line:
        return f"{line[name]:.4g}"
    return f"{line[name]:.4f} [{line[f'{name}_lower']:.4f}, {line[f'{name}_upper']:.4f}]"


def view_command(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help="Folder with folders of runs.")], as_json: AsJson = False
) -> int:
    """List the runs in a folder with their three answers, and write index.html there with links to their pages."""
    from vestige.auditing.runs.index import runs_in, write_index

    found = runs_in(runs)
    page = write_index(found, runs)
    with printing(f"the index is {page}"):
        if as_json:
            print(json.dumps([one.as_dict() for one in found], indent=1))
        else:
            print_table(
                ("run", "date", "validity", "finding"), [(o.name, o.date, o.validity, o.finding) for o in found]
            )
            print(f"Page: {page}")
    return 0

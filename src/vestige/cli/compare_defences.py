"""`vestige compare-defences`: which defence helps, against an attacker who adapts, and at what price."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from vestige.cli.printing import printing
from vestige.cli.settings import Bank, Quiet
from vestige.core.errors import InputError
from vestige.core.progress import silent


def compare_defences_command(
    file: Annotated[
        Path,
        typer.Argument(metavar="PLAN.toml", help="An audit of a recipe, with a table for each defence."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the comparison; the same folder goes on.")],
    bank: Bank = None,
    canaries: Annotated[
        int, typer.Option("--canaries", help="So many random records get a wrong label, and are looked at; none if 0.")
    ] = 0,
    quiet: Quiet = False,
) -> int:
    """Compare defences: train models under each on the same halves of the records, and attack every model in turn.

    PLAN.toml names all records (data.records), how models are trained without a defence (recipe.train) and how many
    per defence (recipe.n_shadows), and in a table "defence" each the defences: name = "l2", use = "my_defences:l2".

    What use names is a recipe that trains under the defence, or a defence of answers. Defences that are fitted need the
    defender's own records (data.pool).

    Writes comparison.html, comparison.csv and, per defence, what its models answered.
    """
    from vestige.auditing.comparison.compare import compare_defences
    from vestige.auditing.comparison.marked import mislabelled
    from vestige.auditing.files.audit_file import read_audit_file
    from vestige.report.progress import progress_bar

    asked = read_audit_file(file)
    training = asked.training(bank=bank)
    if not asked.is_of_recipe or training is None:
        raise InputError(
            "Expected all records in [data] and a [recipe] for a comparison of defences, found a [target]; defences "
            "are compared on models that are trained for it: leave out [target], and name all records as records."
        )
    records = asked.all_records()
    with nullcontext(silent) if quiet else progress_bar() as progress:
        found = compare_defences(
            mislabelled(records, canaries, asked.options.seed) if canaries else records,
            training,
            asked.defences(),
            pool=asked.pool(),
            run=out,
            options=asked.options,
            progress=progress,
        )
    if not quiet:
        with printing(f"the comparison is in {out}"):
            print(found)
            print(f"Page: {out / 'comparison.html'}")
    return 0

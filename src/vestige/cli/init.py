"""`vestige init`: a first AUDIT.toml from a look at your files."""

from pathlib import Path
from typing import Annotated

import typer

from vestige.cli.printing import printing
from vestige.core.errors import OutputError


def init_command(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A table of predictions.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Or the model: a file, module:name, or an address.")
    ] = None,
    members: Annotated[Path | None, typer.Option(help="Records it was trained on.")] = None,
    nonmembers: Annotated[Path | None, typer.Option(help="Records it was not trained on.")] = None,
    out: Annotated[Path, typer.Option(metavar="AUDIT.toml", help="Where to write it.")] = Path("audit.toml"),
) -> int:
    """Look at your files and write a commented AUDIT.toml: check it, then run vestige audit AUDIT.toml --out RUN.

    \b
    vestige init predictions.csv
    vestige init --model model.onnx --members train.csv --nonmembers test.csv
    """  # noqa: D301 - typer's own mark for lines to keep
    from vestige.auditing.files.first_file import first_file

    text = first_file(predictions=file, model=model, members=members, nonmembers=nonmembers)
    try:
        with out.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise OutputError(f"Expected no file at {out}, found one; name another with --out.") from None
    except OSError as error:
        raise OutputError(f"Expected to write {out}, found {error.strerror}; name another place with --out.") from None
    with printing(f"the file is {out}"):
        print(f"Wrote {out}: check every line, then run vestige audit {out} --out RUN")
    return 0

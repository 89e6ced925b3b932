"""`vestige bank`: which trained models are kept, and removing old ones."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from vestige.cli.printing import print_table
from vestige.cli.settings import AsJson
from vestige.cli.settings import Bank as BankFolder

bank_app = typer.Typer(
    name="bank",
    no_args_is_help=True,
    help="Trained models that are kept for other runs: list them, remove old ones.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_HEADER = ("models", "MB", "first", "last", "data", "trained as")


@bank_app.command("list")
def list_command(bank: BankFolder = None, as_json: AsJson = False) -> int:
    """List the models of the bank: those of the same recipe and records in one line, the largest first.

    In a pipe, columns are separated by tabs.
    """
    from vestige.training.bank import Bank, default_folder

    folder = default_folder() if bank is None else bank
    groups: dict[tuple[str, str], list[tuple[int, datetime]]] = {}
    for key in Bank(folder).keys() if folder.is_dir() else ():  # listing makes no folder
        data, recipe = _facts(folder / key)
        groups.setdefault((data, recipe), []).append((_size(folder / key), _written(folder / key)))
    rows = [
        (
            len(models),
            round(sum(size for size, _ in models) / 1e6, 1),
            f"{min(day for _, day in models):%Y-%m-%d}",
            f"{max(day for _, day in models):%Y-%m-%d}",
            data[:12],
            recipe,
        )
        for (data, recipe), models in sorted(groups.items(), key=lambda item: -sum(size for size, _ in item[1]))
    ]
    print_table(_HEADER, rows, numbers=_HEADER[:2], as_json=as_json)
    if not as_json:
        print(f"Folder: {folder}")
    return 0


@bank_app.command("prune")
def prune_command(
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", help="Remove models that were trained longer ago; 0 for all.", min=0)
    ],
    bank: BankFolder = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> int:
    """Remove models that were trained long ago; an audit that needs one trains it again.

    Models that another process trains or reads right now stay.
    """
    from vestige.training.bank import Bank, default_folder

    folder = default_folder() if bank is None else bank
    if not folder.is_dir():
        print(f"There is no bank at {folder}.")
        return 0
    kept, before = Bank(folder), datetime.now(UTC) - timedelta(days=older_than)
    old = [key for key in sorted(kept.keys()) if _written(folder / key) <= before]
    size = sum(_size(folder / key) for key in old)
    removed = old if dry_run else kept.remove(old)
    print(f"{'Would remove' if dry_run else 'Removed'} {len(removed):,} models, {size / 1e6:.1f} MB, from {folder}.")
    if len(removed) < len(old):
        print(f"{len(old) - len(removed):,} are in use and stay.")
    return 0


def _facts(entry: Path) -> tuple[str, str]:
    """Digest of the records, and in a few words how a model was trained."""
    from vestige.training.bank import DONE

    try:
        facts = json.loads((entry / DONE).read_bytes())["facts"]
        recipe = facts["recipe"]
        return str(facts["data"]), _words(recipe)
    except (OSError, ValueError, KeyError, TypeError):
        return "?", "cannot be read"


def _words(recipe: dict[str, Any]) -> str:
    """The first thing of a recipe that has a name: a network, an estimator or a function."""
    for part in ("network", "estimator", "fit", "function"):
        of_part = recipe.get(part)
        if isinstance(of_part, dict) and "name" in of_part:
            return str(of_part["name"])
    return str(recipe.get("name", ", ".join(sorted(recipe))[:60]))


def _size(entry: Path) -> int:
    return sum(file.stat().st_size for file in os.scandir(entry))


def _written(entry: Path) -> datetime:
    from vestige.training.bank import DONE

    return datetime.fromtimestamp((entry / DONE).stat().st_mtime, UTC)

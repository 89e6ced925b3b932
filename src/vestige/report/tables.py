"""Three tables: the results and those of reference models, made to be released, and the records, which must not be."""

import csv
import re
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from vestige.core.result import RESULT_DTYPES
from vestige.report.files import replacing

DISCLOSIVE = {
    b"vestige.disclosive": b"true",
    b"vestige.notice": b"One row per audited record, with its membership. Do not release, share or publish.",
}
"""Parquet metadata of `records.parquet`, so that the file itself says what it is."""


_FORMULA = re.compile("[ \t\r\n]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|['\t\r\n]")


def write_results(results: pd.DataFrame, folder: Path) -> None:
    """Write `results.parquet` and `results.csv`, with the columns and types of `RESULT_DTYPES`.

    Names come from whoever gave the data, and a spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a
    formula and runs it. In the CSV such text, and text that begins with an apostrophe, has one apostrophe more in
    front: who reads it back takes the first apostrophe of a cell away (`text_of_cell`).

    Args:
        results: The tidy table of an `AuditResult`.
        folder: Where to write; it exists.

    Raises:
        OutputError: The folder cannot be written.
    """
    tidy = results[list(RESULT_DTYPES)].astype(dict(RESULT_DTYPES))
    with replacing(folder / "results.parquet") as file:
        _write_parquet(tidy, file, {})
    with replacing(folder / "results.csv") as file:
        harmless = {name: tidy[name].map(cell_of_text) for name, kind in RESULT_DTYPES.items() if kind == "str"}
        # A carriage return ends a line for some readers, and Python quotes it from 3.13 on only.
        has_returns = any(column.str.contains("\r").any() for column in harmless.values())
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if has_returns else csv.QUOTE_MINIMAL
        tidy.assign(**harmless).to_csv(file, index=False, lineterminator="\n", quoting=quoting)


def cell_of_text(text: str) -> str:
    """Return text as a cell of a CSV that no spreadsheet takes for a formula.

    Example:
        >>> cell_of_text("=1+1"), cell_of_text("ward=3"), text_of_cell(cell_of_text("'quoted'"))
        ("'=1+1", 'ward=3', "'quoted'")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def text_of_cell(cell: str) -> str:
    """Return what a cell of `results.csv` stands for."""
    return cell.removeprefix("'")


def write_targets(targets: pd.DataFrame, folder: Path) -> None:
    """Write `targets.parquet`: every reference model in turn as the target.

    Args:
        targets: As in an `AuditResult`.
        folder: Where to write; it exists.

    Raises:
        OutputError: The folder cannot be written.
    """
    with replacing(folder / "targets.parquet") as file:
        _write_parquet(targets, file, {})


def write_records(records: pd.DataFrame, folder: Path) -> None:
    """Write `records.parquet`, readable by its owner alone, with a notice that it is disclosive.

    Args:
        records: One row per record, as in an `AuditResult`.
        folder: Where to write; it exists.

    Raises:
        OutputError: The folder cannot be written.
    """
    with replacing(folder / "records.parquet", mode=0o600) as file:
        _write_parquet(records, file, DISCLOSIVE)


def _write_parquet(frame: pd.DataFrame, file: Any, metadata: dict[bytes, bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    # Scores hardly repeat: a dictionary would cost more than it saves.
    repeating = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(table, file, compression="zstd", compression_level=1, use_dictionary=repeating)

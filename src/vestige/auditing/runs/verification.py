"""Whether a run is what it says: its files are those that were written, its numbers follow from its scores."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vestige.auditing.finished import FinishedAudit
from vestige.auditing.run_folder import MANIFEST, digest_of_file
from vestige.auditing.runs.opening import manifest_of, open_run
from vestige.auditing.runs.scored_units import attacks_of, scored_units
from vestige.core.errors import RunFolderError
from vestige.core.records import Records, joined
from vestige.core.seeds import stream
from vestige.evaluation.roc import point_at_fpr, roc

_TOLERANCE = 1e-9
_MOST_ASKED = 100
"""Records of each side that are asked again."""


@dataclass(frozen=True)
class Verified:
    """What was held against what.

    Attributes:
        checks: What was checked and agrees, a sentence each.
        difference: The first thing that does not agree; empty if all does.
    """

    checks: tuple[str, ...]
    difference: str

    def __str__(self) -> str:
        """CONFIRMED and what was checked, or the first difference."""
        if self.difference:
            return f"DIFFERENT: {self.difference}"
        return f"CONFIRMED: {' '.join(self.checks)}"


def verify(folder: str | Path, again: FinishedAudit | None = None) -> Verified:
    """Check a run that somebody hands over.

    Args:
        folder: Of the run.
        again: The same model asked again, about some of the records or all; nothing is asked if omitted.

    Returns:
        What agrees, and the first difference.

    Raises:
        RunFolderError: There is no finished run.
    """
    folder = Path(folder)
    checks: list[str] = []
    try:
        opened = open_run(folder)
        for check in (_files(folder), _page(folder, opened), _numbers(opened), _scores(opened, again)):
            checks.extend(check)
    except _Different as error:
        return Verified(tuple(checks), str(error))
    except RunFolderError as error:
        if "changed since" in str(error):
            return Verified(tuple(checks), str(error))
        raise
    return Verified(tuple(checks), "")


class _Different(Exception):
    """The first thing that does not agree."""


def _files(folder: Path) -> Iterator[str]:
    """Every file that was written is there as it was written."""
    written = manifest_of(folder).get("files")
    if written is None:
        yield "This run is of before manifests had digests: its files could not be checked."
        return
    missing = [name for name in written if not (folder / name).is_file()]
    for name in set(written) - set(missing):
        if digest_of_file((folder / name).read_bytes()) != written[name]:
            raise _Different(f"{name} was changed since it was written (its SHA-256 is not that of {MANIFEST}).")
    yield f"{len(written) - len(missing)} files have the digests of {MANIFEST}."
    if missing:
        yield f"Not there, so not checked: {', '.join(sorted(missing))}."


def _page(folder: Path, opened: FinishedAudit) -> Iterator[str]:
    """The document, the page and the CSV hold the numbers of the table."""
    shown = pd.DataFrame(json.loads((folder / "report.json").read_bytes())["results"])
    keys = ["attack", "threshold", "metric", "group"]
    both = shown.merge(opened.results, on=keys, suffixes=("", "_of_table"))
    if len(both) != len(shown):
        raise _Different("report.json has rows that results.parquet has not.")
    for name in ("value", "lower", "upper"):
        if not _alike(both[name], both[f"{name}_of_table"]).all():
            raise _Different(f"report.json and results.parquet do not agree in {name}.")
    read = pd.read_csv(
        folder / "results.csv", keep_default_na=False, na_values={"value": [""], "lower": [""], "upper": [""]}
    )
    if len(read) != len(opened.results) or not _alike(read["value"], opened.results["value"]).all():
        raise _Different("results.csv and results.parquet do not agree.")
    yield f"report.json and results.csv hold the {len(opened.results):,} rows of results.parquet."


def _numbers(opened: FinishedAudit) -> Iterator[str]:
    """Areas and rates follow from the scores of the records."""
    if opened.records.empty:
        yield "Without records.parquet, numbers could not be computed again."
        return
    table = opened.results.query("group == 'all' and threshold == 'roc'").set_index(["attack", "metric"])["value"]
    n_checked = 0
    for attack in attacks_of(opened):
        units = scored_units(opened, attack)
        curve = roc(units.scores[units.member], units.scores[~units.member])
        for metric in table[attack].index:
            if metric == "auc":
                value = curve.auc
            elif metric.startswith("tpr_at_fpr_"):
                value = curve.rates_at(point_at_fpr(curve, float(metric.removeprefix("tpr_at_fpr_"))))[0]
            else:
                continue
            if not abs(value - table[attack, metric]) <= _TOLERANCE:
                raise _Different(
                    f"{metric} of {attack} is {table[attack, metric]:.9g} in results.parquet, and {value:.9g} by the "
                    "scores of records.parquet."
                )
            n_checked += 1
    yield f"{n_checked} areas and rates of {len(attacks_of(opened))} attacks follow from the scores of the records."


def _scores(opened: FinishedAudit, again: FinishedAudit | None) -> Iterator[str]:
    """The model gives the same scores again."""
    if again is None:
        return
    if opened.records.empty:
        raise RunFolderError("Expected records.parquet, to hold answers against it, found none in the run.")
    both = opened.records.merge(again.records, on="id", suffixes=("", "_again"))
    if len(both) != len(again.records):
        raise _Different(f"{len(again.records) - len(both)} records that were asked again are not in the run.")
    attacks = [name for name in attacks_of(again) if name in opened.records]
    for name in ("label", "member", *attacks):
        told, anew = both[name], both[f"{name}_again"]
        same = _alike(told, anew) if name in attacks else np.asarray(told.astype(str) == anew.astype(str))
        if not same.all():
            one = both.loc[~same].iloc[0]
            raise _Different(f"record {one['id']} has {name} {one[name]} in the run, and {one[f'{name}_again']} now.")
    if not attacks:
        raise RunFolderError(
            "Expected an attack that reads answers in the run, found none; nothing can be asked again."
        )
    yield f"Asked again about {len(both):,} records, {', '.join(attacks)} are the same."


def _alike(told: "pd.Series[Any]", anew: "pd.Series[Any]") -> np.ndarray:
    """Which numbers are equal but for rounding; a model may add in another order elsewhere."""
    return np.asarray(
        np.isclose(told.to_numpy(float), anew.to_numpy(float), rtol=1e-5, atol=_TOLERANCE, equal_nan=True)
    )


def some_of(members: Records, nonmembers: Records) -> tuple[Records, Records]:
    """Return some records of each side, at random, under the ids that an audit of all gives them."""
    both = joined(members, nonmembers)
    ids = np.arange(both.n_records) if both.ids is None else both.ids
    draw, rows = stream(0, "records that are asked again"), np.arange(both.n_records)
    sides = (rows[: members.n_records], rows[members.n_records :])
    chosen = [np.sort(draw.permutation(side)[:_MOST_ASKED]) for side in sides]
    inside, outside = (
        Records(part.inputs, part.labels, ids=ids[side], classes=part.classes)
        for side, part in ((side, both.take(side)) for side in chosen)
    )
    return inside, outside

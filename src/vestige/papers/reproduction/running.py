"""Running a row: trial by trial, each stored as soon as it is there, then judged."""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError, OutputError
from vestige.core.progress import Progress, silent
from vestige.data.sets.named import load
from vestige.evaluation.trials import Mean, mean_of
from vestige.papers.reproduction.figures import is_of_figure
from vestige.papers.reproduction.row import Row, Scale
from vestige.papers.reproduction.verdicts import Evidence, Judged, evidence, prediction_of, verdicts
from vestige.report.files import replacing

N_SMOKE = 2  # trials at the scale smoke: two show that a second one differs from the first


def run_row(
    row: Row,
    scale: Scale,
    folder: Path,
    *,
    n_trials: int | None = None,
    rows: Sequence[Row] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run the trials of a row that its result has not, and store it after each.

    Args:
        row: What is run.
        scale: How much of it.
        folder: Folder of results; trials that are stored there, of the same records at the same scale, are kept.
        n_trials: Trials in all; the row's own number if omitted.
        rows: Others, whose stored trials are taken where they are trials of the same kind on the same data.
        progress: Told after every trial.

    Returns:
        The result as it is stored.

    Raises:
        InputError: Its data are not at hand, or what is stored is no result.
        OutputError: The result cannot be written.
    """
    records, path = load(row.data), folder / row.place
    make_folder(path.parent)
    digest = records.digest
    alike = [one for one in rows if one.trial is row.trial and one.data == row.data]
    trials = max((_stored_trials(folder / one.place, scale, digest) for one in (row, *alike)), key=len)
    wanted = N_SMOKE if scale is Scale.SMOKE else row.n_trials if n_trials is None else n_trials
    result = result_of(row, scale, digest, trials)
    if trials:
        stored(result, path)
    for seed in range(len(trials), wanted):
        progress(f"{row.name}, {row.data}", seed, wanted)
        begun = time.process_time()
        measured = {name: round(float(value), 5) for name, value in row.trial(records, scale, seed).items()}
        trials = [*trials, {"seed": seed, "seconds": round(time.process_time() - begun, 1), "measured": measured}]
        result = result_of(row, scale, digest, trials)
        stored(result, path)
    progress(f"{row.name}, {row.data}", wanted, wanted)
    return result


def read_result(path: Path) -> dict[str, Any]:
    """Return a stored result.

    Raises:
        InputError: It is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if {"scale", "digest", "numbers", "trials"} <= set(found):
            return dict(found)
        what = "other entries"
    except (ValueError, TypeError) as error:
        what = type(error).__name__
    raise InputError(
        f"Expected a result of vestige reproduce in {path.name}, found something else ({what}); move the file away."
    )


def _stored_trials(path: Path, scale: Scale, digest: str) -> list[dict[str, Any]]:
    """Trials that are stored of the same records at the same scale."""
    if not path.exists():
        return []
    before = read_result(path)
    return list(before["trials"]) if before["scale"] == scale and before["digest"] == digest else []


def result_of(row: Row, scale: Scale, digest: str, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is stored of a row: published beside measured, and what every trial measured.

    Verdicts on claims are made of all rows of a paper together: `judged`.
    """
    measured = list(trials[0]["measured"]) if trials else []
    named = {*(row.published or {}), *(name for claim in row.claims for name in (claim.better, claim.other))}
    # Without a published number beside it, whatever a trial measured is shown.
    names = [name for name in measured if not row.published or name in named or is_of_figure(name)]
    return {
        "paper": str(row.paper),
        "item": row.item,
        "data": row.data,
        "title": row.title,
        "scale": str(scale),
        "digest": digest,
        "deviations": list(row.deviations),
        "n_trials": len(trials),
        "numbers": [_number(row, name, [trial["measured"][name] for trial in trials], scale) for name in names],
        "trials": list(trials),
        "seconds": round(sum(trial["seconds"] for trial in trials), 1),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {name: metadata.version(name) for name in ("vestige", "numpy", "scipy", "torch")},
        "measured": datetime.now(UTC).date().isoformat(),
    }


def _number(row: Row, name: str, values: Sequence[float], scale: Scale) -> dict[str, Any]:
    """One number of a row, with its interval, and what was published where the scale can stand beside it."""
    rounded = {end: round(value, 5) for end, value in asdict(mean_of(values)).items() if value == value}
    found: dict[str, Any] = {"name": name} | rounded
    published = (row.published or {}).get(name)
    if published is None or scale is Scale.SMOKE:
        return found
    bounds = prediction_of(values, row.n_published)
    found |= {"published": published}
    if bounds.lower == bounds.lower:
        found |= {"prediction": [round(bounds.lower, 5), round(bounds.upper, 5)]}
        found |= {"is_inside": bool(bounds.lower <= published <= bounds.upper)}
    why = (row.inconsistent or {}).get(name)
    return found | ({"inconsistent": why} if why else {})


def make_folder(folder: Path) -> None:
    """Make a folder of results or pages.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Expected a folder for results at {folder}, found {error.strerror}; name another folder."
        ) from error


def stored(result: Mapping[str, Any], path: Path) -> None:
    """Write a result."""
    with replacing(path) as file:
        file.write(as_text(result, ("numbers", "trials")).encode())


def as_text(result: Mapping[str, Any], lists: Sequence[str]) -> str:
    """Return a result as JSON with a line per entry of some lists, so that two results can be compared line by line.

    Example:
        >>> print(as_text({"seconds": 3, "rows": [{"a": 1}, {"a": 2}]}, ["rows"]))
        {
         "seconds": 3,
         "rows": [
          {"a": 1},
          {"a": 2}
         ]
        }
        <BLANKLINE>
    """
    text = json.dumps({key: value for key, value in result.items() if key not in lists}, indent=1)[:-2]
    for key in (key for key in result if key in lists):
        text += f',\n "{key}": [\n  ' + ",\n  ".join(json.dumps(value) for value in result[key]) + "\n ]"
    return text + "\n}\n"


def judged(rows: Sequence[Row], results: Sequence[Mapping[str, Any]]) -> list[list[tuple[str, Judged, Mean]]]:
    """Judge the claims of rows of one paper together; those of the scale `smoke` are not judged.

    Args:
        rows: Rows of one paper.
        results: The result of each.

    Returns:
        Of each row, its claims in words, with verdict and mean difference.
    """
    found: list[list[tuple[str, Evidence, Mean]]] = []
    for row, result in zip(rows, results, strict=True):
        found.append([])
        for claim in row.claims if result["scale"] != Scale.SMOKE else ():
            measured = [trial["measured"] for trial in result["trials"]]
            differences = [of_trial[claim.better] - of_trial[claim.other] for of_trial in measured]
            told = evidence(claim.relation, differences, unmet=claim.unmet)
            found[-1].append((str(claim), told, mean_of(differences)))
    said = iter(verdicts([told for of_row in found for _, told, _ in of_row]))
    return [[(words, next(said), mean) for words, _, mean in of_row] for of_row in found]

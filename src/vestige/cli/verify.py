"""`vestige verify`: whether a run that somebody hands over is what it says."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vestige.cli.printing import printing
from vestige.cli.settings import AsJson, Set, TrustPickle, asked_again

if TYPE_CHECKING:
    from vestige.auditing.finished import FinishedAudit

_DIFFERENT = 3


def verify_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    again: Annotated[
        bool, typer.Option("--again", help="Ask the model, or read the predictions, of RUN/audit.toml again.")
    ] = False,
    set_: Set = None,
    trust_pickle: TrustPickle = False,
    as_json: AsJson = False,
) -> int:
    """Say CONFIRMED, or the first difference (exit code 3), of a run that you were given.

    Every file is held against its digest, report.json and results.csv against results.parquet, and areas and rates are
    computed again from the scores of the records. With --again the model is asked about 100 members and 100 nonmembers,
    or predictions are audited anew, and every score must be the same. Say with --set where model and data are here:

    \b
    vestige verify RUN --again --set target.model=model.onnx --set data.members=train.csv
    """  # noqa: D301 - typer's own mark for lines to keep
    from vestige.auditing.runs.verification import verify

    verified = verify(run, _asked(run, set_ or (), trust_pickle) if again else None)
    with printing("the exit code says it too"):
        print(json.dumps(asdict(verified), indent=1) if as_json else verified)
    return _DIFFERENT if verified.difference else 0


def _asked(run: Path, settings: Any, trust_pickle: bool) -> "FinishedAudit":
    """The audit of a run again: all of predictions, a sample where a model must be asked."""
    from vestige.auditing.audit import audit
    from vestige.auditing.files.predictions_file import PredictionsFile
    from vestige.auditing.runs.opening import open_run
    from vestige.auditing.runs.verification import some_of
    from vestige.core.errors import InputError
    from vestige.core.signal import Family

    asked, names = asked_again(run, settings), open_run(run).records.columns
    reading = [
        attack
        for attack in asked.selection().attacks
        if attack.name in names and {signal.family for signal in attack.signals} == {Family.ANSWERS}
    ]
    if isinstance(asked, PredictionsFile):
        return audit(asked.predictions()[0], attacks=reading, options=asked.options)
    if asked.is_of_recipe:
        raise InputError("Expected the run of a model or of predictions, found that of a recipe; audit it again.")
    model, querying = asked.model(trust_pickle=trust_pickle), asked.querying()
    return audit(model, *some_of(*asked.records()), attacks=reading, options=asked.options, querying=querying)

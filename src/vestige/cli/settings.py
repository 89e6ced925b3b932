"""Options of the command line become the tables of an audit file, so that both are checked in one place."""

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vestige.core.errors import InputError
from vestige.core.messages import brief

if TYPE_CHECKING:
    from vestige.auditing.files.audit_file import AuditFile
    from vestige.auditing.files.predictions_file import PredictionsFile

Training = "Shadow models (with AUDIT.toml)"
Model = "Model"

Bank = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where trained models are kept for other runs (default: VESTIGE_BANK, or your cache).",
        rich_help_panel=Training,
    ),
]
Within = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Time for shadow models, such as 20m: as many are trained as fit, and the report says what that costs.",
        rich_help_panel=Training,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Train on a Ray cluster: its address, or auto for RAY_ADDRESS or the one of this machine.",
        rich_help_panel=Training,
    ),
]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Load a .joblib or .pkl model although it can run any code: only for files that you made yourself.",
        rich_help_panel=Model,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="TABLE.NAME=VALUE",
        help="Any other entry of an AUDIT.toml, such as options.seed=7, data.id=row, target.budget=20000 or "
        '\'data.inputs=["age", "dose"]\'; it stands for that of the file. Repeatable.',
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say of every attack what it saw and knew, or what it would need.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]

_SHARED = {
    "label": "data.label",
    "subject": "data.subject",
    "group": "data.groups",
    "order": "data.order",
    "attack": "attacks.use",
    "name": "options.name",
    "purpose": "options.purpose",
    "author": "options.author",
    "headline_fpr": "options.headline_fpr",
    "within": "recipe.within",
}
_OF_MODELS = _SHARED | {
    "model": "target.model",
    "access": "target.access",
    "members": "data.members",
    "nonmembers": "data.nonmembers",
    "labels": "data.label_files",
    "reference": "reference.file",
}
_OF_PREDICTIONS = _SHARED | {
    "file": "target.file",
    "members": "target.members",
    "nonmembers": "target.nonmembers",
    "labels": "target.labels",
    "shadow": "target.shadow",
    "reference": "target.reference",
    "member": "data.member",
    "positive": "data.positive",
}
_WITH_RECIPE = ("bank", "within", "ray")
_BESIDE_FILE = ("file", "out", "set_", "fail_if", "trust_pickle", "quiet", "verbose", *_WITH_RECIPE)

OLD_SPELLINGS = {
    "--answers": "target.answers",
    "--arithmetic": "options.arithmetic",
    "--budget": "target.budget",
    "--id": "data.id",
    "--input": "data.inputs",
    "--label-base": "data.label_base",
    "--min-cell": "options.min_cell",
    "--models": "recipe.n_shadows",
    "--price": "target.price",
    "--probabilities": "target.probabilities",
    "--risk-bins": "options.risk_bins",
    "--risk-prior": "options.risk_prior",
    "--seed": "options.seed",
    "--shadow-members": "target.shadow_members",
    "--shadow-nonmembers": "target.shadow_nonmembers",
    "--subject-score": "options.subject_score",
}
"""Options that there were, and the entry that `--set` gives today."""


def new_spelling(option: str, arguments: Sequence[str]) -> str | None:
    r"""Return how an option that there was is said today; None if there never was one.

    Example:
        >>> new_spelling("--seed", ["audit", "a.csv", "--seed", "7"])
        'Expected --set options.seed=7, found --seed, the older spelling; write the newer one.'
        >>> new_spelling("--input", ["--input=age", "--input", "dose"])
        'Expected --set \'data.inputs=["age", "dose"]\', found --input, the older spelling; write the newer one.'
    """
    place = OLD_SPELLINGS.get(option)
    if place is None:
        return None
    following = zip(arguments, [*arguments[1:], "VALUE"], strict=True)
    values = [value for said, value in following if said == option]
    values = [said.partition("=")[2] for said in arguments if said.startswith(f"{option}=")] + values
    value = "true" if place == "target.probabilities" else (values or ["VALUE"])[0]
    new = f"'{place}={json.dumps(values, ensure_ascii=False)}'" if place == "data.inputs" else f"{place}={value}"
    return f"Expected --set {new}, found {option}, the older spelling; write the newer one."


def asked_by(context: typer.Context) -> "AuditFile | PredictionsFile":
    """Return the audit that a command line asks for: that of its AUDIT.toml, or of its options."""
    from vestige.auditing.files.tables import read_toml

    given = context.params
    settings = _settings(given["set_"] or ())
    file = given["file"]
    if file is not None and (file.suffix == ".toml" or "model" not in given):
        _refuse(context, set(given) - set(_BESIDE_FILE), "inside AUDIT.toml", "beside; write it into the file")
        said, folder, name = read_toml(file), file.resolve().parent, file.name
        settings |= {} if given["within"] is None else {"recipe.within": given["within"]}
    else:
        said, folder, name = _of_options(context, settings), Path.cwd(), "the command line"
    return _asked_of(_with_settings(said, settings), folder, name)


def asked_again(run: Path, settings: Sequence[str]) -> "AuditFile | PredictionsFile":
    """Return the audit that a finished run was asked for.

    Args:
        run: Folder of the run.
        settings: Entries that have other values, such as places of files, as after `--set`.
    """
    from vestige.auditing.files.tables import read_toml

    file = run / "audit.toml"
    return _asked_of(_with_settings(read_toml(file), _settings(settings)), run.resolve(), file.name)


def _asked_of(tables: Mapping[str, Any], folder: Path, name: str) -> "AuditFile | PredictionsFile":
    from vestige.auditing.files.predictions_file import is_of_predictions, predictions_file_of

    if is_of_predictions(tables):
        return predictions_file_of(tables, folder, name)
    from vestige.auditing.files.audit_file import audit_file_of

    asked = audit_file_of(tables, folder, name)
    sys.path.append(str(asked.folder))  # what its modules import later is looked for there too
    return asked


def _of_options(context: typer.Context, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what an audit file would say."""
    given = context.params
    of_model = given["model"] is not None or "target.model" in settings
    places, what = (_OF_MODELS, "a model") if of_model else (_OF_PREDICTIONS, "predictions")
    others = _OF_PREDICTIONS if of_model else {**_OF_MODELS, "trust_pickle": ""}
    beside = "beside predictions" if of_model else "beside --model"
    if "recipe.train" not in settings:
        _refuse(
            context, set(_WITH_RECIPE), "beside an AUDIT.toml with a recipe", f"without; it does nothing for {what}"
        )
    _refuse(context, set(others) - set(places), beside, f"without; it does nothing for {what}")
    if of_model and (given["members"] is None or given["nonmembers"] is None):
        raise InputError("Expected --members and --nonmembers beside --model, found one of them or none.")
    if not of_model and not any(given[name] for name in ("file", "members", "nonmembers", "reference")):
        raise InputError("Expected predictions, found no FILE; name one, or --members and --nonmembers.")
    said: dict[str, Any] = {}
    for name, place in places.items():
        if _is_said(context, name):
            if place in settings:
                raise InputError(f"Expected {place} once, found --{name} and --set; leave one out.")
            said[place] = _positive(given[name]) if name == "positive" else given[name]
    return _with_settings({}, {place: _as_toml(value) for place, value in said.items()})


def _as_toml(value: Any) -> Any:
    """Paths as text, one of an option that may be repeated as itself."""
    if isinstance(value, list) and value and isinstance(value[0], Path):
        return str(value[0]) if len(value) == 1 else [str(path) for path in value]
    return str(value) if isinstance(value, Path) else value


def _positive(text: str) -> list[str]:
    """Return column and class of `COLUMN=CLASS`."""
    column, separator, name = text.partition("=")
    if not (column and separator and name):
        raise InputError(f"Expected --positive COLUMN=CLASS, such as p_sick=sick, found {text!r}.")
    return [column, name]


def _settings(texts: Sequence[str]) -> dict[str, Any]:
    """Return the entries that `--set` gives; a value that is no TOML is text.

    Example:
        >>> _settings(["options.seed=7", "recipe.within=20m", "data.inputs=['age']"])
        {'options.seed': 7, 'recipe.within': '20m', 'data.inputs': ['age']}
    """
    settings: dict[str, Any] = {}
    for text in texts:
        place, separator, value = text.partition("=")
        if not (separator and all(place.split(".")) and "." in place):
            raise InputError(f"Expected --set TABLE.NAME=VALUE, such as options.seed=7, found {brief(text)!r}.")
        if place in settings:
            raise InputError(f"Expected {place} once, found --set of it twice; leave one out.")
        try:
            settings[place] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[place] = value
    return settings


def _with_settings(said: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables in which some entries have other values.

    Example:
        >>> _with_settings({"options": {"seed": 1}}, {"options.seed": 3, "recipe.train": "same"})
        {'options': {'seed': 3}, 'recipe': {'train': 'same'}}
    """
    tables = dict(said)
    for place, value in settings.items():
        name, _, inner = place.partition(".")
        table = tables.get(name)
        tables[name] = _with_settings(table if isinstance(table, Mapping) else {}, {inner: value}) if inner else value
    return tables


def _refuse(context: typer.Context, names: set[str], where: str, found: str) -> None:
    """Refuse options that somebody wrote where they would be ignored."""
    for name in context.params:
        if name in names and _is_said(context, name):
            option = "FILE" if name == "file" else f"--{name.replace('_', '-')}"
            raise InputError(f"Expected {option} {where}, found it {found}.")


def _is_said(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"

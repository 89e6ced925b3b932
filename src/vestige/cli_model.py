"""The command line of audits that train shadow models: `vestige audit AUDIT.toml` and `vestige plan AUDIT.toml`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vestige.cli_run import written
from vestige.core.errors import InputError
from vestige.core.messages import few

if TYPE_CHECKING:
    from vestige.auditing.files.audit_file import AuditFile
    from vestige.core.jobs import Executor
    from vestige.core.progress import Progress
    from vestige.core.result import AuditResult

Training = "Shadow models (with AUDIT.toml)"

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
Models = Annotated[
    int | None,
    typer.Option(
        min=2, help="Shadow models, in whole pairs, instead of n_shadows in AUDIT.toml.", rich_help_panel=Training
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
Model = "Model"
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="The model itself, with --members and --nonmembers: module:name, a file (.onnx, .pt2, .skops, .json, "
        ".ubj, .txt) or https://host/v2/models/NAME. What else there is to say of it goes into an AUDIT.toml.",
        rich_help_panel=Model,
    ),
]
AccessOption = Annotated[
    str,
    typer.Option(
        metavar="LEVEL", help="What the adversary gets: label, confidence or gradients.", rich_help_panel=Model
    ),
]
AnswersOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="What the model answers with, if it does not say so itself: probabilities, logits or labels.",
        rich_help_panel=Model,
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The most queries that the model may answer, over all starts into one run, with those of requests that "
        "failed. One that does not hold a whole pass sends nothing.",
        rich_help_panel=Model,
    ),
]
PriceOption = Annotated[
    float | None,
    typer.Option(
        metavar="SUM",
        help="Price of 1,000 queries, in any currency: answers are kept, and equal inputs asked once.",
        rich_help_panel=Model,
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


def plan_command(
    file: Annotated[Path, typer.Argument(metavar="AUDIT.toml", help="The audit, as for `vestige audit`.")],
    trust_pickle: TrustPickle = False,
    bank: Bank = None,
    models: Models = None,
    within: Within = None,
    ray: Ray = None,
) -> int:
    """Say what an audit will cost: queries, time and money for the model, and training shadow models.

    What AUDIT.toml names as module:name is imported, and functions in it are called, as `vestige audit` does: plan only
    what you would run. Nothing is sent to a model that is far away or has a price or a budget. A few seconds are spent
    on measuring; shadow models that are trained for it stay in the bank.
    """
    from vestige.auditing.label_only.probe import played_with
    from vestige.auditing.querying.cost import lines_of_asking
    from vestige.auditing.trained_models import cost_of

    audit_file = read_file(file)
    selection = audit_file.selection()  # what the audit would refuse is refused here
    audit_file.likelihood()
    training = audit_file.training(bank=bank, n_models=models, within=within, executor=_executor(ray))
    seed = audit_file.checked_options().seed
    modules = audit_file.modules()
    code = [f"Runs code of yours, as the audit does: {few(modules)}."] if modules else []
    if audit_file.is_of_recipe and training is not None:
        from vestige.auditing.recipe_audit import cost_of_recipe

        lines = cost_of_recipe(audit_file.all_records(), training, seed).lines()
        for line in (*code, "No queries: there is no model but those that are trained.", *lines):
            print(line)
        return 0
    target = audit_file.model(trust_pickle=trust_pickle)
    members, nonmembers = audit_file.records()
    wanted = played_with(selection.attacks, 0 if training is None else training.n_models)
    asking = lines_of_asking(
        target, members, nonmembers, audit_file.querying(), seed, last_layer=selection.reads("gradients"), wanted=wanted
    )
    for line in (*code, *asking):
        print(line)
    if training is None:
        print("No shadow models: the model is only asked about its records.")
        return 0
    for line in cost_of(target, members, nonmembers, training, seed, audit_file.querying()).lines():
        print(line)
    return 0


def read_file(file: Path) -> "AuditFile":
    """Read an audit file; what its modules import later is looked for beside it too."""
    from vestige.auditing.files.audit_file import read_audit_file

    audit_file = read_audit_file(file)
    sys.path.append(str(audit_file.folder))
    return audit_file


def file_of_options(context: typer.Context) -> "AuditFile":
    """Return what an audit file would say, from the options of `vestige audit --model`."""
    from vestige.auditing.files.audit_file import audit_file_of

    given = context.params
    _refuse(context, _ELSEWHERE, "beside predictions", "it does nothing for a model")
    if given["members"] is None or given["nonmembers"] is None:
        raise InputError("Expected --members and --nonmembers beside --model, found one of them or none.")
    names = ("model", "access", "answers", "budget", "price")
    target = {name: given[name] for name in names if given[name] is not None}
    data = {"members": str(given["members"]), "nonmembers": str(given["nonmembers"]), "label": given["label"]}
    data |= {name: given[name] for name in ("id", "subject") if given[name] is not None}
    data |= {f"{name}s": given[name] for name in ("group", "input") if given[name]}
    data |= {"order": given["order"]} if given["order"] else {}
    attacks = {"use": given["attack"]} if given["attack"] else {}
    options = {
        name: given[name]
        for name in ("name", "arithmetic", "subject_score", "risk_prior", "risk_bins", "min_cell", "seed")
    }
    said: dict[str, Any] = {"target": target, "data": data, "attacks": attacks, "options": options}
    said |= {"reference": {"file": str(given["reference"])}} if given["reference"] else {}
    sys.path.append(str(Path.cwd()))
    return audit_file_of(said, Path.cwd(), "the command line")


_WITH_MODEL = {"model", "access", "answers", "budget", "price", "trust_pickle"}
_WITH_RECIPE = {"bank", "models", "within", "ray"}
_ELSEWHERE = {"shadow", "shadow_members", "shadow_nonmembers", "labels", "probabilities", "member", "positive"}
_ELSEWHERE |= {"label_base", "file"} | _WITH_RECIPE


def refuse_without_model(context: typer.Context) -> None:
    """Refuse options of a model or of shadow models beside predictions, where they would be ignored."""
    _refuse(context, _WITH_MODEL, "beside --model", "it does nothing for predictions")
    _refuse(context, _WITH_RECIPE, "beside an AUDIT.toml with a recipe", "it does nothing for predictions")


def _refuse(context: typer.Context, names: set[str], where: str, why: str) -> None:
    for name in _said(context):
        if name in names:
            option = "FILE" if name == "file" else f"--{name.replace('_', '-')}"
            raise InputError(f"Expected {option} {where}, found it without; {why}.")


def _said(context: typer.Context) -> list[str]:
    """Names of the options that somebody wrote."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def refuse_beside_audit_file(context: typer.Context) -> None:
    """Refuse options that an audit file has in it: given twice, one of them would be ignored."""
    allowed = {"out", "file", "fail_if", "trust_pickle", "quiet"} | _WITH_RECIPE
    for name in _said(context):
        if name not in allowed:
            option = name.replace("_", "-")
            raise InputError(f"Expected --{option} inside AUDIT.toml, found it beside; write it into the file.")


def _executor(ray: str | None) -> "Executor | None":
    if ray is None:
        return None
    from vestige.training.executors.ray_cluster import RayCluster

    return RayCluster(os.environ.get("RAY_ADDRESS", "auto") if ray == "auto" else ray)


def audit_model(
    audit_file: "AuditFile",
    out: Path,
    bank: Path | None,
    models: int | None,
    within: str | None,
    ray: str | None,
    fail_if: Sequence[str],
    quiet: bool,
    *,
    trust_pickle: bool,
) -> "AuditResult":
    """Audit the model that an audit file names, and write the run."""
    from vestige.auditing.audit import play
    from vestige.auditing.plan import plan_of
    from vestige.auditing.run_folder import prepare

    options, selection, likelihood = audit_file.checked_options(), audit_file.selection(), audit_file.likelihood()
    training = audit_file.training(bank=bank, n_models=models, within=within, executor=_executor(ray))
    asked = audit_file.as_tables(out, fail_if, n_models=models, within=within)
    prepare(out)
    if audit_file.is_of_recipe and training is not None:
        from vestige.auditing.recipe_audit import play_recipe

        records, recipe = audit_file.all_records(), training

        def recipe_audited(progress: "Progress") -> "AuditResult":
            return play_recipe(records, recipe, selection, out, options, progress, likelihood)

        return written(recipe_audited, out, asked, quiet)
    target, querying = audit_file.model(trust_pickle=trust_pickle), audit_file.querying()
    members, nonmembers = audit_file.records()
    references = audit_file.references(members.classes)

    def audited(progress: "Progress") -> "AuditResult":
        return play(
            plan_of(
                target,
                members,
                nonmembers,
                adversary=references or training,
                attacks=selection,
                querying=querying,
                likelihood=likelihood,
                run=out,
                options=options,
                progress=progress,
            )
        )

    return written(audited, out, asked, quiet)

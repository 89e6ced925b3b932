"""The command line of audits that train shadow models: `vestige audit AUDIT.toml` and `vestige plan AUDIT.toml`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vestige.cli_run import written
from vestige.core.errors import InputError

if TYPE_CHECKING:
    from vestige.auditing.audit_file import AuditFile
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
    typer.Option(min=2, help="Shadow models, even, instead of n_shadows in AUDIT.toml.", rich_help_panel=Training),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Train on a Ray cluster: its address, or auto for RAY_ADDRESS or the one of this machine.",
        rich_help_panel=Training,
    ),
]


def plan_command(
    file: Annotated[Path, typer.Argument(metavar="AUDIT.toml", help="The audit, as for `vestige audit`.")],
    bank: Bank = None,
    models: Models = None,
    within: Within = None,
    ray: Ray = None,
) -> int:
    """Say what an audit's shadow models will cost: models x epochs x seconds, disk and memory.

    A few seconds are spent on measuring. Models that are trained for it stay in the bank.
    """
    from vestige.auditing.model_audit import cost_of

    audit_file = _read(file)
    training = audit_file.training(bank=bank, n_models=models, within=within, executor=_executor(ray))
    if training is None:
        print("No shadow models: the model is only asked about its records.")
        return 0
    target = audit_file.fitted_model()
    members, nonmembers = audit_file.records()
    for line in cost_of(target, members, nonmembers, training, audit_file.checked_options().seed).lines():
        print(line)
    return 0


def _read(file: Path) -> "AuditFile":
    """Read an audit file; what its modules import later is looked for beside it too."""
    from vestige.auditing.audit_file import read_audit_file

    audit_file = read_audit_file(file)
    sys.path.append(str(audit_file.folder))
    return audit_file


def refuse_beside_audit_file(context: typer.Context) -> None:
    """Refuse options that an audit file has in it: given twice, one of them would be ignored."""
    allowed = {"out", "file", "fail_if", "bank", "models", "within", "ray", "quiet"}
    for parameter in context.params:
        source = context.get_parameter_source(parameter)
        if parameter not in allowed and source is not None and source.name == "COMMANDLINE":
            option = parameter.replace("_", "-")
            raise InputError(f"Expected --{option} inside AUDIT.toml, found it beside; write it into the file.")


def _executor(ray: str | None) -> "Executor | None":
    if ray is None:
        return None
    from vestige.training.executors.ray_cluster import RayCluster

    return RayCluster(os.environ.get("RAY_ADDRESS", "auto") if ray == "auto" else ray)


def audit_model(
    file: Path,
    out: Path,
    bank: Path | None,
    models: int | None,
    within: str | None,
    ray: str | None,
    fail_if: list[str],
    quiet: bool,
) -> "AuditResult":
    """Audit the model that an audit file names, and write the run."""
    from vestige.auditing.audit import play
    from vestige.auditing.run_folder import prepare

    audit_file = _read(file)
    options = audit_file.checked_options()
    training = audit_file.training(bank=bank, n_models=models, within=within, executor=_executor(ray))
    prepare(out)
    target = audit_file.fitted_model()
    members, nonmembers = audit_file.records()

    def audited(progress: "Progress") -> "AuditResult":
        return play(
            target, None, members=members, nonmembers=nonmembers, training=training, folder=out, options=options,
            progress=progress,
        )  # fmt: skip

    return written(audited, out, {**audit_file.as_tables(), "policy": {"fail_if": fail_if}}, quiet)

"""What every command that makes a run shares: playing what was asked, writing and printing it, and the gate."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vestige.cli.printing import complain, printing
from vestige.core.errors import InputError

if TYPE_CHECKING:
    from vestige.auditing.files.audit_file import AuditFile
    from vestige.auditing.files.predictions_file import PredictionsFile
    from vestige.auditing.selection import Selection
    from vestige.auditing.shadows.settings import ShadowTraining
    from vestige.core.progress import Progress
    from vestige.core.result import AuditResult

KEPT: list[str] = []
"""What a run that was interrupted keeps."""


def run(
    asked: "AuditFile | PredictionsFile",
    out: Path,
    *,
    fail_if: Sequence[str] = (),
    bank: Path | None = None,
    ray: str | None = None,
    trust_pickle: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> int:
    """Audit what was asked for, write the run, print what was found and judge it.

    Args:
        asked: The audit.
        out: Folder of the run.
        fail_if: Conditions beside those of the audit file.
        bank: Where trained models are kept.
        ray: Address of a Ray cluster.
        trust_pickle: Whether a model file may be unpickled.
        quiet: Whether nothing is printed but errors.
        verbose: Whether it is said of every attack what it saw and knew, or what it would need.

    Returns:
        The exit code.
    """
    from vestige.auditing.files.predictions_file import PredictionsFile
    from vestige.auditing.policy import parse_policy
    from vestige.auditing.run_folder import prepare, what_is_kept, write
    from vestige.core.progress import silent
    from vestige.report.progress import progress_bar

    conditions = list(dict.fromkeys([*asked.policy.fail_if, *fail_if]))
    selection = asked.selection()
    policies = [parse_policy(text, selection.own) for text in conditions]
    training = None if isinstance(asked, PredictionsFile) else training_of(asked, bank, ray)
    tables = asked.as_tables(out, conditions)
    prepare(out)
    played = _player(asked, selection, training, out, trust_pickle)
    try:
        with nullcontext(silent) if quiet else progress_bar() as progress:
            result = played(progress)
            progress("writing the run", 0, 1)
            write(result, out, tables)
            why = None if isinstance(asked, PredictionsFile) else asked.why(result, progress, bank, trust_pickle)
            if why is not None:
                why.save(out / "why")
    except BaseException:
        KEPT.append(what_is_kept(out))  # for a command that is interrupted
        raise
    if not quiet:
        from rich.console import Console

        from vestige.report import print_result

        with printing(f"the run is in {out}"):
            print_result(result, Console(), str(out / "report.html"), verbose=verbose)
            if why is not None:
                print(f"{why}\nWhy records are at risk, for you alone: {out / 'why' / 'why.html'}")
    return _gate(policies, result, quiet)


def training_of(asked: "AuditFile", bank: Path | None, ray: str | None) -> "ShadowTraining | None":
    """Return how shadow models are trained, and where."""
    if ray is None:
        return asked.training(bank=bank)
    from vestige.training.executors.ray_cluster import RayCluster

    address = os.environ.get("RAY_ADDRESS", "auto") if ray == "auto" else ray
    return asked.training(bank=bank, executor=RayCluster(address))


def _player(
    asked: "AuditFile | PredictionsFile",
    selection: "Selection",
    training: "ShadowTraining | None",
    out: Path,
    trust_pickle: bool,
) -> "Callable[[Progress], AuditResult]":
    """Read everything, and return the function that asks, trains and evaluates."""
    from vestige.auditing.audit import play
    from vestige.auditing.files.predictions_file import PredictionsFile
    from vestige.auditing.plan import plan_of
    from vestige.auditing.shadow import Shadow

    options, likelihood = asked.options, asked.likelihood_ratio
    settings: dict[str, Any] = {"attacks": selection, "likelihood": likelihood, "run": out, "options": options}
    if isinstance(asked, PredictionsFile):
        references: Any
        target, shadow, references = asked.predictions()
        members = nonmembers = None
        other: Shadow | ShadowTraining | None = None if shadow is None else Shadow(shadow)
    elif asked.defence:
        raise InputError("Expected no [[defence]] in an audit, found some; compare them: vestige compare-defences.")
    elif asked.is_of_recipe and training is not None:
        from vestige.auditing.recipe_audit import play_recipe

        return partial(play_recipe, asked.all_records(), training, selection, out, options, likelihood=likelihood)
    else:
        target, settings["querying"] = asked.model(trust_pickle=trust_pickle), asked.querying()
        members, nonmembers = asked.records()
        references, other = asked.reference_models(members.classes), training
    if references is not None and other is not None:
        name = "a shadow" if isinstance(other, Shadow) else "training"
        raise InputError(
            f"Expected references or {name}, found both; leave one out: references set the thresholds too."
        )
    settings["adversary"] = other if references is None else references
    return lambda progress: play(plan_of(target, members, nonmembers, progress=progress, **settings))


def _gate(policies: list[Any], result: "AuditResult", quiet: bool) -> int:
    """Judge every condition."""
    from vestige.auditing.policy import Outcome, judge, outcome_of

    judgements = [judge(policy, result) for policy in policies]
    for judgement in judgements:
        if quiet and judgement.outcome is Outcome.PASSED:
            continue
        complain(f"{judgement.outcome.name.lower()}: {judgement.reason}")
    return int(outcome_of(judgements))

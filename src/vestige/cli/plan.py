"""`vestige plan`: what an audit will cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vestige.cli.running import training_of
from vestige.cli.settings import Bank, Ray, Set, TrustPickle, Within, asked_by
from vestige.core.messages import few

if TYPE_CHECKING:
    from vestige.auditing.files.audit_file import AuditFile
    from vestige.auditing.selection import Selection
    from vestige.auditing.shadows.settings import ShadowTraining


def plan_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="AUDIT.toml", help="The audit, as for `vestige audit`.")],
    trust_pickle: TrustPickle = False,
    set_: Set = None,
    bank: Bank = None,
    within: Within = None,
    ray: Ray = None,
) -> int:
    """Say what an audit will cost: queries, time and money for the model, and training shadow models.

    What AUDIT.toml names as module:name is imported, and functions in it are called, as `vestige audit` does: plan only
    what you would run. Nothing is sent to a model that is far away or has a price or a budget. A few seconds are spent
    on measuring; shadow models that are trained for it stay in the bank.
    """
    from vestige.auditing.files.audit_file import AuditFile

    asked = asked_by(context)
    if not isinstance(asked, AuditFile):
        print("No queries and no shadow models: the predictions are there.")
        return 0
    selection = asked.selection()  # what the audit would refuse is refused here
    training = training_of(asked, bank, ray)
    modules = asked.modules()
    code = [f"Runs code of yours, as the audit does: {few(modules)}."] if modules else []
    for line in (*code, *_lines(asked, selection, training, trust_pickle), *_retraining(asked, training, bank)):
        print(line)
    return 0


def _retraining(asked: "AuditFile", training: "ShadowTraining | None", bank: Path | None) -> list[str]:
    """What training again costs, a record left out each; members of an audited recipe are those of its first model."""
    from vestige.auditing.risk_causes.retraining import cost_of_retraining
    from vestige.auditing.trained_models import design

    again = asked.retraining(bank)
    if again is None or training is None:
        return []
    seed = asked.options.seed
    if asked.is_of_recipe:
        pool = asked.all_records()
        first = design(training.fraction.denominator, pool, seed, training.fraction)[0]
        members = pool.take(first.nonzero()[0])
    else:
        members = asked.records()[0]
    return [f"Training without a record each: {cost_of_retraining(members, again, seed)}."]


def _lines(
    asked: "AuditFile", selection: "Selection", training: "ShadowTraining | None", trust_pickle: bool
) -> list[str]:
    from vestige.auditing.label_only.probe import played_with
    from vestige.auditing.querying.cost import lines_of_asking
    from vestige.auditing.recipe_audit import cost_of_recipe
    from vestige.auditing.trained_models import cost_of

    seed = asked.options.seed
    if asked.is_of_recipe and training is not None and asked.defence:
        from vestige.auditing.comparison.cost import lines_of_cost

        return lines_of_cost(asked.all_records(), training, asked.defences(), seed)
    if asked.is_of_recipe and training is not None:
        lines = cost_of_recipe(asked.all_records(), training, seed).lines()
        return ["No queries: there is no model but those that are trained.", *lines]
    target = asked.model(trust_pickle=trust_pickle)
    members, nonmembers = asked.records()
    wanted = played_with(selection.attacks, 0 if training is None else training.n_on_audited)
    asking = lines_of_asking(
        target,
        members,
        nonmembers,
        asked.querying(),
        seed,
        last_layer=selection.reads("gradients"),
        wanted=wanted,
    )
    if training is None:
        return [*asking, "No shadow models: the model is only asked about its records."]
    return [*asking, *cost_of(target, members, nonmembers, training, seed, asked.querying()).lines()]

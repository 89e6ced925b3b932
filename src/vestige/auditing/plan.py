"""What an audit is to do: everything that is asked of it, refused before a query is sent if it does not go together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vestige.auditing.label_only.probe import IMITATED
from vestige.auditing.querying.defended import KnowsDefence
from vestige.auditing.querying.settings import Querying
from vestige.auditing.run_folder import MANIFEST, attacks_and_options, refuse_another
from vestige.auditing.scoring.observation import digest_of
from vestige.auditing.selection import ALL, Selection, select
from vestige.auditing.shadow import Shadow
from vestige.auditing.shadows.reference_training import Beginning, ReferenceTraining
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.auditing.shadows.sources import records_to_train_on
from vestige.core.answer_defence import FittedDefence
from vestige.core.attack import Attack
from vestige.core.errors import InputError, refuse_if
from vestige.core.likelihood_ratio import LikelihoodRatio
from vestige.core.messages import few
from vestige.core.options import Options
from vestige.core.outputs import Output, Phi
from vestige.core.predictions import Predictions
from vestige.core.progress import Progress, silent
from vestige.core.recipe import Recipe
from vestige.core.records import Records, as_records, joined
from vestige.core.references import References
from vestige.core.targets import Access
from vestige.data import Columns, RecordColumns, read_predictions, read_two_records, references_beside
from vestige.data.formats.files import FrameLike

Adversary = Shadow | References | ReferenceTraining | ShadowTraining
"""What the adversary has beside the model."""

Attacks = str | Sequence[str | Attack | Callable[..., Any]]
"""`all`, or a list of names, functions and `Attack` values."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditPlan:
    """An audit that can be carried out as far as is seen without asking the model.

    Attributes:
        target: The model, where it is (a file or an address), or its predictions.
        records: Members and nonmembers; None if the predictions say which records are members.
        adversary: What the adversary has beside the model; None for nothing.
        querying: How the model may be asked.
        likelihood: How the likelihood-ratio attacks are played; None for the defaults.
        selection: The attacks.
        options: What could change a number.
        folder: The run's; None if nothing is written.
        progress: Told how far long steps are.
    """

    target: Any
    records: tuple[Records, Records] | None
    adversary: Adversary | None
    querying: Querying
    likelihood: LikelihoodRatio | None
    selection: Selection
    options: Options
    folder: Path | None
    progress: Progress

    @property
    def n_trained(self) -> int:
        """Shadow models that are to be trained on audited records."""
        return self.adversary.n_on_audited if isinstance(self.adversary, ShadowTraining) else 0


def plan_of(
    target: Any,
    members: Any = None,
    nonmembers: Any = None,
    *,
    adversary: Adversary | None = None,
    attacks: Attacks | Selection = ALL,
    **settings: Any,
) -> AuditPlan:
    """Return what `audit` is to do.

    Args:
        target: As of `audit`.
        members: As of `audit`.
        nonmembers: As of `audit`.
        adversary: As of `audit`.
        attacks: As of `audit`, or selected before.
        settings: `querying`, `likelihood`, `options`, `run` and `progress`, as of `audit`.

    Raises:
        InputError: Something is missing, is of another kind, or does not go with the rest.
        RunFolderError: `run` holds another audit.
    """
    querying: Querying | None = settings.get("querying")
    _refuse_slips(target, members, adversary)
    run = settings.get("run")
    plan = AuditPlan(
        target=target,
        records=_sides(target, members, nonmembers),
        adversary=adversary,
        querying=querying or Querying(),
        likelihood=settings.get("likelihood"),
        selection=attacks if isinstance(attacks, Selection) else select(attacks),
        options=settings.get("options") or Options(),
        folder=None if run is None else Path(run),
        progress=settings.get("progress") or silent,
    )
    _refuse_without_records(plan, querying)
    if isinstance(plan.adversary, ShadowTraining) and plan.records is not None:
        records_to_train_on(plan.adversary, joined(*plan.records))
    _refuse_access(plan)
    _refuse_imitators(plan)
    _refuse_unused(plan)
    _refuse_defence(plan)
    refuse_another(plan.folder, **attacks_and_options(plan.selection.asked, plan.options.as_text()))
    if plan.records is None:
        refuse_other_predictions(plan.folder, target, adversary)
    return plan


COLUMNS = {entry.name for entry in (*fields(Columns), *fields(RecordColumns))}
"""What names the columns of frames and files."""


def read_tables(
    target: Any, members: Any, nonmembers: Any, adversary: Adversary | None, columns: Mapping[str, Any]
) -> tuple[Any, Any, Any, Adversary | None]:
    """Return what `audit` is given, with frames and files read as predictions or as records of both sides.

    What other models answered, in the same frame or file, is the adversary's if none is given.

    Raises:
        InputError: One cannot be read, or columns are named where there are none.
    """
    of_records = any(isinstance(side, str | Path | FrameLike) for side in (members, nonmembers))
    of_target = isinstance(target, str | Path | FrameLike) and members is None and nonmembers is None
    of_kind: Any = RecordColumns if of_records else Columns if of_target else None
    idle = [name for name in columns if of_kind is None or name not in {entry.name for entry in fields(of_kind)}]
    if idle:
        where = "a frame or a file of predictions" if of_kind is RecordColumns else "a frame or a file"
        raise InputError(f"Expected {idle[0]}, the name of a column, beside {where}, found none; leave it out.")
    if of_target:
        called = Columns(**columns)
        predictions, shadow = read_predictions(target, called)
        beside = references_beside(target, called, predictions.classes) if shadow is None else Shadow(shadow)
        return predictions, None, None, adversary or beside
    if of_records:
        members, nonmembers = read_two_records(members, nonmembers, RecordColumns(**columns))
    return target, members, nonmembers, adversary


def _refuse_slips(target: Any, members: Any, adversary: Any) -> None:
    """Refuse what stands in another argument's place, or in the place of what is made of it."""
    if isinstance(members, Predictions | Shadow):
        raise InputError(
            "Expected members beside a target, found predictions; give a shadow model's as "
            "adversary=vestige.Shadow(predictions)."
        )
    if adversary is not None and not isinstance(adversary, Adversary):
        cure = "such as adversary=vestige.Shadow(predictions)"
        if isinstance(adversary, Recipe):
            cure = "write adversary=vestige.ShadowTraining(recipe) to train models with it"
        raise InputError(
            "Expected Shadow, References, ReferenceTraining or ShadowTraining as adversary, found "
            f"{type(adversary).__name__}; {cure}."
        )
    if isinstance(target, Output | list) or (hasattr(target, "shape") and not callable(target)):
        raise InputError(
            f"Expected a model or Predictions as target, found {type(target).__name__}; of answers write "
            "vestige.audit(vestige.Predictions(answers, labels, member))."
        )


def refuse_other_predictions(folder: Path | None, target: Predictions, adversary: Adversary | None = None) -> None:
    """Refuse the run of an audit of other answers, before they are looked at.

    Raises:
        RunFolderError: The run is of others.
    """
    if folder is None or not (folder / MANIFEST).is_file():
        return
    refuse_another(folder, inputs={"target": digest_of(target)})
    if isinstance(adversary, Shadow):
        refuse_another(folder, inputs={"shadow": digest_of(adversary.predictions)})


def _sides(target: Any, members: Any, nonmembers: Any) -> tuple[Records, Records] | None:
    """Both sides as records."""
    given = {"members": members, "nonmembers": nonmembers}
    missing = [name for name, side in given.items() if side is None]
    if len(missing) == 2 and isinstance(target, Predictions):
        return None
    if missing:
        what = "predictions" if isinstance(target, Predictions) else f"a model ({type(target).__name__})"
        raise InputError(
            f"Expected members and nonmembers beside {what}, found {'one side only' if len(missing) == 1 else 'none'}; "
            "give both, as Records or as (inputs, labels), or Predictions as target."
        )
    return as_records(members, "members"), as_records(nonmembers, "nonmembers")


def _refuse_without_records(plan: AuditPlan, querying: Querying | None) -> None:
    """Refuse what does not go with predictions, or with records."""
    if plan.records is not None and isinstance(plan.adversary, Shadow):
        raise InputError(
            "Expected a shadow model's predictions beside the target's, found records as well; give ShadowTraining."
        )
    trains = isinstance(plan.adversary, ShadowTraining | ReferenceTraining)
    if plan.records is None and (querying is not None or trains):
        found = "querying" if querying is not None else type(plan.adversary).__name__
        raise InputError(
            f"Expected members and nonmembers beside {found}, found predictions alone; give the records, or leave it "
            "out."
        )
    if plan.querying.label_only and isinstance(plan.target, Predictions):
        raise InputError(
            "Expected a model for label-only queries, found a table of predictions; leave the queries out."
        )


def _refuse_access(plan: AuditPlan) -> None:
    """Refuse models that an adversary with access to labels could not use."""
    if plan.querying.access is not Access.LABEL:
        return
    given = plan.adversary
    if isinstance(given, ReferenceTraining) and (given.by is Beginning.FORGETTING or not plan.querying.label_only):
        raise InputError(
            "Expected access to confidences beside references that are trained, found access to labels only; leave "
            "them out, or train them from scratch beside a BoundarySearch(n_references=1)."
        )
    if isinstance(given, References) and (
        given.classifiers is None or given.by_forgetting or not plan.querying.label_only
    ):
        raise InputError(
            "Expected access to confidences beside references, found access to labels only; leave out the references, "
            "or give some whose models can be asked (references_from_scratch) and a BoundarySearch(n_references=1)."
        )
    if isinstance(plan.adversary, ShadowTraining) and not plan.querying.label_only:
        raise InputError(
            "Expected label-only queries for shadow models with access to labels only, found none; give some "
            "(label_only=(NoisyCopies(),), or [label_only] in an AUDIT.toml), or leave out the training."
        )


def _refuse_imitators(plan: AuditPlan) -> None:
    """Refuse imitators of a model whose answers they could not learn, or would not be asked alike."""
    if not (isinstance(plan.adversary, ShadowTraining) and plan.adversary.imitators):
        return
    querying = plan.querying
    by_labels = querying.access is Access.LABEL
    for is_so, found in (
        (by_labels and all(IMITATED not in one.attacks for one in querying.label_only), "no drawn copies with labels"),
        (querying.views is not None, "several views of a record"),
        (querying.defence is not None, "a defence of answers"),
    ):
        if is_so:
            raise InputError(
                "Expected undefended confidences of one query per record for imitators, or labels of drawn copies "
                f"(NoisyCopies, Augmentations), found {found}; leave out the imitators."
            )


def _refuse_defence(plan: AuditPlan) -> None:
    """Refuse a defence that cannot be put in front of the adversary's models, or whose third pool is used."""
    front, adversary = plan.querying.front, plan.adversary
    if front is None or plan.records is None:
        return
    trains = isinstance(adversary, ShadowTraining)
    sources = adversary.records if isinstance(adversary, ShadowTraining) else None
    front.refuse_shared(joined(*plan.records), sources)
    sees_it = plan.querying.access is not Access.LABEL or not front.defence.keeps_labels
    fits = isinstance(front.defence, FittedDefence) and front.known is KnowsDefence.ADAPTIVE and sees_it
    name = type(front.defence).__name__
    refuse_if(
        (
            fits and trains and front.shadow_nonmembers is None,
            f"Expected nonmembers to fit {name} to each shadow model, found none; give records that neither the audit "
            "nor the defender uses, Defended(..., shadow_nonmembers=records), or known=KnowsDefence.TARGETS_OWN.",
        ),
        (
            fits and isinstance(adversary, References | ReferenceTraining),
            f"Expected shadow models that can be asked about other records, to fit {name} to each, found their answers "
            "alone; give ShadowTraining, or Defended(..., known=KnowsDefence.TARGETS_OWN).",
        ),
        (
            isinstance(adversary, References) and (adversary.kind is Phi or adversary.target is not None),
            "Expected answers per class of reference models, and none of the target's, beside a defence of answers, "
            "found phi or the target's own; leave those out.",
        ),
        (
            not front.fitted_already and isinstance(plan.target, Predictions),
            f"Expected a fitted {name} in front of a table of predictions, found one to be fitted; fit it to answers: "
            "defence.fitted(about members, about the defender's nonmembers, seed).",
        ),
    )


def _refuse_unused(plan: AuditPlan) -> None:
    """Refuse what does nothing without reference models."""
    if isinstance(plan.adversary, References | ReferenceTraining) or plan.n_trained:
        return
    n_sources = plan.adversary.n_models if isinstance(plan.adversary, ShadowTraining) else 0
    has_many = n_sources > 1  # they answer about the audited records as well
    found = "one source model alone" if n_sources else "no training"
    attacks = plan.selection.attacks
    if not has_many and all(attack.needs_references for attack in attacks):
        raise InputError(
            f"Expected shadow models for {few([attack.name for attack in attacks])}, found {found}; give "
            "adversary=ShadowTraining(...) or References(...) ([recipe] or [reference] in an AUDIT.toml), or other "
            "attacks beside."
        )
    if plan.querying.views is not None:
        raise InputError(
            "Expected ShadowTraining or References beside several views of a record, found neither; no attack reads "
            "them without models that were asked the same: give one ([recipe] or [reference] in an AUDIT.toml), or "
            "leave out the views."
        )
    if plan.likelihood is not None and not has_many:
        raise InputError(
            "Expected ShadowTraining or References beside a likelihood ratio, found neither; give one of them "
            "([recipe] or [reference] in an AUDIT.toml), or leave it out."
        )

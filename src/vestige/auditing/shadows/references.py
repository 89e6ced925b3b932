"""Trained shadow models as reference models, and the checks that describe their training."""

import numpy as np

from vestige.auditing.run_folder import FAILURES
from vestige.auditing.shadows.cost import what_is_given_up
from vestige.auditing.shadows.job import GRADIENT_NORMS, LOGITS
from vestige.auditing.shadows.training import Shadows
from vestige.core.messages import few
from vestige.core.outputs import Logits, Probabilities
from vestige.core.references import References
from vestige.core.result import Check, Validity


def references_of(shadows: Shadows, views: Logits | Probabilities | None = None) -> References:
    """Return the models that are done, with their answers about the pool as attacks read them.

    Args:
        shadows: The trained models.
        views: The target's answers to all views of each record, one record after the other; None if it was asked about
            the records alone.
    """
    plan = shadows.plan
    n = plan.records.n_records
    return References(
        Logits if shadows.kind == LOGITS else Probabilities,
        shadows.store.table(shadows.kind, shadows.rows_read()),
        shadows.member,
        gradient_norms=shadows.store.read(GRADIENT_NORMS, rows=shadows.rows_read()) if plan.gradient_norms else None,
        ids=np.arange(n) if plan.records.ids is None else plan.records.ids,
        target=None if views is None else views.whole().reshape(n, -1, plan.records.n_classes),
        target_kind=None if views is None else type(views),
        groups=plan.drawn_together[shadows.done],
    )


def checks_of_training(shadows: Shadows) -> list[Check]:
    """Say how many models there are, how they were trained, and which failed."""
    plan = shadows.plan
    n_done, n_failed = int(shadows.done.sum()), len(shadows.failures)
    kind = "source models" if plan.sources else "shadow models"
    whose = "records of their own, none of them audited" if plan.sources else "audited records"
    when = "" if plan.epoch is None else f"; as they were after epoch {plan.epoch}"
    said = (
        f"{n_done} {kind} on random {'halves' if plan.share.denominator == 2 else plan.share} of the "
        f"{plan.records.n_records:,} {whose}: {plan.strategy}{when}."
    )
    checks = [Check("shadow_models", Validity.VALID, said)]
    if shadows.mended:
        mended = f"Stored signals were damaged and made anew: {few(shadows.mended)}."
        checks.append(Check("mended_signals", Validity.VALID, mended))
    if n_failed:  # an error may quote a record or a path: it stands in the run, not in a report
        numbers = few([str(i) for i in sorted(shadows.failures)])
        checks.append(
            Check(
                "failed_models",
                Validity.LIMITED,
                f"{n_failed} of {plan.n_models} {kind} failed: {numbers}.",
                f"Read {FAILURES} in the run, or stop at the first failure, and mend the recipe; what was trained is "
                "kept.",
            )
        )
    if n_done + n_failed < plan.n_asked:
        remedy = "Give more time; in a new run folder, for a plan of all of them."
        if n_done + n_failed < plan.n_models:
            remedy = "Start the audit again: it goes on where it ended."
        cost = what_is_given_up(n_done, plan.n_asked, None if plan.sources else plan.share)
        message = f"{n_done} of {plan.n_asked} {kind} fit the time there was: {cost}."
        checks.append(Check("models_left_out", Validity.LIMITED, message, remedy))
    handled: tuple[str, ...] = getattr(plan.recipe, "handled", tuple)()
    return checks + [Check("recipe", Validity.VALID, f"{what}.") for what in handled]

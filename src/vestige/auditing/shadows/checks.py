"""Checks of trained models: how many there are, how they were trained, and whether they are like the target."""

from contextlib import suppress
from typing import Any

from vestige.auditing.run_folder import FAILURES
from vestige.auditing.shadows.cost import privacy_of, what_is_given_up
from vestige.auditing.shadows.training import Shadows
from vestige.core.messages import few
from vestige.core.recipe import Recipe
from vestige.core.result import Check, Validity
from vestige.targets.opening import is_torch_module


def checks_of_training(shadows: Shadows) -> list[Check]:
    """Say how many models there are, how they were trained, and which failed."""
    plan = shadows.plan
    n_done, n_failed = int(shadows.done.sum()), len(shadows.failures)
    kind = "source models" if plan.sources else "shadow models"
    whose = "records of their own, none of them audited" if plan.sources else "audited records"
    when = "" if plan.epoch is None else f"; as they were after epoch {plan.epoch}"
    said = (
        f"{n_done} {kind} on random {'halves' if plan.share.denominator == 2 else plan.share} of the "
        f"{plan.records.n_records:,} {whose}{', each drawn on its own' if plan.drawn_alone else ''}: "
        f"{plan.strategy}{when}."
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
    private = [f"Each of the {kind} was trained with {what}" for what in privacy_of(plan)]
    return checks + [Check("recipe", Validity.VALID, f"{what}.") for what in (*private, *handled)]


def mismatched_recipe(target: Any, recipe: Recipe) -> list[Check]:
    """Say that a recipe makes models of another architecture than the target's, naming both types.

    It can be seen of two torch modules and of two estimators. Of anything else, such as a function or a file, nothing
    is said; nor of parameters that leave the structure as it is.

    Args:
        target: The audited model, as far as it can be inspected.
        recipe: How shadow models are trained.

    Returns:
        One check, VALID, if they differ; none if they do not or it cannot be seen.
    """
    ours = _network_of(target) if is_torch_module(target) else target
    theirs = getattr(recipe, "estimator", None)
    if is_torch_module(ours):
        theirs = _untrained(recipe)
        if theirs is None or _of_module(ours) == _of_module(theirs):
            return []
    elif theirs is None or not hasattr(ours, "get_params") or _of_estimator(ours) == _of_estimator(theirs):
        return []
    one, other = type(ours).__name__, type(theirs).__name__
    how = f"{one}, and the recipe's {other}" if one != other else f"{one}, and the recipe's another {other}"
    message = (
        f"The target is a {how}: shadow models differ from it in their architecture, and attacks with them may see "
        "less than those of an adversary who knows it."
    )
    return [Check("mismatched_recipe", Validity.VALID, message)]


def _network_of(module: Any) -> Any:
    """The network inside what a recipe has trained, which adds preprocessing to it."""
    from vestige.training.classifier import Classifier

    return module.network if isinstance(module, Classifier) else module


def _untrained(recipe: Recipe) -> Any:
    """A network of a torch recipe; None of another one. Torch's random stream stays where it is."""
    make = getattr(recipe, "network", None)
    if make is None:
        return None
    import torch

    with torch.random.fork_rng(devices=[]), suppress(Exception):  # of a user's own function: models are trained by now
        return make()
    return None


def _of_module(module: Any) -> list[Any]:
    """Names and types of all layers, and names and shapes of all weights."""
    layers: list[Any] = [(name, type(layer).__name__) for name, layer in module.named_modules()]
    return layers + [(name, tuple(weight.shape)) for name, weight in module.named_parameters()]


def _of_estimator(estimator: Any) -> dict[str, str]:
    """Types of an estimator and of the estimators in it, by name."""
    inside = {n: type(v).__name__ for n, v in estimator.get_params(deep=True).items() if hasattr(v, "get_params")}
    return {"": type(estimator).__name__, **inside}

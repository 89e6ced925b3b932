"""Attacks with reference models: from what shadow models answered to scores of the target and of one of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vestige.attacks import CATALOGUE
from vestige.attacks.lira import Variance
from vestige.auditing.planning import what_is_given_up
from vestige.auditing.run_folder import FAILURES
from vestige.auditing.shadow_work import LOGITS
from vestige.auditing.shadows import Shadows
from vestige.core.attack import Attack
from vestige.core.messages import few
from vestige.core.outputs import Logits, Probabilities
from vestige.core.predictions import Predictions
from vestige.core.result import Check, Validity
from vestige.signals.phi import phi_from_logits, phi_from_probabilities

PER_RECORD_FROM = 32
"""IN and OUT models of every record from which on its own spread is used (Carlini et al. 2022 use it for many)."""


@dataclass(frozen=True, eq=False)
class References:
    """What shadow models, trained on random halves of the audited records, add to an audit.

    Attributes:
        n_models: How many there are.
        shadow: The answers of one of them, with its own members: thresholds are set there.
        scores: Scores of the target, per attack with reference models.
        shadow_scores: The same of that shadow model; its own answers and its partner's are not used for them.
        checks: What a reader should know of their training.
        definitions: How the scores were made where there are two ways.
    """

    n_models: int
    shadow: Predictions
    scores: Mapping[str, np.ndarray]
    shadow_scores: Mapping[str, np.ndarray]
    checks: tuple[Check, ...]
    definitions: Mapping[str, str]


def references_of(shadows: Shadows, target: Predictions, attacks: tuple[Attack, ...] = CATALOGUE) -> References:
    """Score the target, and one shadow model as if it were the target, by what the others answered.

    The shadow model that is left out takes the one with the complementary training set along, because what remains
    would otherwise tell by its numbers alone which records it was trained on.
    """
    phi = _phi_of_shadows(shadows)
    is_in = shadows.member
    numbers = np.flatnonzero(shadows.done)
    first = int(numbers[0])
    others = (numbers != first) & (numbers != first + 1 - 2 * (first % 2))
    ours = _phi_of(target)
    fewest = int(min(is_in.sum(axis=0).min(), (~is_in).sum(axis=0).min()))
    variance = Variance.PER_RECORD if fewest > PER_RECORD_FROM else Variance.POOLED
    scores = _scores(attacks, ours, phi, is_in, variance) if fewest else {}
    left = is_in[others]
    enough = min(left.sum(axis=0).min(), (~left).sum(axis=0).min()) >= 2
    # Else there are records that hardly anything is known of: an attack that cannot be played is listed as such.
    shadow_scores = _scores(attacks, phi[0], phi[others], left, variance) if enough else {}
    definition = (
        f"phi = log(p / (1 - p)) of the true class; Gaussians around the mean of {fewest} models or more on each side, "
        f"{'their own' if variance is Variance.PER_RECORD else 'one pooled residual'} standard deviation; thresholds "
        f"from shadow model {first}, scored without itself and its partner"
    )
    return References(
        len(numbers),
        _predictions_of(shadows, target, first),
        scores,
        shadow_scores,
        tuple(_checks(shadows)),
        {"reference models": definition, **_DEFINITIONS},
    )


def _scores(
    attacks: tuple[Attack, ...], phi: np.ndarray, shadow_phi: np.ndarray, is_in: np.ndarray, variance: Variance
) -> dict[str, np.ndarray]:
    """The scores of every attack that reads what models with known members answered."""
    signals = {"phi": phi, "shadow_phi": shadow_phi, "is_in": is_in}
    scores = {}
    for attack in attacks:
        if attack.needs_references:
            options = {"variance": variance} if attack.name in _OF_VARIANCE else {}
            scores[attack.name] = attack.score(*(signals[name] for name in attack.reads), **options)
    return scores


_OF_VARIANCE = ("lira_online", "lira_offline", "lira_offline_two_sided", "lira_in_only")
_DEFINITIONS = {
    "lira": "means of models, not medians; standard deviations around them, not corrected for the number of models",
    "empirical_bayes": "normal-inverse-gamma priors fitted across records by moments, shape 4, for any models",
    "base_score, attack_r, calibration_loss": "on log p of the true class; offline with the power 0.33; ties count",
}


def _phi_of_shadows(shadows: Shadows) -> np.ndarray:
    """Phi of the models that are done, models x records, a block of records at a time."""
    of = phi_from_logits if shadows.kind == LOGITS else phi_from_probabilities
    labels = shadows.plan.records.labels
    phi = np.empty((int(shadows.done.sum()), labels.size))
    for start, block in shadows.store.blocks(shadows.kind, rows=shadows.final_rows()):
        phi[:, start : start + block.shape[1]] = of(block, labels[start : start + block.shape[1]])
    return phi


def _phi_of(target: Predictions) -> np.ndarray:
    logits = target.output(Logits)
    of, output = (phi_from_probabilities, target.output(Probabilities)) if logits is None else (phi_from_logits, logits)
    return np.asarray(of(output.whole(), target.labels))


def _predictions_of(shadows: Shadows, target: Predictions, model: int) -> Predictions:
    answers = shadows.store.read(shadows.kind, rows=[shadows.plan.rows_of(model)[-1]])[0]
    return Predictions(
        Logits(answers) if shadows.kind == LOGITS else Probabilities(answers),
        labels=target.labels,
        member=shadows.plan.member[model],
        subjects=target.subjects,
        classes=target.classes,
    )


def _checks(shadows: Shadows) -> list[Check]:
    plan = shadows.plan
    n_done, n_failed = int(shadows.done.sum()), len(shadows.failures)
    said = (
        f"{n_done} shadow models on random halves of the {plan.records.n_records:,} audited records: {plan.strategy}."
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
                f"{n_failed} of {plan.n_models} shadow models failed: {numbers}.",
                f"Read {FAILURES} in the run, or stop at the first failure, and mend the recipe; what was trained is "
                "kept.",
            )
        )
    if n_done + n_failed < plan.n_asked:
        remedy = "Give more time; in a new run folder, for a plan of all of them."
        if n_done + n_failed < plan.n_models:
            remedy = "Start the audit again: it goes on where it ended."
        cost = what_is_given_up(n_done, plan.n_asked)
        message = f"{n_done} of {plan.n_asked} shadow models fit the time there was: {cost}."
        checks.append(Check("models_left_out", Validity.LIMITED, message, remedy))
    handled: tuple[str, ...] = getattr(plan.recipe, "handled", tuple)()
    return checks + [Check("recipe", Validity.VALID, f"{what}.") for what in handled]

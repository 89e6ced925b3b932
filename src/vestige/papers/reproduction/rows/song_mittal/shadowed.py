"""Tables 1, 4 and 6, figures 1 and 6, appendices B and C: a target and a shadow model, and both behind MemGuard."""

from vestige.auditing.audit import audit
from vestige.auditing.shadow import Shadow
from vestige.core.predictions import Predictions
from vestige.core.progress import silent
from vestige.core.records import Records
from vestige.defences import MemGuard
from vestige.papers.reproduction.playing import (
    accuracy_of,
    answers_of,
    behind,
    predictions_of,
    rate_of,
    rows_of,
    short,
)
from vestige.papers.reproduction.row import Scale
from vestige.papers.reproduction.rows.song_mittal.attacked import by_prior, measured, metrics_of
from vestige.papers.reproduction.rows.song_mittal.settings import SHADOWED, permuted


def memguard_trial(data: str, records: Records, scale: Scale, seed: int) -> dict[str, float]:
    """One target and one shadow model, undefended and behind MemGuard, as in Table 4.

    The adversary's thresholds are set, class by class, on the shadow model: undefended against the undefended target;
    behind MemGuard with a classifier of the adversary's own (adaptive), or with the target's, as released.
    """
    setting = SHADOWED[data]
    split = setting.split(permuted(records, seed, data))
    members, defender, nonmembers = (
        rows_of(records, rows, scale) for rows in (split.members, split.defender, split.nonmembers)
    )
    inside, outside = (rows_of(records, rows, scale) for rows in (split.shadow_members, split.shadow_nonmembers))
    trained = short(setting.recipe, scale)
    target, shadow = trained.fit(members, seed=2 * seed), trained.fit(inside, seed=2 * seed + 1)
    guard = MemGuard().fitted(answers_of(target, members), answers_of(target, defender), seed)
    own = MemGuard().fitted(answers_of(shadow, inside), answers_of(shadow, outside), seed)
    found = {"training accuracy": accuracy_of(target, members), "test accuracy": accuracy_of(target, defender)}
    answers, known = predictions_of(target, members, nonmembers), predictions_of(shadow, inside, outside)
    hidden, alike = behind(guard, answers), behind(own, known)
    found |= measured("none", answers, known) | by_prior("none", answers, known)
    found |= measured("MemGuard", hidden, alike) | by_prior("MemGuard", hidden, alike)
    theirs = metrics_of(hidden, behind(guard, known))
    found |= {f"MemGuard, its own g: {attack}": rate for attack, rate in theirs.items()}
    found["none: first reported"] = first_reported(answers, known)
    found["MemGuard: first reported"] = first_reported(hidden, known)
    return found


def first_reported(target: Predictions, shadow: Predictions) -> float:
    """Accuracy of Jia et al.'s network, which learns from an undefended shadow model, at its own threshold."""
    found = audit(target, adversary=Shadow(shadow), attacks=("nn_memguard",), progress=silent)
    return rate_of(found, "nn_memguard", "natural")

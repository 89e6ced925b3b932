"""Honest random splits, and every preflight check run on them: what must not be flagged."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.result import Check
from vestige.evaluation import preflight
from vestige.evaluation.preflight.per_unit import unit_means, unit_members, unit_numbers
from vestige.evaluation.roc import roc

N_FEATURES, N_CLASSES, N_ATTACKS = 5, 3, 6
RECORDS_PER_SUBJECT = 4  # on average


@dataclass(frozen=True)
class HonestAudit:
    inputs: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    member: np.ndarray
    units: np.ndarray | None
    visit: np.ndarray
    scores: np.ndarray  # attack x record


def honest_audit(n_units: int, with_subjects: bool, rng: np.random.Generator) -> HonestAudit:
    """Half of the units are members, drawn at random; the model is at chance, the hardest case for its check."""
    side = rng.permutation(np.arange(n_units) < n_units // 2)
    number = np.arange(n_units)
    if with_subjects:
        number = np.repeat(number, rng.integers(1, 2 * RECORDS_PER_SUBJECT, size=n_units))
        number = rng.permutation(number)
    n = number.size

    def correlated(shape: tuple[int, ...]) -> Any:  # half of the variance is the subject's
        own, shared = rng.normal(size=(n, *shape)), rng.normal(size=(n_units, *shape))
        return (own + shared[number]) / np.sqrt(2) if with_subjects else own

    def classes() -> Any:
        return np.digitize(correlated(()), [-0.6, 0.3])

    labels = classes()
    inputs = correlated((N_FEATURES,))
    inputs[:, 0] += labels
    return HonestAudit(
        inputs=inputs,
        labels=labels,
        predicted=classes(),
        member=side[number],
        units=number if with_subjects else None,
        visit=np.datetime64("2024-01-01", "D") + (200 + 100 * correlated(())).astype(np.int64),
        scores=correlated((N_ATTACKS,)).T,
    )


def all_checks(audit: HonestAudit, seed: int) -> list[Check]:
    """Every check, as an audit would run it."""
    number = unit_numbers(audit.units, audit.member.size)
    side = unit_members(audit.member, number)
    means = [unit_means(scores, number) for scores in audit.scores]
    rocs = {f"attack {k}": roc(m[side], m[~side]) for k, m in enumerate(means)}
    n_members = int(side.sum())
    checks = [
        preflight.blind_inputs(audit.inputs, audit.labels, audit.member, audit.units, seed),
        preflight.blind_labels(audit.labels, audit.member, audit.units),
        *preflight.blind_order({"visit": audit.visit}, audit.member, audit.units),
        preflight.inverted_scores(rocs),
        preflight.accuracy_below_chance(audit.predicted, audit.labels, audit.member, audit.units, N_CLASSES),
        preflight.sizes(n_members, side.size - n_members, "record" if audit.units is None else "subject"),
        *preflight.duplicates(audit.inputs, audit.member, audit.units),
        preflight.equal_predictions(preflight.row_hashes(audit.scores.T), audit.member),
        preflight.shadow_overlap(np.arange(side.size), np.arange(side.size) + side.size),
        preflight.subjects_on_both_sides(0, 0),
        preflight.records_per_subject(np.bincount(number), side) if audit.units is not None else None,
        preflight.rounded_probabilities(None),
    ]
    return [check for check in checks if check is not None]

"""Honest random splits, and every preflight check run on them: what must not be flagged."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vestige.core.result import Check
from vestige.evaluation import preflight
from vestige.evaluation.preflight.per_unit import unit_means, unit_members, unit_numbers
from vestige.evaluation.roc import roc
from vestige.signals.losses import losses_from_phi

N_FEATURES, N_CLASSES, N_ATTACKS, N_MODELS = 5, 3, 6, 8
RECORDS_PER_SUBJECT = 4  # on average


@dataclass(frozen=True)
class HonestAudit:
    inputs: Any
    labels: np.ndarray
    predicted: np.ndarray
    member: np.ndarray
    units: np.ndarray | None
    visit: np.ndarray
    scores: np.ndarray  # attack x record
    answers: np.ndarray  # record x class
    shadow_phi: np.ndarray  # model x record, the target's last
    is_in: np.ndarray  # model x record, the target's membership last


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
    scores = correlated((N_ATTACKS,)).T
    return HonestAudit(
        inputs=inputs,
        labels=labels,
        predicted=classes(),
        member=side[number],
        units=number if with_subjects else None,
        visit=np.datetime64("2024-01-01", "D") + (200 + 100 * correlated(())).astype(np.int64),
        scores=scores,
        answers=scores.T,
        **_models(side, number, rng),
    )


TABLES = ("categories", "repeats", "text")


def honest_table(kind: str, n: int, rng: np.random.Generator) -> HonestAudit:
    """A random split of a table that looks like a fault and is none; members stand first, as in two files.

    `categories`: three coarse columns, most rows occur often. `repeats`: a tenth of the records stand in it again.
    `text`: a column of free text and one of nearly as many levels as records. Answers are a function of the inputs,
    continuous, rounded or votes of 50 trees; phi of no model hangs on its training.
    """
    import pandas as pd

    age = rng.integers(18, 90, n)
    ward, sex = rng.choice(["north", "south", "west"], n), rng.choice(["f", "m"], n)
    if kind == "categories":
        table = pd.DataFrame({"ward": ward, "sex": sex, "old": age > 60})
    elif kind == "repeats":
        table = pd.DataFrame({"age": age, "bmi": rng.normal(26, 4, n), "sex": sex})
        again = rng.permutation(n)[: n // 10]
        table.iloc[again] = table.iloc[rng.integers(0, n, again.size)].to_numpy()
        table = table.astype({"age": int, "bmi": float})
    else:
        words = np.array([f"w{i}" for i in range(120)])
        text = [" ".join(rng.choice(words, 4)) for _ in range(n)]
        table = pd.DataFrame({"age": age, "words": text, "postcode": [f"k{i}" for i in rng.integers(0, 2 * n, n)]})
    scattered = preflight.row_hashes(table).astype(np.float64) / 2.0**64
    p = [scattered, np.round(scattered, 2), np.floor(50 * scattered) / 50][int(rng.integers(3))]
    side = np.arange(n) < n // 2
    labels = np.digitize(rng.normal(size=n), [-0.6, 0.3])
    scores = np.stack([p, *rng.normal(size=(N_ATTACKS - 1, n))])
    return HonestAudit(
        inputs=table,
        labels=labels,
        predicted=np.digitize(scattered, [0.3, 0.6]),
        member=side,
        units=None,
        visit=np.datetime64("2024-01-01", "D") + rng.integers(0, 300, n),
        scores=scores,
        answers=np.stack([p, 1 - p], axis=1),
        **_models(side, np.arange(n), rng),
    )


def _models(side: np.ndarray, number: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Phi of eight models and of the target, which gains as little by training as they do."""
    half = rng.random((N_MODELS // 2, side.size)) < 0.5
    is_in = np.stack([half, ~half], axis=1).reshape(N_MODELS, -1)[:, number]
    difficulty = 2 * rng.normal(size=side.size)[number]
    shift = 0.2 * rng.normal(size=(N_MODELS + 1, 1))  # one training is not like another
    phi = 1 + difficulty + shift + rng.normal(size=(N_MODELS + 1, number.size))
    return {"shadow_phi": phi, "is_in": np.concatenate([is_in, side[number][None]])}


def all_checks(audit: HonestAudit, seed: int) -> list[Check]:
    """Every check, as an audit would run it."""
    number = unit_numbers(audit.units, audit.member.size)
    side = unit_members(audit.member, number)
    means = [unit_means(scores, number) for scores in audit.scores]
    rocs = {f"attack {k}": roc(m[side], m[~side]) for k, m in enumerate(means)}
    n_members = int(side.sum())
    right = unit_means((audit.predicted == audit.labels).astype(float), number)
    told = preflight.n_classes_told(audit.answers)
    losses = losses_from_phi(audit.shadow_phi)
    behaviours = [
        preflight.behaviour(loss, is_in, audit.units) for loss, is_in in zip(losses, audit.is_in, strict=True)
    ]
    checks = [
        preflight.blind_inputs(audit.inputs, audit.labels, audit.member, audit.units, seed),
        preflight.blind_labels(audit.labels, audit.member, audit.units),
        *preflight.blind_order({"visit": audit.visit}, audit.member, audit.units),
        preflight.inverted_scores(rocs),
        preflight.accuracy_below_chance(audit.predicted, audit.labels, audit.member, audit.units, N_CLASSES),
        preflight.sizes(n_members, side.size - n_members, "record" if audit.units is None else "subject"),
        *preflight.duplicates(audit.inputs, audit.member, audit.units),
        preflight.unrecognised_classes(audit.predicted, audit.labels, audit.member, audit.units),
        preflight.equal_predictions(preflight.row_hashes(audit.answers), audit.member, audit.units),
        preflight.reference_counts(audit.is_in[:-1], audit.member, audit.units),
        preflight.reference_membership(
            audit.shadow_phi[-1], audit.member, audit.shadow_phi[:-1], audit.is_in[:-1], audit.units
        ),
        preflight.shadow_training(behaviours[-1], behaviours[:-1]),
        preflight.shadow_overlap(np.arange(side.size), np.arange(side.size) + side.size),
        preflight.subjects_on_both_sides(0, 0),
        preflight.records_per_subject(np.bincount(number), side) if audit.units is not None else None,
        preflight.rounded_probabilities(""),
        preflight.masked_answers(rocs["attack 0"], roc(right[side], right[~side]), told, audit.answers.shape[1]),
        preflight.promised_privacy(rocs, lambda fpr: fpr, "nothing"),
        preflight.constant_answers(preflight.row_hashes(audit.answers)),
    ]
    return [check for check in checks if check is not None]

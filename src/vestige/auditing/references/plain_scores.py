"""Scores of attacks without reference models, of the target and of every reference model: what is calibrated."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vestige.auditing.references.phi import ReferencePhi
from vestige.auditing.scoring.observation import observe
from vestige.core.attack import Attack
from vestige.core.errors import InputError
from vestige.core.options import Options
from vestige.core.outputs import GradientNorms, Output, Phi
from vestige.core.predictions import Predictions
from vestige.core.progress import silent
from vestige.core.references import References


def with_plain_scores(
    observed: ReferencePhi, references: References, target: Predictions, attacks: Sequence[Attack]
) -> ReferencePhi:
    """Return what was observed with the scores that calibrated attacks compare.

    Args:
        observed: What target and reference models answered.
        references: The same as it was given.
        target: The target's answers.
        attacks: All that are played; only what `calibrated` ones compare is scored.

    Raises:
        InputError: A custom attack fails.
    """
    plain = [attack.calibrates for attack in attacks if attack.calibrates is not None]
    if not plain:
        return observed
    asked = [target.outputs]
    if references.target is not None:  # several queries, or answers of another kind
        norms_of_target = [output for output in target.outputs if isinstance(output, GradientNorms)]
        views = _tables(references.target_kind, references.target[observed.order])
        asked = [(*outputs, *norms_of_target) for outputs in views]
    own = _scores(target, asked, plain, observed.limit)
    answers = dict(observed.answers)
    theirs: dict[str, list[np.ndarray]] = {name: [] for name in own}
    norms = references.gradient_norms
    for number, of_model in enumerate(references.models()):
        beside = () if norms is None else (GradientNorms(norms[number, observed.order]),)
        tables = [(*outputs, *beside) for outputs in _tables(references.kind, of_model[observed.order])]
        missing = bool(np.isnan(of_model[observed.order]).any())
        found = {} if missing else _scores(target, tables, plain, observed.limit)
        for name, of_models in theirs.items():
            of_models.append(found.get(name, np.full(target.n_records, np.nan)))
    for name, scores in own.items():
        if not any(np.isnan(of_model).all() for of_model in theirs[name]):
            answers |= {f"plain {name}": scores, f"shadow_plain {name}": np.stack(theirs[name])}
    return replace(observed, answers=answers)


def plain_signals(attack: Attack, observed: ReferencePhi) -> dict[str, np.ndarray]:
    """Return what a calibrated attack reads.

    Raises:
        InputError: Target or models lack what its scores are made of.
    """
    assert attack.calibrates is not None
    plain = attack.calibrates
    if f"plain {plain.name}" not in observed.answers:
        raise InputError(f"Expected {plain.needs}, of the model and of every reference model, found none.")
    return {
        "plain_score": observed.answers[f"plain {plain.name}"],
        "shadow_plain_score": observed.answers[f"shadow_plain {plain.name}"],
        "is_in": observed.is_in,
    }


def _tables(kind: type[Output], answers: np.ndarray) -> Iterator[tuple[Output, ...]]:
    """The answers to each query in turn."""
    queries = answers[:, None] if answers.ndim == (1 if kind is Phi else 2) else answers
    return ((kind(queries[:, query]),) for query in range(queries.shape[1]))


def _scores(
    target: Predictions, asked: Sequence[Sequence[Output]], attacks: Sequence[Attack], limit: float
) -> dict[str, np.ndarray]:
    """Scores by attack, the mean over queries; attacks that need something else are left out."""
    found: dict[str, list[np.ndarray]] = {}
    for outputs in asked:
        answered = Predictions(outputs, target.labels, target.member, classes=target.classes)
        for name, scores in observe(answered, attacks, Options().arithmetic, silent, "", limit).scores.items():
            found.setdefault(name, []).append(scores)
    return {name: np.mean(scores, axis=0) for name, scores in found.items()}

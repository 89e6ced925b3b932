"""Signals with a planted leak, of records that differ in difficulty; and signals at the ends of their ranges."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vestige.core.attack import Attack
from vestige.core.probabilities import ClassProbabilities, from_logits, from_probabilities

_N_CLASSES = 5
_N_MODELS = 16
_OF_MODELS = ("shadow_phi", "shadow_statistic", "is_in")


@dataclass(frozen=True, eq=False)
class Planted:
    """Signals by name, and the membership that attacks do not see."""

    signals: Mapping[str, Any]
    member: np.ndarray

    def read_by(self, attack: Attack) -> list[Any]:
        """Copies of what the attack reads, in its order."""
        every = np.arange(self.member.size)
        return [_of_records(name, self.signals[name], every) for name in attack.reads]

    def of_records(self, records: np.ndarray) -> "Planted":
        """The same signals of some records, in their order."""
        chosen = {name: _of_records(name, signal, records) for name, signal in self.signals.items()}
        return Planted(chosen, self.member[records])

    def of_models(self, models: np.ndarray) -> "Planted":
        """The same signals with the reference models in another order."""
        moved = {name: s[models] if name in _OF_MODELS else s for name, s in self.signals.items()}
        return Planted(moved, self.member)


def _of_records(name: str, signal: Any, records: np.ndarray) -> Any:
    if isinstance(signal, ClassProbabilities):
        return replace(signal, **{of: values[records] for of, values in vars(signal).items()})
    return signal[:, records] if name in _OF_MODELS else signal[records]


def arrays_of(signal: Any) -> list[np.ndarray]:
    """The arrays that a signal consists of."""
    if isinstance(signal, ClassProbabilities):
        return [getattr(signal, name) for name in signal.__dataclass_fields__]
    return [signal]


def planted(attack: Attack, n_records: int, leak: float, rng: np.random.Generator) -> Planted:
    """Return what the attack reads of a model that is surer of its members by `leak`.

    Members come first: an attack that goes by the place of a record is then seen to.
    """
    member = np.arange(n_records) < n_records // 2
    if attack.needs_references:
        is_in = np.repeat(rng.random((_N_MODELS // 2, n_records)) < 0.5, 2, axis=0)
        is_in[1::2] = ~is_in[::2]
        difficulty = 2 * rng.normal(size=n_records)
        phi = rng.normal(size=n_records) + difficulty + leak * member
        shadow_phi = rng.normal(size=is_in.shape) + difficulty + leak * is_in
        return Planted(_of_models(phi, shadow_phi, is_in), member)
    labels = rng.integers(_N_CLASSES, size=n_records)
    logits = rng.normal(scale=1.5, size=(n_records, _N_CLASSES))
    logits[np.arange(n_records), labels] += 1 + leak * member
    return Planted(_of_table(from_logits(logits), labels), member)


def saturated(attack: Attack, n_records: int, rng: np.random.Generator) -> list[Planted]:
    """Return signals of models that are certain: of every record, rightly or wrongly."""
    member = np.arange(n_records) < n_records // 2
    if attack.needs_references:
        is_in = rng.permuted(np.arange(_N_MODELS)[:, None] % 2 == np.zeros(n_records), axis=0)
        signs = rng.choice([-1.0, 1.0], size=(1 + _N_MODELS, n_records))
        return [
            Planted(_of_models(100 * phi, 100 * shadow_phi, is_in), member)
            for phi, shadow_phi in ((signs[0], signs[1:]), (signs[0], 0 * signs[1:] + 1), (signs[0], 0 * signs[1:] - 1))
        ]
    labels = rng.integers(_N_CLASSES, size=n_records)
    certain = np.eye(_N_CLASSES)[np.where(rng.random(n_records) < 0.8, labels, (labels + 1) % _N_CLASSES)]
    tables = (from_probabilities(certain), from_logits(200 * certain), from_logits(1000 * certain))
    return [Planted(_of_table(table, labels), member) for table in tables]


def _of_models(phi: np.ndarray, shadow_phi: np.ndarray, is_in: np.ndarray) -> dict[str, Any]:
    return {"phi": phi, "shadow_phi": shadow_phi, "statistic": phi, "shadow_statistic": shadow_phi, "is_in": is_in}


def _of_table(table: ClassProbabilities, labels: np.ndarray) -> dict[str, Any]:
    log_p = table.of(table.log_p, labels)
    return {
        "labels": labels,
        "predicted": table.predicted,
        "losses": -log_p,
        "p_true": table.of(table.p, labels),
        "phi": np.asarray(log_p - table.of(table.log_not_p, labels)),
        "probabilities": table,
        # of a model that is one bias per class: the probabilities less 1 for the true one
        "gradient_norms": np.linalg.norm(table.p - np.eye(_N_CLASSES)[labels], axis=1),
    }


def can_be_planted(attack: Attack) -> bool:
    """Whether all it reads can be made here: not what is known of a population, features or other scores."""
    nothing = np.zeros((1, 5))
    of_models = _of_models(nothing, nothing, nothing)
    known = set(of_models if attack.needs_references else _of_table(from_logits(nothing), np.zeros(1, int)))
    return set(attack.reads) <= known

"""`Family`: models that were trained and answer under one defence, on the same halves of the records as any other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vestige.auditing.comparison.known_half import Halves, KnownHalf
from vestige.auditing.comparison.risk_scores import Entropies, entropies_of
from vestige.auditing.querying.session import predictions_of
from vestige.auditing.references.phi import ReferencePhi, reference_phi
from vestige.auditing.shadows.answers import fitted_to_each, references_of
from vestige.auditing.shadows.training import Shadows
from vestige.core.answer_defence import AnswerDefence, FittedDefence, table_of
from vestige.core.outputs import PredictedLabels
from vestige.core.records import Records
from vestige.core.references import References
from vestige.training.bank import Bank

UNDEFENDED, EARLY = "none", "early stopping"

_SAME = 1e-9  # a probability that moved by less is the same


def beside(name: str) -> str:
    """Return the key of the early-stopped models that are compared with a defence."""
    return f"{EARLY} beside {name}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """What models under one defence answered.

    Attributes:
        name: Name of the defence.
        numbers: Number of each model in the design: equal numbers were trained on equal records.
        draws: Number of the pair of each.
        is_in: Whether each was trained on each record.
        correct: Whether each is right about each record.
        observed: What attacks read; None if labels alone are answered.
        entropies: Modified entropies of what they answered; None if labels alone are answered.
        subjects: Whose record each is; None without people.
        counted: Records whose accuracy is the models' use; None for all.
        halves: What an adversary learns from half of each model's records; None if labels alone are answered, or nobody
            does.
        n_changed: Answers that a defence of answers changed; None where there is none, or labels alone are answered.
    """

    name: str
    numbers: Int[np.ndarray, " model"]
    draws: Int[np.ndarray, " model"]
    is_in: Bool[np.ndarray, "model record"]
    correct: Bool[np.ndarray, "model record"]
    observed: ReferencePhi | None
    entropies: Entropies | None = None
    subjects: Shaped[np.ndarray, " record"] | None = None
    counted: Bool[np.ndarray, " record"] | None = None
    halves: Halves | None = None
    n_changed: int | None = None

    @property
    def training_accuracy(self) -> Float[np.ndarray, " model"]:
        """Of each model on its own records."""
        return self._accuracy(self.is_in)

    @property
    def test_accuracy(self) -> Float[np.ndarray, " model"]:
        """Of each model on the other records."""
        return self._accuracy(~self.is_in)

    def _accuracy(self, sides: Bool[np.ndarray, "model record"]) -> Float[np.ndarray, " model"]:
        sides = sides if self.counted is None else sides & self.counted
        return np.array([right[side].mean() for right, side in zip(self.correct, sides, strict=True)])


def family_of(
    name: str,
    shadows: Shadows,
    defence: AnswerDefence | None = None,
    *,
    bank: Bank | None = None,
    pool: Records | None = None,
    counted: Bool[np.ndarray, " record"] | None = None,
    knows_half: KnownHalf | None = None,
) -> Family:
    """Return what trained models answer, behind a defence of answers if there is one.

    A defence that is fitted is fitted to each model: to its answers about its own records and about the third pool.

    Args:
        name: Name of the defence.
        shadows: The models.
        defence: What stands before their answers; None for nothing.
        bank: Where the models are, to ask them about the third pool.
        pool: The third pool: records of the defender, none of them audited.
        counted: Records whose accuracy is the models' use; all if omitted.
        knows_half: Learns from half of each model's records; nobody does if omitted.

    Raises:
        InputError: Answers do not fit the defence.
        TrainingError: A model is to be asked about the third pool and is not in the bank.
    """
    records, member = shadows.plan.records, shadows.member
    raw = [shadows.output(np.asarray(table)) for table in references_of(shadows).models()]
    answers: list[Any] = list(raw)
    if defence is not None:
        fronts = _fronts(defence, shadows, bank, pool)
        answers = [front(one) for front, one in zip(fronts, raw, strict=True)]
    of_labels = isinstance(answers[0], PredictedLabels)
    predicted = [a.whole() if of_labels else a.whole().argmax(axis=1) for a in answers]
    observed = entropies = halves = None
    numbers = np.flatnonzero(shadows.done)
    if not of_labels:
        entropies = entropies_of(answers, np.asarray(records.labels), records.n_classes)
        groups = shadows.plan.drawn_together[shadows.done]
        references = References(type(answers[0]), np.stack([a.whole() for a in answers]), member, groups=groups)
        target = replace(predictions_of([answers[0]], records, member[0]), ids=None)
        observed = reference_phi(references, target)
        halves = None if knows_half is None else knows_half.of(answers, records, member, numbers)
    return Family(
        name=name,
        numbers=numbers,
        draws=shadows.plan.drawn_together[numbers],
        is_in=member,
        correct=np.stack(predicted) == np.asarray(records.labels),
        observed=observed,
        entropies=entropies,
        subjects=records.subjects,
        counted=counted,
        halves=halves,
        n_changed=None if defence is None or of_labels else sum(map(_n_changed, raw, answers)),
    )


def _n_changed(raw: Any, defended: Any) -> int:
    return int((np.abs(table_of(raw) - table_of(defended)).max(axis=1) > _SAME).sum())


def test_accuracy(shadows: Shadows, counted: Bool[np.ndarray, " record"] | None) -> float:
    """Return the mean test accuracy of models, read one at a time, on the records that are counted."""
    labels, models = np.asarray(shadows.plan.records.labels), references_of(shadows).models()
    right = (np.asarray(table).argmax(axis=1) == labels for table in models)
    others = ~shadows.member if counted is None else ~shadows.member & counted
    return float(np.mean([r[side].mean() for r, side in zip(right, others, strict=True)]))


def _fronts(
    defence: AnswerDefence, shadows: Shadows, bank: Bank | None, pool: Records | None
) -> Sequence[AnswerDefence]:
    """What stands in front of each model that is done."""
    if not isinstance(defence, FittedDefence) or defence.is_fitted:
        return [defence] * len(shadows.member)
    assert bank is not None  # refused before anything was trained
    assert pool is not None
    return fitted_to_each(defence, shadows, bank, pool, [shadows.plan.seed_of(i) for i in range(len(shadows.member))])

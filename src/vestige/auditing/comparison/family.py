"""`Family`: models that were trained and answer under one defence, on the same halves of the records as any other."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vestige.auditing.querying.session import predictions_of
from vestige.auditing.references.phi import ReferencePhi, reference_phi
from vestige.auditing.shadows.answers import models_read, references_of
from vestige.auditing.shadows.job import LOGITS
from vestige.auditing.shadows.training import Shadows
from vestige.core.answer_defence import AnswerDefence, FittedDefence, table_of
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.records import Records
from vestige.core.references import References
from vestige.targets.opening import open_target
from vestige.training.bank import Bank

_SAME = 1e-9  # a probability that moved by less is the same


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
        n_changed: Answers that a defence of answers changed; None where there is none, or labels alone are answered.
    """

    name: str
    numbers: Int[np.ndarray, " model"]
    draws: Int[np.ndarray, " model"]
    is_in: Bool[np.ndarray, "model record"]
    correct: Bool[np.ndarray, "model record"]
    observed: ReferencePhi | None
    n_changed: int | None = None

    @property
    def training_accuracy(self) -> Float[np.ndarray, " model"]:
        """Of each model on its own records."""
        return np.array([right[side].mean() for right, side in zip(self.correct, self.is_in, strict=True)])

    @property
    def test_accuracy(self) -> Float[np.ndarray, " model"]:
        """Of each model on the other records."""
        return np.array([right[~side].mean() for right, side in zip(self.correct, self.is_in, strict=True)])


def family_of(
    name: str,
    shadows: Shadows,
    defence: AnswerDefence | None = None,
    *,
    bank: Bank | None = None,
    pool: Records | None = None,
) -> Family:
    """Return what trained models answer, behind a defence of answers if there is one.

    A defence that is fitted is fitted to each model: to its answers about its own records and about the third pool.

    Args:
        name: Name of the defence.
        shadows: The models.
        defence: What stands before their answers; None for nothing.
        bank: Where the models are, to ask them about the third pool.
        pool: The third pool: records of the defender, none of them audited.

    Raises:
        InputError: Answers do not fit the defence.
        TrainingError: A model is to be asked about the third pool and is not in the bank.
    """
    records, member = shadows.plan.records, shadows.member
    kind: Any = Logits if shadows.kind == LOGITS else Probabilities
    raw = [kind(np.asarray(table)) for table in references_of(shadows).models()]
    answers = raw if defence is None else list(_defended(defence, iter(raw), shadows, bank, pool))
    of_labels = isinstance(answers[0], PredictedLabels)
    predicted = [a.whole() if of_labels else a.whole().argmax(axis=1) for a in answers]
    observed = None
    if not of_labels:
        groups = shadows.plan.drawn_together[shadows.done]
        references = References(type(answers[0]), np.stack([a.whole() for a in answers]), member, groups=groups)
        target = replace(predictions_of([answers[0]], records, member[0]), ids=None)
        observed = reference_phi(references, target)
    numbers = np.flatnonzero(shadows.done)
    return Family(
        name=name,
        numbers=numbers,
        draws=shadows.plan.drawn_together[numbers],
        is_in=member,
        correct=np.stack(predicted) == np.asarray(records.labels),
        observed=observed,
        n_changed=None if defence is None or of_labels else sum(map(_n_changed, raw, answers)),
    )


def _n_changed(raw: Any, defended: Any) -> int:
    return int((np.abs(table_of(raw) - table_of(defended)).max(axis=1) > _SAME).sum())


def test_accuracy(shadows: Shadows) -> float:
    """Return the mean test accuracy of models, read one at a time."""
    labels, models = np.asarray(shadows.plan.records.labels), references_of(shadows).models()
    right = (np.asarray(table).argmax(axis=1) == labels for table in models)
    return float(np.mean([r[~side].mean() for r, side in zip(right, shadows.member, strict=True)]))


def _defended(
    defence: AnswerDefence, raw: Iterator[Any], shadows: Shadows, bank: Bank | None, pool: Records | None
) -> Iterator[Any]:
    if not isinstance(defence, FittedDefence) or defence.is_fitted:
        yield from map(defence, raw)
        return
    assert bank is not None  # refused before anything was trained
    assert pool is not None
    models = models_read(shadows, bank, f"the third pool of {type(defence).__name__}")
    for number, (answers, model, side) in enumerate(zip(raw, models, shadows.member, strict=True)):
        others = open_target(model.classifier, pool.n_classes).answers(pool.inputs)
        own = type(answers)(answers.whole()[side])
        yield defence.fitted(own, others, shadows.plan.seed_of(number))(answers)

"""The target's defence in front of answers that the adversary's models gave undefended, model by model."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vestige.core.answer_defence import AnswerDefence
from vestige.core.blocks import BlockTable
from vestige.core.outputs import Logits, Output, Probabilities
from vestige.core.references import References


def behind(references: References, defences: Sequence[AnswerDefence]) -> References:
    """Return references as they answer from behind defences, worked out as they are read.

    Args:
        references: What the models answered, per class.
        defences: One for each model.
    """
    n_classes = references.answers.shape[-1]
    even: Any = Logits(np.zeros((1, n_classes)))
    if references.kind is Probabilities:
        even = Probabilities(np.full((1, n_classes), 1 / n_classes))
    answers = _Defended(references.answers, references.kind, defences)
    return replace(references, kind=type(defences[0](even)), answers=answers)


def pooled(kind: type[Logits | Probabilities], answers: np.ndarray, defences: Sequence[AnswerDefence]) -> Output:
    """Return answers of several models, one model after the other, each from behind its own defence."""
    told = [defence(kind(table)) for defence, table in zip(defences, answers, strict=True)]
    given: Output = type(told[0])(np.concatenate([one.whole() for one in told]))
    return given


class _Defended:
    """A table of answers, models first, each model's from behind its own defence; NaN stays where there is none."""

    def __init__(self, table: BlockTable, kind: Any, defences: Sequence[AnswerDefence]) -> None:
        self._table, self._kind, self._defences = table, kind, defences
        self.name, self.shape, self.dtype = table.name, table.shape, np.dtype(np.float64)

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """Yield consecutive blocks of at most `n_rows` models."""
        done = 0
        for block in self._table.blocks(n_rows):
            defences = self._defences[done : done + len(block)]
            yield np.stack([self._told(defence, one) for defence, one in zip(defences, block, strict=True)])
            done += len(block)

    def _told(self, defence: AnswerDefence, answers: np.ndarray) -> np.ndarray:
        rows = answers.reshape(-1, answers.shape[-1])
        there = ~np.isnan(rows).any(axis=1)
        told = np.full(rows.shape, np.nan)
        if there.any():
            told[there] = defence(self._kind(rows[there])).whole()
        return told.reshape(answers.shape)

"""What stands in front of a model and changes its answers: a value that a run records."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from vestige.core.errors import InputError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.probabilities import softmax
from vestige.core.targets import Answers


@runtime_checkable
class AnswerDefence(Protocol):
    """A defence that acts on answers: a pure function, each answer by itself, whatever stands beside it.

    Attributes:
        keeps_labels: Whether every answer keeps its predicted class. A label-only adversary then sees no defence.
    """

    keeps_labels: ClassVar[bool]

    def __call__(self, answers: Answers) -> Answers:
        """Return what is answered instead: probabilities, or labels alone; with strength zero the answers as they are.

        Raises:
            InputError: The answers have no number per class, or the defence is to be fitted first.
        """

    def identity(self) -> Mapping[str, Any]:
        """Return what decides it, as JSON holds it."""


@runtime_checkable
class FittedDefence(AnswerDefence, Protocol):
    """A defence that learns what members' answers look like, from records of the defender's own beside the members."""

    @property
    def is_fitted(self) -> bool:
        """Whether it has."""

    def fitted(self, member_answers: Answers, nonmember_answers: Answers, seed: int) -> "FittedDefence":
        """Return it fitted to one model's answers, whether it was to another's or not.

        Args:
            member_answers: What the model answers about records that it was trained on.
            nonmember_answers: About records of a third pool: neither audited nor under a threshold.
            seed: Of everything that is drawn.
        """


def table_of(answers: Answers) -> Float[np.ndarray, "record class"]:
    """Return probabilities of answers in float64, those that are given as they are.

    Raises:
        InputError: They are labels.
    """
    if isinstance(answers, PredictedLabels):
        raise InputError(
            "Expected a number per class for a defence of answers, found predicted labels; leave the defence out."
        )
    table = np.ascontiguousarray(answers.whole(), dtype=np.float64)  # a row rounds alike in any order of the rows
    return softmax(table) if isinstance(answers, Logits) else table


def with_labels(table: Float[np.ndarray, "record class"], labels: Int[np.ndarray, " record"]) -> Probabilities:
    """Return probabilities that predict these labels where only a tie, the first of which wins, decides otherwise.

    Example:
        >>> with_labels(np.array([[0.5, 0.5]]), np.array([1])).whole().argmax(axis=1)
        array([1])
    """
    rows = np.flatnonzero(table.argmax(axis=1) != labels)
    if rows.size:
        table = table.copy()
        table[rows, labels[rows]] = np.nextafter(table[rows].max(axis=1), np.inf)
    return Probabilities(table)

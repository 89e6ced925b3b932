"""The largest probabilities alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vestige.core.answer_defence import table_of, with_labels
from vestige.core.errors import InputError
from vestige.core.targets import Answers


@dataclass(frozen=True)
class TopK:
    """The k largest probabilities, the first of equal ones; what they leave of 1 is shared evenly by the others.

    Whoever is told the k largest alone knows that rest too, so nothing is added and a row stays a distribution.

    Attributes:
        k: How many are told; as many as there are classes, or more, change nothing.

    Raises:
        InputError: It is below 1.

    Example:
        >>> from vestige.core.outputs import Probabilities
        >>> TopK(1)(Probabilities([[0.1, 0.7, 0.2]])).whole().round(3)
        array([[0.15, 0.7 , 0.15]])

    Source:
        Shokri et al. 2017, section VIII, which returns nothing for the other classes. The even rest is ours.
    """

    k: int
    keeps_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"Expected 1 probability or more to tell, found {self.k}; LabelsOnly tells none.")

    def __call__(self, answers: Answers) -> Answers:
        """Return the k largest probabilities of each answer, and the others' mean for the others."""
        table, given = table_of(answers), answers.whole()
        if self.k >= table.shape[1]:
            return answers
        hidden = np.argsort(-given, axis=1, kind="stable")[:, self.k :]
        rest = np.take_along_axis(table, hidden, axis=1).mean(axis=1, keepdims=True)
        told = table.copy()
        np.put_along_axis(told, hidden, rest, axis=1)
        return with_labels(told, given.argmax(axis=1))

    def identity(self) -> Mapping[str, str | int]:
        """Return its name and k."""
        return {"defence": "top_k", "k": self.k}

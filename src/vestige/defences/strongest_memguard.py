"""MemGuard in its strongest form: answers that tell the predicted class and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vestige.core.answer_defence import table_of
from vestige.core.outputs import Probabilities
from vestige.core.targets import Answers

_MARGIN = 1e-3
"""By how much the predicted class stands above an even answer."""


@dataclass(frozen=True)
class StrongestMemGuard:
    """The predicted class gets 1/K + 0.001, the others share the rest: two numbers, whatever the model answered.

    An attack that adapts reads the label off them and no more: the true label's confidence is the gap attack, the
    largest one and the entropy are constant. One whose threshold was set on undefended answers calls nobody a member.

    Example:
        >>> StrongestMemGuard()(Probabilities([[0.1, 0.7, 0.2]])).whole().round(4)
        array([[0.3328, 0.3343, 0.3328]])

    Source:
        Choquette-Choo et al. 2021, their code.
    """

    keeps_labels: ClassVar[bool] = True

    def __call__(self, answers: Answers) -> Probabilities:
        """Return the two numbers of each answer; the first of equal ones is predicted."""
        n, n_classes = table_of(answers).shape
        told = np.full((n, n_classes), 1 / n_classes - _MARGIN / (n_classes - 1))
        told[np.arange(n), answers.whole().argmax(axis=1)] = 1 / n_classes + _MARGIN
        return Probabilities(told)

    def identity(self) -> Mapping[str, str]:
        """Return its name."""
        return {"defence": "strongest_memguard"}

"""Answers without a number: the predicted class alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vestige.core.outputs import PredictedLabels
from vestige.core.targets import Answers


@dataclass(frozen=True)
class LabelsOnly:
    """The predicted class, the first of equal ones; an audit of it asks for access to labels.

    Example:
        >>> from vestige.core.outputs import Probabilities
        >>> LabelsOnly()(Probabilities([[0.1, 0.7, 0.2]])).whole()
        array([1])

    Source:
        Shokri et al. 2017, section VIII, where it is their top-k with k = 1; what is left is what Choquette-Choo et al.
        2021 attack.
    """

    keeps_labels: ClassVar[bool] = True

    def __call__(self, answers: Answers) -> PredictedLabels:
        """Return the predicted class of each answer."""
        return answers if isinstance(answers, PredictedLabels) else PredictedLabels(answers.whole().argmax(axis=1))

    def identity(self) -> Mapping[str, str]:
        """Return its name."""
        return {"defence": "labels_only"}

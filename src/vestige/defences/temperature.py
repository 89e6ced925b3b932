"""Answers of less certainty: logits divided by a temperature."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vestige.core.answer_defence import table_of, with_labels
from vestige.core.errors import InputError
from vestige.core.outputs import Logits
from vestige.core.probabilities import LOG_FLOOR, softmax
from vestige.core.targets import Answers


@dataclass(frozen=True)
class Temperature:
    """The softmax of logits divided by a temperature; of probabilities their logarithms stand for logits.

    Attributes:
        value: The temperature: 1 changes nothing, more makes answers alike.

    Raises:
        InputError: It is no number above 0.

    Example:
        >>> Temperature(2.0)(Logits([[2.0, 0.0]])).whole().round(3)
        array([[0.731, 0.269]])

    Source:
        Shokri et al. 2017, section VIII. Logarithms of probabilities are of at least 1e-30.
    """

    value: float
    keeps_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.value < np.inf:
            raise InputError(f"Expected a temperature above 0, found {self.value}; 1 changes nothing.")

    def __call__(self, answers: Answers) -> Answers:
        """Return probabilities at this temperature."""
        table = table_of(answers)
        if self.value == 1:
            return answers
        given = answers.whole()
        logits = given.astype(np.float64) if isinstance(answers, Logits) else np.log(np.maximum(table, LOG_FLOOR))
        shifted = logits - logits.max(axis=1, keepdims=True)
        return with_labels(softmax(shifted / self.value), given.argmax(axis=1))

    def identity(self) -> Mapping[str, str | float]:
        """Return its name and its value."""
        return {"defence": "temperature", "value": self.value}

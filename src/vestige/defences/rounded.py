"""Probabilities to a few decimals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vestige.core.answer_defence import table_of
from vestige.core.errors import InputError
from vestige.core.outputs import Probabilities
from vestige.core.targets import Answers


@dataclass(frozen=True)
class Rounded:
    """Every probability rounded to so many decimals; rows then miss 1 by up to half a unit of the last per class.

    Classes that become equal lose their order, and the first of them is predicted: labels may change.

    Attributes:
        digits: Decimals.

    Raises:
        InputError: It is below 1, with which most answers would be 0 in every class.

    Example:
        >>> Rounded(1)(Probabilities([[0.66, 0.34]])).whole()
        array([[0.7, 0.3]])

    Source:
        Shokri et al. 2017, section VIII (coarser precision).
    """

    digits: int
    keeps_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.digits < 1:
            raise InputError(f"Expected 1 decimal or more to round to, found {self.digits}; LabelsOnly gives none.")

    def __call__(self, answers: Answers) -> Probabilities:
        """Return rounded probabilities."""
        return Probabilities(np.round(table_of(answers), self.digits))

    def identity(self) -> Mapping[str, str | int]:
        """Return its name and its decimals."""
        return {"defence": "rounded", "digits": self.digits}

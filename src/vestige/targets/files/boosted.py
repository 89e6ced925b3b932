"""Boosters in their libraries' own files: what they are given, and how their numbers are read."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vestige.core.errors import TargetError
from vestige.core.targets import Answers
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.feature_columns import FeatureColumns
from vestige.targets.refusals import answered


class BoosterTarget:
    """Asks a booster for probabilities: one number per record of two classes, else a number per class.

    Args:
        predict: Returns probabilities for inputs in the order of the features.
        n_features: Features that it was trained on.
        columns: What a table of them is.
        format: Which column is which class.
        n_classes: Classes of the records.
        classes: Their names.
    """

    def __init__(
        self,
        predict: Callable[[Any], np.ndarray],
        n_features: int,
        columns: FeatureColumns,
        format: AnswerFormat | None,
        n_classes: int,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.predict, self.n_features, self.columns = predict, n_features, columns
        self.format = format or AnswerFormat()
        self.n_classes, self.classes = n_classes, classes

    def answers(self, inputs: Any) -> Answers:
        """Return the probabilities.

        Raises:
            TargetError: The records have other features, the booster fails, or it has other classes.
        """
        shape = tuple(inputs.shape)
        if len(shape) != 2 or shape[1] != self.n_features:
            given = f"{shape[1]:,}" if len(shape) == 2 else f"shape {shape}"
            raise TargetError(
                f"Expected records of {self.n_features:,} features, which the model was trained on, found {given}; "
                "give the records as the model was trained on them."
            )
        if not len(inputs):
            return self.format.read(np.empty((0, self.n_classes)), 0, self.n_classes, self.classes)
        found = answered(self.predict, self.columns.fitted(inputs).copy())
        return self.format.read(found, len(inputs), self.n_classes, self.classes)

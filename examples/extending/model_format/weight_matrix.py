"""A linear model as a matrix in a `.npy` file: a row of weights per feature, the last of intercepts."""

from pathlib import Path

import numpy as np

from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import Logits
from vestige.core.targets import Answers, ClassNames, QueryableModel
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.refusals import reading


class WeightMatrix:
    """Answers with logits.

    Args:
        weights: Features and one more x classes.
        format: How answers are read.
        classes: Names of the classes.
    """

    def __init__(self, weights: np.ndarray, format: AnswerFormat, classes: ClassNames) -> None:
        self.weights, self.format, self.classes, self.n_classes = weights, format, classes, weights.shape[1]

    def answers(self, inputs: np.ndarray) -> Answers:
        """Return the logits of some records.

        Raises:
            TargetError: The records have another number of features.
        """
        if inputs.ndim != 2 or inputs.shape[1] != len(self.weights) - 1:
            raise TargetError(
                f"Expected records of {len(self.weights) - 1} features, found shape {inputs.shape}; give them as the "
                "model was trained."
            )
        return self.format.read(
            inputs @ self.weights[:-1] + self.weights[-1], len(inputs), self.n_classes, self.classes
        )


def open_weights(path: Path, answers: AnswerFormat | None, n_classes: int, classes: ClassNames) -> QueryableModel:
    """Return the model of a file; nothing in it can run.

    Raises:
        InputError: The file is damaged, or no matrix with a column per class.
    """
    with reading(path, "a matrix of weights"):
        weights = np.load(path, allow_pickle=False)
    if weights.ndim != 2 or weights.shape[1] != n_classes:
        raise InputError(
            f"Expected a matrix with {n_classes} columns, one per class, in {path.name}, found shape {weights.shape}; "
            "save it so."
        )
    return WeightMatrix(weights, answers or AnswerFormat(Logits), classes)

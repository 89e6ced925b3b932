"""A fitted scikit-learn estimator, or whatever follows its conventions, as a target."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from vestige.core.errors import InputError, TargetError, refuse_if
from vestige.core.labels import codes_of_classes
from vestige.core.messages import brief
from vestige.core.outputs import PredictedLabels, Probabilities
from vestige.core.targets import Answers, ClassNames
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.feature_columns import columns_of_estimator, in_order_of
from vestige.targets.refusals import answered, array_of, check_shape


class EstimatorTarget:
    """Asks `predict_proba`; a class that its training records lacked has probability 0.

    It is given a copy of the inputs, because some steps, such as `StandardScaler(copy=False)`, change theirs.

    Args:
        estimator: A fitted classifier.
        n_classes: Classes of the records.
        classes: Their names; the estimator's classes are these names, in any order, or the codes 0..K-1 of names whose
            order somebody gave.

    Raises:
        InputError: It is not fitted, or has a class that the records do not.
    """

    names_classes = True

    def __init__(self, estimator: Any, n_classes: int, classes: ClassNames = None) -> None:
        self.estimator, self.n_classes = estimator, n_classes
        self.codes = _codes(estimator, n_classes, classes)
        self.columns = list(self.codes.values())
        self._features = columns_of_estimator(estimator)

    def answers(self, inputs: Any) -> Answers:
        """Return the probability of every class.

        Raises:
            TargetError: It fails, or these are no probabilities, such as what boosters with some objectives return.
        """
        given = array_of(self._asked(self.estimator.predict_proba, inputs), "probabilities").astype(np.float64)
        check_shape(given.shape, len(inputs), len(self.columns), "probabilities")
        AnswerFormat().read(given, len(inputs), len(self.columns))
        probabilities = np.zeros((len(inputs), self.n_classes))
        probabilities[:, self.columns] = given
        return Probabilities(probabilities)

    def _asked(self, ask: Callable[[Any], Any], inputs: Any) -> Any:
        """Ask about a copy of the inputs, the columns of a table matched by name where the estimator knows some."""
        given = inputs if self._features is None else self._features.fitted(inputs)
        with warnings.catch_warnings():
            # Of an estimator that was trained on an array: there is nothing to compare the names of a table with.
            warnings.filterwarnings("ignore", message="X has feature names, but")
            return answered(ask, in_order_of(self.estimator, given).copy())


class LabelEstimatorTarget(EstimatorTarget):
    """Asks `predict` alone, of a classifier without probabilities or one that was said to give labels.

    Args:
        estimator: A fitted classifier; it is given a copy of the inputs.
        n_classes: Classes of the records.
        classes: Their names, matched as those of `EstimatorTarget`.

    Raises:
        InputError: It is not fitted, or has a class that the records do not.
    """

    format = AnswerFormat(PredictedLabels)

    def answers(self, inputs: Any) -> Answers:
        """Return the predicted classes.

        Raises:
            TargetError: There is not one per record, or it is not one of the estimator's classes.
        """
        labels = array_of(self._asked(self.estimator.predict, inputs), "predicted labels")
        if labels.shape == (len(inputs), 1):
            labels = labels[:, 0]
        values, which = np.unique(labels, return_inverse=True)
        unknown = [value for value in values.tolist() if value not in self.codes]
        refuse_if(
            (
                labels.shape != (len(inputs),),
                f"Expected one predicted label per record, found shape {labels.shape} for {len(inputs):,} records; "
                "give a classifier of one label.",
            ),
            (
                unknown,
                "Expected predicted labels among the estimator's classes_, found "
                f"{brief(', '.join(map(repr, unknown[:1])))}; give a classifier that predicts its own classes.",
            ),
            kind=TargetError,
        )
        return PredictedLabels(np.array([self.codes[value] for value in values.tolist()], dtype=np.int64)[which])


def _codes(estimator: Any, n_classes: int, classes: ClassNames) -> dict[Any, int]:
    """The code of each of the estimator's classes, in their order."""
    fitted = getattr(estimator, "classes_", None)
    if fitted is None:
        raise InputError(
            f"Expected a fitted {type(estimator).__name__}, found one without classes_; fit it first, or give its "
            "method alone, as a function."
        )
    names = np.asarray(fitted).tolist()
    return dict(zip(names, codes_of_classes(names, "the estimator's classes", n_classes, classes), strict=True))

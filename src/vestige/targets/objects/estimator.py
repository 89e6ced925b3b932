"""A fitted scikit-learn estimator, or whatever follows its conventions, as a target."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from vestige.core.errors import InputError, TargetError, refuse_if
from vestige.core.estimators import is_one_against_all, last_step
from vestige.core.labels import codes_of_classes
from vestige.core.messages import brief
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.probabilities import LOG_FLOOR
from vestige.core.targets import Answers, ClassNames
from vestige.targets.answer_format import ROWS_DIVIDED, AnswerFormat, divided_by_sums
from vestige.targets.feature_columns import columns_of_estimator, in_order_of
from vestige.targets.refusals import answered, array_of, check_finite, check_shape

MARGINS = (
    "Warning: the model has margins (decision_function) and no probabilities: they were read as logits, the margin m "
    "of two classes as 0 and m. Attacks rank records by them; their softmax is no probability that the model states."
)
"""What is said of a model that has no other numbers."""


class EstimatorTarget:
    """Asks `predict_proba`; a class that its training records lacked has probability 0.

    It is given a copy of the inputs, because some steps, such as `StandardScaler(copy=False)`, change theirs. Rows of a
    classifier of each class against all others are divided by their sum.

    Args:
        estimator: A fitted classifier.
        n_classes: Classes of the records.
        classes: Their names; the estimator's classes are these names, in any order, or the codes 0..K-1 of names whose
            order somebody gave.

    Attributes:
        remarks: What a reader of the result should know of its answers.

    Raises:
        InputError: It is not fitted, or has a class that the records do not.
    """

    names_classes = True

    def __init__(self, estimator: Any, n_classes: int, classes: ClassNames = None) -> None:
        self.estimator, self.n_classes = estimator, n_classes
        self.codes = _codes(estimator, n_classes, classes)
        self.columns = list(self.codes.values())
        self._features = columns_of_estimator(estimator)
        self._is_one_against_all = is_one_against_all(estimator) and len(self.columns) > 2
        self.remarks: tuple[str, ...] = (ROWS_DIVIDED,) if self._is_one_against_all else ()

    def answers(self, inputs: Any) -> Answers:
        """Return the probability of every class.

        Raises:
            TargetError: It fails, or these are no probabilities, such as what boosters with some objectives return.
        """
        given = array_of(self._asked(self.estimator.predict_proba, inputs), "probabilities").astype(np.float64)
        check_shape(given.shape, len(inputs), len(self.columns), "probabilities")
        if self._is_one_against_all:
            given = divided_by_sums(given)
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


class MarginTarget(EstimatorTarget):
    """Asks `decision_function` of a classifier without probabilities: its margins are given as logits.

    The margin m of two classes is the logits 0 and m. A class that the training records lacked has the logit whose
    probability is that of 0 in a table, 1e-30 of the largest.

    Args:
        estimator: A fitted classifier; one-against-one margins of support vector machines are asked for by class.
        n_classes: Classes of the records.
        classes: Their names, matched as those of `EstimatorTarget`.

    Attributes:
        by_label: The same model by its own labels, which ties and votes may make others than the largest margin.

    Raises:
        InputError: It is not fitted, or has a class that the records do not.
    """

    format = AnswerFormat(Logits)

    def __init__(self, estimator: Any, n_classes: int, classes: ClassNames = None) -> None:
        super().__init__(estimator, n_classes, classes)
        self.remarks = (MARGINS,)
        self.by_label = LabelEstimatorTarget(estimator, n_classes, classes)
        self._by_class = _by_class(estimator)

    def answers(self, inputs: Any) -> Answers:
        """Return the margin of every class.

        Raises:
            TargetError: It fails, or these are not a finite number per record and class.
        """
        margins = array_of(self._asked(self._by_class.decision_function, inputs), "margins").astype(np.float64)
        if len(self.columns) == 2 and margins.shape in ((len(inputs),), (len(inputs), 1)):
            margins = np.column_stack([np.zeros(len(inputs)), margins])
        check_shape(margins.shape, len(inputs), len(self.columns), "margins")
        check_finite(margins, "margins")
        logits = np.repeat(margins.max(axis=1, keepdims=True) + np.log(LOG_FLOOR), self.n_classes, axis=1)
        logits[:, self.columns] = margins
        return Logits(logits)


def _by_class(estimator: Any) -> Any:
    """Return a copy of a classifier whose margins are a number per class, itself if they are."""
    last = last_step(estimator)
    if getattr(last, "decision_function_shape", "ovr") == "ovr":
        return estimator
    copied = deepcopy(estimator)
    last_step(copied).decision_function_shape = "ovr"
    return copied


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
                "several labels per record are not supported.",
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

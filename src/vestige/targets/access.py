"""What an attack gets: an object of exactly the access it declared, with nothing more in its public names."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from vestige.core.errors import BudgetError, TargetError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import (
    Answers,
    ConfidenceTarget,
    GradientTarget,
    Interface,
    LabelTarget,
    Part,
    RemoteInterface,
)
from vestige.targets.meter import Meter

ASK_FOR_LABELS = 'ask for access to labels (access = "label", --access label).'
"""The cure where a model gives no more than labels."""


def labels_only(interface: Interface) -> Interface:
    """Return an interface that answers with predicted labels; what follows it, kept answers too, holds no more.

    The label is the class of the largest number, the first of equal ones.
    """
    if isinstance(interface, RemoteInterface):
        return _RemoteLabels(interface)
    return _Labels(interface)


class _Labels:
    def __init__(self, interface: Interface) -> None:
        self._interface, self.n_classes = interface, interface.n_classes

    def answers(self, inputs: Any) -> PredictedLabels:
        return predicted_labels(self._interface.answers(inputs))


class _RemoteLabels(_Labels):
    def __init__(self, interface: RemoteInterface) -> None:
        super().__init__(interface)
        self._remote = interface

    @property
    def identity(self) -> str:
        return self._remote.identity

    def answers_in_parts(self, inputs: Any) -> Iterator[Part]:
        for part in self._remote.answers_in_parts(inputs):
            yield Part(part.rows, predicted_labels(part.answers), part.version, part.n_failed)


def predicted_labels(answers: Answers) -> PredictedLabels:
    """Return the predicted class of every answer: that of the largest number, the first of equal ones."""
    if isinstance(answers, PredictedLabels):
        return answers
    return PredictedLabels(answers.whole().argmax(axis=1))


def label_target(meter: Meter, attack: str) -> LabelTarget:
    """Return what a label-only attack gets.

    Its errors do not quote the model's either, which could tell a probability; the first of them is in
    `meter.failure`, for whoever runs the audit.
    """

    def labels(inputs: Any, records: np.ndarray) -> np.ndarray:
        failure: Exception
        try:
            answered = predicted_labels(meter.answers(inputs, records, attack))
            return answered.whole()
        except BudgetError:
            raise  # counts queries, and knows no answer
        except Exception as error:  # a function may raise anything, with an answer in it
            failure = error
        meter.failure = meter.failure or failure
        raise TargetError("Expected a label for every query, found that the model did not answer; the audit says why.")

    return _LabelView(meter.n_classes, labels)


def confidence_target(meter: Meter, attack: str) -> ConfidenceTarget:
    """Return what an attack on confidences gets."""
    return _ConfidenceView(meter, attack)


def gradient_target(meter: Meter, attack: str) -> GradientTarget:
    """Return what an attack on the parameters gets."""
    return _GradientView(meter, attack)


class _LabelView:
    __slots__ = ("_labels", "n_classes")

    def __init__(self, n_classes: int, labels: Callable[[Any, np.ndarray], np.ndarray]) -> None:
        self.n_classes, self._labels = n_classes, labels

    def labels(self, inputs: Any, records: np.ndarray) -> np.ndarray:
        return self._labels(inputs, records)


class _ConfidenceView:
    __slots__ = ("_attack", "_meter", "n_classes")

    def __init__(self, meter: Meter, attack: str) -> None:
        self._meter, self._attack, self.n_classes = meter, attack, meter.n_classes

    def answers(self, inputs: Any, records: np.ndarray) -> Logits | Probabilities:
        answers = self._meter.answers(inputs, records, self._attack)
        if isinstance(answers, PredictedLabels):
            raise TargetError(f"Expected a number per class, found predicted labels; {ASK_FOR_LABELS}")
        return answers


class _GradientView(_ConfidenceView):
    __slots__ = ()

    def gradient_norms(self, inputs: Any, labels: np.ndarray, records: np.ndarray) -> np.ndarray:
        return self._meter.gradient_norms(inputs, labels, records, self._attack)

    def last_layer_gradients(self, inputs: Any, labels: np.ndarray, records: np.ndarray) -> np.ndarray:
        return self._meter.last_layer_gradients(inputs, labels, records, self._attack)

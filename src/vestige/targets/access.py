"""What an attack gets: an object with the methods of its declared access, and without an attribute that is the model.

That keeps an attack honest by mistake, not one that means to cheat: Python hides nothing. Code that looks into frames,
into this module's globals, or at what the garbage collector knows reaches the model, and so does a callback that is
called while the model is asked. An attack that is not trusted belongs into a process without the model.
"""

from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import numpy as np

from vestige.core.errors import BudgetError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.records import Records
from vestige.core.targets import Answers, EmbeddingModel, QueryableModel
from vestige.targets.meter import Meter
from vestige.targets.preprocessing import changed_model

ASK_FOR_LABELS = 'ask for access to labels (access = "label", --access label).'
"""The cure where a model gives no more than labels."""


def labels_only(model: QueryableModel) -> QueryableModel:
    """Return a model that answers with predicted labels; what follows it, kept answers too, holds no more.

    The label is the class of the largest number, the first of equal ones.
    """
    return changed_model(model, after=predicted_labels)


def predicted_labels(answers: Answers) -> PredictedLabels:
    """Return the predicted class of every answer: that of the largest number, the first of equal ones."""
    if isinstance(answers, PredictedLabels):
        return answers
    return PredictedLabels(answers.whole().argmax(axis=1))


def embeddings_of(model: QueryableModel, records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return ids of records (their numbers without ids), and what a model's last linear layer is given for each.

    With access to this the parameters are known, so no query is counted.

    Raises:
        UnsupportedModelError: It is no torch module, or its last layer is no linear one.
        TargetError: It fails, or a number is not finite.
    """
    if not isinstance(model, EmbeddingModel):
        raise UnsupportedModelError(
            "Expected a torch module with a last layer for features, found a model that gives answers alone; train or "
            "audit such a module, or give the features themselves."
        )
    ids = np.arange(records.n_records) if records.ids is None else records.ids
    return ids, model.last_layer_inputs(records.inputs)


class _View:
    """What an attack is handed: it is itself whoever copies it, and stays in its process."""

    __slots__ = ("__weakref__", "n_classes")

    def __init__(self, meter: Meter, attack: str) -> None:
        self.n_classes = meter.n_classes
        _ASKED[self] = meter, attack

    def __copy__(self) -> "_View":
        return self

    def __deepcopy__(self, memo: Any) -> "_View":
        return self

    def __reduce__(self) -> NoReturn:
        raise UnsupportedModelError(
            "Expected a target to be asked in its own process, found it on its way to another or into a file; ask it "
            "here, and hand over the answers."
        )


_ASKED: WeakKeyDictionary[_View, tuple[Meter, str]] = WeakKeyDictionary()
"""What each view stands for: the model behind its meter, and the attack that asks."""


class MeteredLabels(_View):
    """What a label-only attack gets.

    It has no attribute that leads to the model; this module knows which one it stands for. Its errors do not quote the
    model's, which could tell a probability, and their traceback begins here; the first of them is in `meter.failure`,
    for whoever runs the audit.
    """

    __slots__ = ()

    def labels(self, inputs: Any, records: np.ndarray) -> np.ndarray:
        """Return the class of each input."""
        labels = _labels_or_why_not(self, inputs, records)
        if isinstance(labels, np.ndarray):
            return labels
        raise labels  # from here: the frames where it happened hold the model, and answers that are kept


class MeteredConfidences(_View):
    """What an attack on confidences gets; it holds as little."""

    __slots__ = ()

    def answers(self, inputs: Any, records: np.ndarray) -> Logits | Probabilities:
        """Return logits or probabilities of each input."""
        meter, attack = _ASKED[self]
        answers = meter.answers(inputs, records, attack)
        if isinstance(answers, PredictedLabels):
            raise TargetError(f"Expected a number per class, found predicted labels; {ASK_FOR_LABELS}")
        return answers


class MeteredGradients(MeteredConfidences):
    """What an attack on the parameters gets; it holds as little."""

    __slots__ = ()

    def gradient_norms(self, inputs: Any, labels: np.ndarray, records: np.ndarray) -> np.ndarray:
        """Return the norm of the gradient of each input's loss at its label."""
        meter, attack = _ASKED[self]
        return meter.gradient_norms(inputs, labels, records, attack)

    def last_layer_gradients(self, inputs: Any, labels: np.ndarray, records: np.ndarray) -> np.ndarray:
        """Return that gradient in the weights of the last layer."""
        meter, attack = _ASKED[self]
        return meter.last_layer_gradients(inputs, labels, records, attack)

    def margins(self, inputs: Any, labels: np.ndarray, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much the logit of each label is above the others, and that margin's gradient in the input."""
        meter, attack = _ASKED[self]
        return meter.margins(inputs, labels, records, attack)


def _labels_or_why_not(view: MeteredLabels, inputs: Any, records: np.ndarray) -> np.ndarray | TargetError:
    """Return labels, or an error that tells nothing of the answers and comes from nowhere."""
    meter, attack = _ASKED[view]
    try:
        return predicted_labels(meter.answers(inputs, records, attack)).whole()
    except BudgetError as error:
        return BudgetError(str(error))  # counts queries, and knows no answer
    except Exception as error:  # a function may raise anything, with an answer in it
        meter.failure = meter.failure or error
    return TargetError("Expected a label for every query, found that the model did not answer; the audit says why.")

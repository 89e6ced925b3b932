"""What may be asked of a model, by access, and where models come from.

A `ModelSource` opens a `QueryableModel`, which answers without counting queries. An attack never gets one: it gets a
target with exactly the access that it declared, where every query is counted for the record that it is about.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from vestige.core.outputs import Logits, PredictedLabels, Probabilities


class Access(StrEnum):
    """What a model answers, to an adversary who has it."""

    LABEL = "label"
    CONFIDENCE = "confidence"
    GRADIENTS = "gradients"


Answers = Logits | Probabilities | PredictedLabels
"""What a model answered, each kind of its own type: no softmax is applied twice, no label taken for a number."""


ClassNames = Sequence[str] | None
"""Names of the records' classes, by code; None if they have none."""


@runtime_checkable
class QueryableModel(Protocol):
    """A model as it answers."""

    @property
    def n_classes(self) -> int:
        """Number of classes; class k of every answer is the records' class k."""

    def answers(self, inputs: Any) -> Answers:
        """Answer for inputs as they are in the records, one answer each, in order.

        Raises:
            TargetError: It does not answer, or not with what it was said to answer with.
        """


@runtime_checkable
class GradientModel(QueryableModel, Protocol):
    """A model whose parameters are known too."""

    def gradient_norms(self, inputs: Any, labels: Int[np.ndarray, " record"]) -> Float[np.ndarray, " record"]:
        """Return the L2 norm of the gradient of each record's own cross-entropy, over all parameters.

        Source:
            Watson et al. 2022, eq. 2; evaluation mode, no regulariser.
        """

    def last_layer_gradients(
        self, inputs: Any, labels: Int[np.ndarray, " record"]
    ) -> Iterator[Float[np.ndarray, "some input class"]]:
        """Yield the gradient of each record's own cross-entropy in the last layer's weights, batch by batch.

        Raises:
            UnsupportedModelError: The logits are not what one linear layer gives.
        """


@runtime_checkable
class EmbeddingModel(QueryableModel, Protocol):
    """A model whose last layer's inputs can be read too."""

    def last_layer_inputs(self, inputs: Any) -> Float[np.ndarray, "record feature"]:
        """Return what the last linear layer is given for each record: its embedding, not scaled.

        Raises:
            UnsupportedModelError: The logits are not what one linear layer gives.
        """


@runtime_checkable
class MarginModel(QueryableModel, Protocol):
    """A model whose gradients in its inputs can be read."""

    def margins(
        self, inputs: Any, labels: Int[np.ndarray, " record"]
    ) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, "record feature"]]:
        """Return by how much the logit of each input's class is above the largest other one, and that one's gradient.

        Args:
            inputs: An array, of any shape behind the records.
            labels: A class for each.

        Returns:
            The margin, below 0 where the model decides otherwise, and its gradient in the input, flattened.

        Raises:
            TargetError: It fails, or a number is not finite.
        """


@dataclass(frozen=True, eq=False)
class AnswerBatch:
    """Some of the answers that were asked for, as they arrived.

    Attributes:
        rows: Positions of their inputs among those that were asked about.
        answers: One for each of them, in the order of `rows`.
        version: Version of the model that answered; empty if it does not say.
        n_failed: Requests that were sent for this part and gave no answer.
    """

    rows: Int[np.ndarray, " answer"]
    answers: Answers
    version: str = ""
    n_failed: int = 0


@runtime_checkable
class Allowance(Protocol):
    """Queries that may be sent, counted before they are; from any thread."""

    def take(self, n_queries: int) -> None:
        """Count queries that are about to be sent, each time that they are.

        Raises:
            BudgetError: There is no budget for them; they must not be sent.
        """

    def give_back(self, n_queries: int) -> None:
        """Count queries no longer that were taken, but surely never reached the model."""


@runtime_checkable
class RemoteModel(QueryableModel, Protocol):
    """A model that is far away: answers come in parts, and each is kept as soon as it is there."""

    @property
    def identity(self) -> str:
        """Which model this is, without anything secret: answers that were kept belong to this one."""

    def answers_in_batches(self, inputs: Any, allowance: Allowance | None = None) -> Iterator[AnswerBatch]:
        """Answer as `answers` does, in any order, each part as soon as it is there.

        Args:
            inputs: As of `answers`.
            allowance: What queries are taken from before they are sent, and before they are sent again.

        Raises:
            BudgetError: The allowance is spent.
            TargetError: It does not answer. Parts that were given before stay answered.
        """


@runtime_checkable
class ModelSource(Protocol):
    """A model that is elsewhere, in a file or behind an address, and how to reach it."""

    def open_model(self, n_classes: int, classes: ClassNames = None) -> QueryableModel:
        """Return the opened model.

        Args:
            n_classes: Classes of the records it is asked about.
            classes: Their names, if they have some.

        Raises:
            InputError: It is not what it was said to be.
            UnsupportedModelError: This kind of model cannot be used so.
            TargetError: It cannot be reached.
        """


@runtime_checkable
class LabelTarget(Protocol):
    """What a label-only attack gets: the class that the model decides for, and nothing else."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    def labels(self, inputs: Any, records: Int[np.ndarray, " query"]) -> Int[np.ndarray, " query"]:
        """Return the class of each input.

        Args:
            inputs: As they are in the records, or perturbed within the declared ranges.
            records: Which record of the audit each query is about, for the ledger.

        Raises:
            TargetError: The model does not answer.
            BudgetError: There is no budget for so many queries; none of them was asked.
        """


@runtime_checkable
class ConfidenceTarget(Protocol):
    """What an attack on confidences gets: a number per class."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""

    def answers(self, inputs: Any, records: Int[np.ndarray, " query"]) -> Logits | Probabilities:
        """Return logits or probabilities of each input; arguments and errors as `LabelTarget.labels`."""


@runtime_checkable
class GradientTarget(ConfidenceTarget, Protocol):
    """What an attack on the parameters gets."""

    def gradient_norms(
        self, inputs: Any, labels: Int[np.ndarray, " query"], records: Int[np.ndarray, " query"]
    ) -> Float[np.ndarray, " query"]:
        """Return the norm of the gradient of each input's loss at its label; `records` as `LabelTarget.labels`."""

    def last_layer_gradients(
        self, inputs: Any, labels: Int[np.ndarray, " query"], records: Int[np.ndarray, " query"]
    ) -> Float[np.ndarray, "query input class"]:
        """Return that gradient in the weights of the last layer."""


@runtime_checkable
class MarginTarget(Protocol):
    """What an attack gets that follows a model's gradients in its inputs."""

    def margins(
        self, inputs: Any, labels: Int[np.ndarray, " query"], records: Int[np.ndarray, " query"]
    ) -> tuple[Float[np.ndarray, " query"], Float[np.ndarray, "query feature"]]:
        """Return margins and gradients as `MarginModel.margins`; `records` and errors as `LabelTarget.labels`."""

"""Wrappers directly around a model: they check and prepare its inputs, and may reduce its answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from jaxtyping import Float, Int
from numpy import ndarray

from vestige.core.answer_defence import AnswerDefence
from vestige.core.inputs import InputSpace
from vestige.core.targets import (
    Allowance,
    AnswerBatch,
    Answers,
    EmbeddingModel,
    GradientModel,
    MarginModel,
    QueryableModel,
    RemoteModel,
)


def _as_they_are(values: Any) -> Any:
    return values


def prepared_model(model: QueryableModel, space: InputSpace) -> QueryableModel:
    """Return a model that is asked about inputs as they are in the records.

    It gives what the one behind it gives and no more: gradients, and the inputs of the last layer, only if that one has
    some, answers in parts only if that one is far away. Everything is checked before anything is asked.

    Args:
        model: The model.
        space: What its inputs may be, and how it is given them.
    """
    if space.declares_nothing:
        return model

    def prepared(inputs: Any) -> Any:
        space.check(inputs)
        return inputs if space.changes_nothing else space.prepared(inputs)

    if isinstance(model, GradientModel):
        changed = _ChangedEmbeddings if isinstance(model, EmbeddingModel) else _ChangedGradients
        if isinstance(model, MarginModel) and space.changes_nothing:  # else it is no gradient in the records
            changed = _ChangedMargins
        return changed(model, prepared, _as_they_are)
    return changed_model(model, before=prepared)


def changed_model(
    model: QueryableModel,
    *,
    before: Callable[[Any], Any] = _as_they_are,
    after: Callable[[Any], Answers] = _as_they_are,
) -> QueryableModel:
    """Return a model that changes the inputs or the answers of another, without the gradients of that one.

    Args:
        model: The model. If it is far away, so is what is returned.
        before: From inputs to those that the model is given.
        after: From the model's answers to those that are given.
    """
    return (_ChangedRemote if isinstance(model, RemoteModel) else _Changed)(model, before, after)


def defended(model: QueryableModel, defence: AnswerDefence) -> QueryableModel:
    """Return a model behind a defence of its answers, without gradients: those of the model itself are undefended.

    Args:
        model: The model. If it is far away, so is what is returned.
        defence: The defence; it sees each answer by itself, so parts may come in any order.

    Example:
        >>> import numpy as np
        >>> from vestige.defences import TopK
        >>> from vestige.targets.objects.function import FunctionTarget
        >>> model = FunctionTarget(lambda inputs: np.array([[0.1, 0.7, 0.2]]), 3)
        >>> defended(model, TopK(1)).answers(np.zeros((1, 2))).whole().round(2)
        array([[0.15, 0.7 , 0.15]])
    """
    return changed_model(model, after=defence)


class _Changed:
    def __init__(self, model: Any, before: Callable[[Any], Any], after: Callable[[Any], Answers]) -> None:
        self._model, self._before, self._after, self.n_classes = model, before, after, model.n_classes

    def answers(self, inputs: Any) -> Answers:
        """Answer as the model behind does; InputError if the inputs are none that were declared."""
        return self._after(self._model.answers(self._before(inputs)))


class _ChangedGradients(_Changed):
    def gradient_norms(self, inputs: Any, labels: Int[ndarray, " record"]) -> Float[ndarray, " record"]:
        """Return the norms of the model behind; preparing has no parameters of its own."""
        norms: ndarray = self._model.gradient_norms(self._before(inputs), labels)
        return norms

    def last_layer_gradients(
        self, inputs: Any, labels: Int[ndarray, " record"]
    ) -> Iterator[Float[ndarray, "some input class"]]:
        """Yield the gradients of the model behind."""
        batches: Iterator[ndarray] = self._model.last_layer_gradients(self._before(inputs), labels)
        return batches


class _ChangedEmbeddings(_ChangedGradients):
    def last_layer_inputs(self, inputs: Any) -> Float[ndarray, "record feature"]:
        """Return the last layer's inputs of the model behind."""
        features: ndarray = self._model.last_layer_inputs(self._before(inputs))
        return features


class _ChangedMargins(_ChangedEmbeddings):
    def margins(
        self, inputs: Any, labels: Int[ndarray, " record"]
    ) -> tuple[Float[ndarray, " record"], Float[ndarray, "record feature"]]:
        """Return the margins of the model behind, which is given the inputs as they are."""
        found: tuple[ndarray, ndarray] = self._model.margins(self._before(inputs), labels)
        return found


class _ChangedRemote(_Changed):
    @property
    def identity(self) -> str:
        """That of the model behind."""
        return str(self._model.identity)

    def answers_in_batches(self, inputs: Any, allowance: Allowance | None = None) -> Iterator[AnswerBatch]:
        """Answer as the model behind does; inputs are checked when this is called, not when a part is taken."""
        parts = self._model.answers_in_batches(self._before(inputs), allowance)
        return (replace(part, answers=self._after(part.answers)) for part in parts)

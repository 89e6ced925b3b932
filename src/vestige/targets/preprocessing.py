"""A model in front of which inputs are checked and become what it was trained on."""

from collections.abc import Iterator
from typing import Any

from jaxtyping import Float, Int
from numpy import ndarray

from vestige.core.inputs import InputSpace
from vestige.core.targets import Allowance, Answers, GradientInterface, Interface, Part, RemoteInterface


def prepared_interface(interface: Interface, space: InputSpace) -> Interface:
    """Return an interface that is asked about inputs as they are in the records.

    It gives what the one behind it gives and no more: gradients only if that one has some, answers in parts only if
    that one is far away. Everything is checked before anything is asked.

    Args:
        interface: The model.
        space: What its inputs may be, and how it is given them.
    """
    if space.declares_nothing:
        return interface
    if isinstance(interface, RemoteInterface):
        return _PreparedRemote(interface, space)
    if isinstance(interface, GradientInterface):
        return _PreparedGradients(interface, space)
    return _Prepared(interface, space)


class _Prepared:
    def __init__(self, interface: Interface, space: InputSpace) -> None:
        self._interface, self._space, self.n_classes = interface, space, interface.n_classes

    def answers(self, inputs: Any) -> Answers:
        """Answer as the model behind does; InputError if the inputs are none that were declared."""
        return self._interface.answers(_checked(inputs, self._space))


class _PreparedGradients(_Prepared):
    def __init__(self, interface: GradientInterface, space: InputSpace) -> None:
        super().__init__(interface, space)
        self._white = interface

    def gradient_norms(self, inputs: Any, labels: Int[ndarray, " record"]) -> Float[ndarray, " record"]:
        """Return the norms of the model behind; preparing has no parameters of its own."""
        return self._white.gradient_norms(_checked(inputs, self._space), labels)

    def last_layer_gradients(
        self, inputs: Any, labels: Int[ndarray, " record"]
    ) -> Iterator[Float[ndarray, "some input class"]]:
        """Yield the gradients of the model behind."""
        return self._white.last_layer_gradients(_checked(inputs, self._space), labels)


class _PreparedRemote(_Prepared):
    def __init__(self, interface: RemoteInterface, space: InputSpace) -> None:
        super().__init__(interface, space)
        self._remote = interface

    @property
    def identity(self) -> str:
        """That of the model behind."""
        return self._remote.identity

    def answers_in_parts(self, inputs: Any, allowance: Allowance | None = None) -> Iterator[Part]:
        """Answer as the model behind does; inputs are checked when this is called, not when a part is taken."""
        return self._remote.answers_in_parts(_checked(inputs, self._space), allowance)


def _checked(inputs: Any, space: InputSpace) -> Any:
    space.check(inputs)
    return inputs if space.changes_nothing else space.prepared(inputs)

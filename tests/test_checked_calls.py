"""Types are checked at calls 1, 2, 4, 8 … of a function in each test, and Vestige's functions are wrapped so."""

import json
from dataclasses import dataclass

import beartype
import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError
from tests import checked_calls

from vestige.attacks._log_means import log_confidence


def checks_some(made):
    return checked_calls._jaxtyped(typechecker=beartype.beartype)(made)


def of_refused(call, *, n: int) -> list[int]:
    """Which of n wrong calls were refused."""
    found = []
    for i in range(1, n + 1):
        try:
            call()
        except TypeCheckError:
            found.append(i)
    return found


def test_a_wrong_shape_or_kind_is_refused_at_the_first_second_fourth_and_eighth_call():
    @checks_some
    def both(a: Float[np.ndarray, " record"], b: Float[np.ndarray, " record"]) -> float:
        return 0.0

    assert of_refused(lambda: both(np.zeros(2), np.zeros(3)), n=10) == [1, 2, 4, 8]
    checked_calls.begin_test()
    assert of_refused(lambda: both(np.zeros(2), np.zeros(2, dtype=int)), n=3) == [1, 2]


def test_what_comes_back_is_checked():
    @checks_some
    def wrong() -> Float[np.ndarray, " record"]:
        return np.zeros((2, 2))

    assert of_refused(wrong, n=3) == [1, 2]


def test_methods_properties_and_fields_are_checked():
    class Plain:
        @checks_some
        def method(self) -> int:
            return "x"  # type: ignore[return-value]

        @checks_some
        @classmethod
        def of_class(cls) -> int:
            return "x"  # type: ignore[return-value]

        @checks_some
        @staticmethod
        def alone() -> int:
            return "x"  # type: ignore[return-value]

        @checks_some  # type: ignore[prop-decorator]
        @property
        def read(self) -> int:
            return "x"  # type: ignore[return-value]

    @checks_some
    @dataclass(frozen=True)
    class Field:
        n: int

    @checks_some
    @dataclass(frozen=True)
    class Further(Field):
        x: float = 0.0

    plain, word = Plain(), json.loads('"x"')  # of a kind that mypy does not know
    for call in (
        plain.method,
        Plain.of_class,
        Plain.alone,
        lambda: plain.read,
        lambda: Field(word),
        lambda: Further(1, word),
    ):
        assert of_refused(call, n=3) == [1, 2]
    assert Further(1, 2.0) == Further(1, 2.0)


def test_functions_of_vestige_are_wrapped():
    with pytest.raises(TypeCheckError):
        log_confidence(np.zeros((2, 2)))

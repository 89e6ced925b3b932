"""Shared ways to refuse: the first problem is told, and errors of libraries become one line."""

import pytest

from vestige.core.errors import InputError, OutputError, TargetError, refuse_if, refusing


def test_the_first_problem_that_there_is_is_told():
    refuse_if((False, "one"), ([], "two"), (None, "three"))
    with pytest.raises(InputError, match=r"^two$"):
        refuse_if((0, "one"), (["x"], "two"), (True, "three"))
    with pytest.raises(TargetError, match=r"^one$"):
        refuse_if((True, "one"), kind=TargetError)


def test_what_a_library_raises_is_told_as_one_error_without_its_context():
    with (
        pytest.raises(InputError, match=r"^Expected 1, found 2\.$") as caught,
        refusing(KeyError, "Expected 1, found 2."),
    ):
        dict[str, int]()["secret"]
    assert caught.value.__suppress_context__
    with pytest.raises(InputError, match=r"^it said 7$"), refusing((OSError, ValueError), lambda e: f"it said {e}"):
        raise ValueError(7)


def test_own_errors_and_others_go_through():
    for error in (OutputError("mine"), InputError("mine"), KeyError("other")):
        with pytest.raises(type(error), match=r"mine|other"), refusing((OSError, ValueError), "told"):
            raise error

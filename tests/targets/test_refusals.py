"""What a library says of a file is told in one line, without its stack."""

import sys
from pathlib import Path

import pytest

from vestige.core.errors import TargetError
from vestige.targets.refusals import answered, damaged, missing_package, reason, unanswered


@pytest.mark.parametrize("make", [lambda e: damaged(Path("/secret/m.onnx"), "a graph", e), unanswered])
def test_a_stack_and_the_lines_of_a_message_are_no_part_of_ours(make):
    said = str(make(ValueError("It is\n  broken\nStack trace:\n [bt] (0) lib.so")))
    assert "It is broken" in said
    assert "\n" not in said
    assert "lib.so" not in said
    assert "/secret" not in said


def test_an_error_without_words_is_named_by_its_type():
    assert reason(KeyError()) == "KeyError"


def test_a_missing_package_comes_with_its_extra():
    assert str(missing_package("onnxruntime", "an ONNX file", "onnx")) == (
        "Expected the package onnxruntime for an ONNX file, found none; pip install 'onnx>=1.18' 'onnxruntime>=1.22'."
    )


def test_a_model_cannot_end_the_audit_with_its_own_exit_code():
    """An audit that a gate takes for passed would be worse than one that failed."""
    with pytest.raises(TargetError, match="that it failed: SystemExit: 0; give records like those"):
        answered(sys.exit, 0)

"""The checks that only report a count."""

import numpy as np
import pytest

from vestige.core.result import Validity
from vestige.evaluation.preflight import (
    constant_answers,
    rounded_probabilities,
    shadow_overlap,
    subjects_on_both_sides,
)


def test_shadow_records_among_the_targets_limit():
    check = shadow_overlap(np.arange(10), np.arange(8, 20))
    assert check is not None
    assert check.validity is Validity.LIMITED
    assert "2 of the shadow model's 12 records" in check.message
    assert "its own" in check.remedy


@pytest.mark.parametrize("shadow", [np.array(["7", "x"]), np.array(["7", "x"], dtype=object), ["7", "x"]])
def test_numbers_and_text_are_the_same_ids(shadow):
    check = shadow_overlap(np.array([7, 8]), shadow)
    assert check is not None
    assert check.validity is Validity.LIMITED


def test_shadow_overlap_needs_both_sides():
    assert shadow_overlap(None, np.arange(3)) is None
    assert shadow_overlap(np.arange(3), None) is None
    own = shadow_overlap(np.arange(3), np.arange(3) + 3)
    assert own is not None
    assert own.validity is Validity.VALID


def test_subjects_on_both_sides_limit():
    assert subjects_on_both_sides(0, 0) is None
    check = subjects_on_both_sides(3, 1200)
    assert check is not None
    assert check.validity is Validity.LIMITED
    assert "3 subjects" in check.message
    assert "1,200 records" in check.message
    assert "subject" in check.remedy


def test_rounded_probabilities_limit():
    assert rounded_probabilities("") is None
    check = rounded_probabilities("2 decimals")
    assert check is not None
    assert check.validity is Validity.LIMITED
    assert "2 decimals" in check.message
    assert "digits" in check.remedy


def test_probabilities_of_half_precision_are_called_so():
    check = rounded_probabilities("bfloat16")
    assert check is not None
    assert "rounded to bfloat16" in check.message
    assert "softmax in float32" in check.remedy


@pytest.mark.parametrize(("n_same", "said"), [(1000, "All of 1,000 records"), (995, "995 of 1,000 records")])
def test_one_answer_for_all_records_or_nearly_all_limits(n_same, said):
    answers = np.where(np.arange(1000) < n_same, 7, np.arange(1000))
    for order in (slice(None), slice(None, None, -1)):
        check = constant_answers(answers[order])
        assert check is not None
        assert check.validity is Validity.LIMITED
        assert said in check.message
        assert "Is the export or the model broken?" in check.remedy


def test_answers_that_repeat_are_not_constant():
    assert constant_answers(np.arange(1000) % 2) is None  # a stump has two
    assert constant_answers(np.where(np.arange(1000) < 985, 0, 1)) is None  # a rare class

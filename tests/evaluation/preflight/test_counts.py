"""The checks that only report a count."""

import numpy as np
import pytest

from vestige.core.result import Validity
from vestige.evaluation.preflight import (
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
    assert rounded_probabilities(None) is None
    check = rounded_probabilities(2)
    assert check is not None
    assert check.validity is Validity.LIMITED
    assert "2 decimals" in check.message
    assert "digits" in check.remedy

"""Answers that are no answers are refused, with the number of the record."""

import numpy as np
import pytest

from vestige.core.errors import TargetError
from vestige.targets.refusals import check_finite, check_shape


def test_answers_pass_as_they_are():
    for answers in (np.ones((2, 3)), np.empty((0, 3))):
        check_shape(answers.shape, len(answers), 3, "logits")
        check_finite(answers, "logits")


def test_the_shape_is_records_by_classes():
    with pytest.raises(TargetError, match=r"logits of shape \(2, 3\), a row per record .* found \(3, 2\)"):
        check_shape((3, 2), 2, 3, "logits")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_record_that_is_not_finite_is_named(bad):
    answers = np.zeros((5, 2))
    answers[3:, 1] = bad
    with pytest.raises(TargetError, match="finite losses, found NaN or infinity, first for record 4"):
        check_finite(answers, "losses")
    with pytest.raises(TargetError, match="first for record 1,004"):
        check_finite(answers[:, 1], "losses", first=1000)


def test_a_model_with_more_classes_than_have_records_is_met_with_the_way_to_name_them():
    with pytest.raises(
        TargetError, match=r"as there are classes, or name all of them \(classes in \[data\], or of Rec"
    ):
        check_shape((2, 4), 2, 3, "logits")

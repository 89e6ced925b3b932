"""A model that holds training rows is said to, with how many and where."""

from vestige.core.result import Validity
from vestige.evaluation.preflight import stored_training_rows


def test_a_model_without_rows_needs_no_check():
    assert stored_training_rows([]) is None


def test_rows_that_stand_in_the_model_are_counted():
    check = stored_training_rows([("KNeighborsClassifier", 1200, 120)])
    assert check is not None
    assert check.validity is Validity.LIMITED
    assert check.message == (
        "The model itself holds 1,200 training rows (KNeighborsClassifier); 120 of the audited records stand in it as "
        "they are."
    )
    assert "needs no attack" in check.remedy


def test_rows_that_were_transformed_are_said_to_be():
    check = stored_training_rows([("SVC", 30, 0)])
    assert check is not None
    assert check.validity is Validity.LIMITED
    assert "30 training rows (SVC); none of the audited records stands in it as it is" in check.message


def test_rows_of_several_parts_are_not_added():
    check = stored_training_rows([("SVC", 30, 30), ("KNN", 40, 35), ("KNN", 50, 45)])
    assert check is not None
    assert check.message.startswith(
        "The model itself holds training rows (30 in SVC, up to 50 in each of 2 KNN); at least 45 of the audited"
    )


def test_the_first_parts_of_many_are_named():
    check = stored_training_rows([(f"Part{k}", k, 0) for k in range(1, 9)])
    assert check is not None
    assert "5 in Part5 and 3 more" in check.message

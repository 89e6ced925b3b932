"""What `masked_answers_study` counted: honest models are flagged in 5 % at most, and a plainer test would not do."""

import json

import pytest
from tests.evaluation.preflight.masked_answers_study import DATA, DRAWS, MODELS, RESULTS, count

ROWS = json.loads(RESULTS.read_text(encoding="utf-8"))


def total(name: str) -> int:
    return sum(int(row[name]) for row in ROWS)


def test_honest_models_are_flagged_in_5_percent_at_most():
    assert {(row["data"], row["model"]) for row in ROWS} == {(data, model) for data in DATA for model in MODELS}
    assert total("models") == DRAWS * len(DATA) * len(MODELS) >= 200
    assert total("check") <= 0.05 * total("models")
    assert {row["model"] for row in ROWS if row["check"]} <= {"tree, depth 6"}


def test_a_test_against_the_whole_gap_would_flag_too_many():
    assert total("literal") > 0.05 * total("models")


@pytest.mark.parametrize(("data", "model"), [("3 classes", "tree, depth 6"), ("digits", "logistic regression")])
def test_a_row_again(data, model):
    [stored] = [row for row in ROWS if (row["data"], row["model"]) == (data, model)]
    found = count(data, model)
    assert found["models"] == stored["models"]
    assert abs(found["check"] - stored["check"]) <= 1  # of another release of a library

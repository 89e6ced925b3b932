import ast
from pathlib import Path

import pytest

import vestige
from vestige.report import wording
from vestige.report.rows import Cell


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("needs 100,000 nonmembers", "needs 100,000"),
        ("TPR at FPR 0.001; 10 expected false positives need n >= 10000 nonmembers.", "needs 10,000"),
        ("fewer than 10 expected: at FPR 0.001 it needs 10,000, not 3,000", "needs 10,000"),
        ("", "not resolvable"),
    ],
)
def test_the_n_needed_is_read_from_the_definition(definition, expected):
    assert wording.needed(Cell(status="not_resolvable", definition=definition)) == expected


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ("oracle", "Oracle, the best threshold on the target itself"),
        ("shadow_global", "Shadow model, one threshold for all"),
        ("known_half_fpr_0.001", "Known half, set for 0.1% false positives"),
        ("shadow_new_rule", "Shadow model, new rule"),
        ("any", "Any"),
    ],
)
def test_rules_in_words(threshold, words):
    assert wording.rule(threshold) == words


def test_an_interval_has_the_decimals_of_its_rate():
    assert wording.percent_bounds(Cell(value=0.0012, lower=0.0004, upper=0.021)) == "0.04–2.10%"
    assert wording.percent_bounds(Cell(value=0.0012)) == ""


def test_every_check_that_may_doubt_the_test_names_its_cure():
    """A `Check` without a fourth argument is one that is VALID, whatever was seen."""
    source = Path(vestige.__file__).parent
    calls = [
        call
        for path in source.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Check"
    ]
    assert len(calls) > 30
    for call in calls:
        assert len(call.args) + len(call.keywords) == 4 or ast.unparse(call.args[1]) == "Validity.VALID"

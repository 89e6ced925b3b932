"""No check may hang on the order of rows: the same records in another order get the same answers, to the last digit.

Files have members first; whatever counts rows there (codes by first appearance, draws by position) reads membership.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.evaluation.preflight import honest
from tests.evaluation.preflight.honest import TABLES, HonestAudit, all_checks, honest_audit, honest_table

from vestige import Predictions, References, audit
from vestige.core.outputs import Phi, Probabilities
from vestige.core.result import Validity
from vestige.evaluation import preflight
from vestige.evaluation.preflight import row_hashes
from vestige.evaluation.preflight.features import encode

BY_MODEL = ("scores", "shadow_phi", "is_in")  # records on the second axis
WITHOUT_RECORDS = {"behaviour", "row_hashes", "stored_training_rows"}


def in_order(found: HonestAudit, order: np.ndarray, rng: np.random.Generator) -> HonestAudit:
    """The same records in another order; people are numbered anew, as they are by first appearance."""
    columns: dict[str, Any] = {}
    for field in fields(found):
        values = getattr(found, field.name)
        if isinstance(values, pd.DataFrame):
            columns[field.name] = values.iloc[order].reset_index(drop=True)
        elif values is not None:
            columns[field.name] = values[:, order] if field.name in BY_MODEL else values[order]
    if found.units is not None:
        columns["units"] = rng.permutation(found.units.max() + 1)[columns["units"]]
    return replace(found, **columns)


def orders(member: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    inside, outside = np.flatnonzero(member), np.flatnonzero(~member)
    return {
        "members first": np.concatenate([inside, outside]),
        "nonmembers first": np.concatenate([outside, inside]),
        "permuted within": np.concatenate([rng.permutation(inside), rng.permutation(outside)]),
        "permuted across": rng.permutation(member.size),
    }


def confounded(rng: np.random.Generator) -> HonestAudit:
    """Copies, another distribution, swapped classes: numbers that a wrong order would move."""
    found = honest_table("text", 200, rng)
    table = found.inputs.copy()
    table.iloc[150:] = table.iloc[:50].to_numpy()
    answers = found.answers.copy()
    answers[150:] = answers[:50]
    swapped = np.array([0, 2, 1])[found.labels]
    return replace(found, inputs=table.assign(age=table["age"] + 9 * found.member), answers=answers, predicted=swapped)


DESIGNS: dict[str, Callable[[np.random.Generator], HonestAudit]] = {
    **{kind: partial(honest_table, kind, 120) for kind in TABLES},
    "subjects": lambda rng: honest_audit(60, True, rng),
    "confounded": confounded,
}


@pytest.mark.parametrize("design", DESIGNS)
def test_every_check_says_the_same_in_any_order(design):
    rng = np.random.default_rng(0)
    found = DESIGNS[design](rng)
    expected = all_checks(found, seed=1)
    assert any(check.validity is not Validity.VALID for check in expected) == (design == "confounded")
    for name, order in orders(found.member, rng).items():
        assert all_checks(in_order(found, order, rng), seed=1) == expected, name


def test_the_law_is_asked_of_every_check():
    source = Path(honest.__file__).read_text(encoding="utf-8")
    assert [
        name for name in preflight.__all__ if f"preflight.{name}(" not in source and name not in WITHOUT_RECORDS
    ] == []


def test_a_whole_audit_says_the_same_in_any_order():
    rng = np.random.default_rng(2)
    found = honest_table("text", 200, rng)
    people = np.arange(200) // 2 % 50 + 50 * ~found.member
    found = replace(found, units=people)
    expected = None
    for order in [np.arange(200), *orders(found.member, rng).values()]:
        ids = np.arange(200)[order]
        target = Predictions(
            Probabilities(found.answers[order]), (found.labels > 0)[order].astype(int), found.member[order], ids=ids,
            subjects=people[order], inputs=found.inputs.iloc[order].reset_index(drop=True),
            order={"visit": found.visit[order]},
        )  # fmt: skip
        references = References(Phi, found.shadow_phi[:-1], found.is_in[:-1], ids=np.arange(200))
        checks = audit(target, adversary=references).preflight.checks
        expected = expected or checks
        assert checks == expected


@pytest.mark.parametrize("levels", [10_000, 600, 200, 50])
@pytest.mark.parametrize("members_first", [True, False])
def test_a_text_of_many_levels_confounds_no_honest_split(levels, members_first):
    flagged = 0
    for seed in range(4):
        rng = np.random.default_rng([seed, levels])
        member = np.arange(600) < 300
        if not members_first:
            member = rng.permutation(member)
        table = pd.DataFrame({"age": rng.normal(size=600), "city": [f"k{i}" for i in rng.integers(0, levels, 600)]})
        labels = rng.integers(0, 2, 600)
        flagged += preflight.blind_inputs(table, labels, member, None, seed).validity is not Validity.VALID
    assert flagged <= 1


def test_a_text_that_tells_membership_still_confounds():
    rng = np.random.default_rng(0)
    member = np.arange(600) < 300
    city = np.where(member, "north ", "south ") + rng.integers(0, 400, 600).astype(str).astype(object)
    table = pd.DataFrame({"city": city})
    assert preflight.blind_inputs(table, np.zeros(600, int), member, None, 0).validity is Validity.CONFOUNDED


def test_codes_are_by_frequency_and_then_by_text():
    frame = pd.DataFrame({"a": ["z", "b", "b", "c", "a", None]})
    codes = encode(frame, np.zeros(6, int), np.arange(6), 0).for_trees[:, 0]
    np.testing.assert_array_equal(codes, [3, 0, 0, 2, 1, np.nan])


def test_hashes_of_text_hang_on_the_text_alone():
    values = np.array(["x", None, 1, 1.0, True, 2.5, "1"], dtype=object)
    hashes = row_hashes(pd.DataFrame({"a": values}))
    order = np.random.default_rng(0).permutation(values.size)
    np.testing.assert_array_equal(row_hashes(pd.DataFrame({"a": values[order]})), hashes[order])
    assert hashes[2] == hashes[3] == hashes[4] != hashes[6]
    assert np.unique(hashes).size == 5

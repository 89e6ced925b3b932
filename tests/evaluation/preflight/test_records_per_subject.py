"""The number of records per person: unequal sides are flagged, equal ones are not."""

from math import sqrt

import numpy as np
import pytest

from vestige.core.result import Validity
from vestige.evaluation.preflight.records_per_subject import LEVEL, records_per_subject


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("members", "nonmembers", "validity"),
    [
        ((1, 4), (10, 21), Validity.CONFOUNDED),
        ((1, 4), (3, 12), Validity.LIMITED),
        ((1, 11), (1, 31), Validity.LIMITED),
        ((2, 3), (1, 4), Validity.LIMITED),  # as many on average, spread otherwise
    ],
)
def test_unequal_sides_are_flagged_whatever_the_order(members, nonmembers, validity, swapped):
    rng = np.random.default_rng(0)
    counts = np.concatenate([rng.integers(low, high, size=150) for low, high in (members, nonmembers)])
    member = (np.arange(300) < 150) != swapped
    check = records_per_subject(counts, member)
    assert check.validity is validity
    assert "same number of records" in check.remedy
    order = rng.permutation(300)
    assert records_per_subject(counts[order], member[order]) == check


def test_twice_as_many_say_how_many_could_be_compared():
    counts = np.concatenate([np.tile([1, 2, 3, 4], 25), 2 * np.tile([1, 2, 3, 4], 25)])
    check = records_per_subject(counts, np.arange(200) < 100)
    assert "50 members and 50 nonmembers; the other 100 were left out" in check.message
    assert "2.5 records each and nonmembers 5.0" in check.message


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: np.full(n, 4),
        lambda rng, n: rng.geometric(0.2, size=n),
        lambda rng, n: 1 + rng.lognormal(4, 1.5, size=n).astype(np.int64),
        lambda rng, n: np.where(rng.random(n) < 0.02, 30, 1),  # few people with many: no approximation holds
    ],
)
@pytest.mark.parametrize("n_members", [8, 60])
def test_honest_splits_are_not_flagged(draw, n_members):
    rng = np.random.default_rng(n_members)
    flagged = 0
    for _ in range(400):
        counts = draw(rng, 120)
        flagged += records_per_subject(counts, rng.permutation(120) < n_members).validity is not Validity.VALID
    assert flagged / 400 <= LEVEL + 3 * sqrt(LEVEL / 400)

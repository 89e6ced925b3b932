"""Numbers of fifteen audits from stored answers stay what they were, to 1e-12."""

import numpy as np
import pytest
from tests.auditing.pinned.audits import STORED, TABLES, numbers_of
from tests.auditing.pinned.compare import differences


@pytest.fixture(scope="module")
def tables():
    with np.load(TABLES) as stored:
        return dict(stored.items())


@pytest.mark.parametrize("name", STORED)
def test_the_numbers_of_an_audit_stay(name, tables):
    before = {key.removeprefix(f"{name}/"): values for key, values in tables.items() if key.startswith(f"{name}/")}
    assert sum(values.size for values in before.values()) > 500
    assert differences(before, numbers_of(STORED[name]())) == []


def test_a_number_that_moves_is_seen(tables):
    before = {key.removeprefix("people/"): values for key, values in tables.items() if key.startswith("people/")}
    moved = before | {"results:value": before["results:value"] * (1 + 1e-10)}
    lost = {key: values for key, values in before.items() if key != "records:loss"}
    renamed = before | {"results:key": np.char.replace(before["results:key"], "loss", "lost")}
    assert all(differences(before, other) for other in (moved, lost, renamed))
    assert differences(before, dict(before)) == []

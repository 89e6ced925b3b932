import json

import pytest
from tests.auditing.known_half_study import RESULTS, study


@pytest.mark.parametrize("row", json.loads(RESULTS.read_text()), ids=lambda r: f"{r['threshold']} {r['metric']}")
def test_the_stored_study_keeps_the_bar(row):
    assert row["draws"] >= 5_000
    assert 0.93 <= row["coverage"] <= 0.99


def test_a_quick_look():
    for row in study(1.0, 200, n_draws=150, seed=1):
        assert row["coverage"] >= 0.93 - 3 * (0.95 * 0.05 / 150) ** 0.5

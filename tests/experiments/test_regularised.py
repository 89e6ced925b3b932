"""What is concluded of adversarial regularisation and early stopping, and that what is stored has it."""

import pandas as pd
import pytest
from tests.experiments.regularised import SETTINGS, STRENGTHS, beside, stored, verdict, verdict_of

from vestige.auditing.comparison.rates import RATE
from vestige.papers.reproduction.verdicts import Verdict

WORSE, OPEN, BETTER = ({"gain": gain} for gain in ([-0.1, -0.2, 0.0], [0.1, -0.1, 0.3], [0.2, 0.1, 0.3]))
ALONE: dict[str, list[float]] = {}


@pytest.mark.parametrize(
    ("entry", "concluded"),
    [
        (WORSE, Verdict.HOLDS),
        (OPEN, Verdict.UNDECIDED),
        (BETTER, Verdict.CONTRADICTED),
        (ALONE, Verdict.NOT_COMPARABLE),
    ],
)
def test_what_a_strength_says(entry, concluded):
    assert verdict_of(entry) == verdict([entry]) == concluded


def test_one_better_strength_contradicts_and_one_open_one_leaves_it_open():
    assert verdict([WORSE, ALONE]) == Verdict.HOLDS
    assert verdict([WORSE, OPEN, ALONE]) == Verdict.UNDECIDED
    assert verdict([WORSE, OPEN, BETTER]) == Verdict.CONTRADICTED


def test_the_gain_is_read_from_the_table():
    columns = ("defence", "adversary", "attack", "metric", "value", "lower", "upper", "test_accuracy")
    rows = [
        ("strength 1", "adaptive", "lira_online", RATE, 0.2, 0.1, 0.3, 0.6),
        ("strength 1", "adaptive", "lira_online", f"{RATE}, less than early stopping, epoch 4", -0.1, -0.2, -0.05, 0.6),
        ("strength 3", "adaptive", "lira_online", RATE, 0.1, 0.0, 0.2, 0.7),
        ("strength 3", "adaptive", "lira_online", f"{RATE}, less than none", 0.1, 0.0, 0.2, 0.7),
        ("early stopping, epoch 4", "any", "loss", RATE, 0.1, 0.0, 0.2, 0.61),
    ]
    first, second = beside(pd.DataFrame(rows, columns=columns))
    assert (first["epoch"], first["gain"], first["attacks"]) == (4, [-0.1, -0.2, -0.05], ["lira_online", "loss"])
    assert "gain" not in second


def test_what_is_stored_is_of_all_strengths():
    found = stored()
    assert found
    assert set(found) <= set(SETTINGS)
    for head, table in found.values():
        told = {name.removeprefix("strength ") for name in {*table.defence, *head["failures"]} if "strength" in name}
        assert told == {f"{strength:g}" for strength in STRENGTHS}
        assert {one["defence"] for one in head["beside"]} == {n for n in table.defence if "strength" in n}
        for one in head["beside"]:
            if "gain" in one:
                assert one["epoch_accuracy"] >= one["test_accuracy"]
                ours, early = one["rates"]
                assert one["gain"][0] == pytest.approx(early - ours, abs=1e-3)

"""The page of compared defences is that of what is stored, and what is stored keeps the laws of defences."""

import json

import pandas as pd
import pytest
from tests.experiments.defences import PAGE, STORED, page

TABLE = pd.read_csv(STORED / "location30.csv")
HEAD = json.loads((STORED / "location30.json").read_text(encoding="utf-8"))


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_answers_that_keep_their_class_keep_the_gap():
    gap = TABLE[(TABLE.attack == "correctness") & (TABLE.metric == "auc")].set_index("defence").value
    for name in ("top 3", "MemGuard", "MemGuard, strongest form", "labels only"):
        assert gap[name] == gap["none"]


def test_the_strongest_form_leaves_an_adaptive_attacker_no_more_than_the_gap():
    strong = TABLE[(TABLE.defence == "MemGuard, strongest form") & (TABLE.metric == "auc")].set_index(
        ["adversary", "attack"]
    )
    assert strong.value["any", "loss"] == pytest.approx(strong.value["any", "correctness"], abs=0.002)


def test_no_defence_failed():
    assert not HEAD["failures"]


def test_selena_leaves_an_adaptive_attacker_less_and_keeps_the_accuracy():
    areas = TABLE[(TABLE.metric == "auc") & TABLE.adversary.isin(["adaptive", "any"])].set_index("defence")
    assert (areas.loc["SELENA"].difference_upper < 0).all()
    adaptive = areas.loc["SELENA"].set_index("attack").value
    assert adaptive["learnt_ratio"] == adaptive.max() > adaptive["correctness"] + 0.1  # more than the gap is left
    assert areas.loc["SELENA"].test_accuracy.iloc[0] > areas.loc["none"].test_accuracy.iloc[0] - 0.01

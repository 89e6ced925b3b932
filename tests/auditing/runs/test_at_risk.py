"""Members at risk: what is said of one is what an attacker would see."""

import numpy as np
import pytest

import vestige
from vestige.auditing.runs.at_risk import members_at_risk, told_of
from vestige.core.errors import InputError
from vestige.core.outputs import Logits

N = 600


@pytest.fixture(scope="module")
def audited():
    draw = np.random.default_rng(0)
    labels, member = draw.integers(3, size=N), np.arange(N) % 2 == 0
    logits = draw.normal(size=(N, 3)) + (1 + 2 * member)[:, None] * np.eye(3)[labels]
    ids = np.array([f"r{i}" for i in range(N)])
    return vestige.audit(vestige.Predictions(Logits(logits), labels, member, ids=ids), attacks=["loss", "confidence"])


def test_rates_are_counted_by_hand(audited):
    found, records = members_at_risk(audited, attack="loss", prior=0.2), audited.records
    assert len(found) == N // 2
    assert (found["score"].diff().dropna() <= 0).all()
    for place in (0, 10, 200):
        line = found.iloc[place]
        named = records["loss"] >= line["score"]
        fpr, tpr = named[~records["member"]].mean(), named[records["member"]].mean()
        assert line["false_positive_rate"] == pytest.approx(fpr)
        assert line["precision"] == pytest.approx(0.2 * tpr / (0.2 * tpr + 0.8 * fpr))
        assert line["precision_lower"] <= line["precision"] <= line["precision_upper"]


def test_a_smaller_prior_makes_a_naming_less_sure(audited):
    even, rare = (members_at_risk(audited, attack="loss", prior=prior) for prior in (0.5, 0.01))
    some = even["false_positive_rate"] > 0
    assert (rare["precision"][some] < even["precision"][some]).all()


def test_one_record_is_told_in_words(audited):
    first = members_at_risk(audited)["record"].iloc[0]
    told = told_of(audited, first, prior=0.1)
    assert told.is_member
    assert "names 1 of 300 members at least as early" in told.words
    assert "If 10% of all candidates" in told.words
    assert not told_of(audited, "r1").is_member


def test_bad_input_is_said(audited):
    with pytest.raises(InputError, match=r"id of a record that .* scores, found nobody"):
        told_of(audited, "nobody")
    with pytest.raises(InputError, match="an attack that was played, found los; you may mean loss"):
        members_at_risk(audited, attack="los")
    with pytest.raises(InputError, match="prior between 0 and 1, found 1"):
        members_at_risk(audited, prior=1.0)

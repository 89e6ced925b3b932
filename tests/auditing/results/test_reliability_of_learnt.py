"""Whether the probability that an attack which learns gives is right: a row of every audit that plays one."""

import numpy as np
import pytest
from tests.auditing.planted import predictions, row, rows

from vestige import Predictions, Shadow, audit
from vestige.core.options import Options
from vestige.core.outputs import Logits
from vestige.evaluation.risk import reliability


def by_hand(probability, member, prior=0.5):
    """Root mean square over ten bins of [0, 1], sides weighted to the prior; and weighted by records."""
    squares, sizes = [], []
    for step in range(10):
        upper = 1.1 if step == 9 else (step + 1) / 10
        here = (probability >= step / 10) & (probability < upper)
        if here.any():
            weight = np.where(member, prior / member.sum(), (1 - prior) / (~member).sum())[here]
            error = (weight * probability[here]).sum() - weight[member[here]].sum()
            squares.append((error / weight.sum()) ** 2)
            sizes.append(here.sum())
    return np.sqrt(np.mean(squares)), np.sqrt(np.average(squares, weights=sizes))


@pytest.mark.parametrize("prior", [0.5, 0.2])
def test_it_is_what_ten_bins_by_hand_give(prior):
    given, shadow = predictions(600, 1.0, 0), Shadow(predictions(600, 1.0, 1))
    result = audit(given, adversary=shadow, attacks=["nn_nasr", "loss"], options=Options(risk_prior=prior))
    odds = np.exp(result.records["nn_nasr"].to_numpy()) * prior / (1 - prior)
    expected = by_hand(odds / (1 + odds), result.records["member"].to_numpy().astype(bool), prior)
    for metric, value in zip(("rmse", "rmse_weighted"), expected, strict=True):
        assert row(result, attack="nn_nasr", metric=metric)["value"] == pytest.approx(value, rel=1e-9)
    assert row(result, attack="nn_nasr", metric="rmse")["threshold"] == "shadow"


def test_of_the_half_that_is_attacked_where_the_other_is_learnt_from():
    result = audit(predictions(600, 1.0, 0), attacks=["nn_nasr"])
    told = result.records.dropna(subset=["nn_nasr"])
    assert 250 < len(told) < 350
    probability = 1 / (1 + np.exp(-told["nn_nasr"].to_numpy()))
    found = row(result, attack="nn_nasr", metric="rmse")
    assert found["value"] == reliability(probability, told["member"].to_numpy().astype(bool)).rmse
    assert found["threshold"] == "known_half"


def test_what_was_learnt_from_a_model_that_leaks_more_is_wrong_about_this_one():
    shadow = Shadow(predictions(1_000, 2.0, 5))
    found = [
        row(audit(predictions(1_000, leak, 6), adversary=shadow, attacks=["nn_nasr"]), attack="nn_nasr", metric="rmse")
        for leak in (0.0, 2.0)
    ]
    assert found[0]["value"] > 0.2 > found[1]["value"]


def test_the_order_of_the_records_does_not_matter():
    given, shadow = predictions(400, 1.0, 3), Shadow(predictions(400, 1.0, 4))
    order = np.random.default_rng(0).permutation(400)
    turned = Predictions(Logits(given.outputs[0].whole()[order]), given.labels[order], given.member[order])
    one, other = (audit(of, adversary=shadow, attacks=["nn_nasr"]) for of in (given, turned))
    found = [row(result, attack="nn_nasr", metric="rmse_weighted")["value"] for result in (one, other)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_no_other_attack_has_one():
    assert rows(audit(predictions(400, 1.0, 0), attacks=["loss", "confidence"]), metric="rmse").empty

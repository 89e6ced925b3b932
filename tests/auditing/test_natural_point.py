"""The natural operating point: the decision of an attack that says by itself who is a member."""

from functools import partial

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from tests.auditing.planted import predictions, rows

from vestige import Predictions, References, audit
from vestige.attacks import CATALOGUE
from vestige.attacks.nn import nn_memguard, nn_nasr, nn_nasr_logits, nn_shokri
from vestige.attacks.white_box_gradient import white_box_gradient
from vestige.core.attack import Attack
from vestige.core.outputs import Logits

COLUMNS = ["metric", "value", "lower", "upper"]


def scored(phi):
    return phi - 1.0


def odds(phi):
    return np.exp(phi - 1.0)


def cubed(phi):
    return (phi - 1.0) ** 3


def flat(phi):
    return np.round(phi - 1.0) + 0.0


def own(score, threshold):
    return Attack(name=score.__name__, score=score, definition="", source="", natural_threshold=threshold)


def natural(result, attack):
    return rows(result, attack=attack, threshold="natural", group="all")[COLUMNS]


def test_it_belongs_to_every_attack_whose_score_is_a_learnt_log_odds():
    learnt = [attack.name for attack in CATALOGUE if attack.definition.startswith("log-odds of membership")]
    decides = [attack.name for attack in CATALOGUE if attack.natural_threshold is not None]
    assert len(learnt) >= 10
    assert set(decides) == {*learnt, "quantile_regression_at_fpr"}  # above the quantile that it was asked for
    assert {attack.natural_threshold for attack in CATALOGUE} == {0.0, None}


def test_a_rising_relabelling_of_scores_that_takes_the_threshold_along_changes_no_decision():
    given = predictions(400, 1.0, 0)
    result = audit(given, attacks=[own(scored, 0.0), own(odds, 1.0), own(cubed, 0.0)])
    expected = natural(result, "scored")
    assert len(expected) >= 5
    for name in ("odds", "cubed"):
        np.testing.assert_array_equal(natural(result, name).to_numpy()[:, 1:], expected.to_numpy()[:, 1:])


def test_a_score_on_the_threshold_is_no_member():
    given = predictions(400, 1.0, 1)
    result = audit(given, attacks=[own(flat, 0.0)])
    called = result.records["flat"].to_numpy() > 0
    assert (result.records["flat"] == 0).any()
    member = result.records["member"].to_numpy()
    found = natural(result, "flat").set_index("metric")["value"]
    assert found["balanced_accuracy"] == (called[member].mean() + 1 - called[~member].mean()) / 2


def test_sides_swapped_the_accuracy_is_the_same_and_the_errors_change_places():
    given = predictions(400, 1.0, 2)
    swapped = Predictions(given.outputs, given.labels, ~given.member)

    def negated(phi):
        return 1.0 - phi

    one = natural(audit(given, attacks=[own(scored, 0.0)]), "scored").set_index("metric")
    other = natural(audit(swapped, attacks=[own(negated, 0.0)]), "negated").set_index("metric")
    assert one["value"]["balanced_accuracy"] > 0.55
    assert one["value"]["balanced_accuracy"] == pytest.approx(other["value"]["balanced_accuracy"])
    assert one["value"]["recall"] == pytest.approx(1 - other["value"]["fpr"])
    assert one["value"]["fpr"] == pytest.approx(1 - other["value"]["recall"])


@pytest.mark.parametrize("attack", [nn_shokri, nn_nasr, nn_nasr_logits, nn_memguard, white_box_gradient])
def test_who_learnt_from_swapped_sides_says_the_opposite(attack):
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(3), size=240)
    member = rng.random(240) < 0.5
    labels = rng.integers(0, 3, 240)
    signals = {
        "probabilities": p,
        "log_probabilities": np.log(p),
        "labels": labels,
        "losses": -np.log(p[np.arange(240), labels]),
        "gradients": rng.normal(size=(240, 2, 3)),
    }
    reads = [name for name in attack.attack.reads if not name.startswith("known_")]
    given = {f"known_{name}": signals[name][:160] for name in reads} | {name: signals[name][160:] for name in reads}
    score = partial(attack, **given, classifier=GaussianNB())
    told = score(known_member=member[:160])
    np.testing.assert_allclose(score(known_member=~member[:160]), -told, atol=1e-8)
    assert set(np.sign(told)) == {-1.0, 1.0}


def test_the_learnt_ratio_is_shown_at_its_own_threshold():
    rng = np.random.default_rng(4)
    half = rng.random((6, 300)) < 0.5
    is_in = np.stack([half, ~half], axis=1).reshape(12, 300)
    labels = rng.integers(0, 3, 300)
    logits = rng.normal(size=(12, 300, 3))
    logits[:, np.arange(300), labels] += 1 + 2 * is_in
    given = References(Logits, logits[2:], is_in[2:])
    result = audit(Predictions(Logits(logits[0]), labels, is_in[0]), adversary=given, attacks=["loss", "learnt_ratio"])
    called = result.records["learnt_ratio"].to_numpy() > 0
    found = natural(result, "learnt_ratio").set_index("metric")["value"]["balanced_accuracy"]
    assert found == pytest.approx((called[is_in[0]].mean() + 1 - called[~is_in[0]].mean()) / 2)
    assert found > 0.7
    assert natural(result, "loss").empty

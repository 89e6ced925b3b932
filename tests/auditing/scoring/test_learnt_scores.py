"""Attacks that learn from known members, played in audits: only if asked for, and nobody is scored by his own side."""

from typing import Any

import numpy as np
import pytest
from tests.auditing.planted import logits_of, predictions, row, rows

from vestige import Options, Predictions, Querying, Records, Shadow, audit
from vestige.attacks import CATALOGUE
from vestige.auditing.scoring.learnt_scores import Copies, Side, _with_branches, learnt_scores
from vestige.auditing.scoring.observation import observe
from vestige.core.options import Arithmetic
from vestige.core.outputs import Logits, Loss, PredictedLabels
from vestige.core.progress import silent
from vestige.core.result import NotRun
from vestige.evaluation.roc import roc
from vestige.evaluation.units import Units

NETWORKS = ("nn_shokri", "nn_nasr", "nn_nasr_logits", "nn_memguard")
LEARNING = tuple(attack.name for attack in CATALOGUE if attack.learns)


def test_attacks_that_learn_are_played_only_if_asked_for_by_name():
    assert set(LEARNING) == {
        *NETWORKS, "white_box_gradient", "nn_augmentation", "nn_combined_distance", "attack_p",
        "quantile_regression_gaussian", "quantile_regression_at_fpr",
        "forest_memguard", "nn_memguard_rounded", "nn_memguard_adversarial",
    }  # fmt: skip
    result = audit(predictions(200, 1.0, 0))
    assert not set(LEARNING) & set(result.results["attack"])
    assert NotRun("nn_nasr", "to be asked for by name: it learns from known members") in result.not_run


@pytest.mark.parametrize("attack", [*NETWORKS, "attack_p", "quantile_regression_gaussian"])
def test_without_a_shadow_one_half_teaches_and_the_other_alone_is_scored(attack):
    result = audit(predictions(600, 2.5, 1), attacks=["loss", attack])
    assert row(result, attack=attack, metric="auc", group="all").value > 0.6
    assert {"known_half_global", "known_half_per_class"} <= set(rows(result, attack=attack)["threshold"])
    [threat] = [t for t in result.threat_models if t.attack == attack]
    assert "members" in threat.knowledge
    assert "train" not in threat.knowledge
    assert "learnt from one half of the records" in threat.feature
    scored = result.records[attack].notna()
    assert scored.groupby(result.records["member"]).sum().tolist() == [150, 150]
    assert result.records["loss"].notna().all()
    for name, n in ((attack, 150), ("loss", 300)):
        of_all = rows(result, attack=name, group="all")
        assert set(of_all["n_members"]) == set(of_all["n_nonmembers"]) == {n}


@pytest.mark.parametrize("attack", NETWORKS)
def test_with_a_shadow_networks_learn_from_it(attack):
    result = audit(predictions(400, 2.5, 1), adversary=Shadow(predictions(400, 2.5, 2)), attacks=["loss", attack])
    assert row(result, attack=attack, metric="auc", group="all").value > 0.6
    assert row(result, attack=attack, threshold="shadow_global", metric="balanced_accuracy", group="all").value > 0.55
    [threat] = [t for t in result.threat_models if t.attack == attack]
    assert {"train", "data"} <= set(threat.knowledge)
    assert "members" not in threat.knowledge


@pytest.mark.parametrize("attack", ["attack_p", "quantile_regression_gaussian"])
def test_what_needs_the_target_s_own_nonmembers_takes_halves_of_both_models(attack):
    result = audit(predictions(600, 2.5, 1), adversary=Shadow(predictions(600, 2.5, 2)), attacks=["loss", attack])
    assert row(result, attack=attack, threshold="shadow_global", metric="balanced_accuracy", group="all").value > 0.55
    assert "members" in next(t for t in result.threat_models if t.attack == attack).knowledge


def test_classes_of_a_shadow_in_another_order_are_put_in_the_target_s():
    logits, labels, member = logits_of(400, 2.5, 2)
    order = [2, 0, 1]
    straight = Predictions(Logits(logits), labels, member, classes=["a", "b", "c"])
    turned = Predictions(Logits(logits[:, order]), np.argsort(order)[labels], member, classes=["c", "a", "b"])
    target = predictions(400, 2.5, 1, classes=["a", "b", "c"])
    one, other = (audit(target, adversary=Shadow(shadow), attacks=["nn_shokri"]) for shadow in (straight, turned))
    np.testing.assert_allclose(one.records["nn_shokri"], other.records["nn_shokri"], rtol=1e-6)


@pytest.mark.parametrize("n_draws", [2, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("attack", [*NETWORKS, "attack_p"])
def test_nothing_is_learnt_where_there_is_nothing(attack, n_draws):
    """What learns and judges on the same records is far off with two draws already."""
    aucs = []
    for seed in range(n_draws):
        result = audit(predictions(300, 0.0, seed), attacks=[attack])
        aucs.append(row(result, attack=attack, metric="auc", group="all").value)
    assert np.mean(aucs) == pytest.approx(0.5, abs=4 * np.sqrt(301 / (12 * 150 * 150) / n_draws))


def test_a_network_of_copies_learns_from_the_shadow_s():
    rng = np.random.default_rng(0)
    sides, of_copies = [], []
    for _ in range(2):
        member = np.arange(400) < 200
        table = Predictions(PredictedLabels(np.zeros(400, dtype=int)), np.zeros(400, dtype=int), member)
        correct = rng.random((400, 5)) < np.where(member, 0.9, 0.5)[:, None]
        everyone = np.ones(400, dtype=bool)
        observed = observe(table, [], Arithmetic.STABLE, silent, "")
        of_copies.append({"correct": correct})
        sides.append(
            Side(predictions=table, keep=everyone, labels=table.labels, units=Units(None, member), observed=observed)
        )
    attacks = [attack for attack in CATALOGUE if attack.name == "nn_augmentation"]
    copies = Copies(target=of_copies[0], shadow=of_copies[1], n_queries=5, definition="five copies")
    found = learnt_scores(attacks, sides[0], sides[1], Options(), silent, {"nn_augmentation": copies})
    [one] = found.played
    assert (one.learned_on, one.n_queries, one.definition) == ("shadow", 5, "five copies")
    scores = found.scores["nn_augmentation"]
    assert roc(scores[:200], scores[200:]).auc > 0.8
    known = found.known_scores["nn_augmentation"]
    assert roc(known[:200], known[200:]).auc > 0.8


def test_losses_alone_leave_the_networks_out_and_say_why():
    losses = np.random.default_rng(0).exponential(size=200)
    table = Predictions(Loss(losses), np.zeros(200, dtype=int), np.arange(200) < 100)
    result = audit(table, attacks=["all", "nn_nasr", "attack_p"])
    assert NotRun("nn_nasr", "probabilities or logits of every class") in result.not_run
    assert "attack_p" in set(result.results["attack"])


def test_the_white_box_attack_reads_gradients_of_the_last_layer():
    import torch
    from torch import nn

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20)).astype(np.float32)
    y = rng.integers(0, 2, size=200)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 2))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(torch.from_numpy(x[:100])), torch.from_numpy(y[:100])).backward()
        optimiser.step()
    model.eval()
    sides: dict[str, Any] = {"members": Records(x[:100], y[:100]), "nonmembers": Records(x[100:], y[100:])}
    white = Querying(access="gradients")
    result = audit(model, **sides, querying=white, attacks=["all", "white_box_gradient"])
    assert row(result, attack="white_box_gradient", metric="auc", group="all").value > 0.7
    assert result.queries is not None
    assert result.queries.n_sent == 200 + 32 + 2 * 200
    assert "a branch for each kind" in result.provenance.definitions["white_box_gradient"]
    black = audit(model, **sides, attacks=["all", "white_box_gradient"])
    assert NotRun("white_box_gradient", "access to the gradients of the last layer") in black.not_run


def marked_gradients(n, rng):
    """Signals alike for both sides, but for one input's gradients: another pattern of members, of either sign."""
    member, labels = rng.permutation(n) < n // 2, rng.integers(0, 3, n)
    p = rng.dirichlet(np.full(3, 2.0), n)
    gradients = rng.normal(size=(n, 16, 1)) * (p - np.eye(3)[labels])[:, None]
    patterns = np.where(member[:, None], np.array([1, -1, 0]) / 2**0.5, np.array([1, 1, -2]) / 6**0.5)
    gradients[np.arange(n), rng.integers(0, 16, n)] += 4 * rng.choice([-1, 1], n)[:, None] * patterns
    losses = -np.log(p[np.arange(n), labels])
    return {"probabilities": p, "labels": labels, "losses": losses, "gradients": gradients}, member


def white_box_auc():
    """As an audit plays it, on a leak that only gradients show."""
    [attack] = [attack for attack in CATALOGUE if attack.name == "white_box_gradient"]
    attack, definition = _with_branches(attack, 3)
    signals, member = marked_gradients(400, np.random.default_rng(0))
    known = np.arange(400) < 200
    given = {f"known_{name}": values[known] for name, values in signals.items()}
    given |= {name: values[~known] for name, values in signals.items()}
    scores = attack.score(**given, known_member=member[known])
    return roc(scores[member[~known]], scores[~member[~known]]).auc, definition


def test_an_audit_reads_gradients_with_filters_of_their_own_where_torch_is_installed(monkeypatch):
    area, definition = white_box_auc()
    assert area > 0.75
    assert "filters over the gradients" in definition
    monkeypatch.setattr("vestige.auditing.scoring.learnt_scores.find_spec", lambda _: None)
    area, definition = white_box_auc()
    assert area < 0.72
    assert "torch is not installed" in definition

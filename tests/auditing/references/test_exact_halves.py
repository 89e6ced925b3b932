"""Designs in which every record is in exactly half of all models: the other models' counts tell the members."""

import numpy as np
import pytest

from vestige import Predictions, References, audit
from vestige.attacks.lira import lira_offline
from vestige.auditing.references.scores import ReferenceScores, score_with
from vestige.core.likelihood_ratio import Variance
from vestige.core.outputs import Phi
from vestige.evaluation.roc import roc

N = 300
CHECKED = ("attack_r", "base_score_online", "empirical_bayes_online", "lira_online", "lira_offline", "rmia_offline")


def exact_halves(seed: int, n_models: int = 8, n: int = N) -> np.ndarray:
    """Who is trained on what: each record in exactly half of the models, as in mi_lira_2021."""
    return np.random.default_rng(seed).uniform(size=(n_models, n)).argsort(axis=0) < n_models // 2


def played(
    seed: int, leak: float, n_models: int = 8, n: int = N
) -> tuple[np.ndarray, np.ndarray, np.ndarray, References, Predictions]:
    rng = np.random.default_rng([seed, 1])
    keep = exact_halves(seed, n_models, n)
    phi = 2 * rng.normal(size=n) + rng.normal(size=(n_models, n)) + leak * keep
    ids = rng.permutation(n)
    target = Predictions(Phi(phi[0]), np.zeros(n, dtype=int), keep[0], ids=ids)
    return keep, phi, ids, References(Phi, phi[1:], keep[1:], ids=ids), target


def scored(seed: int, leak: float) -> tuple[np.ndarray, ReferenceScores]:
    keep, _, _, references, target = played(seed, leak)
    return keep, score_with(references, target)


@pytest.mark.parametrize(("n_draws", "within"), [(25, 5), pytest.param(120, 4, marks=pytest.mark.slow)])
def test_no_attack_finds_members_where_nothing_leaks(n_draws, within):
    """Of the target, and of the first reference model, on which thresholds are set.

    Counts of models give all members away, so that few draws find a part of them: 25 an AUC that is off by 0.04.
    """
    aucs: dict[str, list[float]] = {}
    for seed in range(n_draws):
        keep, scores = scored(seed, leak=0.0)
        for one in scores.attacks.played:
            for place, member in (("scores", keep[0]), ("known_scores", keep[1])):
                s = getattr(one, place)
                aucs.setdefault(f"{one.attack.name}, {place}", []).append(roc(s[member], s[~member]).auc)
    assert {f"{name}, scores" for name in CHECKED} <= set(aucs)
    for name, values in aucs.items():
        assert abs(np.mean(values) - 0.5) < within * np.std(values) / len(values) ** 0.5, name


def test_counts_alone_would_have_found_every_member():
    keep = exact_halves(0)
    counts = keep[1:].sum(axis=0)
    assert roc((-counts[keep[0]]).astype(float), (-counts[~keep[0]]).astype(float)).auc == 1.0


def test_a_planted_leak_is_found():
    keep, scores = scored(3, leak=2.0)
    for one in scores.attacks.played:
        if one.attack.name in CHECKED:
            assert roc(one.scores[keep[0]], one.scores[~keep[0]]).auc > 0.7, one.attack.name


def test_scores_are_those_of_each_record_without_one_model_of_its_larger_side():
    """A naive twin: for each record the attack is played on every choice of the model that is left out."""
    _, phi, _, references, target = played(5, leak=1.0)
    scores = score_with(references, target)
    observed = scores.observed.of_target()
    is_in, member = references.member, target.member
    assert observed.is_in.shape == (6, N)
    assert (observed.is_in.sum(axis=0) == 3).all()
    for record in range(N):
        larger = np.flatnonzero(is_in[:, record] != member[record])
        assert len(larger) == 4
        rest = [np.delete(phi[1:, record], one).tolist() for one in larger]
        assert observed.shadow_phi[:, record, 0].tolist() in rest
    alone = next(one for one in scores.attacks.played if one.attack.name == "lira_offline").scores
    by_hand = lira_offline(
        phi[0], observed.shadow_phi[:, :, 0], observed.is_in, variance=Variance(str(scores.likelihood.variance))
    )
    assert alone == pytest.approx(by_hand, abs=1e-12)


def test_each_record_leaves_out_the_same_model_in_any_order():
    _, phi, ids, references, target = played(7, leak=1.0)
    order = np.random.default_rng(2).permutation(N)
    shuffled = References(Phi, phi[1:][:, order], references.member[:, order], ids=ids[order])
    again = np.random.default_rng(3).permutation(N)
    other = Predictions(Phi(phi[0][again]), target.labels, target.member[again], ids=ids[again])
    before, after = score_with(references, target), score_with(shuffled, other)
    for one, same in zip(before.attacks.played, after.attacks.played, strict=True):
        assert one.scores[again] == pytest.approx(same.scores, abs=1e-9), one.attack.name


def test_an_audit_is_valid_and_plays_every_model_in_turn():
    _, _, _, references, target = played(11, leak=1.5, n_models=12, n=1000)
    result = audit(target, adversary=references)
    assert str(result.preflight.validity) == "VALID"
    said = next(check.message for check in result.preflight.checks if check.name == "exact_halves")
    assert "exactly half of all 12 models" in said
    assert result.targets["model"].nunique() == 11
    of_targets = result.targets.query("attack == 'lira_online' and metric == 'auc'")["value"]
    own = result.results.query("attack == 'lira_online' and metric == 'auc' and group == 'all'")["value"].iloc[0]
    assert of_targets.mean() == pytest.approx(own, abs=0.05)


def test_a_part_of_such_a_design_is_confounded_and_asks_for_the_rest():
    keep, phi, ids, _, target = played(13, leak=0.0)
    some = References(Phi, phi[1:6], keep[1:6], ids=ids)
    result = audit(target, adversary=some)
    assert str(result.preflight.validity) == "CONFOUNDED"
    assert any("give all other models" in check.remedy for check in result.preflight.checks)

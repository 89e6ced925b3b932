"""The learnt ratio in audits: what it reads, what is recorded of it, and where it is not played."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.auditing.planted import row
from tests.auditing.test_reference_audits import drawn, predictions

import vestige
from vestige import References, audit
from vestige.attacks import named
from vestige.attacks.learnt_ratio import learnt_ratio_offline
from vestige.auditing.references.scores import score_with
from vestige.core.outputs import Phi


def test_it_is_played_from_six_models_on_and_its_weights_stand_in_the_report(tmp_path):
    phi, member, shadow_phi, is_in = drawn(8)
    result = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, is_in), run=tmp_path / "run")
    assert row(result, attack="learnt_ratio", metric="auc", group="all").value > 0.9
    assert {v.attack for v in result.spread} >= {"learnt_ratio", "empirical_bayes_online"}
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    (learnt,) = report["provenance"]["learnt"]
    assert (learnt["attack"], learnt["n_models"], learnt["n_rows"]) == ("learnt_ratio", 8, 8 * member.size)
    assert [feature["name"] for feature in learnt["features"]][:2] == ["empirical_bayes_log_ratio", "base_score"]
    assert len(learnt["weights"]) == 1 + 8 + 36 + 24
    few = audit(predictions(phi, member), adversary=References(Phi, shadow_phi[:4], is_in[:4]))
    (needs,) = [left.needs for left in few.not_run if left.attack == "learnt_ratio"]
    assert needs == "6 shadow models or more, in 3 pairs or groups"
    assert few.provenance.learnt == ()


def test_its_scores_do_not_depend_on_the_target_s_membership():
    phi, member, shadow_phi, is_in = drawn(8)
    references = References(Phi, shadow_phi, is_in)
    scores = [
        score_with(references, predictions(phi, side)).attacks.scores["learnt_ratio"]
        for side in (member, np.random.default_rng(1).permutation(member))
    ]
    assert (scores[0] == scores[1]).all()


def with_pool(n_models=8):
    """Models that were trained on halves of a pool, not on audited records, and their answers about both."""
    phi, member, pool_phi, pool_is_in = drawn(n_models)
    theirs = np.random.default_rng(9).normal(size=(n_models, member.size))
    answers, is_in = np.hstack([theirs, pool_phi]), np.hstack([np.zeros_like(pool_is_in), pool_is_in])
    return phi, member, References(Phi, answers, is_in, ids=np.arange(2 * member.size)), (theirs, pool_phi, pool_is_in)


def test_without_in_models_it_is_taught_by_the_models_own_pool():
    phi, member, references, (theirs, pool_phi, pool_is_in) = with_pool()
    target = predictions(phi, member, ids=np.arange(member.size))
    result = audit(target, adversary=references)
    assert row(result, attack="learnt_ratio_offline", metric="auc", group="all").value > 0.7
    (learnt,) = result.provenance.learnt
    assert (learnt.attack, learnt.n_models, learnt.n_rows) == ("learnt_ratio_offline", 8, pool_is_in.size)
    found = score_with(references, target).attacks.scores
    nobody = np.zeros_like(theirs, dtype=bool)
    plain = learnt_ratio_offline(phi[:, None], theirs[..., None], nobody, pool_phi[..., None], pool_is_in)
    np.testing.assert_array_equal(found["learnt_ratio_offline"], plain)
    assert "learnt_ratio" not in found
    other = predictions(phi, np.random.default_rng(1).permutation(member), ids=np.arange(member.size))
    turned = score_with(references, other).attacks.scores["learnt_ratio_offline"]
    np.testing.assert_array_equal(turned, plain)


def test_with_in_models_or_without_a_pool_it_is_not_played():
    phi, member, shadow_phi, is_in = drawn(8)
    for sides in (is_in, np.zeros_like(is_in)):
        result = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, sides))
        (needs,) = [left.needs for left in result.not_run if left.attack == "learnt_ratio_offline"]
        assert needs.startswith("6 shadow models or more, trained on random halves of a pool of other records")


def test_records_in_another_order_and_more_queries():
    phi, member, shadow_phi, is_in = drawn(8)
    ids, order = np.arange(member.size), np.random.default_rng(1).permutation(member.size)
    references = References(Phi, shadow_phi, is_in, ids=ids)
    target = predictions(phi, member, ids=ids)
    moved = predictions(phi[order], member[order], ids=ids[order])
    plain, other = (score_with(references, t).attacks.scores["learnt_ratio"] for t in (target, moved))
    np.testing.assert_allclose(other, plain[order], atol=1e-8)
    twice = replace(
        references, answers=np.repeat(shadow_phi[..., None], 2, axis=2), target=np.repeat(phi[:, None], 2, 1)
    )
    np.testing.assert_allclose(score_with(twice, target).attacks.scores["learnt_ratio"], plain, atol=1e-8)


def test_a_custom_attack_is_added_to_its_features():
    def above_all(phi, shadow_phi):
        return (phi > shadow_phi.max(axis=0)).astype(float)

    phi, member, shadow_phi, is_in = drawn(8)
    entry = named("learnt_ratio").with_options(also=[above_all])
    result = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, is_in), attacks=[entry])
    assert result.provenance.learnt[0].features[-1].name == "above_all"
    assert "above_all" in result.provenance.attacks["learnt_ratio"]


@pytest.mark.parametrize("n_models", [7, 11])
def test_designs_of_exact_halves_are_played(n_models):
    rng = np.random.default_rng(0)
    sides = np.stack([rng.permuted(np.arange(n_models + 1) < (n_models + 1) // 2) for _ in range(300)], axis=1)
    phi = 3 * rng.normal(size=300) + rng.normal(size=sides.shape) + 3 * sides
    result = vestige.audit(predictions(phi[0], sides[0]), adversary=References(Phi, phi[1:], sides[1:]))
    played = "learnt_ratio" in set(result.results["attack"])
    assert played
    assert row(result, attack="learnt_ratio", metric="auc", group="all").value > 0.85

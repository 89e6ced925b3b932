"""Attacks that learn from half of the records: what is counted, tested and shown is the other half alone."""

import json
from typing import Any

import numpy as np
import pytest
from tests.auditing.learners_study import DESIGNS, RESULTS, Design, answers, means, study
from tests.auditing.planted import predictions, row, rows

from vestige import Predictions, Shadow, audit
from vestige.auditing.scoring.learnt_scores import Side, learnt_scores
from vestige.auditing.scoring.observation import observe
from vestige.core.attack import Attack
from vestige.core.options import Arithmetic, Options, SubjectScore
from vestige.core.outputs import Probabilities
from vestige.core.progress import silent
from vestige.core.result import FindingState, Status
from vestige.evaluation.permutation import familywise_test
from vestige.evaluation.preflight.mann_whitney import mann_whitney
from vestige.evaluation.roc import roc
from vestige.evaluation.units import Units

STORED = json.loads(RESULTS.read_text(encoding="utf-8"))

# ------------------------------------------------------------------------------ chance is counted once


@pytest.mark.parametrize("found", STORED, ids=lambda r: f"{r['attack']} {r['n_records']} {r['leak']}")
def test_the_stored_study_keeps_the_bars(found):
    assert Design(*(found[name] for name in ("attack", "n_records", "leak", "draws"))) in DESIGNS
    assert found["coverage"] >= 0.93
    if not found["leak"]:
        most = 0.06 if found["draws"] >= 5_000 else 0.065
        assert found["shown_alone_at_most"] <= most
        assert found["shown_beside_the_loss_at_most"] <= most


def test_the_slow_learners_were_studied():
    studied = {(r["attack"], r["n_records"], r["leak"]) for r in STORED if r["draws"] >= 2_000}
    assert studied == {(d.attack, d.n_records, d.leak) for d in DESIGNS}


def test_a_few_draws_of_the_study():
    found = study(Design("means", 100, 0.0, 20), seed=1)
    assert 0 <= found["shown_alone"] <= 0.3
    assert found["coverage"] >= 0.7


def test_a_learner_without_a_leak_is_significant_as_often_as_the_level_says():
    """Each half scored by the other, z > 1.645 in 12 % of the draws: the two areas are nearly one number."""
    attack = Attack(name="means", score=means, definition="", source="")
    rng, significant, draws = np.random.default_rng(0), 0, 600
    for seed in range(draws):
        signals, member = answers(200, 0.0, rng)
        table = Predictions(Probabilities(signals["probabilities"]), signals["labels"], member)
        side = Side(
            predictions=table, keep=np.ones(200, dtype=bool), labels=signals["labels"], units=Units(None, member),
            observed=observe(table, [], Arithmetic.STABLE, silent, ""),
        )  # fmt: skip
        scores = learnt_scores([attack], side, None, Options(seed=seed), silent).scores["means"]
        scored = ~np.isnan(scores)
        curve = roc(scores[scored & member], scores[scored & ~member])
        significant += mann_whitney(curve).p_above <= 0.05
    assert significant / draws <= 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5


# ---------------------------------------------------------------------------------- the joint test


def test_who_is_not_scored_has_no_part_in_the_test():
    rng = np.random.default_rng(1)
    member, scores = rng.permutation(200) < 100, rng.normal(size=200)
    half = np.where(np.arange(200) < 80, np.nan, scores)
    found = familywise_test([half], member, 0.1, np.random.default_rng(0))
    assert found == familywise_test([scores[80:]], member[80:], 0.1, np.random.default_rng(0))
    turned = np.where(np.arange(200) < 80, ~member, member)
    assert familywise_test([half], turned, 0.1, np.random.default_rng(0)) == found


def test_attacks_on_all_and_on_half_share_the_level():
    rng = np.random.default_rng(2)
    member = np.arange(300) < 150
    whole, half = rng.normal(size=300), np.where(np.arange(300) % 2 == 0, np.nan, rng.normal(size=300) + 0.4 * member)
    scored = ~np.isnan(half)
    alone = familywise_test([half[scored]], member[scored], 0.1, np.random.default_rng(0))
    together = familywise_test([whole, half], member, 0.1, np.random.default_rng(0))
    assert together.p_value == pytest.approx(2 * alone.p_value, abs=0.02)
    assert together.z == pytest.approx(alone.z)
    assert together.critical_z > alone.critical_z


def test_with_scores_that_follow_the_other_half_s_membership_p_values_are_uniform():
    """The scores are a function of the known half's membership, as of an attack that learnt it."""
    rng, p_values = np.random.default_rng(3), []
    for _ in range(200):
        member = rng.permutation(80) < 40
        known = np.arange(80) % 2 == 0
        loss = rng.normal(size=80)
        direction = loss[known & member].mean() - loss[known & ~member].mean()
        p_values.append(familywise_test([loss, np.where(known, np.nan, direction * loss)], member, 0.1, rng).p_value)
    for level in (0.05, 0.2):
        assert np.mean(np.array(p_values) <= level) <= level + 3 * (level * (1 - level) / 200) ** 0.5


# --------------------------------------------------------------------------------- what an audit shows


def test_a_rate_that_half_of_the_nonmembers_do_not_resolve_is_no_headline():
    given = predictions(2_400, 0.0, 3)
    alone, both = audit(given, attacks=["loss"]), audit(given, attacks=["loss", "attack_p"])
    assert (alone.finding.fpr, both.finding.fpr) == (0.01, 0.1)
    worst = row(both, attack="worst", threshold="roc", metric="tpr_at_fpr_0.01", group="all")
    assert (worst.status, worst.n_nonmembers) == (Status.NOT_RESOLVABLE, 600)
    assert "1 of 2 attacks" in worst.definition
    assert row(both, attack="worst", threshold="roc", metric="auc", group="all").status == Status.OK
    assert both.finding.state is FindingState.UNDECIDED
    assert both.finding.n_needed >= 2_000
    assert both.finding.smallest_visible_tpr > alone.finding.smallest_visible_tpr
    assert row(both, attack="worst", metric="p_value").n_members == 1_200


def test_small_groups_of_the_scored_half_are_hidden():
    group = np.where(np.arange(600) % 300 < 16, "few", np.where(np.arange(600) % 2, "b", "c"))
    result = audit(predictions(600, 1.0, 4, groups={"ward": group}), attacks=["loss", "attack_p"])
    for attack, hidden in (("loss", False), ("attack_p", True)):
        found = rows(result, attack=attack, group="ward=few", metric="auc")
        assert (found["status"] == Status.SUPPRESSED).tolist() == [hidden]
    sizes = [row(result, attack=a, group="ward=b", metric="auc").n_members for a in ("loss", "attack_p")]
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize("combine", list(SubjectScore))
def test_people_are_learnt_from_or_scored_as_a_whole(combine):
    person = np.repeat(np.arange(120), 5)
    given = predictions(600, 1.5, 5, subjects=person)
    result = audit(given, attacks=["loss", "attack_p"], options=Options(subject_score=combine))
    scored = result.records["attack_p"].notna().groupby(result.records["subject"]).mean()
    assert set(scored) == {0.0, 1.0}
    assert scored.sum() == 60
    assert row(result, attack="attack_p", metric="auc", group="all").n_members == 30


def test_the_records_file_holds_nothing_where_nothing_was_scored(tmp_path):
    import pyarrow.parquet as pq

    audit(predictions(200, 1.0, 6), attacks=["loss", "attack_p"], run=tmp_path / "run")
    table = pq.read_table(tmp_path / "run" / "records.parquet")
    assert (table["attack_p"].null_count, table["loss"].null_count) == (100, 0)
    values = np.array(table["attack_p"].drop_null())
    assert not np.isnan(values).any()


def test_one_unit_on_a_side_cannot_be_halved():
    given = predictions(60, 1.0, 7)
    few = Predictions(given.outputs, given.labels, np.arange(60) < 1)
    result = audit(few, attacks=["loss", "attack_p"])
    [why] = [left for left in result.not_run if left.attack == "attack_p"]
    assert why.needs.startswith("at least 2 records on each side, one half to learn from")


def test_what_decides_by_itself_is_shown_at_its_own_threshold():
    result = audit(predictions(400, 2.0, 8), attacks=["loss", "nn_nasr"])
    scored = result.records[result.records["nn_nasr"].notna()]
    called = scored["nn_nasr"] > 0
    expected = (called[scored["member"]].mean() + 1 - called[~scored["member"]].mean()) / 2
    found: Any = row(result, attack="nn_nasr", threshold="natural", metric="balanced_accuracy", group="all")
    assert found.value == pytest.approx(expected)
    assert found.value > 0.55
    assert rows(result, attack="loss", threshold="natural").empty


def test_the_privacy_risk_score_of_two_halves_is_counted_on_one():
    """Each half's histograms judge the other: with both counted, intervals of its precision covered .90."""
    result = audit(predictions(600, 1.0, 9), attacks=["modified_entropy"])
    of_risk = rows(result, attack="privacy_risk_score")
    assert set(of_risk["n_members"]) == set(of_risk["n_nonmembers"]) == {150}
    assert result.records["risk"].notna().all()
    shadow = audit(predictions(600, 1.0, 9), adversary=Shadow(predictions(400, 1.0, 10)), attacks=["modified_entropy"])
    assert set(rows(shadow, attack="privacy_risk_score")["n_members"]) == {300}


@pytest.mark.slow
def test_intervals_of_the_risk_scores_precision_cover():
    rng, misses = np.random.default_rng(11), []
    attack = "privacy_risk_score"
    for seed in range(200):
        signals, member = answers(300, 0.0, rng)
        table = Predictions(Probabilities(signals["probabilities"]), signals["labels"], member)
        result = audit(table, attacks=["modified_entropy"], options=Options(seed=seed))
        found = row(result, attack=attack, threshold="risk_0.5", metric="precision_at_prior_0.5")
        misses.append(not found.lower <= 0.5 <= found.upper)
    assert np.mean(misses) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5

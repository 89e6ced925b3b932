"""Differences between groups: against a plain loop, under the null, with small groups, in any order of the records."""

import numpy as np
import pytest

import vestige
from vestige.auditing.policy import Outcome, judge, parse_policy
from vestige.auditing.results.group_differences import differences_of
from vestige.core.outputs import Logits
from vestige.evaluation.intervals import auc_interval, tpr_at_fpr_bounds
from vestige.evaluation.roc import roc


def audited(order=slice(None), *, subjects=None, n=2400, leak=3.0):
    draw = np.random.default_rng(5)
    labels, member, ward = draw.integers(2, size=n), draw.random(n) < 0.5, draw.integers(4, size=n)
    ward[:9] = 4  # too few to be shown
    logits = draw.normal(size=(n, 2)) + (0.5 + leak * (member & (ward == 1)))[:, None] * np.eye(2)[labels]
    groups = {"ward": ward.astype(str)[order]}
    who = None if subjects is None else subjects(draw, member)[order]
    target = vestige.Predictions(
        Logits(logits[order]), labels[order], member[order], groups=groups, subjects=who, ids=np.arange(n)[order]
    )
    return vestige.audit(target, attacks=("loss", "correctness"))


def rows_of(result):
    table = result.results
    return table[table.metric.str.startswith("difference_")].set_index(["metric", "group"]).sort_index()


@pytest.fixture(scope="module")
def result():
    return audited()


def plain_area(members, others):
    return np.mean([(m > others).mean() + (m == others).mean() / 2 for m in members])


def test_it_is_the_difference_of_two_plain_areas(result):
    found, records = rows_of(result), result.records
    assert set(found.attack) == {"loss"}
    names = [name for name in found.loc["difference_auc"].index if name.startswith("ward=")]
    assert len(names) >= 3
    for name in names:
        inside = (records.ward == name.removeprefix("ward=")).to_numpy()
        sides = [
            [records.loss[part & (records.member == is_member)].to_numpy() for is_member in (True, False)]
            for part in (inside, ~inside)
        ]
        own, other = (plain_area(*side) for side in sides)
        row = found.loc["difference_auc", name]
        assert row.value == pytest.approx(own - other, abs=1e-12)
        (own_lb, own_ub), (lb, ub) = (auc_interval(roc(*side), 1 - 0.05 / len(names)) for side in sides)
        assert row.lower == pytest.approx(own - other - np.sqrt((own - own_lb) ** 2 + (ub - other) ** 2))
        assert row.upper == pytest.approx(own - other + np.sqrt((own_ub - own) ** 2 + (other - lb) ** 2))
        assert f"over {len(names)} groups" in row.definition
        assert row.n_members == sides[0][0].size


def test_a_group_that_is_easier_to_find_is_found(result):
    found = rows_of(result)
    assert found.loc[("difference_auc", "ward=1"), "lower"] > 0.1
    assert (found.loc["difference_auc"].drop(index="ward=1").lower < 0).all()


def test_a_gate_reads_the_largest_of_all_that_are_shown(result):
    """No row of its own says which difference is the worst."""
    lower = rows_of(result).loc["difference_auc", "lower"]
    limit = lower["ward=1"]
    for group in ("ward=1", "worst_group"):
        broken = judge(parse_policy(f"difference_auc.lower[{group}] > {limit - 1e-6:.8f}"), result)
        assert broken.outcome is Outcome.BROKEN
        assert f"loss difference_auc.lower of {group} is {limit:.4g}" in broken.reason
        passed = judge(parse_policy(f"difference_auc.lower[{group}] > {limit + 1e-6:.8f}"), result)
        assert passed.outcome is Outcome.PASSED
    classes = lower[[name for name in lower.index if name.startswith("class=")]]
    assert classes.max() < limit
    assert judge(parse_policy("difference_auc.lower[worst_class] > 0.05"), result).outcome is Outcome.PASSED


def test_a_gate_cannot_decide_by_a_difference_that_is_not_there(result):
    hidden = judge(parse_policy("difference_auc.lower[ward=4] > 0.1"), result)
    assert hidden.outcome is Outcome.UNDECIDED
    assert "ward=1" in hidden.reason
    of_another = judge(parse_policy("correctness:difference_auc.lower[ward=1] > 0.1"), result)
    assert of_another.outcome is Outcome.UNDECIDED


def test_groups_that_do_not_resolve_the_rate_of_the_finding_have_no_row_of_it(result):
    assert result.finding.fpr == 0.01
    assert set(rows_of(result).index.get_level_values("metric")) == {"difference_auc"}


def test_a_resolved_rate_is_the_difference_of_two_rates():
    draw = np.random.default_rng(0)
    pairs = {
        name: (
            roc(draw.normal(more, 1, 500), draw.normal(0, 1, 400)),
            roc(draw.normal(0, 1, 500), draw.normal(0, 1, 400)),
        )
        for name, more in (("a", 0.0), ("b", 2.0))
    }
    rows = [row for row in differences_of("loss", pairs, 0.1) if "tpr" in row.metric]
    for row, pair in zip(rows, pairs.values(), strict=True):
        at = [c.tpr[np.flatnonzero(c.fpr <= 0.1)[-1]] for c in pair]
        assert row.value == pytest.approx(at[0] - at[1])
        ends = tpr_at_fpr_bounds(pair, [0.1, 0.1], 1 - 0.05 / 2)
        lower = at[0] - at[1] - np.hypot(at[0] - ends.lower[0], ends.upper[1] - at[1])
        assert row.interval.lower == pytest.approx(lower)
    assert [row.metric for row in rows] == ["difference_tpr_at_fpr_0.1"] * 2
    assert not [row for row in differences_of("loss", pairs, 0.01) if "tpr" in row.metric]
    assert not [row for row in differences_of("loss", pairs, None) if "tpr" in row.metric]


def test_small_groups_have_no_row(result):
    assert "ward=4" not in rows_of(result).loc["difference_auc"].index
    hidden = result.results[result.results.status == "suppressed"].group.unique()
    assert not set(hidden) & set(rows_of(result).loc["difference_auc"].index)


def test_a_group_of_all_records_has_no_others():
    draw = np.random.default_rng(1)
    member = np.arange(400) % 2 == 0
    target = vestige.Predictions(
        Logits(draw.normal(size=(400, 2))), np.zeros(400, int), member, groups={"site": np.full(400, "one")}
    )
    assert len(rows_of(vestige.audit(target, attacks=("loss",)))) == 0


def test_the_order_of_the_records_decides_nothing(result):
    turned = rows_of(audited(np.random.default_rng(9).permutation(2400)))
    for name in ("value", "lower", "upper"):
        assert turned[name].to_numpy() == pytest.approx(rows_of(result)[name].to_numpy(), abs=1e-12)
    assert turned.definition.tolist() == rows_of(result).definition.tolist()


def test_people_are_counted_where_records_have_some():
    def two_each(_, member):
        who = np.empty(member.size, int)
        for side in (True, False):
            who[member == side] = np.arange(np.count_nonzero(member == side)) // 2 + 10_000 * side
        return who

    found = audited(subjects=two_each)
    rows, records = rows_of(found), found.records
    inside = (records.ward == "1").to_numpy()
    people = records[~inside].groupby("subject").agg(loss=("loss", "mean"), member=("member", "first"))
    row = rows.loc["difference_auc", "ward=1"]
    assert row.unit == "subject"
    assert f"over {people.member.sum():,} members" in row.definition


@pytest.mark.parametrize("n_groups", [2, 6])
def test_under_the_null_all_intervals_hold_together(n_groups):
    """All groups leak alike: in at most 5 of 100 audits any interval leaves out 0."""
    draw, wrong, n_draws = np.random.default_rng(2), 0, 200
    for _ in range(n_draws):
        member, group = np.arange(1200) % 2 == 0, draw.integers(n_groups, size=1200)
        scores = draw.normal(size=1200) + 0.7 * member
        curves = [
            roc(scores[part & member], scores[part & ~member])
            for g in range(n_groups)
            for part in (group == g, group != g)
        ]
        pairs = {str(g): (curves[2 * g], curves[2 * g + 1]) for g in range(n_groups)}
        rows = list(differences_of("loss", pairs, 0.1))
        for metric in ("difference_auc", "difference_tpr_at_fpr_0.1"):
            intervals = [row.interval for row in rows if row.metric == metric]
            wrong += any(not i.lower <= 0 <= i.upper for i in intervals)
    # Two families of 95 %: 20 of 400 may be wrong, and three standard deviations more.
    assert wrong <= 20 + 3 * np.sqrt(400 * 0.05 * 0.95)

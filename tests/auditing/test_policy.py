"""The gate fails closed: what it reads, where it bends, and what it cannot tell."""

from dataclasses import replace

import numpy as np
import pytest
from tests.auditing.planted import logits_of, predictions, row, rows

from vestige import Predictions, audit
from vestige.auditing.policy import METRICS, Limit, Outcome, judge, parse_policy
from vestige.core.errors import InputError
from vestige.core.outputs import Logits
from vestige.core.result import Check, Preflight, Validity


@pytest.fixture(scope="module")
def leaking():
    """200 members and 200 nonmembers: a false-positive rate of 0.1 is resolvable, 0.01 is not."""
    return audit(predictions(400, 1.5, seed=41))


def _edited(result, where: dict[str, object], **columns: object):
    """The result with some rows of its table changed."""
    table = result.results.copy()
    chosen = np.ones(len(table), dtype=bool)
    for column, value in where.items():
        chosen &= (table[column] == value).to_numpy()
    assert chosen.any()
    for column, value in columns.items():
        table.loc[chosen, column] = value
    return replace(result, results=table)


def _outcome(text: str, result) -> Outcome:
    return judge(parse_policy(text), result).outcome


# ------------------------------------------------------------------------------------ parsing

GOOD = [
    ("tpr_at_fpr_0.01.upper > 0.03", ("worst", "tpr_at_fpr_0.01", "upper", ">", 0.03)),
    ("tpr_at_fpr_0.0001.lower>=0.5", ("worst", "tpr_at_fpr_0.0001", "lower", ">=", 0.5)),
    ("  auc.value  >  .6 ", ("worst", "auc", "value", ">", 0.6)),
    ("modified_entropy:balanced_accuracy.upper > 6e-1", ("modified_entropy", "balanced_accuracy", "upper", ">", 0.6)),
    ("worst:precision_at_prior_0.01.upper > 0.5", ("worst", "precision_at_prior_0.01", "upper", ">", 0.5)),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_a_condition_is_read(text, expected):
    policy = parse_policy(text)
    assert isinstance(policy, Limit)
    assert (policy.attack, policy.metric, policy.bound, policy.comparison, policy.limit) == expected
    assert policy.text == text.strip()


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_a_gate_can_name_is_in_the_table(leaking, metric):
    is_difference = metric.startswith("difference_")
    policy = parse_policy(f"{metric}.upper{'[worst_class]' if is_difference else ''} > 0.5")
    assert isinstance(policy, Limit)
    assert policy.metric == metric
    # A difference has a row where both sides resolve it; the number itself always has one.
    assert set(rows(leaking, attack="worst", metric=metric.removeprefix("difference_"))["group"]) >= {"all"}
    assert not rows(leaking, metric="difference_auc").empty


BAD = [
    "",
    "auc",
    "auc > 0.6",
    "auc.upper",
    "auc.upper > ",
    "auc.upper > a lot",
    "auc.upper > 0.6 or so",
    "auc.upper > 1e",
    "auc.upper > nan",
    "auc.middle > 0.6",
    "auc.upper < 0.6",
    "auc.upper <= 0.6",
    "auc.upper == 0.6",
    "auc.upper => 0.6",
    "tpr.upper > 0.6",
    "p_value.value > 0.6",
    "fpr.upper > 0.6",
    "tpr_at_fpr_0.02.upper > 0.6",
    "tpr_at_fpr_1%.upper > 0.6",
    "lira:auc.upper > 0.6",
    "oracle:auc.upper > 0.6",
    ":auc.upper > 0.6",
    "auc.upper > 0.6, f1.upper > 0.6",
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(InputError, match=r"Expected .* found"):
        parse_policy(text)


@pytest.mark.parametrize("text", ["tpr_at_fpr_0.01.upper > 3", "auc.upper > 1e999", "auc.upper > 1", "f1.upper > 60"])
def test_a_condition_that_can_never_hold_is_refused(text):
    """Rates are fractions: `> 3`, meant as 3 %, would let every model pass."""
    with pytest.raises(InputError):
        parse_policy(text)


@pytest.mark.parametrize("text", ["difference_auc.upper > 0.1", "confidence:difference_tpr_at_fpr_0.1.lower > 0"])
def test_a_difference_needs_the_group_whose_it_is(text):
    with pytest.raises(InputError, match=r"Expected a group .* found none; write \[COLUMN=VALUE\]"):
        parse_policy(text)


# ------------------------------------------------------------------------------------ judging


def test_the_worst_attack_is_read_unless_one_is_named(leaking):
    worst, weak = (row(leaking, attack=a, metric="auc", group="all") for a in ("worst", "correctness"))
    limit = (worst.upper + weak.upper) / 2
    assert weak.upper < limit < worst.upper
    assert _outcome(f"auc.upper > {limit}", leaking) is Outcome.BROKEN
    assert _outcome(f"worst:auc.upper > {limit}", leaking) is Outcome.BROKEN
    assert _outcome(f"correctness:auc.upper > {limit}", leaking) is Outcome.PASSED


def test_the_worst_has_simultaneous_bounds(leaking):
    alone = leaking.results[(leaking.results["metric"] == "auc") & (leaking.results["group"] == "all")]
    highest = alone[alone["attack"] != "worst"]["upper"].max()
    assert _outcome(f"auc.upper > {highest + 1e-9}", leaking) is Outcome.BROKEN


def test_a_named_attack_is_judged_by_its_worst_threshold(leaking):
    table = leaking.results
    of_loss = table[(table["attack"] == "loss") & (table["metric"] == "recall") & (table["group"] == "all")]
    assert len(of_loss) > 1
    top = of_loss["upper"].max()
    assert _outcome(f"loss:recall.upper >= {float(top)!r}", leaking) is Outcome.BROKEN
    assert _outcome(f"loss:recall.upper > {float(top)!r}", leaking) is Outcome.PASSED


@pytest.mark.parametrize("bound", ["value", "lower", "upper"])
def test_the_boundary(leaking, bound):
    exact = float(row(leaking, attack="worst", metric="auc", group="all")[bound])
    assert _outcome(f"auc.{bound} > {exact!r}", leaking) is Outcome.PASSED
    assert _outcome(f"auc.{bound} >= {exact!r}", leaking) is Outcome.BROKEN
    assert _outcome(f"auc.{bound} > {float(np.nextafter(exact, 0))!r}", leaking) is Outcome.BROKEN
    assert _outcome(f"auc.{bound} >= {float(np.nextafter(exact, 1))!r}", leaking) is Outcome.PASSED


def test_the_oracle_is_never_read(leaking):
    best = _edited(leaking, {"threshold": "oracle", "metric": "balanced_accuracy"}, value=0.999, upper=0.999)
    for attack in ("", "loss:"):
        assert _outcome(f"{attack}balanced_accuracy.value > 0.99", best) is Outcome.PASSED
        assert _outcome(f"{attack}balanced_accuracy.upper > 0.99", best) is Outcome.PASSED


def test_groups_and_classes_are_never_read(leaking):
    high = _edited(leaking, {"group": "class=0", "metric": "auc"}, value=0.9999, upper=0.9999)
    high = _edited(high, {"group": "worst_class", "metric": "auc"}, value=0.9999, upper=0.9999)
    assert _outcome("auc.upper > 0.999", high) is Outcome.PASSED
    assert _outcome("loss:auc.upper > 0.999", high) is Outcome.PASSED


@pytest.mark.parametrize("bound", ["value", "lower", "upper"])
def test_what_is_not_resolvable_is_undecided_and_names_n(leaking, bound):
    for limit in (0.001, 0.999):
        judgement = judge(parse_policy(f"tpr_at_fpr_0.01.{bound} > {limit}"), leaking)
        assert judgement.outcome is Outcome.UNDECIDED
        assert "1,000" in judgement.reason
        assert "200" in judgement.reason


@pytest.mark.parametrize("limit", [0.001, 0.999])
def test_a_confounded_test_is_undecided(leaking, limit):
    checks = (*leaking.preflight.checks, Check("blind_inputs", Validity.CONFOUNDED, "Seen.", "Cure."))
    confounded = replace(leaking, preflight=Preflight(checks))
    judgement = judge(parse_policy(f"auc.upper > {limit}"), confounded)
    assert judgement.outcome is Outcome.UNDECIDED
    assert "CONFOUNDED" in judgement.reason


def test_a_limited_test_is_judged(leaking):
    checks = (*leaking.preflight.checks, Check("sizes", Validity.LIMITED, "Seen.", "Cure."))
    assert _outcome("auc.upper > 0.99", replace(leaking, preflight=Preflight(checks))) is Outcome.PASSED


def test_what_is_missing_is_undecided():
    z, y, m = logits_of(400, 1.5, seed=42)
    from vestige.core.outputs import PredictedLabels

    labels_only = audit(Predictions(PredictedLabels(z.argmax(axis=1)), y, m))
    assert _outcome("entropy:auc.upper > 0.99", labels_only) is Outcome.UNDECIDED
    assert _outcome("correctness:auc.upper > 0.99", labels_only) is Outcome.PASSED
    one_known = audit(Predictions(Logits(z), y, np.arange(400) == 0))
    assert _outcome("balanced_accuracy.upper > 0.99", one_known) is Outcome.UNDECIDED


@pytest.mark.parametrize("change", [{"status": "undefined"}, {"status": "suppressed"}, {"upper": np.nan}])
def test_a_row_that_cannot_be_used_never_passes(leaking, change):
    spoilt = _edited(leaking, {"attack": "worst", "metric": "auc", "group": "all"}, **change)
    assert _outcome("auc.upper > 0.99", spoilt) is Outcome.UNDECIDED
    spoilt = _edited(leaking, {"attack": "loss", "metric": "recall", "threshold": "any"}, **change)
    assert _outcome("loss:recall.upper > 0.999", spoilt) is Outcome.UNDECIDED


def test_a_named_attack_is_read_with_bounds_that_hold_for_all_its_thresholds(leaking):
    named = row(leaking, attack="loss", metric="balanced_accuracy", threshold="any", group="all")
    pointwise = rows(leaking, attack="loss", metric="balanced_accuracy", group="all")
    pointwise = pointwise[pointwise["threshold"].str.startswith("known_half_")]
    assert named.value == pointwise["value"].max()
    assert named.lower < pointwise["lower"].max()
    assert named.upper > pointwise["upper"].max()
    between = (named.upper + pointwise["upper"].max()) / 2
    assert _outcome(f"loss:balanced_accuracy.upper > {between}", leaking) is Outcome.BROKEN


def test_every_judgement_repeats_the_condition(leaking):
    for text in ("auc.upper > 0.5", "auc.upper > 0.99", "tpr_at_fpr_0.01.upper > 0.5"):
        assert text in judge(parse_policy(text), leaking).reason


def test_outcomes_are_exit_codes():
    assert [int(o) for o in (Outcome.PASSED, Outcome.BROKEN, Outcome.UNDECIDED)] == [0, 3, 4]

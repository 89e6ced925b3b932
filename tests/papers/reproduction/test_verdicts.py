"""Verdicts on claims: the laws of what may be concluded of which evidence."""

import itertools

import numpy as np
import pytest
from scipy import stats
from tests.experiments.verdicts import claim_row, judged, marked, reasons

from vestige.evaluation.trials import mean_of
from vestige.papers.reproduction.verdicts import (
    FEWEST,
    MARGIN,
    Evidence,
    Relation,
    Verdict,
    enough_trials,
    evidence,
    verdicts,
)

WORD = {"above": 0.0, "at least": -MARGIN}


def verdict_of(relation, differences, **conditions):
    [told] = verdicts([evidence(relation, differences, **conditions)])
    return told.verdict


def around(mean, n, spread=0.01):
    """Differences with exactly this mean and, but for its sign, this spread."""
    return mean + spread * np.resize([1.0, -1.0, 0.5, -0.5], n) - np.mean(spread * np.resize([1.0, -1.0, 0.5, -0.5], n))


@pytest.mark.parametrize("relation", ["above", "at least", "equal"])
@pytest.mark.parametrize("mean", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("n_pairs", [2, 3, 4])
def test_fewer_than_five_pairs_neither_show_nor_contradict(relation, mean, n_pairs):
    assert verdict_of(relation, around(mean, n_pairs)) is Verdict.UNDECIDED


def test_one_pair_is_undecided_however_it_looks():
    for agrees, p_against in itertools.product((True, False), (0.0, 1.0)):
        [told] = verdicts([Evidence(agrees=agrees, p_against=p_against, n_trials=1)])
        assert (told.verdict, told.why) == (Verdict.UNDECIDED, "1 trial, of the 5 that a verdict needs")


@pytest.mark.parametrize("n_pairs", [3, 10, 50])
@pytest.mark.parametrize("mean", [-1.0, 0.0, 1.0])
def test_another_condition_is_not_comparable_whatever_the_pairs_say(mean, n_pairs):
    [told] = verdicts([evidence("above", around(mean, n_pairs), unmet="other views")])
    assert (told.verdict, told.why) == (Verdict.NOT_COMPARABLE, "other views")


def test_five_pairs_hold_and_ten_contradict():
    assert verdict_of("above", around(1.0, 5)) is Verdict.HOLDS
    assert verdict_of("above", around(-1.0, 9)) is Verdict.UNDECIDED  # no second set of five
    assert verdict_of("above", around(-1.0, 10)) is Verdict.CONTRADICTED
    assert verdict_of("equal", around(1.0, 10)) is Verdict.CONTRADICTED
    assert verdict_of("equal", around(0.0, 50)) is Verdict.HOLDS
    assert verdict_of("above", around(-1.0, 30), fewest=20) is Verdict.UNDECIDED


def test_a_second_set_of_trainings_has_to_agree():
    first, second = around(-1.0, 10), around(0.001, 10, spread=0.1)
    assert mean_of(np.concatenate([first, second])).upper < 0
    assert verdict_of("above", np.concatenate([first, second])) is Verdict.UNDECIDED
    on_both_sides = np.concatenate([around(-1.0, 10), around(1.0, 10)])
    assert verdict_of("equal", on_both_sides) is Verdict.UNDECIDED


def test_p_against_is_the_weaker_half_of_a_plain_t_test():
    rng = np.random.default_rng(0)
    for relation, limit in WORD.items():
        values = rng.normal(-0.02, 0.03, size=13)
        halves = (values[:6], values[6:])
        plain = max(stats.ttest_1samp(half, limit, alternative="less").pvalue for half in halves)
        assert evidence(relation, values).p_against == pytest.approx(plain)
    above = max(stats.ttest_1samp(half + 1, MARGIN, alternative="greater").pvalue for half in halves)
    assert evidence("equal", values + 1).p_against == pytest.approx(above)


def test_holm_over_all_claims_of_a_paper():
    p_values = [0.001, 0.011, 0.02, 0.5]
    found = [Evidence(agrees=False, p_against=p, n_trials=20, enough=30) for p in p_values]
    assert [told.verdict is Verdict.CONTRADICTED for told in verdicts(found)] == [True, False, False, False]
    assert verdicts(found[1:2])[0].verdict is Verdict.CONTRADICTED  # alone it needs no correction
    assert [t.verdict for t in verdicts(found[::-1])] == [t.verdict for t in verdicts(found)][::-1]
    out = [Evidence(agrees=False, p_against=0.0, n_trials=20, unmet="x"), *found[1:2]]  # no member of the family
    assert verdicts(out)[1].verdict is Verdict.CONTRADICTED


def test_papers_are_corrected_each_by_itself():
    def of(source, mean, n):
        what = {"source": source, "better": "a", "relation": "above", "other": "b"}
        return claim_row(what, "above", around(mean, n, spread=0.3))

    alone = judged([of("A 2020, table 1", -0.5, 10)])
    many = judged([of("A 2020, table 1", -0.5, 10), *(of("B 2021", 0.0, 10) for _ in range(500))])
    same = judged([of("A 2020, table 1", -0.5, 10), *(of("A 2020", 0.0, 10) for _ in range(500))])
    assert alone[0] == many[0]
    assert alone[0]["verdict"] == "contradicted"
    assert same[0]["verdict"] == "undecided"
    assert "Holm" in same[0]["why"]


def test_the_pairs_that_would_decide_do():
    rng = np.random.default_rng(1)
    for relation, mean in (("above", 0.004), ("at least", 0.0), ("equal", 0.001), ("above", -0.004)):
        values = rng.normal(size=12)
        values = mean + 0.02 * (values - values.mean()) / values.std(ddof=1)
        n = enough_trials(Relation(relation), mean_of(values), 12)
        assert n is not None
        size = n if mean >= 0 else n // 2  # of each of two sets
        half = stats.t.ppf(0.975, size - 1) * 0.02 / np.sqrt(size)
        fewer = stats.t.ppf(0.975, size - 2) * 0.02 / np.sqrt(size - 1)
        distance = min(
            abs(mean - limit) for limit in {"above": (0,), "at least": (-MARGIN,)}.get(relation, (-MARGIN, MARGIN))
        )
        assert half < distance <= fewer
    assert enough_trials(Relation.ABOVE, mean_of([1.0, -1.0, 0.5, -0.5]), 4) is None


def test_what_a_page_shows():
    what = {"source": "A", "better": "a", "other": "b", "relation": "above"}
    rows = judged(
        [
            claim_row(what, "above", around(1.0, 6)),
            claim_row(what | {"other": "c"}, "above", around(1.0, 6), unmet="other views"),
            claim_row(what | {"other": "d"}, "above", around(1.0, FEWEST - 1)),
            claim_row(what | {"other": "e"}, "above", around(-1.0, 10)),
        ]
    )
    assert [marked(row) for row in rows] == ["", " ≠", " ? 5", " ✗"]
    assert reasons(rows) == [
        "- Not comparable, a above c: other views.",
        "- Undecided, all others: 4 pairs, of the 5 that a verdict needs.",
    ]
    assert reasons(rows[1:2]) == ["- Not comparable, all claims: other views."]
    assert reasons(rows[:1]) == []

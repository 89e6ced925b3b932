"""The finding: on the right side of its limits, in a sentence that holds the numbers and never reassures."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from vestige.core.result import FindingState
from vestige.evaluation.permutation import FamilywiseTest, familywise_test
from vestige.evaluation.verdict import Headline, find, smallest_visible_tpr

STRONGER = "attackers with reference models"
NO_LEAK = FamilywiseTest(p_value=0.4, z=0.8, critical_z=2.4)
LEAK = FamilywiseTest(p_value=0.0005, z=9.0, critical_z=2.4)


def finding(headline, test, n=2000, unit="record"):
    return find(headline, test, (n, n), unit, STRONGER)


def words(found):
    """The sentence, whatever dash and space its numbers are set with."""
    return found.sentence.replace("\N{EN DASH}", "-").replace("\N{NO-BREAK SPACE}", " ").replace(" %", "%")


# ------------------------------------------------------------------------ the smallest visible leak


def powers(planted, above, m, n, fpr, critical_z, rng, draws=1500):
    """How often each statistic sees members planted directly below so many nonmembers, by drawing the others' order."""
    total = m + n
    order = rng.permuted(np.tile(np.arange(total - planted) < m - planted, (draws, 1)), axis=1)  # best first
    nonmembers = np.cumsum(~order, axis=1)
    place = np.argmax(nonmembers > above, axis=1)[:, None] if above else np.zeros((draws, 1), dtype=int)
    seen = []
    for top in (math.ceil(fpr * total), min(total, math.ceil(2 * fpr * total))):
        above_them, members = np.minimum(place, top), np.cumsum(order, axis=1)
        inside = np.clip(top - above_them, 0, planted)
        others = (top - inside)[:, 0]
        hits = np.where(others > 0, members[np.arange(draws), others - 1], 0) + inside[:, 0]
        z = (hits - top * m / total) / stats.hypergeom(total, m, top).std()
        seen.append(np.mean(z > critical_z + 1e-9))
    below = (n - nonmembers)[order].reshape(draws, -1).sum(axis=1) + planted * (n - above)
    z = (below - m * n / 2) / math.sqrt(m * n * (total + 1) / 12)
    return max(*seen, np.mean(z > critical_z))


@pytest.mark.parametrize(
    ("m", "n", "fpr"), [(1000, 1000, 0.01), (150, 150, 0.1), (200, 600, 0.1), (900, 200, 0.1), (40, 1500, 0.01)]
)
@pytest.mark.parametrize(("critical_z", "power"), [(1.9, 0.8), (2.6, 0.8), (2.6, 0.95)])
def test_the_smallest_visible_leak_is_the_fewest_members_that_are_seen_wherever_they_stand(
    m, n, fpr, critical_z, power
):
    planted = round((smallest_visible_tpr(m, n, fpr, critical_z, power) - fpr) / (1 - fpr) * m)
    rng = np.random.default_rng(m)
    error = 4 * math.sqrt(power * (1 - power) / 1500) + 0.01  # the rank sum is taken as normal
    threshold = math.floor(fpr * n)
    found = {above: powers(planted, above, m, n, fpr, critical_z, rng) for above in (0, threshold // 2, threshold)}
    assert min(found.values()) > power - error, found
    fewer = {above: powers(planted - 1, above, m, n, fpr, critical_z, rng) for above in (0, threshold)}
    assert min(fewer.values()) < power + error, fewer


@pytest.mark.parametrize(("n", "fpr", "draws"), [(150, 0.1, 70), (3000, 0.01, 50)])
@pytest.mark.parametrize("place", ["on top of all scores", "just above the threshold"])
def test_the_planted_leak_is_seen_in_four_of_five_cases(n, fpr, draws, place):
    """The control itself, through the real test, by shuffles and by rotations: seen at the stated size."""
    rng = np.random.default_rng(0)
    member = np.arange(2 * n) < n
    seen = 0
    for _ in range(draws):
        critical = familywise_test([rng.normal(size=2 * n)], member, fpr, rng).critical_z
        planted = round((smallest_visible_tpr(n, n, fpr, critical) - fpr) / (1 - fpr) * n)
        scores = rng.normal(size=2 * n)
        least = 100.0 if place == "on top of all scores" else np.sort(scores[n:])[-math.floor(fpr * n) - 1]
        scores[rng.permutation(n)[:planted]] = least + 1e-9 * rng.random(planted)
        seen += familywise_test([scores], member, fpr, rng).p_value <= 0.05
    # Counts in a tail are steps: where the critical value is one of them, a p-value falls on either side of .05.
    assert seen / draws > 0.8 - 0.03 - 2 * math.sqrt(0.8 * 0.2 / draws)


def test_the_smallest_visible_leak_shrinks_with_n_and_grows_with_the_bar():
    by_n = [smallest_visible_tpr(n, n, 0.01, 2.4) for n in (1000, 4000, 16_000, 64_000)]
    assert by_n == sorted(by_n, reverse=True)
    assert by_n[0] > 0.025 > 0.015 > by_n[-1] > 0.01
    by_bar = [smallest_visible_tpr(1000, 1000, 0.01, z) for z in (1.5, 2.5, 3.5)]
    assert by_bar == sorted(by_bar)


def test_where_no_leak_would_be_seen_there_is_no_smallest_one():
    assert math.isnan(smallest_visible_tpr(3, 3, 0.1, 2.4))


# ---------------------------------------------------------------------------------- the three states


@pytest.mark.parametrize(
    ("headline", "p_value", "state"),
    [
        (Headline(0.01, 0.10, 0.08, 0.12), 0.05, FindingState.LEAK_SHOWN),
        (Headline(0.01, 0.012, 0.005, 0.04), 0.05, FindingState.LEAK_SHOWN),
        (None, 0.05, FindingState.LEAK_SHOWN),
        (Headline(0.01, 0.012, 0.005, 0.05), 0.0505, FindingState.NO_LEAK_SHOWN),
        (Headline(0.001, 0.001, 0.0, 0.004), 0.9, FindingState.NO_LEAK_SHOWN),
        (Headline(0.01, 0.012, 0.005, 0.0501), 0.0505, FindingState.UNDECIDED),
        (Headline(0.1, 0.02, 0.01, 0.04), 0.5, FindingState.UNDECIDED),
        (None, 0.5, FindingState.UNDECIDED),
    ],
)
def test_states_at_their_limits(headline, p_value, state):
    found = finding(headline, FamilywiseTest(p_value, 1.0, 2.4))
    assert found.state is state
    assert (found.n_needed > 0) == (state is FindingState.UNDECIDED)
    assert found.p_value == p_value
    numbers = (found.fpr, found.tpr, found.tpr_lb, found.tpr_ub)
    if headline is None:
        assert np.isnan(numbers).all()
    else:
        assert numbers == (headline.fpr, headline.tpr, headline.tpr_lb, headline.tpr_ub)


HEADLINES = [None, Headline(0.1, 0.12, 0.08, 0.17), Headline(0.01, 0.03, 0.02, 0.045), Headline(0.001, 0.9, 0.85, 1.0)]


@pytest.mark.parametrize("headline", HEADLINES)
@pytest.mark.parametrize("test", [LEAK, NO_LEAK])
@pytest.mark.parametrize("unit", ["record", "subject"])
@pytest.mark.parametrize("n", [5, 60, 20_000])
def test_no_sentence_reassures(headline, test, unit, n):
    found = finding(headline, test, n, unit)
    for text in (found.sentence, str(found)):
        assert f"{STRONGER} were not tested" in text
        assert not re.search(r"\b(safe|safely|secure|harmless|private|protected|nan|inf)\b", text, re.IGNORECASE)
        assert text.endswith(".")
    if found.state is FindingState.NO_LEAK_SHOWN:
        assert "does not clear the model" in found.sentence


def test_a_shown_leak_says_how_many_members_by_which_attacker():
    found = finding(Headline(0.01, 0.0315, 0.0284, 0.0347), LEAK)
    assert words(found) == (
        "At 1.0% false positives the attack identifies 2.8-3.5% of the members (guessing: 1.0%); "
        "attackers with reference models were not tested."
    )
    people = words(finding(Headline(0.001, 0.0315, 0.0284, 0.0347), LEAK, unit="subject"))
    assert "At 0.10% false positives the attack identifies 2.8-3.5% of the people the model was trained on" in people


def test_a_leak_seen_elsewhere_does_not_borrow_the_headlines_power():
    found = finding(Headline(0.01, 0.012, 0.006, 0.021), LEAK)
    assert words(found).startswith("Members score higher than chance allows (p = 0.0005); at 1.0% false positives")
    assert "0.60-2.1% of the members" in words(found)
    without = words(finding(None, LEAK))
    assert "p = 0.0005" in without
    assert "too few nonmembers to resolve any error rate" in without


def test_a_leak_that_the_rate_does_not_show_names_the_area():
    test = LEAK
    found = find(Headline(0.01, 0.012, 0.006, 0.021), test, (2000, 2000), "record", STRONGER, auc=0.6123)
    assert "(p = 0.0005; the largest AUC is 0.612, guessing 0.5); at 1.0% false positives" in found.sentence
    assert "which guessing (1.0%) may explain" in found.sentence


def test_a_leak_of_few_scores_does_not_boast_of_less_than_guessing():
    """Right or wrong: most nonmembers are right, so no threshold calls few of them members; the rate there is 0."""
    said = words(finding(Headline(0.1, 0.0, 0.0, 0.005), LEAK))
    assert said.startswith(
        "Members score higher than chance allows (p = 0.0005), but only at more false positives than 10%: at that rate "
        "the attack identifies 0-0.50% of the members"
    )
    assert "guessing" not in said


def test_no_leak_shown_says_above_what():
    found = finding(Headline(0.01, 0.012, 0.006, 0.0213), NO_LEAK)
    assert "identify at most 2.1% of the members (guessing: 1.0%)" in words(found)
    visible = smallest_visible_tpr(2000, 2000, 0.01, NO_LEAK.critical_z)
    assert (
        f"a planted leak of {100 * visible:.1f}%, on top of all scores or just above the threshold, would have "
        "been seen in 4 of 5 cases"
    ) in words(found)
    assert str(found).startswith("NO LEAK SHOWN ABOVE 2.1%: ")


def test_undecided_says_what_it_would_have_seen_and_what_would_decide():
    headline = Headline(0.01, 0.02, 0.005, 0.08)
    found = finding(headline, NO_LEAK)
    visible = smallest_visible_tpr(2000, 2000, 0.01, NO_LEAK.critical_z)
    assert found.smallest_visible_tpr == visible
    assert (
        f"in 4 of 5 cases, a leak of {100 * visible:.1f}% of the members or more, and could miss a smaller one"
    ) in words(found)
    # half width .06 must become .03: four times as many units
    assert found.n_needed == pytest.approx(8000, abs=1)
    assert f"about {found.n_needed:,} records on each side would decide it" in words(found)


@pytest.mark.parametrize(("headline", "n"), [(None, 50), (Headline(0.1, 0.2, 0.1, 0.3), 400), (None, 3000)])
def test_without_a_decisive_rate_that_rate_is_what_is_needed(headline, n):
    found = finding(headline, NO_LEAK, n)
    assert found.n_needed == max(1000, n)
    assert f"{found.n_needed:,} records" in words(found)


def test_the_units_needed_decide_were_the_estimates_to_stay():
    """An estimate as large as the limit of a decision needs significance instead of a tighter bound."""
    found = finding(Headline(0.01, 0.06, 0.0, 0.2), FamilywiseTest(0.2, 1.2, 2.4))
    assert found.n_needed == pytest.approx(2000 * 4, abs=1)
    assert found.state is FindingState.UNDECIDED


@pytest.mark.parametrize("headline", HEADLINES)
def test_where_nobody_could_be_compared_the_finding_has_no_numbers(headline):
    nobody = familywise_test([np.arange(40.0)], np.arange(40) >= 20, 0.1, np.random.default_rng(0), np.arange(40) // 20)
    found = find(headline, nobody, (2000, 2000), "subject", STRONGER)
    assert found.state is FindingState.UNDECIDED
    assert "no number of records occurs on both sides" in words(found)
    assert np.isnan([found.fpr, found.tpr, found.tpr_lb, found.tpr_ub, found.smallest_visible_tpr]).all()


def test_a_tiny_audit_says_that_it_could_see_nothing():
    sentence = words(finding(None, NO_LEAK, 3))
    assert "it could not have noticed any leak" in sentence

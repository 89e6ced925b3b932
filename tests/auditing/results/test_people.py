"""People with unequal numbers of records: no leak that is only the numbers, and a true one found all the same."""

import numpy as np
import pytest
from tests.auditing.planted import row, rows

from vestige import Options, Predictions, audit
from vestige.auditing.policy import Outcome, judge, parse_policy
from vestige.auditing.results.every_target import _values
from vestige.core.options import SubjectScore
from vestige.core.result import FindingState, Validity

N = 60


def of_people(n_in, n_out, seed, leak=0.0, **columns):
    """Predictions of people with so many records each, in mixed order; people and records differ in difficulty."""
    rng = np.random.default_rng([seed, 12])
    counts = np.concatenate([n_in, n_out])
    subjects = rng.permutation(np.repeat(np.arange(counts.size), counts))
    member = subjects < len(n_in)
    labels = rng.integers(0, 3, size=subjects.size)
    z = rng.normal(size=(subjects.size, 3))
    z[np.arange(subjects.size), labels] += 1.5 + rng.normal(0, 0.7, counts.size)[subjects] + leak * member
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    columns = {name: values[subjects] for name, values in columns.items()}
    return Predictions(p, labels, member, subjects=subjects, ids=np.arange(subjects.size), groups=columns)


def numbers_check(result):
    return next(c for c in result.preflight.checks if c.name == "records_per_subject")


@pytest.mark.parametrize("combine", list(SubjectScore))
@pytest.mark.parametrize("leak", [0.0, 2.0])
def test_where_no_number_occurs_on_both_sides_nothing_is_said(combine, leak):
    rng = np.random.default_rng(0)
    given = of_people(rng.integers(1, 4, size=N), rng.integers(10, 21, size=N), 0, leak)
    result = audit(given, options=Options(subject_score=combine))
    assert result.finding.state is FindingState.UNDECIDED
    assert "no number of records occurs on both sides" in result.finding.sentence
    assert result.preflight.validity is Validity.CONFOUNDED
    assert numbers_check(result).validity is Validity.CONFOUNDED
    for policy in ("auc.value > 0.5", "tpr_at_fpr_0.1.upper > 0.9"):
        assert judge(parse_policy(policy), result).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("combine", list(SubjectScore))
@pytest.mark.parametrize("more_on", ["members", "nonmembers"])
def test_with_twice_as_many_records_people_of_equal_numbers_are_compared(combine, more_on):
    shown, aucs = 0, []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        fewer, more = rng.integers(1, 9, size=N), 2 * rng.integers(1, 9, size=N)
        n_in, n_out = (fewer, more) if more_on == "nonmembers" else (more, fewer)
        given = of_people(n_in, n_out, seed)
        result = audit(given, options=Options(subject_score=combine, seed=seed), attacks=["loss", "confidence"])
        shown += result.finding.state is FindingState.LEAK_SHOWN
        found = row(result, attack="loss", metric="auc", group="all")
        aucs.append((found.value - 0.5) / (found.upper - found.lower))
        assert numbers_check(result).validity is Validity.LIMITED
        assert f"{found.n_members} members and {found.n_nonmembers} nonmembers" in numbers_check(result).message
        people = result.records.groupby("subject")["member"].agg(["size", "first"])
        in_share, out_share = (
            people["size"][people["first"] == side].value_counts(normalize=True) for side in (True, False)
        )
        assert dict(in_share) == pytest.approx(dict(out_share))
        assert result.provenance.n_left_out == given.n_records - len(result.records)
    assert shown <= 2
    assert abs(np.mean(aucs)) < 0.25  # widths: without matching, the maximum's are beyond 0.5


def test_a_true_leak_is_found_among_those_who_can_be_compared():
    rng = np.random.default_rng(2)
    result = audit(of_people(rng.integers(1, 9, size=N), 2 * rng.integers(1, 9, size=N), 3, leak=1.5))
    assert result.finding.state is FindingState.LEAK_SHOWN
    assert result.preflight.validity is Validity.LIMITED
    assert judge(parse_policy("auc.lower > 0.5"), result).outcome is Outcome.BROKEN


def test_equal_and_equally_skewed_numbers_leave_nobody_out():
    rng = np.random.default_rng(4)
    for n_in, n_out in ((np.full(N, 3), np.full(N, 3)), (rng.geometric(0.2, size=N), rng.geometric(0.2, size=N))):
        given = of_people(n_in, n_out, 5)
        result = audit(given, attacks=["loss"])
        assert numbers_check(result).validity is Validity.VALID
        assert len(result.records) == given.n_records
        assert (result.finding.state, result.provenance.n_left_out) == (FindingState.UNDECIDED, 0)


def test_the_order_of_records_and_the_names_of_people_do_not_say_who_leaks():
    """What is drawn may differ; the check may not, and neither may the verdict where the case is clear."""
    rng = np.random.default_rng(6)
    sides = rng.integers(1, 9, size=N), 2 * rng.integers(1, 9, size=N)
    found = []
    for leak in (0.0, 1.5):
        given = of_people(*sides, 7, leak)
        order = rng.permutation(given.n_records)
        names = rng.permutation(10_000)[: 2 * N].astype(str)
        subjects = names[given.subjects]
        p = given.outputs[0].whole()
        for rearranged in (slice(None), order):
            other = Predictions(
                p[rearranged], given.labels[rearranged], given.member[rearranged], subjects=subjects[rearranged]
            )
            result = audit(other, attacks=["loss"])
            found.append((result.finding.state, numbers_check(result)))
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert [state for state, _ in found[1:3]] == [FindingState.UNDECIDED, FindingState.LEAK_SHOWN]


def test_within_a_group_people_of_equal_numbers_are_compared():
    """Alike over all, the numbers differ within each of two hospitals, and in opposite directions."""
    rng = np.random.default_rng(8)
    few, many = rng.integers(1, 4, size=(2, 90)), rng.integers(2, 9, size=(2, 90))
    hospital = np.repeat(["a", "b", "a", "b"], 90)
    given = of_people(np.concatenate([few[0], many[0]]), np.concatenate([many[1], few[1]]), 9, hospital=hospital)
    result = audit(given, attacks=["loss"], options=Options(subject_score=SubjectScore.MAXIMUM))
    assert numbers_check(result).validity is Validity.VALID
    for group in ("hospital=a", "hospital=b"):
        found = row(result, attack="loss", metric="auc", group=group)
        assert max(found.n_members, found.n_nonmembers) < 90
        assert found.lower < 0.5 < found.upper


def test_with_no_number_on_both_sides_a_group_is_hidden():
    rng = np.random.default_rng(10)
    few, many = rng.integers(1, 3, size=(2, 40)), rng.integers(5, 7, size=(2, 40))
    hospital = np.repeat(["a", "b", "a", "b"], 40)
    given = of_people(np.concatenate([few[0], many[0]]), np.concatenate([many[1], few[1]]), 11, hospital=hospital)
    result = audit(given, attacks=["loss"])
    hidden = rows(result, group="hospital=a")
    assert list(hidden["status"]) == ["suppressed"]
    assert hidden["value"].isna().all()
    assert not rows(result, group="all").empty


@pytest.mark.parametrize("combine", list(SubjectScore))
def test_every_target_in_turn_compares_people_of_equal_numbers(combine):
    """A model that was trained on the people with many records: its AUC over people is no leak."""
    rng = np.random.default_rng(12)
    values = []
    for model in range(10):
        counts = rng.integers(1, 7, size=200)
        subjects = np.repeat(np.arange(200), counts)
        member = (rng.random(200) < np.where(counts > 3, 0.8, 0.3))[subjects]
        scores = rng.exponential(size=subjects.size)
        values += [v.value for v in _values(model, {"loss": scores}, member, subjects, combine) if v.metric == "auc"]
    assert len(values) == 10
    assert abs(np.mean(values) - 0.5) < 0.05
    alone = np.repeat(np.arange(200), np.where(np.arange(200) < 100, 2, 7))
    assert not list(_values(0, {"loss": rng.normal(size=alone.size)}, alone < 100, alone, combine))

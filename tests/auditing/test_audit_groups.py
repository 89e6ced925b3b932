"""Subpopulations and people: what is reported on them, what is hidden, and what counts as one."""

import numpy as np
import pandas as pd
import pytest
from tests.auditing import twin
from tests.auditing.planted import ATTACKS, logits_of, row, rows, without_p_value

from vestige import Options, Predictions, Shadow, audit
from vestige.core.errors import InputError
from vestige.core.options import Arithmetic, SubjectScore
from vestige.core.outputs import Logits, Probabilities
from vestige.core.result import Validity

N = 240
UNIT = {"unit": "record"}


def _check(result, name):
    return next(c for c in result.preflight.checks if c.name == name)


# ------------------------------------------------------------------------------------- groups


@pytest.fixture(scope="module")
def wards():
    """120 members and 120 nonmembers in wards of (60, 50), (40, 40), (11, 24) and (9, 6)."""
    z, y, m = logits_of(N, 1.5, seed=11)
    ward = np.repeat(
        ["big", "middle", "small", "tiny", "big", "middle", "small", "tiny"], [60, 40, 11, 9, 50, 40, 24, 6]
    )
    return z, y, m, ward


@pytest.fixture(scope="module")
def by_ward(wards):
    z, y, m, ward = wards
    return audit(Predictions(Logits(z), y, m, groups={"ward": ward}))


@pytest.mark.parametrize("attack", ATTACKS)
def test_groups_have_an_area_and_calls_of_their_own(wards, by_ward, attack):
    z, y, m, ward = wards
    scores = np.array(twin.scores_of(z, y)[attack])
    for name in ("big", "middle"):
        here = ward == name
        found = row(by_ward, attack=attack, metric="auc", group=f"ward={name}")
        assert found.value == pytest.approx(twin.auc_by_pairs(scores[here].tolist(), m[here].tolist()), abs=1e-12)
        assert (found.n_members, found.n_nonmembers) == ((here & m).sum(), (here & ~m).sum())
        assert found.lower < found.value < found.upper
        for rule in ("known_half_global", "known_half_per_class"):
            metrics = rows(by_ward, attack=attack, threshold=rule, group=f"ward={name}")["metric"]
            assert {"balanced_accuracy", "precision", "recall", "f1", "fpr"} < set(metrics)
            assert not metrics.duplicated().any()


def test_a_small_group_is_hidden_and_with_it_the_next_which_would_give_it_away(by_ward):
    table = by_ward.results
    for name in ("tiny", "small"):
        hidden = table[table["group"] == f"ward={name}"]
        assert set(hidden["status"]) == {"suppressed"}
        for column in ("value", "lower", "upper", "n_members", "n_nonmembers", "false_positives"):
            assert hidden[column].isna().all(), column
    assert not table["definition"].str.contains("ward=tiny|ward=small").any()
    for name in ("big", "middle"):
        assert set(table["status"][table["group"] == f"ward={name}"]) <= {"ok", "not_resolvable"}


def test_the_calls_of_a_hidden_group_cannot_be_had_by_subtraction(by_ward):
    """What is left when the shown groups are taken from all is never a single hidden group."""
    whole = row(by_ward, attack="loss", metric="auc", group="all")
    shown = rows(by_ward, attack="loss", metric="auc")
    shown = shown[shown["group"].str.startswith("ward=") & (shown["status"] != "suppressed")]
    assert whole.n_members - shown["n_members"].sum() == 20
    assert whole.n_nonmembers - shown["n_nonmembers"].sum() == 30


def test_min_cell_0_shows_every_group(wards):
    z, y, m, ward = wards
    result = audit(Predictions(Logits(z), y, m, groups={"ward": ward}), options=Options(min_cell=0))
    assert "suppressed" not in set(result.results["status"])
    for name, n_members in (("big", 60), ("middle", 40), ("small", 11), ("tiny", 9)):
        assert row(result, attack="loss", metric="auc", group=f"ward={name}").n_members == n_members


def test_a_larger_min_cell_hides_more(wards):
    z, y, m, ward = wards
    result = audit(Predictions(Logits(z), y, m, groups={"ward": ward}), options=Options(min_cell=45))
    groups = rows(result, metric="auc", attack="loss")
    hidden = groups[groups["status"] == "suppressed"]["group"]
    assert {"ward=middle", "ward=small", "ward=tiny"} <= set(hidden)
    assert "ward=big" not in set(hidden)


def test_small_classes_are_hidden_too():
    z, _, m = logits_of(N, 1.0, seed=12)
    y = np.tile(np.repeat([0, 1, 2], [60, 55, 5]), 2)
    result = audit(Predictions(Logits(z), y, m))
    auc = rows(result, attack="loss", metric="auc").set_index("group")
    assert auc.loc["class=2", "status"] == "suppressed"
    assert auc.loc["class=1", "status"] == "suppressed"
    assert auc.loc["class=0", "status"] == "ok"


def test_a_class_without_records_is_ordinary():
    z, y, m = logits_of(N, 1.0, seed=12, n_classes=4)
    result = audit(Predictions(Logits(z), y % 3, m))
    assert not (result.results["group"] == "class=3").any()
    assert result.finding.p_value <= 1


def test_worst_group_rows_are_simultaneous(by_ward):
    worst = row(by_ward, attack="worst", group="worst_group", metric="auc")
    shown = rows(by_ward, metric="auc")
    shown = shown[shown["group"].isin(["ward=big", "ward=middle"])]
    assert worst.value == shown["value"].max()
    assert worst.lower < shown["lower"].max()
    assert worst.upper > shown["upper"].max()


def test_records_keep_their_groups(wards, by_ward):
    assert by_ward.records["ward"].tolist() == wards[3].tolist()


def test_several_groupings_stand_side_by_side(wards):
    z, y, m, ward = wards
    sex = np.where(np.arange(N) % 2, "f", "m")
    result = audit(Predictions(Logits(z), y, m, groups={"ward": ward, "sex": sex}))
    groups = set(result.results["group"])
    assert {"sex=f", "sex=m", "ward=big", "class=0", "all", "worst_group", "worst_class"} <= groups


def _audited_or_refused(z, y, m, groups):
    """A result, or the message of the refusal."""
    try:
        return audit(Predictions(Logits(z), y, m, groups=groups))
    except InputError as refusal:
        return str(refusal)


@pytest.mark.parametrize("name", ["id", "label", "member", "loss", "risk"])
def test_a_grouping_with_the_name_of_a_column_of_ours_is_refused_or_kept_apart(wards, name):
    z, y, m, ward = wards
    found = _audited_or_refused(z, y, m, {name: ward})
    if isinstance(found, str):
        assert name in found
        return
    assert (found.records == ward[:, None]).all().any()  # its values stand in some column
    assert found.records["member"].tolist() == m.tolist()
    assert found.records["loss"].dtype == np.float64


def test_a_grouping_called_class_is_refused_or_kept_apart_from_the_classes(wards):
    z, y, m, _ = wards
    found = _audited_or_refused(z, y, m, {"class": np.arange(N) % 3})
    if isinstance(found, str):
        assert "class" in found
        return
    assert not found.results.duplicated(["attack", "threshold", "metric", "group"]).any()


def test_a_column_of_ids_given_as_a_group_gives_no_ids_away(wards):
    """The names of hidden cells are as disclosive as the cells."""
    z, y, m, _ = wards
    found = _audited_or_refused(z, y, m, {"who": np.array([f"person-{i:03}" for i in range(N)])})
    shown = found if isinstance(found, str) else found.results.to_csv()
    assert shown.count("person-") <= 5


# ------------------------------------------------------------------------------------- people


def _with_shadow(subjects=None, shadow_subjects=None, repeat: int = 1, **options):
    z, y, m = (np.repeat(a, repeat, axis=0) for a in logits_of(N, 1.2, seed=13))
    zs, ys, ms = (np.repeat(a, repeat, axis=0) for a in logits_of(N, 1.2, seed=14))
    return audit(
        Predictions(Logits(z), y, m, subjects=subjects),
        adversary=Shadow(Predictions(Logits(zs), ys, ms, subjects=shadow_subjects)),
        options=Options(**options),
    )


@pytest.mark.parametrize("combine", list(SubjectScore))
def test_one_record_per_subject_is_the_same_as_no_subjects(combine):
    alone = _with_shadow()
    people = _with_shadow(np.arange(N), np.arange(N), subject_score=combine)
    assert set(people.results["unit"]) == {"subject"}
    assert set(alone.results["unit"]) == {"record"}
    pd.testing.assert_frame_equal(people.results.assign(**UNIT), alone.results, check_exact=True)
    assert people.finding.p_value == alone.finding.p_value


def test_the_names_of_the_subjects_do_not_matter():
    """Of equally good thresholds the first in the order of the records wins, not the first of the alphabet."""
    alone = _with_shadow()
    names = np.array([f"p{i}" for i in np.random.default_rng(0).permutation(N)])
    people = _with_shadow(names, names)
    pd.testing.assert_frame_equal(
        without_p_value(people).assign(**UNIT), without_p_value(alone), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("combine", list(SubjectScore))
def test_repeating_a_subjects_records_narrows_nothing(combine):
    once = _with_shadow()
    people = np.repeat(np.arange(N), 5)
    repeated = _with_shadow(people, people, repeat=5, subject_score=combine)
    pd.testing.assert_frame_equal(repeated.results.assign(**UNIT), once.results, check_exact=True)
    as_records = _with_shadow(repeat=5)
    wide, narrow = (row(r, attack="loss", metric="auc", group="all") for r in (repeated, as_records))
    assert narrow.upper - narrow.lower < 0.6 * (wide.upper - wide.lower)


def test_known_halves_split_by_subject():
    z, y, m = (np.repeat(a, 3, axis=0) for a in logits_of(N, 1.2, seed=13))
    people = np.repeat(np.arange(N), 3)
    result = audit(Predictions(Logits(z), y, m, subjects=people))
    once = audit(Predictions(*_first(*logits_of(N, 1.2, seed=13))))
    pd.testing.assert_frame_equal(result.results.assign(**UNIT), once.results, check_exact=True)


def _first(z, y, m):
    return Logits(z), y, m


def test_a_subjects_score_is_the_mean_or_the_maximum_of_its_records():
    z, y, m = logits_of(N, 1.2, seed=15)
    people = np.arange(N) // 3
    scores = np.array(twin.scores_of(z, y)["loss"]).reshape(-1, 3)
    sides = m[::3].tolist()
    for combine, combined in ((SubjectScore.MEAN, scores.mean(axis=1)), (SubjectScore.MAXIMUM, scores.max(axis=1))):
        result = audit(Predictions(Logits(z), y, m, subjects=people), options=Options(subject_score=combine))
        found = row(result, attack="loss", metric="auc", group="all")
        assert found.value == pytest.approx(twin.auc_by_pairs(combined.tolist(), sides), abs=1e-12)
        assert (found.unit, found.n_members, found.n_nonmembers) == ("subject", 40, 40)


def test_a_subject_on_both_sides_is_left_out_and_counted():
    z, y, m = logits_of(N, 1.2, seed=16)
    people = np.arange(N) // 2
    people[[0, 1, N - 1]] = 999  # two members and a nonmember of one person
    mixed = audit(Predictions(Logits(z), y, m, subjects=people))
    clean = people != 999
    without = audit(Predictions(Logits(z[clean]), y[clean], m[clean], subjects=people[clean]))
    pd.testing.assert_frame_equal(mixed.results, without.results, check_exact=True)
    assert mixed.records["id"].tolist() == list(range(2, N - 1))
    assert mixed.provenance.n_left_out == 3
    assert mixed.provenance.n_records == N
    check = _check(mixed, "subjects_on_both_sides")
    assert check.validity is Validity.LIMITED
    assert "3 records" in check.message
    assert check.remedy
    assert mixed.validity is not Validity.VALID
    assert all(c.name != "subjects_on_both_sides" for c in without.preflight.checks)


def test_nobody_left_on_a_side_is_refused():
    z, y, m = logits_of(40, 1.0, seed=17)
    with pytest.raises(InputError, match="subject"):
        audit(Predictions(Logits(z), y, m, subjects=np.arange(40) % 20))


def test_subjects_for_one_model_only_are_refused():
    z, y, m = logits_of(40, 1.0, seed=17)
    with pytest.raises(InputError, match="--subject"):
        audit(Predictions(Logits(z), y, m, subjects=np.arange(40)), adversary=Shadow(Predictions(Logits(z), y, m)))


def test_repeated_inputs_without_subjects_name_the_option():
    z, y, m = (np.repeat(a, 4, axis=0) for a in logits_of(100, 0.0, seed=18))
    inputs = np.repeat(np.random.default_rng(0).normal(size=(100, 2)), 4, axis=0)
    result = audit(Predictions(Logits(z), y, m, inputs=inputs))
    assert "--subject" in _check(result, "repeated_inputs").remedy
    people = np.repeat(np.arange(100), 4)
    named = audit(Predictions(Logits(z), y, m, inputs=inputs, subjects=people))
    assert all("--subject" not in c.remedy for c in named.preflight.checks)


# ------------------------------------------------------------- Song & Mittal's arithmetic, to the digit


@pytest.fixture(scope="module")
def published():
    """float32 probabilities as of a saved softmax; class 3 has no shadow members, class 4 no shadow records."""
    rng = np.random.default_rng(21)
    n, k = 400, 5
    member = np.arange(n) < n // 2

    def model(n_classes):
        y = rng.integers(0, n_classes, size=n)
        z = 4 * rng.normal(size=(n, k))
        z[np.arange(n), y] += 4 + 6 * member
        z = z.astype(np.float32)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True), y

    p, y = model(5)
    q, ys = model(4)
    ys[(ys == 3) & member] = 0
    assert p.dtype == q.dtype == np.float32
    assert (p == 1).any()  # where 1 - p has lost everything
    result = audit(
        Predictions(p, y, member),
        adversary=Shadow(Predictions(q, ys, member)),
        options=Options(arithmetic=Arithmetic.PUBLISHED),
    )
    return p, y, q, ys, member, result


@pytest.mark.parametrize("attack", ["confidence", "entropy", "modified_entropy"])
def test_published_scores_are_the_scripts_to_the_digit(published, attack):
    p, y, _, _, _, result = published
    expected = twin.published_scores(p, y)[attack]
    assert expected.dtype == np.float32
    assert result.records[attack].to_numpy().tolist() == expected.astype(np.float64).tolist()


@pytest.mark.parametrize("attack", ["confidence", "entropy", "modified_entropy"])
def test_published_accuracies_are_the_scripts_to_the_digit(published, attack):
    p, y, q, ys, m, result = published
    target, shadow = twin.published_scores(p, y)[attack], twin.published_scores(q, ys)[attack]

    def accuracy(thresholds):
        called = target >= thresholds
        return 0.5 * (np.sum(called & m) / m.sum() + np.sum(~called & ~m) / (~m).sum())

    def threshold(chosen):
        return twin.quadratic_threshold(shadow[chosen & m].tolist(), shadow[chosen & ~m].tolist())

    per_class = np.array([threshold(ys == c) for c in range(5)])
    assert per_class[3] == per_class[4] == 0.0  # no candidate can win where a side is empty
    found = row(result, attack=attack, threshold="shadow_per_class", metric="balanced_accuracy", group="all")
    assert found.value == accuracy(per_class[y])
    everyone = np.ones(ys.size, dtype=bool)
    found = row(result, attack=attack, threshold="shadow_global", metric="balanced_accuracy", group="all")
    assert found.value == accuracy(threshold(everyone))


def test_published_correctness_is_the_scripts(published):
    p, y, _, _, m, result = published
    right = np.argmax(p, axis=1) == y
    found = row(result, attack="correctness", threshold="shadow_per_class", metric="balanced_accuracy", group="all")
    assert found.value == pytest.approx(0.5 * (right[m].mean() + 1 - right[~m].mean()), abs=1e-15)


def test_the_default_falls_back_to_the_global_threshold_and_says_so(published):
    p, y, q, ys, m, _ = published
    result = audit(Predictions(p, y, m), adversary=Shadow(Predictions(q, ys, m)))
    found = row(result, attack="loss", threshold="shadow_per_class", metric="balanced_accuracy", group="all")
    assert "global threshold in 2 classes" in found.definition


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [Probabilities, Logits])
def test_published_risk_is_the_scripts(dtype, kind):
    """On the type as given: float32 entropies have other edges than the same numbers in float64."""
    z, y, m = logits_of(1000, 1.0, seed=22)
    zs, ys, ms = logits_of(1000, 1.0, seed=23)
    z, zs = z.astype(dtype), zs.astype(dtype)
    p, q = (np.exp(a - a.max(axis=1, keepdims=True)) for a in (z, zs))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    given = (kind(z), kind(zs)) if kind is Logits else (kind(p), kind(q))
    result = audit(
        Predictions(given[0], y, m),
        adversary=Shadow(Predictions(given[1], ys, ms)),
        options=Options(arithmetic=Arithmetic.PUBLISHED),
    )
    known, attacked = (-twin.published_scores(*a)["modified_entropy"] for a in ((q, ys), (p, y)))
    assert known.dtype == dtype
    expected = twin.published_risk(known, ys, ms, attacked, y)
    assert result.records["risk"].to_numpy().tolist() == np.array(expected).tolist()


def test_a_prior_moves_the_risk_by_bayes():
    z, y, m = logits_of(200, 1.0, seed=22)
    target = Predictions(Logits(z), y, m)
    half, tenth = (audit(target, options=Options(risk_prior=p)).records["risk"].to_numpy() for p in (0.5, 0.1))
    assert tenth == pytest.approx(0.1 * half / (0.1 * half + 0.9 * (1 - half)), abs=1e-12)  # smoothed shares too
    assert half.max() > 0.7


# --------------------------------------------------------------------- what subtraction would show


def test_hidden_groups_are_no_small_cell_together_either():
    """Of 300 units all but A and B are shown: what is left by subtraction must not be three people."""
    from vestige.auditing.results.differences import too_small

    hidden = too_small([1, 2, 150, 147], [20, 40, 120, 120], 10)
    assert hidden.tolist() == [True, True, True, False]
    assert too_small([1, 2, 150, 147], [20, 40, 120, 120], 0).tolist() == [False] * 4
    assert too_small([50, 60], [50, 60], 10).tolist() == [False, False]
    assert too_small([0, 60, 70], [0, 60, 70], 10).tolist() == [False, False, False]  # nobody to disclose
    assert too_small([3, 60], [60, 60], 10).tolist() == [True, True]


def test_no_step_of_the_risks_distribution_shows_a_few_members():
    z, y, m = logits_of(800, 1.5, seed=77)
    result = audit(Predictions(Logits(z), y, m))
    assert result.risk is not None
    shown = [round(c * m.sum()) for c in result.risk.cdf_members if c == c]
    steps = np.diff([0, *shown])
    assert shown[-1] == m.sum()
    assert ((steps == 0) | (steps >= 10)).all()


def test_subjects_on_both_sides_of_the_shadow_are_counted():
    z, y, m = logits_of(400, 1.0, seed=78)
    zs, ys, ms = logits_of(400, 1.0, seed=79)
    who = np.arange(400)
    twice = np.where(np.isin(who, [np.flatnonzero(ms)[0], np.flatnonzero(~ms)[0]]), 9_999, who)
    result = audit(
        Predictions(Logits(z), y, m, subjects=who), adversary=Shadow(Predictions(Logits(zs), ys, ms, subjects=twice))
    )
    check = next(c for c in result.preflight.checks if c.name == "shadow_subjects_on_both_sides")
    assert result.validity == "LIMITED"
    assert "1" in check.message


def test_swapped_members_are_not_reassured():
    z, y, m = logits_of(6000, 1.5, seed=80)
    result = audit(Predictions(Logits(z), y, ~m))
    assert result.validity == "CONFOUNDED"
    assert result.finding.state == "UNDECIDED"
    assert "lower" in result.finding.sentence

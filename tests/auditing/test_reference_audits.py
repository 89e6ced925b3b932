"""Audits from files of reference models: everything matched by id, and what does not fit refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import log_expit, log_softmax
from tests.auditing.planted import row

from vestige import Options, Predictions, References, audit
from vestige.attacks.calibration import calibration_gradient_norm, calibration_loss, calibration_score
from vestige.attacks.lira import lira_online
from vestige.auditing.references.phi import reference_phi
from vestige.auditing.references.scores import ReferenceScores, score_with
from vestige.core.errors import InputError
from vestige.core.outputs import GradientNorms, Logits, Phi, Probabilities
from vestige.core.result import Validity

N = 300


def drawn(n_models: int = 8, leak: float = 3.0, seed: int = 0, n: int = N) -> tuple[np.ndarray, ...]:
    """Phi and members of a target, and of models in complementary pairs; records differ in difficulty."""
    rng = np.random.default_rng(seed)
    half = rng.random((n_models // 2, n)) < 0.5
    is_in = np.stack([half, ~half], axis=1).reshape(n_models, n)
    member = rng.permutation(n) < n // 2
    difficulty = 3 * rng.normal(size=n)
    return (
        difficulty + rng.normal(size=n) + leak * member,
        member,
        difficulty + rng.normal(size=(n_models, n)) + leak * is_in,
        is_in,
    )


def predictions(phi: np.ndarray, member: np.ndarray, **more: Any) -> Predictions:
    return Predictions(Phi(phi), np.zeros(phi.size, dtype=int), member, **more)


def shadow_of(found: ReferenceScores) -> Predictions:
    """The reference model on which thresholds are set."""
    assert found.shadow is not None
    return found.shadow


def test_every_attack_with_references_is_played_and_finds_the_leak():
    phi, member, shadow_phi, is_in = drawn(16)
    result = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, is_in))
    played = set(result.results["attack"])
    expected = {"lira_online", "empirical_bayes_online", "base_score_online", "rmia_online", "rmia_offline", "attack_r"}
    assert expected <= played
    for attack in expected:
        assert row(result, attack=attack, metric="auc", group="all").value > 0.8
    loss = row(result, attack="loss", metric="auc", group="all").value
    assert row(result, attack="lira_online", metric="auc", group="all").value > loss + 0.05
    assert result.adversary.n_references == 16
    assert (result.results["n_references"] == 16).all()
    assert {r.threshold for r in result.results.itertuples() if r.attack == "lira_online"} >= {"shadow_global"}


def test_calibrated_scores_are_means_over_queries():
    """Such as augmentation draws: every draw of the target is compared with the same one of the models."""
    phi, member, shadow_phi, is_in = drawn()
    rng = np.random.default_rng(5)
    theirs, ours = shadow_phi[..., None] + rng.normal(size=(8, N, 10)), phi[:, None] + rng.normal(size=(N, 10))
    target = predictions(ours[:, 0], member, ids=np.arange(N))
    found = score_with(References(Phi, theirs, is_in, ids=np.arange(N), target=ours), target)
    by_draw = [calibration_loss(ours[:, q], theirs[:, :, q], is_in) for q in range(10)]
    np.testing.assert_allclose(found.attacks.scores["calibration_loss"], np.mean(by_draw, axis=0), rtol=0, atol=1e-12)
    whole = calibration_score(log_expit(ours), log_expit(theirs), is_in=is_in)
    np.testing.assert_allclose(found.attacks.scores["calibration_loss"], whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_queries", [1, 3])
@pytest.mark.parametrize("kind", [Logits, Probabilities])
def test_calibrated_confidence_is_of_the_largest_probability_whatever_the_label(kind, n_queries):
    """Watson et al. 2022, eq. 3 and 5. The true class is right for some records and wrong for others."""
    _, member, _, is_in = drawn()
    rng = np.random.default_rng(8)
    logits = 3 * rng.normal(size=(9, N, n_queries, 4))
    log_p = log_softmax(logits, axis=-1)
    answers = (logits if kind is Logits else np.exp(log_p)).reshape(9, N, *([n_queries] * (n_queries > 1)), 4)
    order, labels = rng.permutation(N), rng.integers(0, 4, N)
    references = References(
        kind, answers[1:][:, order], is_in[:, order], ids=order, labels=labels[order], target=answers[0][order]
    )
    first = answers[0] if n_queries == 1 else answers[0][:, 0]
    target = Predictions(kind(first), labels, member, ids=np.arange(N))
    found = score_with(references, target)
    surest = log_p.max(axis=-1)
    expected = calibration_score(surest[0], surest[1:], is_in=is_in)
    name = "calibration_confidence"
    np.testing.assert_allclose(found.attacks.scores[name], expected, rtol=0, atol=1e-9)
    others = (is_in != ~is_in[0]).any(axis=1) & (np.arange(8) > 0)  # without itself and its partner
    expected = calibration_score(surest[1], surest[1:][others], is_in=is_in[others])
    np.testing.assert_allclose(found.attacks.known_scores[name], expected, rtol=0, atol=1e-9)
    turned = replace(references, labels=((labels + 1) % 4)[order])
    other = score_with(turned, Predictions(kind(first), (labels + 1) % 4, member, ids=np.arange(N)))
    np.testing.assert_array_equal(other.attacks.scores[name], found.attacks.scores[name])


def test_phi_alone_does_not_tell_the_largest_probability():
    phi, member, shadow_phi, is_in = drawn()
    found = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    assert "calibration_confidence" not in found.attacks.scores
    [why] = [left for left in found.attacks.not_run if left.attack == "calibration_confidence"]
    assert why.needs.startswith("probabilities or logits of every class")


def test_gradient_norms_of_references_calibrate_those_of_the_target_and_of_the_shadow():
    phi, member, shadow_phi, is_in = drawn()
    norms, theirs = np.exp(-phi / 5), np.exp(-shadow_phi / 5)
    order = np.random.default_rng(6).permutation(N)
    references = References(Phi, shadow_phi[:, order], is_in[:, order], ids=order, gradient_norms=theirs[:, order])
    target = Predictions([Phi(phi), GradientNorms(norms)], np.zeros(N, dtype=int), member, ids=np.arange(N))
    found = score_with(references, target)
    name = "calibration_gradient_norm"
    np.testing.assert_allclose(found.attacks.scores[name], calibration_gradient_norm(norms, theirs, is_in))
    others = (is_in != ~is_in[0]).any(axis=1) & (np.arange(8) > 0)  # without itself and its partner
    expected = calibration_gradient_norm(theirs[0], theirs[others], is_in[others])
    np.testing.assert_allclose(found.attacks.known_scores[name], expected)
    result = audit(target, adversary=references)
    assert row(result, attack=name, metric="auc", group="all").value > 0.8
    for attack in (name, "gradient_norm"):
        assert {r.threshold for r in result.results.itertuples() if r.attack == attack} >= {"shadow_global"}
    changed = replace(references, gradient_norms=theirs[:, order] + 1e-9)
    assert score_with(changed, target).digest != found.digest


@pytest.mark.parametrize("lacking", ["target", "references"])
def test_without_gradient_norms_on_either_side_they_are_not_calibrated(lacking):
    phi, member, shadow_phi, is_in = drawn()
    outputs = [Phi(phi)] if lacking == "target" else [Phi(phi), GradientNorms(np.exp(-phi))]
    theirs = np.exp(-shadow_phi) if lacking == "target" else None
    target = Predictions(outputs, np.zeros(N, dtype=int), member)
    found = score_with(References(Phi, shadow_phi, is_in, gradient_norms=theirs), target)
    assert "calibration_gradient_norm" not in found.attacks.scores
    [why] = [left for left in found.attacks.not_run if left.attack == "calibration_gradient_norm"]
    assert why.needs == "gradient norms of the target and of torch models not trained on the audited records"


def test_gradient_norms_of_another_shape_are_refused():
    _, _, shadow_phi, is_in = drawn()
    with pytest.raises(InputError, match="gradient norms of the references as models x records, 8 x 300, found shape"):
        References(Phi, shadow_phi, is_in, gradient_norms=np.zeros((8, 3)))


def test_records_are_matched_by_id_and_never_by_their_order():
    phi, member, shadow_phi, is_in = drawn()
    names = np.array([f"r{i}" for i in range(N)])
    order = np.random.default_rng(1).permutation(N)
    straight = score_with(References(Phi, shadow_phi, is_in, ids=names), predictions(phi, member, ids=names))
    mixed = References(Phi, shadow_phi[:, order], is_in[:, order], ids=names[order])
    shuffled = score_with(mixed, predictions(phi, member, ids=names))
    for name, values in straight.attacks.scores.items():
        np.testing.assert_array_equal(values, shuffled.attacks.scores[name])
    assert straight.attacks.checks == shuffled.attacks.checks == ()


def test_numbers_and_text_are_the_same_ids():
    phi, member, shadow_phi, is_in = drawn()
    as_text = References(Phi, shadow_phi, is_in, ids=np.arange(N).astype(str))
    found = score_with(as_text, predictions(phi, member, ids=np.arange(N)))
    np.testing.assert_allclose(found.attacks.scores["lira_online"], lira_online(phi, shadow_phi, is_in))


def test_without_ids_the_order_counts_and_is_said():
    phi, member, shadow_phi, is_in = drawn()
    found = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    [check] = found.attacks.checks
    assert (check.name, check.validity) == ("reference_ids", Validity.LIMITED)


def test_records_that_the_references_lack_are_counted_and_named():
    phi, member, shadow_phi, is_in = drawn()
    fewer = References(Phi, shadow_phi[:, 2:], is_in[:, 2:], ids=np.arange(2, N))
    with pytest.raises(InputError, match=r"found none about 2 of 300, such as 0, 1"):
        score_with(fewer, predictions(phi, member, ids=np.arange(N)))


def test_surplus_records_are_the_population_if_the_target_answered_about_them():
    phi, member, shadow_phi, is_in = drawn()
    audited, surplus = np.arange(200), np.arange(200, N)
    target = predictions(phi[:200], member[:200], ids=audited)
    silent = reference_phi(References(Phi, shadow_phi, is_in, ids=np.arange(N)), target)
    assert silent.answers["population_phi"].shape == (0, 1)
    found = reference_phi(References(Phi, shadow_phi, is_in, ids=np.arange(N), target=phi), target)
    np.testing.assert_array_equal(found.answers["population_phi"][:, 0], phi[surplus])
    np.testing.assert_array_equal(found.answers["population_shadow_phi"][:, :, 0], shadow_phi[:, surplus])
    np.testing.assert_array_equal(found.answers["population_is_in"], is_in[:, surplus])
    np.testing.assert_array_equal(found.phi[:, 0], phi[:200])


@pytest.mark.parametrize("kind", [Logits, Probabilities])
def test_logits_and_probabilities_give_the_scores_of_their_phi(kind):
    phi, member, shadow_phi, is_in = drawn()

    def answers(values: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-values))
        table = np.stack([values, np.zeros_like(values)] if kind is Logits else [p, 1 - p], axis=-1)
        return np.asarray(table)

    target = Predictions(kind(answers(phi)), np.zeros(N, dtype=int), member)
    by_kind = score_with(References(kind, answers(shadow_phi), is_in), target)
    by_phi = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    for name, values in by_phi.attacks.scores.items():
        np.testing.assert_allclose(by_kind.attacks.scores[name], values, rtol=1e-6, atol=1e-9)
    assert by_kind.shadow is not None
    np.testing.assert_allclose(by_kind.shadow.output(kind).whole(), answers(shadow_phi[0]))


def test_several_queries_are_averaged_and_the_first_is_the_record_as_it_is():
    phi, member, shadow_phi, is_in = drawn()
    rng = np.random.default_rng(2)
    ours = phi[:, None] + 0.5 * rng.normal(size=(N, 4))
    theirs = shadow_phi[..., None] + 0.5 * rng.normal(size=(8, N, 4))
    target = predictions(ours[:, 0], member)
    found = score_with(References(Phi, theirs, is_in, target=ours), target)
    np.testing.assert_allclose(found.attacks.scores["lira_online"], lira_online(ours, theirs, is_in))
    one_by_one = [lira_online(ours[:, q], theirs[..., q], is_in) for q in range(4)]
    np.testing.assert_allclose(found.attacks.scores["lira_online"], np.mean(one_by_one, axis=0))
    np.testing.assert_array_equal(shadow_of(found).output(Phi).whole(), theirs[0, :, 0])
    result = audit(target, adversary=References(Phi, theirs, is_in, target=ours))
    assert {m.attack: m.n_queries for m in result.threat_models}["lira_online"] == 4
    assert {m.attack: m.n_queries for m in result.threat_models}["loss"] == 1
    with pytest.raises(InputError, match="the same 4 queries per record"):
        score_with(References(Phi, theirs, is_in), target)


def test_answers_of_exactly_0_or_1_stand_a_step_beyond_the_others_and_are_counted():
    phi, member, shadow_phi, is_in = drawn()
    shadow_phi[2, 5], phi[7] = np.inf, -np.inf
    found = reference_phi(References(Phi, shadow_phi, is_in), predictions(phi, member))
    others = np.abs(np.concatenate([shadow_phi.ravel(), phi]))
    limit = others[np.isfinite(others)].max() + np.log(2)
    assert np.isinf([shadow_phi[2, 5], phi[7]]).all()  # what was given is as it was
    assert (found.n_saturated, found.shadow_phi[2, 5, 0], found.phi[7, 0]) == (2, limit, -limit)
    scored = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    [check] = [c for c in scored.attacks.checks if c.name == "saturated_answers"]
    assert check.validity is Validity.VALID
    assert check.message.startswith("2 of 2,700 answers")
    assert all(np.isfinite(values).all() for values in scored.attacks.scores.values())


def test_forests_whose_answers_are_shares_of_votes_are_not_drowned_by_their_certain_ones():
    """With Carlini et al.'s constant a certain answer stands 100 away, and the pooled spread hides what all others
    tell."""
    rng = np.random.default_rng(0)
    is_in = np.repeat(rng.random((8, N)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    member = rng.permutation(N) < N // 2
    votes = lambda inside: rng.binomial(50, np.where(inside, 0.9, 0.6)) / 50  # noqa: E731
    theirs, ours = votes(is_in), votes(member)
    table = np.stack([theirs, 1 - theirs], axis=-1)
    target = Predictions(Probabilities(np.stack([ours, 1 - ours], axis=-1)), np.zeros(N, dtype=int), member)
    found = score_with(References(Probabilities, table, is_in), target)
    score = found.attacks.scores["lira_online"]
    auc = (score[member][:, None] > score[~member]).mean() + (score[member][:, None] == score[~member]).mean() / 2
    assert auc > 0.99
    assert found.observed.limit == pytest.approx(np.log(49) + np.log(2))


def test_models_that_did_not_answer_are_left_out():
    phi, member, shadow_phi, is_in = drawn(8)
    shadow_phi[0, :50] = np.nan
    found = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    np.testing.assert_allclose(found.attacks.scores["lira_online"], lira_online(phi, shadow_phi, is_in))
    np.testing.assert_array_equal(shadow_of(found).member, is_in[1])  # the first that answered everything
    assert "base_score_online" in {left.attack for left in found.attacks.not_run}


def test_too_few_models_say_how_many_are_needed():
    phi, member, shadow_phi, is_in = drawn(2)
    found = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    assert found.attacks.known_scores == {}
    never = np.zeros((1, N), dtype=bool)
    only_out = score_with(References(Phi, shadow_phi[:1], never), predictions(phi, member))
    why = {left.attack: left.needs for left in only_out.attacks.not_run}
    assert why["lira_online"] == "at least 1 shadow models per record that were trained on it"
    assert {"calibration_loss", "attack_r", "base_score_offline", "rmia_offline"} <= set(only_out.attacks.scores)
    assert only_out.shadow is None


def test_models_that_never_saw_the_records_play_the_offline_attacks_and_leave_thresholds_to_the_known_half():
    phi, member, shadow_phi, is_in = drawn(8, leak=0.0)
    phi = phi + 3.0 * member
    result = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, np.zeros_like(is_in)))
    assert row(result, attack="lira_offline", metric="auc", group="all").value > 0.9
    assert "known_half_global" in set(result.results.query("attack == 'lira_offline'")["threshold"])
    assert "lira_online" not in set(result.results["attack"])


def test_records_in_all_or_none_of_the_models_are_counted():
    phi, member, shadow_phi, is_in = drawn(8)
    is_in[:, :3] = True
    found = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    [check] = [c for c in found.attacks.checks if c.name == "records_on_one_side"]
    assert check.validity is Validity.LIMITED
    assert check.message.startswith("3 of 300 records are in all or in none of the 8 reference models")
    assert "lira_online" in {left.attack for left in found.attacks.not_run}
    assert np.isfinite(found.attacks.scores["empirical_bayes_online"]).all()


def test_a_target_among_its_references_is_confounded():
    _, _, shadow_phi, is_in = drawn(8, leak=0.0)
    for left in (0, 1):  # the target's own row, or its partner's, stays
        rows = np.arange(8) != left
        target = predictions(shadow_phi[left], is_in[left])
        result = audit(target, adversary=References(Phi, shadow_phi[rows], is_in[rows]))
        [check] = [c for c in result.preflight.checks if c.name == "reference_counts"]
        assert check.validity is Validity.CONFOUNDED
    rows = np.arange(8) > 1
    result = audit(predictions(shadow_phi[0], is_in[0]), adversary=References(Phi, shadow_phi[rows], is_in[rows]))
    [check] = [c for c in result.preflight.checks if c.name == "reference_counts"]
    assert check.validity is Validity.VALID


def test_a_reference_equal_to_the_target_gives_chance():
    """Were it counted as OUT everywhere: calibrated by itself, nothing is left of any leak."""
    phi, member, _, _ = drawn(4)
    never = np.zeros((2, N), dtype=bool)
    found = score_with(References(Phi, np.stack([phi, phi]), never), predictions(phi, member))
    for name in ("calibration_loss", "attack_r"):
        assert np.ptp(found.attacks.scores[name]) < 1e-9


def test_another_file_of_references_is_another_audit(tmp_path):
    phi, member, shadow_phi, is_in = drawn()
    first = audit(predictions(phi, member), adversary=References(Phi, shadow_phi, is_in))
    again = audit(predictions(phi, member), adversary=References(Phi, shadow_phi + 1e-9, is_in))
    assert first.provenance.reference_digest != again.provenance.reference_digest != ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "phi"}, "Expected Phi, Logits or Probabilities, the class itself"),
        ({"answers": np.zeros((8, N, 2, 2, 2))}, "found shape"),
        ({"answers": np.zeros((7, N))}, "found shape (8, 300)"),
        ({"member": np.full((8, N), 2)}, "Expected 0 or 1 as membership of reference models"),
        ({"ids": np.zeros(N, dtype=int)}, "Expected unique ids of the references, found 1 repeated, such as 0"),
        ({"labels": np.full(N, "sick")}, "Expected labels of the references as whole numbers"),
        ({"target": np.zeros((N, 2))}, "Expected the target's answers about the reference records in shape"),
    ],
)
def test_what_cannot_be_references_is_refused(change, message):
    _, _, shadow_phi, is_in = drawn()
    given = {"kind": Phi, "answers": shadow_phi, "member": is_in, **change}
    with pytest.raises(InputError) as error:
        References(given.pop("kind"), given.pop("answers"), given.pop("member"), **given)
    assert message in str(error.value)


def test_what_does_not_fit_the_target_is_refused():
    phi, member, shadow_phi, is_in = drawn()
    wide = np.zeros((8, N, 3))
    logits = Predictions(Logits(np.zeros((N, 2))), np.zeros(N, dtype=int), member)
    with pytest.raises(InputError, match="Expected 2 classes of the reference models, as the target's, found 3"):
        score_with(References(Logits, wide, is_in), logits)
    with pytest.raises(InputError, match="found 301 records without ids"):
        score_with(References(Phi, np.zeros((8, N + 1)), np.zeros((8, N + 1))), predictions(phi, member))
    with pytest.raises(InputError, match="Expected ids of the audited records beside ids of the references"):
        score_with(References(Phi, shadow_phi, is_in, ids=np.arange(N)), predictions(phi, member))
    other = References(Phi, shadow_phi, is_in, ids=np.arange(N), labels=np.ones(N, dtype=int))
    with pytest.raises(InputError, match="Expected the same labels of the audited records in the references"):
        score_with(other, predictions(phi, member, ids=np.arange(N)))
    broken = wide[..., :2].copy()
    broken[3, 4, 1] = np.nan
    with pytest.raises(InputError, match=r"Reference model 3: Expected finite logits, found nan in row 5"):
        score_with(References(Logits, broken, is_in), logits)
    with pytest.raises(InputError, match=r"give a shadow model's as adversary=vestige\.Shadow"):
        audit(predictions(phi, member), predictions(phi, member))


def test_an_own_attack_that_fails_ends_the_audit_by_its_name():
    phi, member, shadow_phi, is_in = drawn(8)

    def broken(phi, shadow_phi):
        return phi[:3]

    with pytest.raises(InputError, match="of the attack broken"):
        audit(predictions(phi, member), adversary=References(Phi, shadow_phi, is_in), attacks=["all", broken])


def test_permuting_models_changes_nothing():
    phi, member, shadow_phi, is_in = drawn(8)
    order = np.random.default_rng(3).permutation(8)
    one = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    other = score_with(References(Phi, shadow_phi[order], is_in[order]), predictions(phi, member))
    for name, values in one.attacks.scores.items():
        np.testing.assert_allclose(values, other.attacks.scores[name], rtol=1e-9, atol=1e-12)


def test_membership_of_the_target_changes_no_score():
    phi, member, shadow_phi, is_in = drawn(8)
    one = score_with(References(Phi, shadow_phi, is_in), predictions(phi, member))
    other = score_with(References(Phi, shadow_phi, is_in), replace(predictions(phi, member), member=~member))
    for name, values in one.attacks.scores.items():
        np.testing.assert_array_equal(values, other.attacks.scores[name])


def test_subjects_are_the_units_of_references_too():
    phi, member, shadow_phi, is_in = drawn(8)
    people = np.arange(N) // 3
    side = np.random.default_rng(0).permutation(N // 3) < N // 6
    half = np.random.default_rng(4).random((4, N // 3)) < 0.5
    is_in = np.repeat(np.stack([half, ~half], axis=1).reshape(8, N // 3), 3, axis=1)
    target = predictions(phi + 3.0 * side[people] - 3.0 * member, side[people], subjects=people)
    result = audit(target, adversary=References(Phi, shadow_phi, is_in), options=Options(min_cell=0))
    assert row(result, attack="lira_online", metric="auc", group="all").unit == "subject"

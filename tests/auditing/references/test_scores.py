"""Scores from shadow models: chance where the target knows nothing of its members, and a planted leak found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.auditing.small_models import bayes, plan_of, table

from vestige import Predictions
from vestige.attacks import CATALOGUE
from vestige.attacks.lira import lira_online
from vestige.auditing.references.phi import ReferencePhi, left_without, reference_phi
from vestige.auditing.references.scores import ReferenceScores, play_attacks, score_with
from vestige.auditing.results.every_target import values_of_targets
from vestige.auditing.shadows.answers import references_of as answers_of
from vestige.auditing.shadows.checks import checks_of_training
from vestige.auditing.shadows.training import Shadows
from vestige.core.likelihood_ratio import LikelihoodRatio, Variance
from vestige.core.options import SubjectScore
from vestige.core.outputs import Logits, Loss, Phi, Probabilities
from vestige.core.progress import silent
from vestige.core.references import References as Given
from vestige.core.result import Validity
from vestige.data.sets.designs import complementary_pairs, partner, rank_design
from vestige.data.signals.layout import ModelTable, VariableSpec
from vestige.data.signals.store import SignalStore
from vestige.training.function_recipe import FunctionRecipe

N = 60
WITH_REFERENCES = [attack for attack in CATALOGUE if attack.needs_references]
LIRA = [attack for attack in CATALOGUE if attack.name == "lira_online"]


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """Share of pairs of a member and a nonmember in which the member's score is higher; a tie is half a pair."""
    difference = scores[member][:, None] - scores[~member]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


class Kept(SignalStore):
    """A store that holds its signals in memory: two classes, the logit of the first is phi, label 0 all over."""

    def __init__(self, signals: np.ndarray, kind: str = "logits") -> None:
        models = ModelTable(np.arange(len(signals)), np.zeros(len(signals), int), np.arange(len(signals)))
        variables = {kind: VariableSpec("float64", n_classes=2)}
        super().__init__(Path("kept"), models, variables, signals.shape[1], None)
        self.signals = signals

    def read(self, name: str, *, rows: Any = None, records: slice = slice(None)) -> np.ndarray:
        return np.asarray(self.signals[rows])


def two_logits(phi: np.ndarray) -> np.ndarray:
    return np.stack([phi, np.zeros_like(phi)], axis=-1)


def shadows_of(
    phi: np.ndarray,
    member: np.ndarray,
    done: np.ndarray | None = None,
    failures: Any = None,
    n_asked: int | None = None,
) -> Shadows:
    records = replace(table(N), labels=np.zeros(N, dtype=int), classes=["a", "b"])
    plan = plan_of(FunctionRecipe(bayes), len(member), records=table(N))
    plan = replace(plan, records=records, member=member, n_asked=n_asked or len(member))
    done = np.ones(len(member), dtype=bool) if done is None else done
    return Shadows(plan=plan, store=Kept(two_logits(phi)), done=done, failures=failures or {}, n_trained=0, seconds=0.0)


def target_of(phi: np.ndarray, member: np.ndarray) -> Predictions:
    return Predictions(Logits(two_logits(phi)), labels=np.zeros(N, dtype=int), member=member, classes=["a", "b"])


def shadow_of(found: ReferenceScores) -> Predictions:
    """The reference model on which thresholds are set."""
    assert found.shadow is not None
    return found.shadow


def references_of(shadows: Shadows, target: Predictions, attacks: Any = CATALOGUE) -> ReferenceScores:
    """As an audit scores with the shadow models it has trained."""
    ids = shadows.plan.records.ids
    target = replace(target, ids=np.arange(N) if ids is None else ids)
    return score_with(answers_of(shadows), target, attacks, checks_of_training(shadows))


def drawn(rng: np.random.Generator, n_models: int, leak: float, leak_of_first: float) -> tuple[np.ndarray, np.ndarray]:
    """Phi of models that stand higher for their members, the first one by another step than the others."""
    member = complementary_pairs(n_models, N, seed=int(rng.integers(2**31)))
    steps = np.full(n_models, leak)
    steps[0] = leak_of_first
    return rng.normal(size=N) + rng.normal(size=(n_models, N)) + steps[:, None] * member, member


@pytest.mark.parametrize("n_models", [4, 8, 16])
def test_under_the_null_the_target_is_at_chance(n_models):
    """The shadow models leak; the target's phi has nothing to do with its members."""
    rng, found = np.random.default_rng(n_models), []
    for _ in range(150):
        phi, member = drawn(rng, n_models, leak=2.0, leak_of_first=2.0)
        truth = rng.permutation(N) < N // 2
        references = references_of(shadows_of(phi, member), target_of(phi[0] * 0 + rng.normal(size=N), truth), LIRA)
        found.append(auc(references.attacks.scores["lira_online"], truth))
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.std(found) / np.sqrt(150))


@pytest.mark.parametrize("n_models", [8, 16])
def test_under_the_null_the_shadow_that_sets_thresholds_is_at_chance(n_models):
    """The one that is left out with its partner knows nothing of its members, though all others leak."""
    rng, found = np.random.default_rng(n_models), []
    for _ in range(150):
        phi, member = drawn(rng, n_models, leak=2.0, leak_of_first=0.0)
        references = references_of(shadows_of(phi, member), target_of(rng.normal(size=N), member[1]), LIRA)
        found.append(auc(references.attacks.known_scores["lira_online"], shadow_of(references).member))
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.std(found) / np.sqrt(150))


@pytest.mark.parametrize("n_models", [4, 8, 16])
def test_every_model_in_turn_as_the_target_is_at_chance(n_models):
    """Leave-pair-out, over many designs at once: no model tells anything, so no score may; LiRA of 1 on 1 included."""
    rng, lira, counts = np.random.default_rng(n_models), [], []
    for seed in range(60):
        member = complementary_pairs(n_models, N, seed=seed)
        phi = rng.normal(size=N) + rng.normal(size=(n_models, N))
        for target in range(n_models):
            others = ~np.isin(np.arange(n_models), (target, partner(target)))
            lira.append(auc(lira_online(phi[target], phi[others], member[others]), member[target]))
            counts.append(auc(member[others].sum(axis=0).astype(float), member[target]))
    assert set(counts) == {0.5}  # exactly: every record is in half of the models that remain
    assert np.mean(lira) == pytest.approx(0.5, abs=4 * np.std(lira) / np.sqrt(len(lira)))


def counts_of(found: ReferencePhi) -> np.ndarray:
    """A score that reads no answer: of how many models a record is a member."""
    return np.asarray(found.is_in.sum(axis=0), dtype=np.float64)


@pytest.mark.parametrize("n_models", [4, 8, 16])
def test_no_score_tells_anything_of_models_that_know_nothing_whoever_is_the_target(n_models):
    """Leave-pair-out for every attack with references, over many designs: phi has nothing to do with members."""
    rng = np.random.default_rng(n_models)
    aucs: dict[str, list[float]] = {}
    for seed in range(12):
        member = complementary_pairs(n_models, N, seed=seed)
        phi = rng.normal(size=N) + rng.normal(size=(n_models, N))
        found = reference_phi(Given(Phi, phi, member), Predictions(Phi(phi[0]), np.zeros(N, dtype=int), member[0]))
        for target in range(n_models):
            turn = found.with_target(target, left_without(found, target))
            scores, _ = play_attacks(WITH_REFERENCES, turn, LikelihoodRatio(variance=Variance.POOLED))
            for name, values in {**scores, "counts": counts_of(turn)}.items():
                aucs.setdefault(name, []).append(auc(values, member[target]))
    assert set(aucs) >= {"lira_online", "empirical_bayes_online", "base_score_online", "rmia_offline", "attack_r"}
    assert set(aucs.pop("counts")) == {0.5}
    for name, of_targets in aucs.items():
        pairs = np.reshape(of_targets, (-1, 2)).mean(axis=1)  # partners' targets are each other's opposite
        assert np.mean(of_targets) == pytest.approx(0.5, abs=4 * np.std(pairs) / np.sqrt(len(pairs)) + 1e-12), name


def test_every_record_in_equally_many_models_without_partners_is_not_played_in_turn():
    """Each record is in half of the models, but no model has a partner: a member is missing one model, and it shows."""
    rng = np.random.default_rng(0)
    member = rank_design(8, N, seed=0)
    assert (member.sum(axis=0) == 4).all()
    phi = rng.normal(size=(8, N))
    truth = rng.permutation(N) < N // 2
    found = score_with(Given(Phi, phi, member), Predictions(Phi(phi[0]), np.zeros(N, dtype=int), truth))
    assert values_of_targets(found, None, SubjectScore.MEAN, silent) == ()


@pytest.mark.parametrize("first", [0, 1, 2, 5])
def test_the_score_of_the_shadow_is_lira_without_it_and_its_partner(first):
    rng = np.random.default_rng(first)
    phi, member = drawn(rng, 8, leak=2.0, leak_of_first=2.0)
    done = np.arange(8) >= first
    references = references_of(shadows_of(phi, member, done), target_of(phi[7], member[7]))
    others = done & ~np.isin(np.arange(8), (first, partner(first)))
    expected = lira_online(phi[first], phi[others], member[others])
    sides = member[others]
    if min(sides.sum(axis=0).min(), (~sides).sum(axis=0).min()) >= 2:
        np.testing.assert_allclose(references.attacks.known_scores["lira_online"], expected)
    else:
        assert references.attacks.known_scores == {}
    np.testing.assert_array_equal(shadow_of(references).member, member[first])
    np.testing.assert_array_equal(shadow_of(references).output(Logits).table.array[:, 0], phi[first])
    np.testing.assert_allclose(references.attacks.scores["lira_online"], lira_online(phi[7], phi[done], member[done]))


@pytest.mark.parametrize("n_models", [4, 8, 16, 64])
def test_a_planted_leak_is_found(n_models):
    rng = np.random.default_rng(n_models)
    phi, member = drawn(rng, n_models + 2, leak=3.0, leak_of_first=3.0)
    references = references_of(shadows_of(phi[:n_models], member[:n_models]), target_of(phi[-1], member[-1]))
    assert auc(references.attacks.scores["lira_online"], member[-1]) > 0.9
    if n_models > 4:
        assert auc(references.attacks.known_scores["lira_online"], member[0]) > 0.9
    else:
        assert references.attacks.known_scores == {}  # 1 on 1 tells nothing of a spread


def references(n_models: int, **more: Any) -> ReferenceScores:
    phi, member = drawn(np.random.default_rng(0), n_models, 2.0, 2.0)
    return references_of(shadows_of(phi, member, **more), target_of(phi[0], member[1]))


def unequal(rng: np.random.Generator, n_models: int, spread: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Phi of models that leak, of records whose spread is e^(spread z), one of them drawn anew in every model."""
    member = complementary_pairs(n_models, n, seed=int(rng.integers(2**31)))
    own = np.exp(spread * rng.normal(size=n))
    return rng.normal(size=n) + own * (rng.normal(size=(n_models, n)) + 1.5 * member), member


@pytest.mark.parametrize(
    ("n_models", "spread", "better"), [(8, 0.0, "pooled"), (86, 0.0, "pooled"), (86, 1.5, "per_record")]
)
def test_the_variance_is_the_one_that_finds_more_members_of_the_models(n_models, spread, better):
    """43 OUT models do not make a record's own spread the better: records alike in spread are better pooled."""
    phi, member = unequal(np.random.default_rng(n_models), n_models, spread)
    n = phi.shape[1]
    chosen = []
    for target in (phi[0], np.asarray(np.random.default_rng(1).normal(size=n))):  # which has no say
        labels = np.zeros(n, dtype=int)
        found = score_with(Given(Phi, phi, member), Predictions(Phi(target), labels, member[0]), LIRA)
        chosen.append(str(found.likelihood.variance))
        expected = lira_online(target, phi, member, variance=Variance(better))
        np.testing.assert_allclose(found.attacks.scores["lira_online"], expected)
        assert f"the better on {min(n_models, 32)} reference models in turn" in found.definitions["reference models"]
    assert chosen == [better, better]


def test_the_variance_is_pooled_where_no_other_can_be_played_in_turn():
    found = references(4)
    assert found.likelihood.variance is Variance.POOLED
    assert "as too few models remain to compare it" in found.definitions["reference models"]


def test_the_choice_of_the_variance_does_not_depend_on_the_order_of_records():
    phi, member = unequal(np.random.default_rng(5), 12, 0.7, 6000)
    target = np.random.default_rng(1).normal(size=6000)
    order = np.random.default_rng(2).permutation(6000)
    said = [
        score_with(
            Given(Phi, phi[:, o], member[:, o]),
            Predictions(Phi(target[o]), np.zeros(6000, dtype=int), member[0][o]),
            LIRA,
        ).definitions["reference models"]
        for o in (np.arange(6000), order)
    ]
    assert said[0] == said[1]


def with_views(n_models: int, n_queries: int = 18, n: int = 150) -> ReferenceScores:
    rng = np.random.default_rng(3)
    member = complementary_pairs(n_models + 2, n, seed=3)
    of_record = rng.normal(size=(n, n_queries)) + 2 * rng.normal(size=(n, 1))
    of_model = rng.normal(size=(n_models + 2, n, 1)) + 0.5 * rng.normal(size=(n_models + 2, n, n_queries))
    phi = of_record + of_model + 1.5 * member[:, :, None]
    given = Given(Phi, phi[:-2], member[:-2], target=phi[-2], target_kind=Phi)
    likelihood = LikelihoodRatio(queries="full_covariance")
    return score_with(given, Predictions(Phi(phi[-2][:, 0]), np.zeros(n, dtype=int), member[-2]), LIRA, (), likelihood)


@pytest.mark.parametrize("n_models", [4, 8])
def test_the_covariance_of_queries_with_few_models_is_warned_of(n_models):
    check = {check.name: check for check in with_views(n_models).attacks.checks}["query_covariance"]
    assert check.validity is Validity.LIMITED
    assert ("too few" in check.message) == (n_models == 4)
    assert "Take the mean over queries" in check.remedy


def test_the_covariance_of_one_query_is_not_warned_of():
    assert "query_covariance" not in {check.name for check in with_views(8, 1).attacks.checks}


def test_two_models_are_a_shadow_without_an_attack_with_references_on_it():
    found = references(2)
    assert (found.n_models, found.attacks.known_scores) == (2, {})
    assert np.isfinite(found.attacks.scores["lira_online"]).all()


def test_a_record_without_models_on_one_side_leaves_the_attack_out_and_not_the_audit():
    found = references(8, done=np.arange(8) < 1)
    assert (found.n_models, found.attacks.known_scores) == (1, {})
    assert set(found.attacks.scores) == {
        "empirical_bayes_online",
        "empirical_bayes_offline",
    }  # priors stand in for models
    why = {left.attack: left.needs for left in found.attacks.not_run}
    assert why["lira_online"] == "at least 1 shadow models per record that were trained on it"
    assert why["base_score_online"] == "models that were trained on each record"
    np.testing.assert_array_equal(shadow_of(found).labels, np.zeros(N))


def test_probabilities_give_the_same_scores_as_their_logits():
    phi, member = drawn(np.random.default_rng(0), 8, 2.0, 2.0)
    p = 1 / (1 + np.exp(-two_logits(phi)[..., ::-1] + two_logits(phi)))
    p[..., 1] = 1 - p[..., 0]
    by_logits = references_of(shadows_of(phi, member), target_of(phi[3], member[3]))
    shadows = replace(shadows_of(phi, member), store=Kept(p, "probabilities"))
    target = Predictions(Probabilities(p[3]), labels=np.zeros(N, dtype=int), member=member[3])
    by_probabilities = references_of(shadows, target)
    for a, b in (
        (by_logits.attacks.scores, by_probabilities.attacks.scores),
        (by_logits.attacks.known_scores, by_probabilities.attacks.known_scores),
    ):
        np.testing.assert_allclose(a["lira_online"], b["lira_online"], rtol=1e-6)
    assert shadow_of(by_probabilities).output(Loss) is None


# ------------------------------------------------------------------------------------------- what is said


def said(found: ReferenceScores) -> dict[str, Any]:
    return {check.name: check for check in found.attacks.checks}


def test_a_whole_run_has_nothing_to_confess():
    checks = said(references(8))
    assert list(checks) == ["shadow_models"]  # matched by id, nothing saturated
    assert checks["shadow_models"].message.startswith("8 shadow models on random halves of the 60 audited records: one")


def test_failures_are_told_by_number_and_never_by_what_they_quote():
    checks = said(
        references(8, done=np.arange(8) != 3, failures={3: "KeyError: 'patient anna' in /home/anna/patients.csv"})
    )
    failed = checks["failed_models"]
    assert (failed.validity, failed.message) == (Validity.LIMITED, "1 of 8 shadow models failed: 3.")
    assert "failures.json" in failed.remedy
    assert not any("anna" in f"{check.message} {check.remedy}" for check in checks.values())
    assert "models_left_out" not in checks


def test_models_left_out_say_what_that_costs():
    within = said(references(8, n_asked=32))["models_left_out"]
    assert within.validity is Validity.LIMITED
    assert within.message.startswith("8 of 32 shadow models fit the time there was: each record's mean with and with")
    assert "is known to 0.50 instead of 0.25 standard deviations" in within.message
    assert within.remedy == "Give more time; in a new run folder, for a plan of all of them."
    broken_off = said(references(8, done=np.arange(8) < 6))["models_left_out"]
    assert broken_off.message.startswith("6 of 8 shadow models")
    assert broken_off.remedy == "Start the audit again: it goes on where it ended."


def test_mended_signals_are_named():
    phi, member = drawn(np.random.default_rng(0), 8, 2.0, 2.0)
    shadows = replace(shadows_of(phi, member), mended=("logits of model 2 at epoch 0",))
    check = said(references_of(shadows, target_of(phi[0], member[1])))["mended_signals"]
    assert (check.validity, check.message) == (
        Validity.VALID,
        "Stored signals were damaged and made anew: logits of model 2 at epoch 0.",
    )

"""Attacks by distance on models whose distances are known: a ball of its own around every record."""

from collections.abc import Iterator

import numpy as np
import pytest

from vestige import Records
from vestige.attacks import CATALOGUE
from vestige.attacks.empirical_bayes import empirical_bayes_online
from vestige.auditing.label_only import BoundarySearch, CombinedDistances, NoisyCopies, SettledSearch, Translations
from vestige.auditing.label_only.boundary_search import references_of_records
from vestige.auditing.label_only.probe import RATIO, label_results, served
from vestige.auditing.label_only.question import LabelQuestion, LabelResults, ShadowLabels
from vestige.auditing.played import Played, PlayedAttacks
from vestige.core.inputs import InputSpace
from vestige.core.progress import silent
from vestige.evaluation.roc import roc

N = 300
BOUNDARY, CALIBRATED, SETTLED = "boundary_distance", "calibrated_boundary_distance", "settled_boundary_distance"


class Balls:
    """Says class 1 within a record's radius of the record, 0 beyond; where the radius is below 0, the other way."""

    n_classes = 2

    def __init__(self, inputs: np.ndarray, radii: np.ndarray) -> None:
        self.inputs, self.radii, self.n_asked = inputs, radii, np.zeros(len(inputs), dtype=int)

    def labels(self, inputs: np.ndarray, records: np.ndarray) -> np.ndarray:
        np.add.at(self.n_asked, records, 1)
        moved = (inputs - self.inputs[records]).reshape(len(inputs), -1)
        inside = np.linalg.norm(moved, axis=1) < np.abs(self.radii[records])
        return np.asarray(inside == (self.radii[records] > 0)).astype(int)


def planted(
    n_models: int = 8, leak: float = 0.3, seed: int = 0
) -> tuple[Records, np.ndarray, Balls, list[Balls], np.ndarray]:
    """Records of very different difficulty, alike for all models; members stand a little farther."""
    rng = np.random.default_rng(seed)
    pool = Records(rng.random((N, 3)) * 0.01 + 5, np.ones(N, dtype=int))
    is_in = np.repeat(rng.random((n_models // 2, N)) < 0.5, 2, axis=0)
    is_in[1::2] = ~is_in[::2]
    member = np.arange(N) < N // 2
    difficulty = rng.uniform(-0.5, 4, size=N)
    radii = [difficulty + leak * row + 0.05 * rng.normal(size=N) for row in (member, *is_in)]
    target, *models = (Balls(np.asarray(pool.inputs), of_model) for of_model in radii)
    return pool, member, target, models, is_in


def played(probe, target: Balls, models: list[Balls], pool: Records, is_in: np.ndarray, wanted) -> PlayedAttacks:
    return asked(probe, target, models, pool, is_in, wanted).attacks


def asked(probe, target: Balls, models: list[Balls], pool: Records, is_in: np.ndarray, wanted) -> LabelResults:
    def targets() -> Iterator[Balls]:
        yield from models

    shadows = ShadowLabels(is_in, None, targets)
    space = InputSpace(low=0.0, high=10.0)
    attacks = {attack.name: attack for attack in CATALOGUE if attack.name in wanted}
    question = LabelQuestion(
        target=lambda attack: target, predicted=np.ones(N, dtype=int), pool=pool, space=space, shadows=shadows,
        wanted=attacks, seed=0, progress=silent,
    )  # fmt: skip
    return label_results((probe,), question)


def named(found: PlayedAttacks, attack: str) -> Played:
    return next(one for one in found.played if one.attack.name == attack)


def auc_of(scores: np.ndarray, member: np.ndarray) -> float:
    return roc(scores[member], scores[~member]).auc


def test_comparing_with_models_that_never_saw_a_record_takes_its_difficulty_out():
    pool, member, target, models, is_in = planted()
    found = played(BoundarySearch(60, n_references=2), target, models, pool, is_in, (BOUNDARY, CALIBRATED))
    assert auc_of(found.scores[BOUNDARY], member) < 0.62
    assert auc_of(found.scores[CALIBRATED], member) > 0.95
    assert auc_of(found.known_scores[CALIBRATED], is_in[0]) > 0.95
    radii = np.array([model.radii for model in models])
    used = references_of_records(ShadowLabels(is_in, None, lambda: iter(())), 2)
    assert used is not None
    expected = target.radii - (radii * used).sum(axis=0) / used.sum(axis=0)
    np.testing.assert_allclose(found.scores[CALIBRATED], expected, atol=0.02)
    noted = named(found, CALIBRATED).by_budget
    assert noted is not None
    budgets, by_budget = noted
    assert by_budget.shape == (N, len(budgets))


def test_references_are_asked_about_what_they_never_saw_and_nothing_else():
    pool, _, target, models, is_in = planted()
    played(BoundarySearch(60, n_references=2), target, models, pool, is_in, (CALIBRATED,))
    assert (models[0].n_asked > 0).all()  # thresholds are set on it
    assert not models[1].n_asked.any()  # its training set is the rest: it would tell the first one's members
    for model, row in zip(models[2:], is_in[2:], strict=True):
        assert not model.n_asked[row].any()
    assert (np.sum([model.n_asked > 0 for model in models[2:]], axis=0) == 2).all()


def test_of_two_models_none_is_a_reference():
    pool, _, target, models, is_in = planted(n_models=2)
    found = played(BoundarySearch(60, n_references=1), target, models, pool, is_in, (BOUNDARY, CALIBRATED))
    assert [left.attack for left in found.not_run] == [CALIBRATED]
    assert set(found.scores) == {BOUNDARY}


def test_without_a_leak_there_is_nothing_to_compare():
    pool, member, target, models, is_in = planted(leak=0.0, seed=3)
    found = played(BoundarySearch(60, n_references=3), target, models, pool, is_in, (CALIBRATED,))
    assert auc_of(found.scores[CALIBRATED], member) == pytest.approx(0.5, abs=0.1)


def test_distances_of_copies_are_standardised_by_the_first_shadow_model():
    flat, member, target, models, is_in = planted(leak=2.0)
    images = np.full((N, 3, 3, 1), 5.0)  # shifted by a pixel they are what they were
    pool = Records(images, flat.labels)
    target, *models = (Balls(images, model.radii) for model in (target, *models))
    found = played(CombinedDistances(1, 40), target, models, pool, is_in, ("combined_distance",))
    own, source = (np.maximum(model.radii, 0) for model in (target, models[0]))
    expected = (own - source.mean()) / source.std()
    np.testing.assert_allclose(found.scores["combined_distance"], expected, atol=0.02)
    assert found.known_scores["combined_distance"].mean() == pytest.approx(0, abs=1e-9)
    assert (target.n_asked <= 200).all()
    assert named(found, "combined_distance").n_queries == 200
    assert not models[1].n_asked.any()
    assert auc_of(found.scores["combined_distance"], member) > 0.7


def test_copies_are_kept_of_target_and_first_shadow_model_for_networks_that_learn():
    flat, _, target, models, is_in = planted()
    pool = Records(np.full((N, 3, 3, 1), 5.0), flat.labels)
    target, *models = (Balls(np.asarray(pool.inputs), model.radii) for model in (target, *models))
    found = asked(Translations((1,)), target, models, pool, is_in, ("nn_augmentation",))
    assert not found.attacks.scores
    copies = found.copies["nn_augmentation"]
    for signals, model in ((copies.target, target), (copies.shadow, models[0])):
        np.testing.assert_array_equal(signals["correct"], np.repeat((model.radii > 0)[:, None], 5, axis=1))
    assert copies.n_queries == 5
    assert not models[1].n_asked.any()


def test_the_likelihood_ratio_of_distances_is_that_of_all_shadow_models_found_as_the_target_s():
    pool, member, target, models, is_in = planted(n_models=16)
    probe = BoundarySearch(60, likelihood_ratio=True)
    found = played(probe, target, models, pool, is_in, (BOUNDARY, RATIO))
    # A naive twin: signed radii in units of their median, through asinh, into the ratio that phi has.
    radii = np.array([model.radii for model in models])
    unit = np.median(np.abs(radii))
    expected = empirical_bayes_online(np.arcsinh(target.radii / unit), np.arcsinh(radii / unit), is_in)
    np.testing.assert_allclose(found.scores[RATIO], expected, atol=0.5)
    assert np.corrcoef(found.scores[RATIO], expected)[0, 1] > 0.99
    assert auc_of(found.scores[BOUNDARY], member) < 0.62
    assert auc_of(found.scores[RATIO], member) > 0.95
    assert auc_of(found.known_scores[RATIO], is_in[0]) > 0.95
    one = named(found, RATIO)
    assert one.n_queries == 60
    assert "asinh of the signed L2 distance" in one.definition
    assert one.by_budget is not None
    assert one.by_budget[1].shape == (N, 1)
    alone = played(BoundarySearch(60), target, models, pool, is_in, (BOUNDARY,))
    np.testing.assert_array_equal(alone.scores[BOUNDARY], found.scores[BOUNDARY])


@pytest.mark.parametrize("kind", [BoundarySearch, SettledSearch])
def test_without_a_leak_the_likelihood_ratio_of_distances_is_at_chance_and_order_says_nothing(kind):
    pool, member, target, models, is_in = planted(leak=0.0, seed=3)
    found = played(kind(60, likelihood_ratio=True), target, models, pool, is_in, (RATIO,))
    assert auc_of(found.scores[RATIO], member) == pytest.approx(0.5, abs=0.1)


def test_a_settled_search_feeds_the_likelihood_ratio_with_searches_that_end_alike():
    pool, member, target, models, is_in = planted(leak=0.6)
    found = played(SettledSearch(150, likelihood_ratio=True), target, models, pool, is_in, (SETTLED, RATIO))
    assert auc_of(found.scores[RATIO], member) > auc_of(found.scores[SETTLED], member) + 0.15
    assert "all models searched so" in named(found, RATIO).definition


def test_the_likelihood_ratio_of_distances_needs_shadow_models_in_pairs():
    pool, _, target, models, is_in = planted(n_models=2)
    for probe in (BoundarySearch(60, likelihood_ratio=True), SettledSearch(60, likelihood_ratio=True)):
        found = played(probe, target, models, pool, is_in, (RATIO,))
        assert [(left.attack, left.needs) for left in found.not_run] == [(RATIO, "at least 4 shadow models in pairs")]
        assert not found.scores


def test_a_search_that_is_asked_to_feed_the_likelihood_ratio_goes_before_noise():
    search, noise = BoundarySearch(likelihood_ratio=True, n_references=1), NoisyCopies()
    assert served([noise, search], [RATIO]) == [(search, (RATIO,))]
    assert served([noise, BoundarySearch()], [RATIO]) == [(noise, (RATIO,))]


def test_distances_are_compared_with_references_that_never_saw_any_record():
    pool, member, target, _, _ = planted(leak=0.3)
    outside = [Balls(model.inputs, model.radii) for model in planted(leak=0.0)[3][:3]]  # as hard, trained elsewhere
    nobody = np.zeros((3, N), dtype=bool)
    probe = BoundarySearch(60, n_references=3, likelihood_ratio=True)
    found = played(probe, target, outside, pool, nobody, (BOUNDARY, CALIBRATED, RATIO))
    radii = np.array([model.radii for model in outside])
    np.testing.assert_allclose(found.scores[CALIBRATED], target.radii - radii.mean(axis=0), atol=0.02)
    assert auc_of(found.scores[CALIBRATED], member) > 0.95
    assert found.known_scores == {}  # nobody's membership is known of them: no threshold is set there
    assert [left.attack for left in found.not_run] == [RATIO]
    assert "3 reference models" in named(found, CALIBRATED).definition


def test_distances_of_copies_are_kept_for_networks_that_learn():
    flat, _, target, models, is_in = planted(leak=2.0)
    images = np.full((N, 3, 3, 1), 5.0)
    target, *models = (Balls(images, model.radii) for model in (target, *models))
    pool = Records(images, flat.labels)
    found = asked(CombinedDistances(1, 40), target, models, pool, is_in, ("nn_combined_distance",))
    copies = found.copies["nn_combined_distance"]
    assert not found.attacks.scores
    assert copies.n_queries == 200
    for signals, model in ((copies.target, target), (copies.shadow, models[0])):
        expected = np.repeat(np.maximum(model.radii, 0)[:, None], 5, axis=1)
        np.testing.assert_allclose(signals["copy_distances"], expected, atol=0.03)


def test_a_settled_search_keeps_the_side_of_the_source_s_threshold():
    pool, _, target, models, is_in = planted(leak=2.0)
    whole = played(BoundarySearch(150), target, models, pool, is_in, (BOUNDARY,))
    whole_cost, target.n_asked[:] = target.n_asked.sum(), 0
    found = played(SettledSearch(150), target, models, pool, is_in, (SETTLED,))
    threshold = float(named(found, SETTLED).definition.split("side of ")[1].split(",")[0])
    same = (found.scores[SETTLED] > threshold) == (whole.scores[BOUNDARY] > threshold)
    assert same.mean() >= 0.98
    assert target.n_asked.sum() < 0.7 * whole_cost
    np.testing.assert_array_equal(found.known_scores[SETTLED], whole.known_scores[BOUNDARY])
    assert found.checks[0].name == "settled_search"

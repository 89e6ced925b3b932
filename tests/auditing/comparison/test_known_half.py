"""The adversary who knows half of the target's records: a plain loop, chance without a leak, its rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.auditing.small_models import table, torch_recipe

from vestige import Records, ShadowTraining, silent
from vestige.attacks import named
from vestige.auditing.comparison.compare import compare_defences
from vestige.auditing.comparison.known_half import BALANCED, KnownHalf, measures_of_half, told_by_thresholds
from vestige.core.outputs import Probabilities
from vestige.core.probabilities import softmax
from vestige.data.sets.designs import complementary_pairs
from vestige.defences import LabelsOnly, StrongestMemGuard
from vestige.evaluation.thresholds import balanced_accuracy_threshold
from vestige.training.strategies import Measured, Strategy

FOREST = named("forest_memguard")

pytestmark = pytest.mark.usefixtures("few_trees")


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch):
    measured = [Measured(Strategy(), 0.001)]
    monkeypatch.setattr("vestige.auditing.shadows.cost.measure_torch", lambda *_, **__: measured)


def planted(leak: float, n: int = 600, seed: int = 0) -> tuple[list[Probabilities], Records, np.ndarray]:
    """Answers of a pair of models that are surer of the true class of members by `leak`."""
    rng, is_in = np.random.default_rng(seed), complementary_pairs(2, n, seed=seed)
    labels = np.arange(n) % 3
    logits = rng.normal(size=(2, n, 3)) + 2.0 * np.eye(3)[labels]
    logits[:, np.arange(n), labels] += leak * is_in
    records = Records(np.zeros((n, 1)), labels)
    return [Probabilities(softmax(one)) for one in logits], records, is_in


def found(leak: float, **given: Any) -> tuple[Any, Records, np.ndarray]:
    answers, records, is_in = planted(leak, **given)
    return KnownHalf([FOREST], 0).of(answers, records, is_in, np.arange(2)), records, is_in


def test_half_of_each_side_is_known_and_only_the_others_are_scored():
    halves, _, is_in = found(1.0)
    for known, side, scores in zip(halves.known, is_in, halves.scores[FOREST.name], strict=True):
        assert (known[side].sum(), known[~side].sum()) == (150, 150)
        np.testing.assert_array_equal(np.isnan(scores), known)


def test_scores_and_measures_are_those_of_a_plain_loop():
    answers, records, is_in = planted(1.5)
    halves = KnownHalf([FOREST], 0).of(answers, records, is_in, np.arange(2))
    p = answers[0].whole()
    known, side, scores = halves.known[0], is_in[0], halves.scores[FOREST.name][0]
    signals = {"known_probabilities": p[known], "known_member": side[known], "probabilities": p[~known]}
    np.testing.assert_array_equal(scores[~known], FOREST.play(signals))
    measures = measures_of_half(scores, side, known, 0.0, (0.01,))
    inside, outside = scores[~known & side], scores[~known & ~side]
    above = (inside[:, None] > outside).mean() + (inside[:, None] == outside).mean() / 2
    assert measures["auc"].value == pytest.approx(above)
    assert measures[BALANCED].value == pytest.approx(((inside > 0).mean() + (outside <= 0).mean()) / 2)
    for measure in measures.values():
        assert measure.influence is not None
        assert not measure.influence[known].any()
        assert measure.influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_thresholds_of_classes_are_set_on_the_known_half_alone():
    rng = np.random.default_rng(0)
    scores, labels, side, known = (
        rng.normal(size=400),
        np.arange(400) % 3,
        np.arange(400) % 2 > 0,
        rng.random(400) < 0.5,
    )
    called = np.zeros(400, dtype=bool)
    for label in range(3):
        ours = labels == label
        t = balanced_accuracy_threshold(scores[ours & known & side], scores[ours & known & ~side])
        called |= ours & (scores >= t)
    plain = (called[~known & side].mean() + (~called)[~known & ~side].mean()) / 2
    assert told_by_thresholds(scores, side, known, labels, 3).value == pytest.approx(plain)


def test_no_leak_is_at_chance_and_a_leak_is_found():
    none: list[float] = []
    some: list[float] = []
    for leak, values in ((0.0, none), (2.0, some)):
        for seed in range(6):
            halves, _, is_in = found(leak, seed=seed)
            for place in range(2):
                scores = halves.scores[FOREST.name][place]
                values.append(measures_of_half(scores, is_in[place], halves.known[place], 0.0, ())["auc"].value)
    assert abs(np.mean(none) - 0.5) < 4 * np.std(none, ddof=1) / np.sqrt(len(none))
    assert min(some) > 0.6


def test_people_are_known_or_not_with_all_their_records():
    answers, records, _ = planted(1.0)
    subjects = np.arange(600) // 2
    is_in = complementary_pairs(2, 300, seed=0)[:, subjects]
    halves = KnownHalf([FOREST], 0).of(answers, replace(records, subjects=subjects), is_in, np.arange(2))
    assert (halves.known[:, ::2] == halves.known[:, 1::2]).all()


def test_it_stands_beside_the_others_in_the_table_and_is_not_played_on_labels(tmp_path):
    training = ShadowTraining(torch_recipe(epochs=4), n_models=6, bank=tmp_path / "bank")
    defences: dict[str, Any] = {"strong": StrongestMemGuard(), "labels": LabelsOnly()}
    attacks = ["loss", "empirical_bayes_online", "forest_memguard"]
    rows = compare_defences(table(120), training, defences, attacks=attacks, progress=silent).table
    of_half = rows[rows.adversary == "known half"]
    assert set(of_half.defence) == {"none", "strong"}
    assert not of_half.knows_defence.any()
    assert {(one.attack, one.metric) for one in of_half.itertuples()} == {
        ("forest_memguard", "auc"), ("forest_memguard", BALANCED), ("loss", BALANCED), ("modified_entropy", BALANCED),
    }  # fmt: skip
    strong = of_half[of_half.defence == "strong"]
    assert strong.difference.notna().all()
    assert not (rows[rows.adversary == "adaptive"].attack == "forest_memguard").any()

"""Outliers and canaries: records of a comparison that are looked at by themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.auditing.comparison.test_compare import ATTACKS, RECORDS, compared, planted
from tests.auditing.small_models import table, torch_recipe

from vestige import SklearnRecipe, silent
from vestige.auditing.comparison.compare import compare_defences
from vestige.auditing.comparison.marked import CANARIES, OUTLIERS, Marked, Sources, measures_of_marked, mislabelled
from vestige.auditing.comparison.measured import compared as measured
from vestige.auditing.comparison.over_records import precision
from vestige.auditing.comparison.rates import Scored, curve_of
from vestige.auditing.shadows.settings import ShadowTraining
from vestige.core.errors import InputError
from vestige.defences import TopK
from vestige.evaluation.outliers import precision_on_outliers

ROWS = np.arange(2_000)


def test_precision_is_that_of_the_audits():
    rng = np.random.default_rng(0)
    member, called, some = rng.random(500) < 0.4, rng.random(500) < 0.5, rng.random(500) < 0.1
    found = precision_on_outliers(called, member, some)
    for rows, expected in ((some, found.outliers), (np.ones(500, dtype=bool), found.everyone)):
        own = precision(called, member, rows)
        assert own is not None
        assert own.value == pytest.approx(expected.value)
    assert precision(np.zeros(500, dtype=bool), member, some) is None
    assert precision(called, np.ones(500, dtype=bool), some) is None


def test_planted_records_stand_out_in_every_number():
    """40 records that leak, all others do not: they are found, and precision on them is higher, also in the table."""
    family, some = planted("none", 0.0), np.isin(ROWS, np.arange(40) * 50)
    assert family.observed is not None
    phi = family.observed.shadow_phi + (8.0 * family.is_in * some)[:, :, None]
    leaky = replace(family, observed=replace(family.observed, answers={**family.observed.answers, "shadow_phi": phi}))
    marked = [Marked(OUTLIERS, some, frozenset({0, 1})), Marked(CANARIES, some)]
    found = measured({"none": leaky}, ATTACKS, silent, marked)["none"].by_adversary["adaptive"][
        "empirical_bayes_online"
    ]
    assert set(found["precision, outliers"].of_pairs) == {1, 2, 3}  # the model that told judges not, nor its partner
    assert set(found["tpr_at_fpr_0.01, canaries"].of_pairs) == {0, 1, 2, 3}
    assert found["precision, outliers"].over_pairs.value > 0.75
    assert found["precision gain, outliers"].over_pairs.lower > 0.2
    assert set(found["precision gain, outliers, source threshold"].of_pairs) == {1, 2, 3}
    assert found["tpr_at_fpr_0.01, canaries"].over_pairs.value > 0.6
    assert found["tpr_at_fpr_0.01"].over_pairs.value < 0.05


def test_a_rate_of_some_is_at_the_threshold_of_all():
    rng = np.random.default_rng(0)
    side, some = rng.random(3_000) < 0.5, rng.random(3_000) < 0.02
    scored = Scored("loss", 0, rng.normal(size=3_000) + side, side)
    found = measures_of_marked(scored, curve_of(scored), Marked(OUTLIERS, some))
    outside = np.sort(scored.scores[~side])[::-1]
    threshold = outside[int(0.01 * (~side).sum())]
    assert found["tpr_at_fpr_0.01, outliers"].value == (scored.scores[side & some] > threshold).mean()
    assert measures_of_marked(scored, curve_of(scored), Marked(OUTLIERS, some, frozenset({0}))) == {}


def test_a_source_model_s_threshold_is_that_of_the_pair_before():
    """Scores of every model stand 10 higher than those of the pair before: everybody is called."""
    rng, sources = np.random.default_rng(0), Sources()
    side, some = rng.random(400) < 0.5, rng.random(400) < 0.2
    all_of = [Scored("loss", m, rng.normal(size=400) + side + 10 * (m // 2), side) for m in range(4)]
    for m, scored in enumerate(all_of):
        sources.enter(scored, curve_of(scored), m // 2)
    assert sources.threshold("loss", 0) is None
    assert sources.threshold("other", 1) is None
    at = sources.threshold("loss", 1)
    last = all_of[1].scores
    accuracies = [(last > t)[side].mean() - (last > t)[~side].mean() for t in np.sort(last)]
    assert at is not None
    assert (last > at)[side].mean() - (last > at)[~side].mean() == pytest.approx(max(accuracies))
    found = measures_of_marked(all_of[2], curve_of(all_of[2]), Marked(OUTLIERS, some), at)
    assert found["precision, outliers, source threshold"].value == pytest.approx(0.5)
    assert found["precision gain, outliers, source threshold"].value == pytest.approx(0.0)
    own = precision(all_of[2].scores > at + 10, side, some)
    moved = measures_of_marked(all_of[2], curve_of(all_of[2]), Marked(OUTLIERS, some), at + 10)
    assert own is not None
    assert moved["precision, outliers, source threshold"].value == own.value


def test_canaries_have_other_labels_and_nothing_else_changes():
    found = mislabelled(RECORDS, 12, seed=3)
    before, after = np.asarray(RECORDS.labels), np.asarray(found.records.labels)
    assert found.is_canary.sum() == 12
    np.testing.assert_array_equal(before != after, found.is_canary)
    assert found.records.inputs is RECORDS.inputs
    again, other = mislabelled(RECORDS, 12, seed=3), mislabelled(RECORDS, 12, seed=4)
    np.testing.assert_array_equal(again.records.labels, after)
    assert (other.is_canary != found.is_canary).any()
    for n in (0, 61):
        with pytest.raises(InputError, match="Expected 1 to 60 canaries among 120 records"):
            mislabelled(RECORDS, n)


def test_a_comparison_with_canaries_says_so_and_leaves_them_out_of_accuracy(tmp_path):
    records = mislabelled(table(120), 60)
    training = ShadowTraining(torch_recipe(epochs=4), n_models=6, bank=tmp_path / "bank")
    given: Any = {"attacks": ["loss"], "progress": silent}
    found = compare_defences(records, training, {"top": TopK(3)}, run=tmp_path / "run", **given)
    assert any(note.startswith("CANARIES: 60 of 120 records were given another label") for note in found.notes)
    assert "CANARIES: 60" in str(found)
    assert "CANARIES: 60 of 120" in (tmp_path / "run" / "comparison.html").read_text()
    whole = compare_defences(records.records, training, {"top": TopK(3)}, **given)
    assert not any(note.startswith("CANARIES") for note in whole.notes)
    assert found.table.test_accuracy[0] > whole.table.test_accuracy[0] + 0.02


def test_models_without_a_last_layer_have_no_outliers(tmp_path):
    from sklearn.tree import DecisionTreeClassifier

    training = ShadowTraining(SklearnRecipe(DecisionTreeClassifier()), n_models=6, bank=tmp_path / "bank")
    found = compare_defences(table(120), training, {"top": TopK(2)}, attacks=["loss"], progress=silent)
    assert found.notes[0].startswith("No outliers are shown: models have no last layer")
    assert not found.table.metric.str.contains("outliers").any()


def test_outliers_have_rows_of_their_own(tmp_path):
    found = compared(tmp_path, {"top": TopK(2)}).table
    metrics = set(found[(found.attack == "correctness") & (found.defence == "top")].metric)
    assert metrics <= {"auc", "precision, outliers", "precision gain, outliers", "precision, all beside outliers"}

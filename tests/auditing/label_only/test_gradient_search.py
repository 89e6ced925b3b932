"""The distance by gradients in audits: the same for target and source, and refused without gradients."""

from typing import Any

import numpy as np
import pytest
from tests.auditing.shadows.test_sources import noise, sides
from tests.auditing.small_models import torch_recipe

from vestige import Querying, ShadowTraining, audit
from vestige.auditing.label_only import BoundarySearch, GradientSearch
from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.inputs import InputSpace
from vestige.signals.boundary import Descent, carlini_wagner
from vestige.targets.opening import open_target

SPACE = InputSpace(low=-5.0, high=5.0)
SHORT = GradientSearch(n_steps=100, n_searches=3)


class Asked:
    def __init__(self, classifier):
        self.model: Any = open_target(classifier, 3)

    def margins(self, inputs, labels, records):
        return self.model.margins(inputs, labels)


def test_target_and_source_models_are_searched_and_a_threshold_is_set_on_them(tmp_path):
    (members, nonmembers), recipe = sides(), torch_recipe(epochs=60)
    model = recipe.fit(members, seed=0).classifier
    training = ShadowTraining(recipe, records=noise(seed=3), n_sources=2, bank=tmp_path)
    asking = Querying(access="gradients", inputs=SPACE, label_only=(SHORT, BoundarySearch(300)))
    attacks = ["white_box_distance", "boundary_distance"]
    found = audit(model, members, nonmembers, adversary=training, attacks=attacks, querying=asking)
    both = np.concatenate([members.inputs, nonmembers.inputs])
    labels = np.concatenate([members.labels, nonmembers.labels])
    bounds = SPACE.bounds(both)
    expected = carlini_wagner(Asked(model), both, labels, np.arange(len(both)), bounds, Descent(100, 3))
    scores = found.records["white_box_distance"].to_numpy()
    assert np.allclose(scores, np.where(np.isinf(expected), 1e30, expected))
    by_labels = found.records["boundary_distance"].to_numpy()
    is_left = (by_labels > 0) & (by_labels < 1e30) & (scores < 1e30)
    assert np.median(scores[is_left] / by_labels[is_left]) < 1.1
    rows = found.results.query("attack == 'white_box_distance' and threshold == 'shadow_strict' and group == 'all'")
    assert rows.query("metric == 'balanced_accuracy'")["value"].iloc[0] > 0.6
    assert set(rows["n_queries"]) == {301}


def test_shadow_models_on_the_audited_records_are_searched_too(tmp_path):
    (members, nonmembers), recipe = sides(), torch_recipe(epochs=30)
    model = recipe.fit(members, seed=0).classifier
    asking = Querying(access="gradients", inputs=SPACE, label_only=(SHORT,))
    training = ShadowTraining(recipe, n_models=4, bank=tmp_path)
    found = audit(model, members, nonmembers, adversary=training, attacks=["white_box_distance"], querying=asking)
    assert (found.results["threshold"] == "shadow_strict").any()


def test_less_than_gradients_and_records_that_are_prepared_are_refused():
    with pytest.raises(InputError, match="access to gradients"):
        Querying(label_only=(SHORT,))
    (members, nonmembers), recipe = sides(), torch_recipe(epochs=2)
    model = recipe.fit(members, seed=0).classifier
    asking = Querying(access="gradients", inputs=InputSpace(low=-5.0, high=5.0, scale=2.0), label_only=(SHORT,))
    with pytest.raises(UnsupportedModelError, match="as they are"):
        audit(model, members, nonmembers, attacks=["white_box_distance"], querying=asking)

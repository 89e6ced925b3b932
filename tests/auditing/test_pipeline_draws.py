"""Draws of the training pipeline as queries: the same for every model, whatever the order of the records."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vestige.auditing.audit import audit
from vestige.auditing.files.audit_file import audit_file_of
from vestige.auditing.querying.settings import Querying
from vestige.auditing.shadows.auxiliary_references import references_from_scratch
from vestige.core.errors import InputError
from vestige.core.records import Records
from vestige.core.views import PipelineDraws
from vestige.training.sklearn_recipe import SklearnRecipe


def shaken(batch, rng):
    return batch + rng.normal(size=(len(batch), 1)).astype(batch.dtype)


def test_draws_are_the_records_whatever_their_order():
    inputs = np.random.default_rng(0).normal(size=(20, 3))
    order = np.random.default_rng(1).permutation(20)
    views = PipelineDraws(shaken, n_draws=3, seed=5)
    draws, again = list(views.others(inputs)), list(views.others(inputs[order]))
    assert views.n_views == 4
    assert len(draws) == 3
    assert not np.array_equal(draws[0], draws[1])
    for one, other in zip(draws, again, strict=True):
        np.testing.assert_array_equal(one[order], other)


def test_no_draw_and_another_shape_are_refused():
    with pytest.raises(InputError, match="at least 1 draw"):
        PipelineDraws(shaken, n_draws=0)
    with pytest.raises(InputError, match="to return an array"):
        next(PipelineDraws(lambda batch, rng: batch[:1]).others(np.zeros((3, 2))))


def test_the_mean_over_draws_is_what_references_compare():
    """By hand: every model is asked about the record and its draws, and calibration takes the mean of all of them."""
    rng = np.random.default_rng(0)

    def some(first, n):
        return Records(rng.normal(size=(n, 2)), rng.integers(2, size=n), ids=np.arange(first, first + n))

    members, nonmembers, auxiliary = some(0, 30), some(30, 30), some(60, 40)
    recipe, views = SklearnRecipe(LogisticRegression()), PipelineDraws(shaken, n_draws=4)
    target = recipe.fit(members, seed=0).classifier
    references = references_from_scratch(recipe, auxiliary, members, nonmembers, views=views)
    found = audit(
        target,
        members,
        nonmembers,
        adversary=references,
        attacks=["max_confidence", "calibrated_max_confidence"],
        querying=Querying(views=views),
    ).records
    both = np.concatenate([members.inputs, nonmembers.inputs])
    asked = [both, *views.others(both)]
    reference = references.classifiers[0]
    score = {m: np.mean([np.log(m.predict_proba(x).max(axis=1)) for x in asked], axis=0) for m in (target, reference)}
    np.testing.assert_allclose(found["calibrated_max_confidence"], score[target] - score[reference], atol=1e-9)


def test_an_audit_file_names_the_pipeline(tmp_path):
    (tmp_path / "pipeline.py").write_text("def shaken(batch, rng):\n    return batch\n")
    said = {
        "target": {"model": "model.skops", "views": {"augment": "pipeline:shaken", "n_draws": 3}},
        "data": {"members": "a.csv", "nonmembers": "b.csv"},
    }
    file = audit_file_of(said, tmp_path, "audit.toml")
    views = file.querying().views
    assert isinstance(views, PipelineDraws)
    assert views.n_views == 4
    assert "pipeline:shaken" in file.modules()

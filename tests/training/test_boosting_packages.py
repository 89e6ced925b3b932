"""XGBoost and LightGBM follow scikit-learn's conventions: cloned, seeded, asked and kept as its own estimators are."""

import json
import warnings

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.training.estimators import ARRAY, CLASSES, CODES, NUMBERS, one_thread

from vestige.core.errors import ArtefactError, InputError
from vestige.core.records import Records
from vestige.targets.objects.estimator import EstimatorTarget
from vestige.training.identity import is_reusable
from vestige.training.sklearn_recipe import SklearnRecipe, dump

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")

_one_thread = pytest.fixture(autouse=True)(one_thread)


def xgb(**options):
    return xgboost.XGBClassifier(n_estimators=4, subsample=0.5, n_jobs=1, **options)


def lgbm(**options):
    bagging = {"subsample": 0.5, "subsample_freq": 1}
    return lightgbm.LGBMClassifier(n_estimators=4, min_child_samples=3, verbose=-1, n_jobs=1, **bagging, **options)


KINDS = pytest.mark.parametrize("make", [xgb, lgbm])


def answers(classifier) -> np.ndarray:
    found = EstimatorTarget(classifier, 3).answers(NUMBERS)
    return np.concatenate(list(found.table.blocks(1 << 20)))


@KINDS
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_the_same_is_trained_asked_and_kept(make, in_pipeline):
    given = make_pipeline(StandardScaler(), make()) if in_pipeline else make()
    given.fit(NUMBERS, CODES)
    before = answers(given)
    recipe = SklearnRecipe(given)
    model = recipe.fit(ARRAY, seed=1)
    np.testing.assert_array_equal(answers(recipe.fit(ARRAY, seed=1).classifier), answers(model.classifier))
    assert not np.array_equal(answers(recipe.fit(ARRAY, seed=2).classifier), answers(model.classifier))
    np.testing.assert_array_equal(answers(given), before)
    again = recipe.load(recipe.dump(model))
    np.testing.assert_array_equal(answers(again.classifier), answers(model.classifier))


@KINDS
def test_without_a_seed_each_has_its_own_too(make):
    given = make()
    assert given.random_state is None
    found = [SklearnRecipe(given).fit(ARRAY, seed=s).classifier for s in (1, 2)]
    assert found[0].random_state != found[1].random_state


@KINDS
def test_an_identity_holds_every_parameter(make):
    identity = SklearnRecipe(make().fit(NUMBERS, CODES)).identity()
    assert is_reusable(identity)
    assert json.loads(json.dumps(identity)) == identity
    assert identity == SklearnRecipe(make(random_state=3).fit(NUMBERS, CODES)).identity()
    assert identity != SklearnRecipe(make(reg_lambda=3.0).fit(NUMBERS, CODES)).identity()


@KINDS
def test_stopping_by_records_that_fit_was_given_is_refused_with_its_cure(make):
    with pytest.raises(
        InputError, match="early_stopping_rounds = 3, which stops by records given to fit; set it to None"
    ):
        SklearnRecipe(make(early_stopping_rounds=3))


@KINDS
def test_classes_that_are_missing_have_probability_0(make):
    part = Records(NUMBERS, CODES, classes=list(CLASSES)).take(CODES != 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = answers(SklearnRecipe(make()).fit(part, seed=0).classifier)
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_weights_of_named_classes_are_translated():
    recipe = SklearnRecipe(lgbm(class_weight={"severe": 4.0}))
    assert recipe.fit(ARRAY, seed=0).classifier.class_weight == {2: 4.0}


def test_a_class_of_another_package_is_refused():
    files = dump(SklearnRecipe(lgbm()).fit(ARRAY, seed=0), ())
    damaged = {**files, "estimator.skops": files["estimator.skops"][:-50]}
    with pytest.raises(ArtefactError, match="damaged"):
        SklearnRecipe(lgbm()).load(damaged)

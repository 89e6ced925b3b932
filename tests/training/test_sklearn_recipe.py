"""Any estimator is trained anew like itself, with a seed of its own, and never changed; its identity tells recipes."""

import functools
import json
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.multiclass import OutputCodeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from tests.training.estimators import (
    ARRAY,
    CLASSES,
    CODES,
    ESTIMATORS,
    NUMBERS,
    double,
    one_thread,
    uncertain_svm,
    voting,
)

from vestige.core.errors import InputError, TrainingError
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.training.identity import is_reusable
from vestige.training.sklearn_recipe import SklearnRecipe

_one_thread = pytest.fixture(autouse=True)(one_thread)
CODED = OutputCodeClassifier(LogisticRegression())  # labels alone
EVERY = pytest.mark.parametrize("name", ESTIMATORS)


def fitted(name: str) -> tuple[Any, Records]:
    make, records = ESTIMATORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make().fit(records.inputs, records.labels), records


def probabilities(model: Model, records: Records) -> np.ndarray:
    return np.asarray(model.classifier.predict_proba(records.inputs))


def parameters_of(estimator: Any) -> str:
    return repr(sorted(estimator.get_params(deep=True).items()))


# ------------------------------------------------------------------------------------------ training


@EVERY
def test_the_same_is_trained_and_the_given_one_is_not_changed(name):
    estimator, records = fitted(name)
    before, answers = parameters_of(estimator), estimator.predict_proba(records.inputs)
    recipe = SklearnRecipe(estimator)
    assert isinstance(recipe, Recipe)
    model = recipe.fit(records, seed=1)
    assert type(model.classifier) is type(estimator)
    assert model.classifier is not estimator
    assert (model.n_classes, model.seed, model.epoch) == (3, 1, 0)
    assert model.classifier.classes_.tolist() == [0, 1, 2]
    assert parameters_of(estimator) == before
    np.testing.assert_array_equal(estimator.predict_proba(records.inputs), answers)


@EVERY
def test_a_seed_decides_the_model_whether_the_given_one_was_fitted_or_not(name):
    make, records = ESTIMATORS[name]
    first = probabilities(SklearnRecipe(make()).fit(records, seed=5), records)
    again = probabilities(SklearnRecipe(fitted(name)[0]).fit(records, seed=5), records)
    np.testing.assert_array_equal(first, again)


def test_a_model_equals_a_clone_that_is_fitted_by_hand():
    by_hand = LogisticRegression(C=0.3).fit(NUMBERS, CODES)
    model = SklearnRecipe(LogisticRegression(C=0.3)).fit(ARRAY, seed=0)
    np.testing.assert_array_equal(probabilities(model, ARRAY), by_hand.predict_proba(NUMBERS))


@pytest.mark.parametrize("name", ["forest", "perceptron", "voting", "bagging", "columns and boosting"])
def test_every_seed_inside_is_the_model_s_own(name):
    recipe, records = SklearnRecipe(ESTIMATORS[name][0]()), ESTIMATORS[name][1]
    seeds = [
        {k: v for k, v in recipe.fit(records, seed=s).classifier.get_params().items() if k.endswith("random_state")}
        for s in (1, 2)
    ]
    assert all(isinstance(value, int) for found in seeds for value in found.values())
    assert all(seeds[0][k] != seeds[1][k] for k in seeds[0])
    assert len(set(seeds[0].values())) == len(seeds[0])  # parts do not draw the same numbers


def test_a_fixed_seed_does_not_make_models_alike():
    forest = RandomForestClassifier(5, random_state=0)
    one, other = (probabilities(SklearnRecipe(forest).fit(ARRAY, seed=s), ARRAY) for s in (1, 2))
    assert not np.array_equal(one, other)


def test_warm_start_is_off():
    forest = RandomForestClassifier(5, warm_start=True).fit(NUMBERS, CODES)
    model = SklearnRecipe(make_pipeline(StandardScaler(), forest)).fit(ARRAY, seed=1)
    assert model.classifier.get_params()["randomforestclassifier__warm_start"] is False


def test_warnings_of_training_are_the_user_s_of_old():
    model = SklearnRecipe(MLPClassifier((3,), max_iter=1)).fit(ARRAY, seed=0)  # it does not converge
    assert model.classifier.n_iter_ == 1


def test_what_was_handled_is_said():
    assert SklearnRecipe(LogisticRegression()).handled() == ()
    said = SklearnRecipe(ESTIMATORS["forest"][0]()).handled()
    assert said == (
        "random_state: each model's own seed instead of the fixed one",
        "warm_start: switched off, each model begins anew",
    )
    assert SklearnRecipe(voting()).handled()[0].startswith("a__random_state, b__random_state: each model's own seed")
    kept = "early_stopping: kept; records set apart for it count as members"
    assert SklearnRecipe(HistGradientBoostingClassifier()).handled() == (kept,)  # "auto" may stop
    assert SklearnRecipe(HistGradientBoostingClassifier(early_stopping=False)).handled() == ()
    assert SklearnRecipe(MLPClassifier(early_stopping=True)).handled() == (kept,)
    assert SklearnRecipe(MLPClassifier()).handled() == ()  # its patience means the training loss
    assert "n_iter_no_change: kept" in SklearnRecipe(GradientBoostingClassifier(n_iter_no_change=3)).handled()[0]
    assert SklearnRecipe(GradientBoostingClassifier()).handled() == ()


# ----------------------------------------------------------------------------- what is held by class


@pytest.mark.parametrize("classes", [CLASSES, ("severe", "mild", "none")])
@pytest.mark.parametrize("is_fitted", [True, False])
def test_weights_of_named_classes_are_translated(classes, is_fitted):
    names = np.array(CLASSES)[CODES]
    estimator = LogisticRegression(class_weight={"severe": 5, "none": 2}).fit(NUMBERS, names)
    given = estimator if is_fitted else clone(estimator)
    model = SklearnRecipe(make_pipeline(StandardScaler(with_mean=False, with_std=False), given)).fit(
        Records(NUMBERS, names, classes=classes), seed=0
    )
    columns = [classes.index(name) for name in estimator.classes_]
    np.testing.assert_allclose(
        model.classifier.predict_proba(NUMBERS)[:, columns], estimator.predict_proba(NUMBERS), atol=1e-4
    )


def test_weights_of_codes_stay_weights_of_codes():
    weight = {0: 1.0, 2: 5.0}
    estimator = LogisticRegression(class_weight=weight).fit(NUMBERS, CODES)
    model = SklearnRecipe(estimator).fit(ARRAY, seed=0)
    assert model.classifier.class_weight == weight
    np.testing.assert_array_equal(probabilities(model, ARRAY), estimator.predict_proba(NUMBERS))


def test_weights_of_numbers_that_are_names():
    """Classes called 1, 2, 3 have codes 0, 1, 2; that the estimator was fitted on codes is seen in its classes."""
    records = Records(NUMBERS, CODES + 1, classes=["1", "2", "3"])
    by_name = LogisticRegression(class_weight={1: 5.0}).fit(NUMBERS, CODES + 1)
    assert SklearnRecipe(by_name).fit(records, seed=0).classifier.class_weight == {0: 5.0}
    by_code = LogisticRegression(class_weight={1: 5.0}).fit(NUMBERS, CODES)
    assert SklearnRecipe(by_code).fit(records, seed=0).classifier.class_weight == {1: 5.0}
    assert by_name.class_weight == {1: 5.0}


def test_balanced_weights_stay():
    estimator = RandomForestClassifier(3, class_weight="balanced_subsample")
    assert SklearnRecipe(estimator).fit(ARRAY, seed=0).classifier.class_weight == "balanced_subsample"


def test_weights_of_foreign_classes_are_refused():
    with pytest.raises(
        InputError, match="the keys of class_weight among the classes of the records, mild, none, severe"
    ):
        SklearnRecipe(LogisticRegression(class_weight={">50K": 2})).fit(ARRAY, seed=0)


@pytest.mark.parametrize("is_fitted", [True, False])
@pytest.mark.parametrize("make", [GaussianNB, LinearDiscriminantAnalysis])
def test_priors_follow_their_classes(make, is_fitted):
    names = np.array(CLASSES)[CODES]
    estimator = make(priors=[0.7, 0.1, 0.2])
    by_hand = clone(estimator).fit(NUMBERS, names)
    records = Records(NUMBERS, names, classes=["severe", "mild", "none"])
    model = SklearnRecipe(by_hand if is_fitted else estimator).fit(records, seed=0)
    assert model.classifier.priors.tolist() == [0.2, 0.7, 0.1]
    np.testing.assert_allclose(model.classifier.predict_proba(NUMBERS)[:, [1, 2, 0]], by_hand.predict_proba(NUMBERS))


def test_a_class_that_no_training_record_has_is_left_out():
    model = SklearnRecipe(LogisticRegression()).fit(ARRAY.take(CODES != 1), seed=0)
    assert model.classifier.classes_.tolist() == [0, 2]
    assert model.n_classes == 3


# ------------------------------------------------------------------------------------------- refused


class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, X, y):
        raise ValueError("no\nluck")

    def predict_proba(self, X):
        return None


def test_a_failing_fit_is_reported_in_one_line():
    with pytest.raises(TrainingError, match="Expected Broken to fit 90 records, found ValueError: no luck") as caught:
        SklearnRecipe(Broken()).fit(ARRAY, seed=0)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (SVC, "found SVC; give an instance"),
        (len, "found builtin_function_or_method; give an instance with fit and get_params"),
        (None, "found NoneType"),
        (CODED, "predict_proba or decision_function, found OutputCodeClassifier without; switch its prob"),
        (make_pipeline(StandardScaler(), CODED), "found Pipeline without"),
        (StandardScaler(), "found StandardScaler without"),
    ],
)
def test_what_has_no_probabilities_is_refused(estimator, said):
    with pytest.raises(InputError, match=said):
        SklearnRecipe(estimator)


def test_a_classifier_with_margins_alone_is_trained_and_stored():
    recipe = SklearnRecipe(SGDClassifier())
    model = recipe.fit(ARRAY, seed=0)
    again = recipe.load(recipe.dump(model))
    np.testing.assert_array_equal(
        again.classifier.decision_function(ARRAY.inputs), model.classifier.decision_function(ARRAY.inputs)
    )


def test_probabilities_that_only_an_option_gives_are_taken():
    model = SklearnRecipe(CalibratedClassifierCV(uncertain_svm(), cv=3)).fit(ARRAY, seed=0)
    assert probabilities(model, ARRAY).shape == (90, 3)
    assert SklearnRecipe(SGDClassifier(loss="log_loss")).fit(ARRAY, seed=0).n_classes == 3


@pytest.mark.parametrize(
    "options",
    [
        {"start": Model(None, 3, seed=0)},
        {"validation": ARRAY},
        {"checkpoints": [1]},
        {"device": "cuda"},
    ],
    ids=lambda o: next(iter(o)),
)
def test_options_it_does_not_have_are_refused(options):
    with pytest.raises(InputError, match=f"Expected no {next(iter(options))} with a scikit-learn estimator"):
        SklearnRecipe(GaussianNB()).fit(ARRAY, seed=0, **options)
    assert SklearnRecipe(GaussianNB()).fit(ARRAY, seed=0, device="cpu").n_classes == 3


# ------------------------------------------------------------------------------------------ identity


def text(estimator: Any, **options: Any) -> str:
    return json.dumps(SklearnRecipe(estimator, **options).identity(), sort_keys=True)


@EVERY
def test_an_identity_is_reusable_and_not_changed_by_fitting(name):
    identity = SklearnRecipe(ESTIMATORS[name][0]()).identity()
    assert is_reusable(identity)
    assert identity == SklearnRecipe(fitted(name)[0]).identity()
    assert json.loads(json.dumps(identity)) == identity


def test_an_identity_is_the_same_in_another_process():
    code = (
        "from tests.training.test_sklearn_recipe import ESTIMATORS, text\n"
        "print(*(text(make()) for make, _ in ESTIMATORS.values()), sep='\\n')\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.splitlines() == [text(make()) for make, _ in ESTIMATORS.values()]


def test_any_parameter_changes_the_identity():
    def pipeline(**options: Any) -> Pipeline:
        steps = [("columns", ColumnTransformer([("c", OneHotEncoder(), ["a"])])), ("model", LogisticRegression())]
        return Pipeline(steps).set_params(**options)

    changed = [
        pipeline(),
        pipeline(model__C=2.0),
        pipeline(model__class_weight={0: 1.0}),
        pipeline(model__class_weight={0: 2.0}),
        pipeline(columns__transformers=[("c", OneHotEncoder(), ["b"])]),
        pipeline(columns__transformers=[("c", OneHotEncoder(), ["a", "b"])]),
        pipeline(columns__transformers=[("c", OneHotEncoder(), slice(0, 1))]),
        pipeline(columns__transformers=[("c", OneHotEncoder(min_frequency=2), ["a"])]),
        pipeline(columns__transformers=[("d", OneHotEncoder(), ["a"])]),
        pipeline(columns__c="passthrough"),
        pipeline(model=GaussianNB()),
        GridSearchCV(pipeline(), {"model": [LogisticRegression(C=1.0)]}),
        GridSearchCV(pipeline(), {"model": [LogisticRegression(C=2.0)]}),  # only in a list of a mapping
        GridSearchCV(pipeline(), {}, cv=StratifiedKFold(3)),
        GridSearchCV(pipeline(), {}, cv=StratifiedKFold(4)),
        GaussianNB(priors=[0.5, 0.5]),
        GaussianNB(priors=np.array([0.5, 0.5])),
        GaussianNB(priors=np.array([0.4, 0.6])),
        OneHotEncoderThenModel(dtype=np.float32),
        OneHotEncoderThenModel(dtype=np.dtype(np.float32)),
        OneHotEncoderThenModel(dtype=np.float64),
    ]
    texts = [text(estimator) for estimator in changed]
    assert len(set(texts)) == len(texts)
    assert all(is_reusable(SklearnRecipe(estimator).identity()) for estimator in changed)
    assert text(pipeline(), version="2") != texts[0]


class OneHotEncoderThenModel(GaussianNB):  # type: ignore[misc]
    def __init__(self, dtype=None):
        super().__init__()
        self.dtype = dtype


@pytest.mark.parametrize(
    "options",
    [
        {"model__random_state": 5},
        {"model__random_state": np.random.RandomState(5)},
        {"model__n_jobs": 2},
        {"model__verbose": 1},
        {"model__warm_start": True},
        {"verbose": True},
    ],
)
def test_what_does_not_decide_the_model_does_not_change_the_identity(options):
    pipeline = Pipeline([("scale", StandardScaler()), ("model", RandomForestClassifier())])
    assert text(clone(pipeline).set_params(**options)) == text(pipeline)


def test_numbers_of_numpy_are_numbers():
    assert text(LogisticRegression(C=np.float64(0.5))) == text(LogisticRegression(C=0.5))
    assert text(MLPClassifier(hidden_layer_sizes=np.array([3, 4]))) != text(MLPClassifier(hidden_layer_sizes=[3, 4]))


def test_missing_numbers_in_an_identity_are_equal_to_themselves():
    estimator = GaussianNB(priors=np.array([np.nan, 1.0]))
    assert SklearnRecipe(estimator).identity() == SklearnRecipe(clone(estimator)).identity()


@pytest.mark.parametrize(
    ("function", "reusable"),
    [
        (None, True),
        (np.log1p, True),
        (double, True),
        (functools.partial(np.clip, a_min=0.0, a_max=1.0), True),
        (lambda inputs: inputs, False),
        (functools.partial(lambda inputs, power: inputs**power, power=2), False),
    ],
)
def test_functions_in_a_pipeline(function, reusable):
    recipe = SklearnRecipe(make_pipeline(FunctionTransformer(function), GaussianNB()))
    assert is_reusable(recipe.identity()) is reusable
    records = Records(abs(NUMBERS), CODES)
    assert probabilities(recipe.fit(records, seed=0), records).shape == (90, 3)


def test_a_user_s_function_is_known_by_its_source():
    parameters = SklearnRecipe(make_pipeline(FunctionTransformer(double), GaussianNB())).identity()["estimator"]
    function = parameters["parameters"]["steps"][0][1]["parameters"]["func"]
    assert function["name"] == "tests.training.estimators:double"
    assert len(function["source"]) == 64

"""Estimators of every kind: what has margins, what tells each class from all others, and what is not supported."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels
from vestige.core.sparse import as_rows
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.objects.estimator import MarginTarget
from vestige.targets.opening import open_target
from vestige.training.sklearn_recipe import SklearnRecipe

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = RNG.integers(0, 3, 60)
SEVERAL = RNG.integers(0, 2, (60, 3))
ONE_AGAINST_ONE = SVC(decision_function_shape="ovo")


# ------------------------------------------------------------------------------------ margins


@pytest.mark.parametrize(
    "estimator",
    [LinearSVC(), SGDClassifier(), RidgeClassifier(), SVC(), make_pipeline(StandardScaler(), RidgeClassifier())],
)
def test_margins_of_several_classes_are_logits_as_they_are(estimator):
    estimator.fit(X, Y)
    found = open_target(estimator, 3).answers(X)
    assert isinstance(found, Logits)
    np.testing.assert_allclose(found.whole(), estimator.decision_function(X))


def test_the_margin_of_two_classes_is_a_logit_against_zero():
    estimator = LinearSVC().fit(X, np.array(["well", "sick"])[(Y > 0).astype(int)])
    found = open_target(estimator, 2, ("well", "sick")).answers(X).whole()
    margin = estimator.decision_function(X)  # of "well", the second of the sorted names
    np.testing.assert_allclose(found, np.column_stack([margin, np.zeros(60)]))


@pytest.mark.parametrize("behind", [lambda e: e, lambda e: make_pipeline(StandardScaler(), e)])
def test_margins_of_pairs_of_classes_are_asked_for_by_class(behind):
    """With three classes there are three pairs: nothing in the shape would tell."""
    estimator, by_class = behind(ONE_AGAINST_ONE).fit(X, Y), behind(SVC()).fit(X, Y)
    found = open_target(estimator, 3).answers(X).whole()
    np.testing.assert_allclose(found, by_class.decision_function(X))
    assert not np.allclose(found, estimator.decision_function(X))
    params = estimator.get_params()
    assert "ovo" in [value for name, value in params.items() if name.endswith("decision_function_shape")]


def test_a_class_without_training_records_has_the_logit_of_probability_zero():
    estimator = LinearSVC().fit(X, np.array([0, 2, 3])[Y])
    found = open_target(estimator, 4).answers(X).whole()
    np.testing.assert_allclose(found[:, 1], estimator.decision_function(X).max(axis=1) + np.log(1e-30))


def test_labels_are_those_of_the_estimator_itself():
    estimator = SVC().fit(X, Y)
    model = open_target(estimator, 3)
    assert isinstance(model, MarginTarget)
    found = model.by_label.answers(X)
    assert isinstance(found, PredictedLabels)
    np.testing.assert_array_equal(found.whole(), estimator.predict(X))


def test_what_is_not_fitted_is_told_to_be():
    with pytest.raises(InputError, match="Expected a fitted LinearSVC, found one without classes_; fit it first"):
        open_target(LinearSVC(), 2)


# ------------------------------------------------------------------------------------ each class against all others


def one_against_all(name):
    if name == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        return lightgbm.LGBMClassifier(objective="multiclassova", n_estimators=3, verbose=-1, n_jobs=1)
    if name == "a search":
        lightgbm = pytest.importorskip("lightgbm")
        booster = lightgbm.LGBMClassifier(objective="ova", n_estimators=3, verbose=-1, n_jobs=1)
        return GridSearchCV(make_pipeline(StandardScaler(), booster), {"lgbmclassifier__min_child_samples": [5]}, cv=2)
    catboost = pytest.importorskip("catboost")
    return catboost.CatBoostClassifier(
        loss_function="MultiClassOneVsAll", iterations=3, verbose=False, allow_writing_files=False, thread_count=1
    )


@pytest.mark.parametrize("name", ["lightgbm", "a search", "catboost"])
def test_rows_of_one_against_all_are_divided_by_their_sums(name):
    estimator = one_against_all(name).fit(X, Y)
    given = estimator.predict_proba(X)
    assert np.ptp(given.sum(axis=1)) > 1e-3
    target = open_target(estimator, 3)
    np.testing.assert_allclose(target.answers(X).whole(), given / given.sum(axis=1, keepdims=True))
    assert "each row was divided by its sum" in " ".join(target.remarks)  # type: ignore[attr-defined]


def test_probabilities_that_sum_to_one_are_left_alone():
    estimator = OneVsRestClassifier(LogisticRegression()).fit(X, Y)  # scikit-learn divides itself
    target = open_target(estimator, 3)
    np.testing.assert_allclose(target.answers(X).whole(), estimator.predict_proba(X))
    assert not target.remarks  # type: ignore[attr-defined]


def test_a_table_of_such_rows_is_told_what_to_do():
    with pytest.raises(TargetError, match="divide each row by its sum if each class was told from all others"):
        AnswerFormat().read(np.array([[0.5, 0.6, 0.1]]), 1, 3)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_booster_answers_as_its_wrapper(library):
    package = pytest.importorskip(library)
    if library == "lightgbm":
        wrapper = package.LGBMClassifier(objective="multiclassova", n_estimators=3, verbose=-1, n_jobs=1).fit(X, Y)
        booster = wrapper.booster_
    else:
        wrapper = package.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
        booster = wrapper.get_booster()
    expected = open_target(wrapper, 3).answers(X).whole()
    np.testing.assert_allclose(open_target(booster, 3).answers(X).whole(), expected, atol=1e-6)


# ------------------------------------------------------------------------------------ what is not supported


@pytest.mark.parametrize(
    ("estimator", "targets", "said"),
    [
        (LinearRegression(), Y, "LinearRegression; regression is not supported"),
        (make_pipeline(StandardScaler(), Ridge()), Y, "Ridge; regression is not supported"),
        (GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2), Y, "Ridge; regression is not supported"),
        (KMeans(3, n_init=1), Y, "KMeans; clustering is not supported"),
        (IsolationForest(n_estimators=3), Y, "IsolationForest; outlier detection is not supported"),
        (GaussianMixture(2), Y, "GaussianMixture; density estimation is not supported"),
        (RandomForestClassifier(3), SEVERAL, "RandomForestClassifier; several labels per record are not"),
        (MultiOutputClassifier(LogisticRegression()), SEVERAL, "several labels per record are not"),
        (ClassifierChain(LogisticRegression()), SEVERAL, "several labels per record are not"),
        (OneVsRestClassifier(LogisticRegression()), SEVERAL, "several labels per record are not"),
        (MLPClassifier((3,), max_iter=5), SEVERAL, "several labels per record are not"),
        (RidgeClassifier(), SEVERAL, "several labels per record are not"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_no_classifier_of_one_label_is_refused_by_name(estimator, targets, said):
    with pytest.raises(UnsupportedModelError, match=said):
        open_target(estimator.fit(X, targets), 3)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_regressors_and_labels_of_boosting_packages(library):
    package = pytest.importorskip(library)
    options = {"iterations": 2, "verbose": False, "allow_writing_files": False} if library == "catboost" else {}
    options = {"n_estimators": 2, "verbose": -1} if library == "lightgbm" else options
    options = {"n_estimators": 2} if library == "xgboost" else options
    name = {"lightgbm": "LGBM", "xgboost": "XGB", "catboost": "CatBoost"}[library]
    with pytest.raises(UnsupportedModelError, match=f"{name}Regressor; regression is not supported"):
        open_target(getattr(package, f"{name}Regressor")(**options).fit(X, Y), 3)
    if library == "lightgbm":
        model = package.LGBMClassifier(objective="cross_entropy_lambda", **options).fit(X, Y > 0)
        said = "cross_entropy_lambda, which gives intensities"
    else:
        extra = {"loss_function": "MultiLogloss"} if library == "catboost" else {}
        model = getattr(package, f"{name}Classifier")(**options, **extra).fit(X, SEVERAL)
        said = "several labels per record are not supported"
    with pytest.raises(UnsupportedModelError, match=said):
        open_target(model, 3)


def test_recipes_refuse_the_same_and_take_margins():
    with pytest.raises(UnsupportedModelError, match="found LinearRegression; regression is not supported"):
        SklearnRecipe(LinearRegression())
    assert SklearnRecipe(LinearSVC()).handled()[-1] == "LinearSVC: no probabilities, its margins are read as logits"
    assert not any("margins" in said for said in SklearnRecipe(LogisticRegression()).handled())


# ------------------------------------------------------------------------------------ sparse matrices


def test_an_estimator_is_given_scipys_own_kind_of_sparse_matrix():
    seen = []

    class Noting(LogisticRegression):  # type: ignore[misc]
        def predict_proba(self, inputs):
            seen.append(type(inputs))
            return super().predict_proba(inputs)

    model = Noting().fit(X, Y)
    for kind in (sparse.csr_matrix, sparse.csr_array):
        found = open_target(model, 3).answers(as_rows(kind(X))).whole()
        np.testing.assert_allclose(found, model.predict_proba(X))
        assert seen[-2] is kind

"""A fitted estimator is asked for every class of the records, by name or by code, and is left as it is."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import PredictedLabels, Probabilities
from vestige.core.targets import ConfidenceTarget, GradientTarget
from vestige.targets.objects.estimator import EstimatorTarget, LabelEstimatorTarget
from vestige.targets.opening import open_target

X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.digitize(X[:, 0], [-0.5, 0.5])
NAMES = np.array(["mild", "none", "grave"])


def answers(target, inputs=X) -> np.ndarray:
    found = target.answers(inputs)
    assert isinstance(found, Probabilities)
    return np.concatenate(list(found.table.blocks(1 << 20)))


def test_it_is_a_target_that_gives_no_gradients():
    target = EstimatorTarget(LogisticRegression().fit(X, Y), 3)
    assert isinstance(target, ConfidenceTarget)
    assert not isinstance(target, GradientTarget)


def test_codes_are_asked_as_they_are():
    model = LogisticRegression().fit(X, Y)
    np.testing.assert_array_equal(answers(EstimatorTarget(model, 3)), model.predict_proba(X))


def test_names_are_matched_whatever_their_order():
    model = LogisticRegression().fit(X, NAMES[Y])  # its classes are sorted: grave, mild, none
    found = answers(EstimatorTarget(model, 3, ("none", "grave", "mild")))
    np.testing.assert_array_equal(found, model.predict_proba(X)[:, [2, 0, 1]])


def test_numbers_that_are_names_are_matched_as_names():
    model = LogisticRegression().fit(X, Y + 1)
    np.testing.assert_array_equal(answers(EstimatorTarget(model, 3, ("3", "2", "1"))), model.predict_proba(X)[:, ::-1])
    with pytest.raises(InputError, match=r"the estimator's classes among the classes of the records, 0\.\.2, found 3"):
        EstimatorTarget(model, 3)


def test_codes_stay_codes_beside_names_that_are_numbers():
    model = LogisticRegression().fit(X, Y)
    np.testing.assert_array_equal(answers(EstimatorTarget(model, 3, ("1", "2", "3"))), model.predict_proba(X))


def test_true_and_false():
    model = LogisticRegression().fit(X, Y == 1)
    np.testing.assert_array_equal(answers(EstimatorTarget(model, 2)), model.predict_proba(X))
    np.testing.assert_array_equal(
        answers(EstimatorTarget(model, 2, ("True", "False"))), model.predict_proba(X)[:, ::-1]
    )


@pytest.mark.parametrize("classes", [None, ("a", "b", "c", "d", "e")])
def test_a_class_without_training_records_has_probability_0(classes):
    labels = np.array([1, 3, 4])[Y] if classes is None else np.array(classes)[[1, 3, 4]][Y]
    model = RandomForestClassifier(5, random_state=0).fit(X, labels)
    found = answers(EstimatorTarget(model, 5, classes))
    np.testing.assert_array_equal(found[:, [1, 3, 4]], model.predict_proba(X))
    assert (found[:, [0, 2]] == 0).all()


def test_a_foreign_class_is_refused():
    model = LogisticRegression().fit(X, NAMES[Y])
    with pytest.raises(InputError, match="well, ill, found 'grave'; name the records' classes so"):
        EstimatorTarget(model, 2, ("well", "ill"))
    with pytest.raises(InputError, match=r"0\.\.1, found 2"):
        EstimatorTarget(LogisticRegression().fit(X, Y), 2)


@pytest.mark.parametrize("model", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())])
def test_what_is_not_fitted_is_refused(model):
    with pytest.raises(InputError, match=f"Expected a fitted {type(model).__name__}, found one without classes_; fit"):
        EstimatorTarget(model, 3)


def test_a_step_that_works_in_place_leaves_the_records_alone():
    model = make_pipeline(StandardScaler(copy=False), LogisticRegression()).fit(X.copy(), Y)
    given = X.copy()
    first = answers(EstimatorTarget(model, 3), given)
    np.testing.assert_array_equal(given, X)
    np.testing.assert_array_equal(answers(EstimatorTarget(model, 3), given), first)


def test_a_table_is_given_as_a_table():
    table = pd.DataFrame(X, columns=list("abc"), index=range(100, 160))
    model = LogisticRegression().fit(table, Y)
    np.testing.assert_array_equal(answers(EstimatorTarget(model, 3), table), model.predict_proba(table))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("model", [LogisticRegression(), RidgeClassifier()])
def test_a_table_for_an_estimator_of_arrays_is_no_reason_to_warn(model):
    target = open_target(model.fit(X, Y), 3)
    assert target.answers(pd.DataFrame(X, columns=list("abc"))).n_records == 60


class Fixed:
    """Answers what it was told to."""

    classes_ = np.array([0, 1])

    def __init__(self, found):
        self.found = found

    def predict_proba(self, inputs):
        return self.found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (np.full((60, 3), 1 / 3), r"of shape \(60, 2\).*found \(60, 3\); give the model as many outputs"),
        (np.full(60, 0.5), r"found \(60,\)"),
        (np.tile([-1.5, 2.5], (60, 1)), r"probabilities of at least 0, found -1\.5 for record 1"),
        (np.full((60, 2), 0.4), r"that sum to 1, found a sum of 0\.8 for record 1"),
        ([[0.5, 0.5], [1.0]], "as one array, a row per record, found list"),
        (np.ma.masked_less(np.full((60, 2), 0.5), 1), "found a masked array"),
        (np.full((59, 2), 0.5), r"found \(59, 2\)"),
        (np.where(np.arange(60)[:, None] == 7, np.nan, 0.5) * np.ones(2), "NaN or infinity, first for record 8"),
    ],
)
def test_answers_that_are_none_are_refused(found, said):
    with pytest.raises(TargetError, match=said):
        EstimatorTarget(Fixed(found), 2).answers(X)


def test_several_outputs_are_refused():
    model = MultiOutputClassifier(LogisticRegression()).fit(X, np.column_stack([Y, Y]))
    with pytest.raises(InputError, match="the estimator's classes among the classes of the records"):
        EstimatorTarget(model, 3)


# -------------------------------------------------------------------------------------- boosters


def test_fitted_boosters_are_asked_as_they_are():
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    for model in (
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y),
        lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=2).fit(table_of(X), Y),
    ):
        given = X if isinstance(model, xgboost.XGBClassifier) else table_of(X)
        np.testing.assert_array_equal(answers(EstimatorTarget(model, 3), given), model.predict_proba(given))


def table_of(inputs) -> pd.DataFrame:
    """LightGBM's wrapper names the columns of an array, and scikit-learn warns that the next array has none."""
    return pd.DataFrame(inputs, columns=["a", "b", "c"])


# ---------------------------------------------------------------------------------- labels alone


def labels(target, inputs=X) -> np.ndarray:
    found = target.answers(inputs)
    assert isinstance(found, PredictedLabels)
    return np.concatenate(list(found.table.blocks(1 << 20)))


@pytest.mark.parametrize("model", [LinearSVC(random_state=0), RidgeClassifier(), Perceptron(random_state=0)])
def test_a_classifier_without_probabilities_answers_with_labels(model):
    model.fit(X, NAMES[Y])
    found = labels(LabelEstimatorTarget(model, 3, ("none", "grave", "mild")))
    np.testing.assert_array_equal(np.array(["none", "grave", "mild"])[found], model.predict(X))
    np.testing.assert_array_equal(labels(LabelEstimatorTarget(model.fit(X, Y), 3)), model.predict(X))
    assert labels(LabelEstimatorTarget(model, 3), X[:1]).dtype == np.int64


def test_a_classifier_without_probabilities_is_refused_if_it_is_not_fitted_or_has_other_classes():
    with pytest.raises(InputError, match="Expected a fitted LinearSVC, found one without classes_; fit it first"):
        LabelEstimatorTarget(LinearSVC(), 3)
    with pytest.raises(InputError, match=r"0\.\.1, found 2"):
        LabelEstimatorTarget(RidgeClassifier().fit(X, Y), 2)
    with pytest.raises(InputError, match="found one without classes_"):
        LabelEstimatorTarget(LinearRegression().fit(X, Y), 3)


class FixedLabels:
    """Predicts what it was told to."""

    classes_ = np.array([0, 1])

    def __init__(self, found):
        self.found = found

    def predict(self, inputs):
        return self.found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (np.zeros(59, int), r"one predicted label per record, found shape \(59,\) for 60 records"),
        (np.zeros((60, 2), int), r"found shape \(60, 2\)"),
        (np.full(60, 2), "among the estimator's classes_, found 2; give a classifier that"),
    ],
)
def test_labels_that_are_none_are_refused(found, said):
    with pytest.raises(TargetError, match=said):
        LabelEstimatorTarget(FixedLabels(found), 2).answers(X)


def test_labels_in_a_column_are_read():
    found = labels(LabelEstimatorTarget(FixedLabels(np.ones((60, 1), int)), 2))
    assert found.tolist() == [1] * 60

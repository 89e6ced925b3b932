"""Estimators of many kinds, with parameters that training must handle, and the tables that they are fitted on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from vestige.core.records import Records

RNG = np.random.default_rng(0)
N = 90
CLASSES = ("mild", "none", "severe")
NUMBERS = RNG.normal(size=(N, 3))
CODES = np.digitize(NUMBERS[:, 0] + 0.5 * RNG.normal(size=N), [-0.5, 0.5])
TABLE = pd.DataFrame(
    {
        "age": np.where(RNG.random(N) < 0.1, np.nan, NUMBERS[:, 0]),
        "dose": NUMBERS[:, 1],
        "ward": pd.Categorical(RNG.choice(list("abc"), N), categories=list("abcd")),
        "drug": pd.Series(RNG.choice(["u", "v"], N), dtype="str"),
    }
)
ARRAY = Records(NUMBERS, CODES, classes=list(CLASSES))
FRAME = Records(TABLE, CODES, classes=list(CLASSES))


def columns() -> Pipeline:
    """What Adult needs: numbers imputed and scaled, categories as columns, then boosting."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include=np.number)),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["ward", "drug"]),
        ],
        sparse_threshold=0,
    )
    return Pipeline([("columns", parts), ("model", HistGradientBoostingClassifier(max_iter=5, random_state=0))])


def ordinal() -> Pipeline:
    """Categories as numbers, missing values as they are."""
    parts = ColumnTransformer([("words", OrdinalEncoder(), ["ward", "drug"])], remainder="passthrough")
    return make_pipeline(parts, HistGradientBoostingClassifier(max_iter=5))


def voting() -> VotingClassifier:
    members = [("a", LogisticRegression(random_state=1)), ("b", RandomForestClassifier(3, random_state=2))]
    return VotingClassifier(members, voting="soft")


ESTIMATORS: dict[str, tuple[Callable[[], Any], Records]] = {
    "columns and boosting": (columns, FRAME),
    "ordinal and boosting": (ordinal, FRAME),
    "boosting of categories": (
        lambda: HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
        Records(TABLE[["age", "ward"]], CODES),
    ),
    "forest": (lambda: RandomForestClassifier(5, random_state=3, warm_start=True, n_jobs=1), ARRAY),
    "gradient boosting": (lambda: GradientBoostingClassifier(n_estimators=3, n_iter_no_change=2), ARRAY),
    "perceptron": (
        lambda: MLPClassifier((5,), max_iter=5, early_stopping=True, random_state=np.random.RandomState(0)),
        ARRAY,
    ),
    "calibrated": (lambda: CalibratedClassifierCV(LinearSVC(random_state=0), cv=3), ARRAY),
    "isotonic": (lambda: CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=3), ARRAY),
    "voting": (voting, ARRAY),
    "stacking": (lambda: StackingClassifier([("a", GaussianNB())], LogisticRegression(), cv=3), ARRAY),
    "bagging": (lambda: BaggingClassifier(LogisticRegression(), n_estimators=3, random_state=0), ARRAY),
    "search": (lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3), ARRAY),
    "neighbours": (lambda: KNeighborsClassifier(3), ARRAY),
    "gaussian process": (lambda: GaussianProcessClassifier(random_state=0), ARRAY),
    "selection": (
        lambda: make_pipeline(FunctionTransformer(np.tanh), SelectKBest(f_classif, k=2), LogisticRegression()),
        ARRAY,
    ),
}


def one_thread():
    """Let small estimators be fitted by one thread: several would wait for each other."""
    with threadpool_limits(1):
        yield


class UserScaler(StandardScaler):  # type: ignore[misc]
    """A transformer of the user's own."""


class UserClassifier(GaussianNB):  # type: ignore[misc]
    """A classifier of the user's own, with a helper that is no estimator."""

    def fit(self, X, y):
        self.helper_ = Helper()
        return super().fit(X, y)


class Helper:
    """Something a fitted estimator holds."""

    def __init__(self):
        self.numbers = np.arange(3)


def double(inputs):
    """A step of the user's own."""
    return 2 * inputs


def never(inputs):
    """A function that nobody asked for."""
    return 3 * inputs


def fit_user_pipeline(inputs, labels, *, seed):
    """Train as a user would."""
    return make_pipeline(UserScaler(), FunctionTransformer(double), UserClassifier()).fit(inputs, labels)


def uncertain_svm() -> SVC:
    """A classifier that answers with no probabilities unless it is told to."""
    return SVC()

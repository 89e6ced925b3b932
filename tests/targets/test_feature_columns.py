"""Tables reach a booster by name and with the types that it was trained on, whatever the booster itself would take."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.targets.model_files import X, Y, table_of

from vestige.core.errors import TargetError
from vestige.targets.feature_columns import FeatureColumns, columns_of_estimator, in_order_of
from vestige.targets.files.model_file import ModelFile
from vestige.targets.opening import open_target

xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
NUMBERS = pd.DataFrame(X, columns=["a a", "b", "c"])
SIZES = NUMBERS.assign(b=pd.Categorical(np.array([10, 20, 30])[Y]))
WORDS = NUMBERS.assign(b=pd.Categorical(np.array(["x", "y", "z"])[Y]))
XGB = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, enable_categorical=True)
LGBM = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=2, n_jobs=1, verbose=-1)
KINDS = {"xgboost": (XGB, "m.ubj"), "lightgbm": (LGBM, "m.txt")}


def doors(kind, tmp_path, inputs):
    """The wrapper itself, the best one of a search, and its booster in a file; and what the wrapper says."""
    untrained, name = KINDS[kind]
    search = GridSearchCV(untrained, {"max_depth": [2]}, cv=2).fit(inputs, Y)
    model = search.best_estimator_
    (model if kind == "xgboost" else model.booster_).save_model(tmp_path / name)
    targets = [open_target(model, 3), open_target(search, 3), ModelFile(tmp_path / name).open_model(3)]
    return targets, model.predict_proba(inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [NUMBERS, WORDS], ids=["numbers", "words"])
def test_columns_in_another_order_are_matched_by_name(kind, inputs, tmp_path):
    targets, expected = doors(kind, tmp_path, inputs)
    for target in targets:
        for table in (inputs, inputs[["c", "a a", "b"]]):
            np.testing.assert_allclose(table_of(target.answers(table)), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_other_columns_are_named(kind, tmp_path):
    targets, _ = doors(kind, tmp_path, NUMBERS)
    for target in targets:
        with pytest.raises(TargetError, match="a column for each feature of the model, found none for c; name the"):
            target.answers(NUMBERS.rename(columns={"c": "d"}))
    for target in targets[:2]:  # of a file they are counted before
        with pytest.raises(TargetError, match="3 features that the model was trained on, found d beside them"):
            target.answers(NUMBERS.assign(d=0.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [NUMBERS, X], ids=["table", "array"])
def test_categories_are_no_numbers(kind, inputs, tmp_path):
    """As when a question mark in one cell makes text of a column: codes of categories would stand for its numbers."""
    targets, _ = doors(kind, tmp_path, inputs)
    for target in targets:
        with pytest.raises(TargetError, match=r"Expected numbers in column b, which.*found categories or text"):
            target.answers(WORDS)


@pytest.mark.parametrize("table", [SIZES.astype({"b": int}), WORDS.assign(b=Y.astype(float))], ids=["sizes", "codes"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_no_categories(kind, table, tmp_path):
    """A CSV does not say that 10, 20 and 30 are categories: they would stand for codes."""
    targets, expected = doors(kind, tmp_path, SIZES)
    for target in targets:
        np.testing.assert_allclose(table_of(target.answers(SIZES)), expected, atol=1e-6)
        with pytest.raises(TargetError, match=r"Expected categories in column b, which.*found (int|float)64.*Parquet"):
            target.answers(table)


def test_of_columns_that_are_all_equal_nothing_is_said():
    """LightGBM keeps neither their range nor their categories; how many have categories it counts itself."""
    table = WORDS.assign(d=1.0)
    model = LGBM.fit(table, Y)
    assert columns_of_estimator(model) == FeatureColumns(("a_a", "b", "c", "d"), (False, None, False, None))
    target = open_target(model, 3)
    np.testing.assert_allclose(table_of(target.answers(table)), model.predict_proba(table), atol=1e-6)
    with pytest.raises(TargetError, match="categorical_feature do not match"):
        target.answers(table.assign(b=0.0))


def test_codes_are_numbers_where_the_model_knows_no_names(tmp_path):
    codes = np.column_stack([X[:, 0], Y])
    data = xgboost.DMatrix(codes, Y, feature_types=["q", "c"], enable_categorical=True)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, data, 5)
    booster.save_model(tmp_path / "m.ubj")
    target = ModelFile(tmp_path / "m.ubj").open_model(3)
    for inputs in (codes, pd.DataFrame(codes, columns=["a", "b"]).astype({"b": int})):
        np.testing.assert_allclose(table_of(target.answers(inputs)), booster.predict(data), atol=1e-6)


@pytest.mark.parametrize("booster", [XGB, LGBM], ids=KINDS)
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda booster: CalibratedClassifierCV(booster, cv=2),
        lambda booster: VotingClassifier([("a", LogisticRegression()), ("b", booster)], voting="soft"),
        lambda booster: Pipeline([("nothing", "passthrough"), ("booster", booster)]),
        lambda booster: GridSearchCV(Pipeline([("booster", booster)]), {}, cv=2),
    ],
    ids=["calibrated", "voting", "pipeline", "searched"],
)
def test_a_booster_behind_something_gets_its_columns_too(booster, wrapped):
    model = wrapped(booster).fit(NUMBERS, Y)
    target, expected = open_target(model, 3), model.predict_proba(NUMBERS)
    np.testing.assert_allclose(table_of(target.answers(NUMBERS[["c", "b", "a a"]])), expected, atol=1e-6)
    with pytest.raises(TargetError, match=r"Expected numbers in column b, which.*found categories or text"):
        target.answers(WORDS)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LGBM),
        RandomForestClassifier(5, random_state=0),
        RidgeClassifier(),
        make_pipeline(make_column_transformer((StandardScaler(), ["c", "b"])), LogisticRegression()),
    ],
    ids=["scaled", "forest", "labels", "by name"],
)
def test_every_estimator_that_knows_names_is_given_them_in_its_order(model):
    model.fit(NUMBERS, Y)
    expected = table_of(open_target(model, 3).answers(NUMBERS))
    np.testing.assert_array_equal(table_of(open_target(model, 3).answers(NUMBERS[["c", "b", "a a"]])), expected)


def test_other_columns_are_left_to_the_estimator():
    model = make_pipeline(make_column_transformer((StandardScaler(), ["c", "b"])), LogisticRegression())
    model.fit(NUMBERS, Y)
    more = NUMBERS[["c", "b", "a a"]].assign(d=1.0)
    np.testing.assert_array_equal(table_of(open_target(model, 3).answers(more)), model.predict_proba(NUMBERS))
    assert in_order_of(model, X) is X


def test_other_estimators_look_at_their_columns_themselves():
    assert columns_of_estimator(GridSearchCV(XGB, {})) is None  # not fitted
    assert columns_of_estimator(object()) is None


def test_steps_that_are_no_pipeline_are_none():
    class Walker:
        steps, classes_ = 100, np.arange(3)

        def predict_proba(self, inputs):
            return np.full((len(inputs), 3), 1 / 3)

    assert table_of(open_target(Walker(), 3).answers(X)).shape == (len(X), 3)

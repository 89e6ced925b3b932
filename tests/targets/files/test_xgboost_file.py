"""A booster in XGBoost's own file answers as the model that saved it."""

import numpy as np
import pandas as pd
import pytest
from tests.targets.model_files import X, Y, planted_pickle, table_of

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Probabilities
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.boosters import open_xgboost
from vestige.targets.files.model_file import ModelFile

xgboost = pytest.importorskip("xgboost")
BINARY = (Y > 0).astype(int)


def fitted(labels=Y, inputs=X, **options):
    return xgboost.XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1, **options).fit(inputs, labels)


def saved(model, tmp_path, suffix=".json"):
    model.save_model(tmp_path / f"m{suffix}")
    return tmp_path / f"m{suffix}"


def trained(objective, tmp_path, labels=Y, **options):
    data = xgboost.DMatrix(X, labels)
    booster = xgboost.train({"objective": objective, "max_depth": 2, "nthread": 1, **options}, data, 5)
    return booster, saved(booster, tmp_path)


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
@pytest.mark.parametrize(("labels", "n_classes"), [(Y, 3), (BINARY, 2)])
def test_a_wrapper_answers_as_it_did(tmp_path, suffix, labels, n_classes):
    model = fitted(labels)
    found = open_xgboost(saved(model, tmp_path, suffix), None, n_classes, None).answers(X)
    assert isinstance(found, Probabilities)
    np.testing.assert_allclose(table_of(found), model.predict_proba(X), atol=1e-6)


def test_a_wrapper_that_stopped_early_answers_by_its_best_round(tmp_path):
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1, learning_rate=1.0)
    model.fit(X[:40], Y[:40], eval_set=[(X[40:], Y[40:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    found = open_xgboost(saved(model, tmp_path), None, 3, None).answers(X)
    np.testing.assert_allclose(table_of(found), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_a_booster_of_several_classes(tmp_path, objective):
    _, path = trained(objective, tmp_path, num_class=3)
    probabilities, _ = trained("multi:softprob", tmp_path, num_class=3)
    expected = probabilities.predict(xgboost.DMatrix(X))
    _, path = trained(objective, tmp_path, num_class=3)
    np.testing.assert_allclose(table_of(open_xgboost(path, None, 3, None).answers(X)), expected, atol=1e-5)


def test_a_booster_of_margins(tmp_path):
    logistic, _ = trained("binary:logistic", tmp_path, BINARY)
    expected = logistic.predict(xgboost.DMatrix(X))
    booster, path = trained("binary:logitraw", tmp_path, BINARY)
    margins = booster.predict(xgboost.DMatrix(X))
    found = table_of(open_xgboost(path, None, 2, None).answers(X))
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-margins)), atol=1e-5)
    assert expected.shape == (60,)


@pytest.mark.parametrize("objective", ["reg:squarederror", "rank:pairwise", "binary:hinge"])
def test_what_is_no_classifier_is_refused(tmp_path, objective):
    _, path = trained(objective, tmp_path, BINARY)
    with pytest.raises(UnsupportedModelError, match=f"found the objective {objective}; it gives no probability"):
        open_xgboost(path, None, 2, None)


def test_a_table_with_categories_is_given_as_a_table(tmp_path):
    table = pd.DataFrame({"a": X[:, 0], "c": pd.Categorical(np.array(["x", "y", "z"])[Y])})
    model = fitted(inputs=table, enable_categorical=True)
    target = open_xgboost(saved(model, tmp_path), None, 3, None)
    np.testing.assert_allclose(table_of(target.answers(table)), model.predict_proba(table), atol=1e-6)
    with pytest.raises(TargetError, match="found none for a; name the columns"):
        target.answers(table.rename(columns={"a": "b"}))


def test_records_without_names_are_given_to_a_model_with_names(tmp_path):
    model = fitted(inputs=pd.DataFrame(X, columns=["a", "b", "c"]))
    target = open_xgboost(saved(model, tmp_path), None, 3, None)
    np.testing.assert_allclose(table_of(target.answers(X)), model.predict_proba(X), atol=1e-6)
    assert target.answers(X[:0]).table.shape == (0, 3)


def test_declared_columns_are_put_in_the_order_of_the_classes(tmp_path):
    model = fitted()
    target = open_xgboost(saved(model, tmp_path), AnswerFormat(columns=("c", "a", "b")), 3, ("a", "b", "c"))
    np.testing.assert_allclose(table_of(target.answers(X)), model.predict_proba(X)[:, [1, 2, 0]], atol=1e-6)


@pytest.mark.parametrize(("records", "found"), [(X[:, :2], "found 2;"), (X[:, :, None], r"found shape \(60, 3, 1\);")])
def test_other_features_are_refused_with_both_numbers(tmp_path, records, found):
    target = open_xgboost(saved(fitted(), tmp_path), None, 3, None)
    with pytest.raises(TargetError, match=f"Expected records of 3 features, which the model was trained on, {found}"):
        target.answers(records)


def test_other_classes_are_refused(tmp_path):
    with pytest.raises(TargetError, match=r"found \(60, 3\); give the model as many outputs as there are classes"):
        open_xgboost(saved(fitted(), tmp_path), None, 4, None).answers(X)


@pytest.mark.parametrize("content", [b'{"a": 1}', b"[]", b"3", b"{", b"no model at all", b"\x80\x04"])
@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_what_is_no_model_is_refused(tmp_path, content, suffix):
    (tmp_path / f"m{suffix}").write_bytes(content)
    with pytest.raises(
        InputError, match=r"Expected an XGBoost model in m.*, found a damaged or foreign file"
    ) as caught:
        open_xgboost(tmp_path / f"m{suffix}", None, 3, None)
    assert "\n" not in str(caught.value)
    assert "libxgboost" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_a_file_that_was_cut_is_refused(tmp_path, suffix):
    path = saved(fitted(), tmp_path, suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_xgboost(path, None, 3, None)


def test_a_planted_pickle_does_not_run(tmp_path):
    path = planted_pickle(tmp_path / "m.ubj", tmp_path / "ran")
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_xgboost(path, None, 3, None)
    assert not (tmp_path / "ran").exists()


def test_a_column_that_the_model_does_not_know_is_named_with_the_cure(tmp_path):
    inputs = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=list("abc"))
    labels = (inputs.a > 0).astype(int)
    xgboost.XGBClassifier(n_estimators=3).fit(inputs, labels).save_model(tmp_path / "m.json")
    model = ModelFile(tmp_path / "m.json").open_model(2)
    with pytest.raises(TargetError, match=r"found chart_no beside them; name an id as data\.id"):
        model.answers(inputs.assign(chart_no=range(40)))


def test_a_model_of_catboost_is_named(tmp_path):
    (tmp_path / "m.json").write_text('{"model_info": {}, "oblivious_trees": []}')
    with pytest.raises(InputError, match=r"found one of CatBoost; give a function .*module:name"):
        ModelFile(tmp_path / "m.json").open_model(2)

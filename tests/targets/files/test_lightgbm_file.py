"""A booster in LightGBM's own file answers as the model that saved it."""

import numpy as np
import pandas as pd
import pytest
from tests.targets.model_files import X, Y, table_of

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Probabilities
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.boosters import open_lightgbm

lightgbm = pytest.importorskip("lightgbm")
BINARY = (Y > 0).astype(int)
OPTIONS = {"n_estimators": 5, "min_child_samples": 2, "n_jobs": 1, "verbose": -1}


def fitted(labels=Y, inputs=X, **options):
    return lightgbm.LGBMClassifier(**OPTIONS, **options).fit(inputs, labels)


def saved(model, tmp_path):
    model.booster_.save_model(tmp_path / "m.txt")
    return tmp_path / "m.txt"


def probabilities(model, inputs=X):
    return np.asarray(model.booster_.predict(inputs))


@pytest.mark.parametrize(("labels", "n_classes"), [(Y, 3), (BINARY, 2)])
def test_a_booster_answers_as_it_did(tmp_path, labels, n_classes):
    model = fitted(labels)
    found = open_lightgbm(saved(model, tmp_path), None, n_classes, None).answers(X)
    assert isinstance(found, Probabilities)
    expected = probabilities(model)
    expected = np.column_stack([1 - expected, expected]) if n_classes == 2 else expected
    np.testing.assert_allclose(table_of(found), expected, atol=1e-12)


def test_a_table_with_categories_is_given_as_a_table(tmp_path):
    table = pd.DataFrame({"a": X[:, 0], "c": pd.Categorical(np.array(["x", "y", "z"])[Y])})
    model = fitted(inputs=table)
    target = open_lightgbm(saved(model, tmp_path), None, 3, None)
    np.testing.assert_allclose(table_of(target.answers(table)), probabilities(model, table), atol=1e-12)


def test_declared_columns_are_put_in_the_order_of_the_classes(tmp_path):
    model = fitted()
    target = open_lightgbm(saved(model, tmp_path), AnswerFormat(columns=("c", "a", "b")), 3, ("a", "b", "c"))
    np.testing.assert_allclose(table_of(target.answers(X)), probabilities(model)[:, [1, 2, 0]], atol=1e-12)


@pytest.mark.parametrize("objective", ["regression", "cross_entropy_lambda"])
def test_what_gives_no_probabilities_is_refused(tmp_path, objective):
    regressor = lightgbm.LGBMRegressor(**OPTIONS)
    model = regressor.fit(X, Y) if objective == "regression" else fitted(BINARY, objective=objective)
    with pytest.raises(UnsupportedModelError, match=f"the objective {objective}; it gives no probability per class"):
        open_lightgbm(saved(model, tmp_path), None, 3, None)


def test_other_features_are_refused_with_both_numbers(tmp_path):
    target = open_lightgbm(saved(fitted(), tmp_path), None, 3, None)
    with pytest.raises(TargetError, match="Expected records of 3 features, which the model was trained on, found 2;"):
        target.answers(X[:, :2])


def test_other_classes_are_refused(tmp_path):
    with pytest.raises(TargetError, match=r"found \(60, 3\); give the model as many outputs as there are classes"):
        open_lightgbm(saved(fitted(), tmp_path), None, 4, None).answers(X)


@pytest.mark.parametrize("content", [b"some notes\n", b"\x80\x04\xff", b"tree", b"objective=binary\nend of trees\n"])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "m.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"Expected a LightGBM model in m.txt, found (other text|one that was cut)"):
        open_lightgbm(tmp_path / "m.txt", None, 3, None)


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = saved(fitted(), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(InputError, match="found one that was cut"):
        open_lightgbm(path, None, 3, None)


def test_a_file_without_its_trees_is_refused(tmp_path):
    (tmp_path / "m.txt").write_bytes(b"tree\nversion=v4\nend of trees\n")
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_lightgbm(tmp_path / "m.txt", None, 3, None)

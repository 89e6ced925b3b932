"""An estimator in a skops file answers as it did; a file of other types is refused by their names."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from tests.targets.model_files import X, Y, planted_pickle, table_of

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.estimator_file import open_skops
from vestige.targets.objects.estimator import EstimatorTarget, LabelEstimatorTarget

NAMES = np.array(["mild", "none", "grave"])


def double(inputs):
    return 2 * inputs


class Own(LogisticRegression):  # type: ignore[misc]
    pass


class OwnScaler(StandardScaler):  # type: ignore[misc]
    pass


def saved(estimator, tmp_path):
    skops.io.dump(estimator, tmp_path / "m.skops")
    return tmp_path / "m.skops"


@pytest.mark.parametrize(
    "estimator", [make_pipeline(StandardScaler(), LogisticRegression()), RandomForestClassifier(5, random_state=0)]
)
def test_probabilities_are_the_same_bit_by_bit(tmp_path, estimator):
    estimator.fit(X, Y)
    target = open_skops(saved(estimator, tmp_path), None, 3, None)
    assert isinstance(target, EstimatorTarget)
    assert type(target.estimator) is type(estimator)
    np.testing.assert_array_equal(table_of(target.answers(X)), estimator.predict_proba(X))


def test_classes_are_matched_by_name(tmp_path):
    model = LogisticRegression().fit(X, NAMES[Y])
    target = open_skops(saved(model, tmp_path), None, 3, ("none", "grave", "mild"))
    np.testing.assert_array_equal(table_of(target.answers(X)), model.predict_proba(X)[:, [2, 0, 1]])


def test_boosters_with_their_own_objects(tmp_path):
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    target = open_skops(saved(model, tmp_path), None, 3, None)
    np.testing.assert_array_equal(table_of(target.answers(X)), model.predict_proba(X))


def test_labels_alone_of_what_has_no_more_or_was_said_to(tmp_path):
    model = LinearSVC(random_state=0).fit(X, Y)
    path = saved(model, tmp_path)
    target = open_skops(path, AnswerFormat(PredictedLabels), 3, None)
    assert isinstance(target, LabelEstimatorTarget)
    np.testing.assert_array_equal(table_of(target.answers(X)), model.predict(X))
    np.testing.assert_array_equal(table_of(open_skops(path, None, 3, None).answers(X)), model.decision_function(X))
    model = LogisticRegression().fit(X, Y)
    found = open_skops(saved(model, tmp_path), AnswerFormat(PredictedLabels), 3, None).answers(X)
    assert isinstance(found, PredictedLabels)
    np.testing.assert_array_equal(table_of(found), model.predict(X))


def test_up_to_three_foreign_types_are_named(tmp_path):
    model = make_pipeline(OwnScaler(), FunctionTransformer(double), Own()).fit(X, Y)
    with pytest.raises(UnsupportedModelError, match=r"found tests.*Own.*nothing was loaded. Open it yourself if you"):
        open_skops(saved(model, tmp_path), None, 3, None)


@pytest.mark.parametrize("estimator", [LinearRegression().fit(X, Y), {"a": 1}, StandardScaler().fit(X)])
def test_what_is_no_classifier_is_refused(tmp_path, estimator):
    with pytest.raises((InputError, UnsupportedModelError), match=f"found {type(estimator).__name__};"):
        open_skops(saved(estimator, tmp_path), None, 3, None)


@pytest.mark.parametrize("answers", [AnswerFormat(Logits), AnswerFormat(columns=("a", "b", "c"))])
def test_an_estimator_names_its_answers_and_classes_itself(tmp_path, answers):
    model = LogisticRegression().fit(X, Y)
    with pytest.raises(InputError, match=r"found answers declared as .*; leave that out, it names its classes itself"):
        open_skops(saved(model, tmp_path), answers, 3, None)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_was_cut_is_refused(tmp_path, share):
    path = saved(LogisticRegression().fit(X, Y), tmp_path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"Expected an estimator in m.skops, found a damaged or foreign file: "):
        open_skops(path, None, 3, None)


def test_a_planted_pickle_does_not_run(tmp_path):
    path = planted_pickle(tmp_path / "m.skops", tmp_path / "ran")
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_skops(path, None, 3, None)
    assert not (tmp_path / "ran").exists()


def test_a_type_that_would_be_called_is_refused(tmp_path):
    path = saved(LogisticRegression().fit(X, Y), tmp_path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["schema.json"] = entries["schema.json"].replace(b'"LogisticRegression"', b'"Popen"')
    entries["schema.json"] = entries["schema.json"].replace(b'"sklearn.linear_model._logistic"', b'"subprocess"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(UnsupportedModelError, match=r"found subprocess.Popen; nothing was loaded"):
        open_skops(path, None, 3, None)


def test_skops_is_imported_without_torch_which_can_be_imported_later():
    code = (
        "import sys, importlib.util, vestige.targets.files.skops_alone\n"
        "print('skops.io' in sys.modules, 'torch' in sys.modules, importlib.util.find_spec('torch') is not None)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False", "True"]

"""Models as people bring them: whichever way one is given, the audit says the same, and says what it assumed."""

import itertools
import tempfile

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from vestige import ModelFile, Predictions, Querying, Records, ShadowTraining, SklearnRecipe, audit
from vestige.auditing.label_only import NoisyCopies
from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, Probabilities

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(2 * N, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 2 * N)
WORDS = np.array([f"word{i}" for i in range(80)])
TEXTS = [" ".join(RNG.choice(WORDS[20 * k : 20 * k + 40], 8)) for k in Y]
CHEAP = ["loss", "entropy"]
MEMBER = np.arange(2 * N) < N


def sides(inputs, labels=Y, **about):
    return Records(inputs[:N], labels[:N], **about), Records(inputs[N:], labels[N:], **about)


def training(recipe):
    return ShadowTraining(recipe, n_models=4, bank=tempfile.mkdtemp())


def check_of(result, name):
    return next((check.message for check in result.preflight.checks if check.name == name), "")


def assert_same(one, other):
    pd.testing.assert_frame_equal(one.results, other.results, rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------ margins


@pytest.mark.parametrize("estimator", [LinearSVC(), SVC(decision_function_shape="ovo"), RidgeClassifier()])
@pytest.mark.parametrize("labels", [Y, Y > 0])
def test_margins_give_the_table_of_their_logits(estimator, labels):
    labels = labels.astype(int)
    estimator.fit(X[:N], labels[:N])
    found = audit(estimator, *sides(X, labels))
    margins = (
        estimator.set_params(decision_function_shape="ovr") if isinstance(estimator, SVC) else estimator
    ).decision_function(X)
    margins = np.column_stack([np.zeros(2 * N), margins]) if margins.ndim == 1 else margins
    assert_same(found, audit(Predictions(Logits(margins), labels, MEMBER, inputs=X)))
    assert check_of(found, "answers_as_read").startswith("Warning: the model has margins (decision_function)")


@pytest.mark.parametrize("recipe", ["same", SklearnRecipe(LinearSVC()), SklearnRecipe(LogisticRegression())])
def test_shadow_models_with_margins_play_every_attack(recipe):
    found = audit(LinearSVC().fit(X[:N], Y[:N]), *sides(X), adversary=training(recipe))
    attacks = set(found.results.attack)
    assert {"loss", "lira_online", "rmia_online", "calibration_loss"} <= attacks
    if recipe == "same":
        same = audit(LinearSVC().fit(X[:N], Y[:N]), *sides(X), adversary=training(SklearnRecipe(LinearSVC())))
        assert_same(found, same)


def test_labels_of_a_classifier_with_margins_are_its_own():
    estimator = SVC().fit(X[:N], Y[:N])
    found = audit(estimator, *sides(X), querying=Querying(access="label"))
    accuracy = found.results[(found.results.attack == "correctness") & (found.results.metric == "auc")].value
    right = estimator.predict(X) == Y
    np.testing.assert_allclose(accuracy.iloc[0], 0.5 + (right[:N].mean() - right[N:].mean()) / 2)


# ------------------------------------------------------------------------------------ each class against all others


def test_one_against_all_is_the_same_as_estimator_booster_file_and_table(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(objective="multiclassova", n_estimators=5, verbose=-1, n_jobs=1).fit(X[:N], Y[:N])
    model.booster_.save_model(tmp_path / "m.txt")
    found = audit(model, *sides(X))
    assert "each row was divided by its sum" in check_of(found, "answers_as_read")
    for way in (model.booster_, ModelFile(tmp_path / "m.txt")):
        other = audit(way, *sides(X))
        assert_same(found, other)
        assert "each row was divided by its sum" in check_of(other, "answers_as_read")
    rows = model.predict_proba(X)
    with pytest.raises(InputError, match="divide each row by its sum if each class was told from all others"):
        audit(Predictions(rows, Y, MEMBER))
    table = Predictions(Probabilities(rows / rows.sum(axis=1, keepdims=True)), Y, MEMBER, inputs=X)
    assert_same(found, audit(table))


# ------------------------------------------------------------------------------------ texts and sparse matrices


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer()])
def test_a_pipeline_of_texts_is_the_same_in_every_form(vectorizer):
    model = make_pipeline(vectorizer, LogisticRegression(C=100)).fit(TEXTS[:N], Y[:N])
    found = audit(model, *sides(TEXTS), adversary=training("same"))
    assert {"loss", "lira_online"} <= set(found.results.attack)
    for form in (np.array(TEXTS), pd.Series(TEXTS)):
        assert_same(found, audit(model, *sides(form), adversary=training("same")))
    kept = audit(model, *sides(TEXTS), querying=Querying(budget=1000))
    assert_same(kept, audit(model, *sides(TEXTS)))
    with pytest.raises(InputError, match="for copies of them, found texts"):
        audit(model, *sides(TEXTS), querying=Querying(label_only=(NoisyCopies(),)))


@pytest.mark.parametrize("estimator", [LogisticRegression(C=100), KNeighborsClassifier()])
def test_a_sparse_matrix_gives_the_table_of_the_dense_one(estimator):
    table = CountVectorizer().fit_transform(TEXTS)
    model = estimator.fit(table[:N], Y[:N])
    dense = audit(model, *sides(table.toarray()), adversary=training("same"))
    for form in (table, sparse.csc_array(table)):
        found = audit(model, *sides(form), adversary=training("same"))
        assert_same(dense, found)
        for check in ("blind_inputs", "duplicates", "stored_training_rows"):
            assert check_of(found, check) == check_of(dense, check)
    kept = audit(model, *sides(table), querying=Querying(budget=1000))
    assert_same(kept, audit(model, *sides(table.toarray())))
    with pytest.raises(InputError, match="for copies of them, found a sparse matrix"):
        audit(model, *sides(table), querying=Querying(label_only=(NoisyCopies(),)))


def test_texts_and_sparse_matrices_of_files_and_functions(tmp_path):
    skops = pytest.importorskip("skops.io")
    table = CountVectorizer().fit_transform(TEXTS)
    model = LogisticRegression(C=100).fit(table[:N], Y[:N])
    skops.dump(model, tmp_path / "m.skops")
    found = audit(model, *sides(table))
    assert_same(found, audit(ModelFile(tmp_path / "m.skops"), *sides(table)))
    assert_same(found, audit(lambda inputs: model.predict_proba(inputs), *sides(table)))


# ------------------------------------------------------------------------------------ classes that no record has


NAMES = {
    "none": (None, "3"),
    "letters": (np.array(list("abcd")), "d"),
    "numbers": (np.array(["9", "10", "11", "12"]), "12"),
}
WAYS = ("object", "skops", "onnx", "onnx without names")
# Every name with the object, every way with some names: a way gives names on or has none, whatever they are.
QUICK = {*itertools.product(["object"], NAMES), *zip(WAYS[1:], ["letters", "numbers", "none"], strict=True)}


@pytest.mark.parametrize(
    ("way", "names", "said"),
    [
        pytest.param(way, *NAMES[names], id=f"{way}-{names}", marks=[] if (way, names) in QUICK else pytest.mark.slow)
        for way, names in itertools.product(WAYS, NAMES)
    ],
)
def test_a_class_that_no_record_has_is_taken_from_the_model(tmp_path, names, said, way):
    rare = np.where(np.arange(2 * N) < 6, 3, Y)
    labels = rare if names is None else names[rare]
    model = LogisticRegression(C=100, max_iter=500).fit(X[:N], labels[:N])
    without = slice(6, None)
    given = Records(X[:N][without], labels[:N][without]), Records(X[N:], labels[N:])
    whole = None if names is None else sorted(names, key=lambda name: (len(name), name))
    found = audit(as_way(model, way, tmp_path), *given, attacks=CHEAP)
    assert f"no record is of the class {said}, which the model knows" in check_of(found, "columns")
    classes = 4 if names is None else whole
    explicit = audit(model, *(Records(s.inputs, labels_of(s), classes=classes) for s in given), attacks=CHEAP)
    assert_same(found, explicit)


def labels_of(side):
    return side.labels if side.classes is None else np.array(side.classes)[side.labels]


def as_way(model, way, folder):
    if way == "object":
        return model
    if way == "skops":
        pytest.importorskip("skops.io").dump(model, folder / "m.skops")
        return ModelFile(folder / "m.skops")
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType

    options = {"zipmap": False} if way == "onnx without names" else {}
    given = [("X", FloatTensorType([None, X.shape[1]]))]
    graph = skl2onnx.to_onnx(model, initial_types=given, options=options, target_opset=17)
    (folder / "m.onnx").write_bytes(graph.SerializeToString())
    return ModelFile(folder / "m.onnx")


def test_names_that_a_user_gave_are_not_added_to():
    model = RandomForestClassifier(5, random_state=0).fit(X[:N], np.array(list("abc"))[Y[:N]])
    two = np.where(Y == 2, "a", np.array(list("abc"))[Y])
    with pytest.raises(InputError, match="the estimator's classes among the classes of the records, b, a, found 'c'"):
        audit(model, *sides(X, two, classes=["b", "a"]))


@pytest.mark.parametrize("options", [{}, {"zipmap": False}])
def test_labels_from_1_on_need_no_names_in_a_graph_that_has_them(tmp_path, options):
    model = LogisticRegression(C=100, max_iter=500).fit(X[:N], Y[:N] + 1)
    found = audit(as_way(model, "onnx without names" if options else "onnx", tmp_path), *sides(X, Y + 1), attacks=CHEAP)
    assert_same(found, audit(model, *sides(X, Y + 1), attacks=CHEAP))


def test_labels_from_1_on_are_told_to_be_named():
    model = LogisticRegression().fit(X[:N], Y[:N])
    with pytest.raises(TargetError, match=r"if the labels count from 1, name the classes \(classes=\[1, 2"):
        audit(lambda inputs: model.predict_proba(inputs), *sides(X, Y + 1))
    found = audit(lambda inputs: model.predict_proba(inputs), *sides(X, Y + 1, classes=[1, 2, 3]), attacks=CHEAP)
    np.testing.assert_allclose(found.results.value, audit(model, *sides(X), attacks=CHEAP).results.value)


# ------------------------------------------------------------------------------------ rounding of float32


@pytest.mark.parametrize("n_trees", [500, 700])
def test_the_rounding_of_a_forest_in_float32_is_no_fault(tmp_path, n_trees):
    labels = (Y > 0).astype(int)
    model = RandomForestClassifier(n_trees, random_state=0).fit(X[:N], labels[:N])
    found = audit(as_way(model, "onnx without names", tmp_path), *sides(X, labels), attacks=["loss", "confidence"])
    np.testing.assert_allclose(
        found.results[found.results.metric == "auc"].value,
        audit(model, *sides(X, labels), attacks=["loss", "confidence"]).results.query("metric == 'auc'").value,
        atol=0.01,
    )


def test_probabilities_that_miss_the_range_are_set_to_its_ends_and_it_is_said():
    rows = np.column_stack([np.where(Y > 0, -1.3e-6, 1.0), np.where(Y > 0, 1.0000013, 0.0)])
    labels = RNG.integers(0, 2, 2 * N)
    known = {row.tobytes(): answer for row, answer in zip(X, rows, strict=True)}
    found = audit(lambda inputs: np.array([known[row.tobytes()] for row in inputs]), *sides(X, labels))
    assert "missed 0..1 by up to 1.3e-06" in check_of(found, "answers_as_read")
    assert_same(found, audit(Predictions(rows.clip(0, 1), labels, MEMBER, inputs=X)))
    with pytest.raises(TargetError, match=r"at least 0, found -0\.0001 for record"):
        audit(lambda inputs: np.tile([-1e-4, 1 + 1e-4], (len(inputs), 1)), *sides(X, labels))


def test_what_is_no_classifier_is_refused_by_name_as_a_file_too(tmp_path):
    skops = pytest.importorskip("skops.io")
    from sklearn.linear_model import LinearRegression

    skops.dump(LinearRegression().fit(X, Y), tmp_path / "m.skops")
    for way in (LinearRegression().fit(X, Y), ModelFile(tmp_path / "m.skops")):
        with pytest.raises(UnsupportedModelError, match="LinearRegression; regression is not supported"):
            audit(way, *sides(X))

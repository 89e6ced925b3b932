"""An ONNX graph answers as the model it was made of; nothing about its answers is guessed."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.targets.model_files import X, Y, planted_pickle, table_of

from vestige.core.errors import InputError, TargetError, UnsupportedModelError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files import onnx_file
from vestige.targets.files.onnx_file import open_onnx

onnx = pytest.importorskip("onnx")
skl2onnx = pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")
NAMES = np.array(["mild", "none", "grave"])


def saved(model, tmp_path, zipmap=False, inputs=None):
    from skl2onnx.common.data_types import FloatTensorType

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own
        graph = skl2onnx.to_onnx(
            model,
            initial_types=inputs or [("X", FloatTensorType([None, 3]))],
            options={"zipmap": zipmap},
            target_opset=17,
        )
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    return tmp_path / "m.onnx"


def graph_of(path: Path, outputs, n_records="n", nodes=None, width=3):
    """A graph of one operator per output: name, operator."""
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [n_records, width])
    found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n_records, width]) for name in outputs]
    made = nodes or [helper.make_node(operator, ["x"], [name]) for name, operator in outputs.items()]
    model = helper.make_model(
        helper.make_graph(made, "g", [given], found), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize(
    "model", [make_pipeline(StandardScaler(), LogisticRegression()), RandomForestClassifier(5, random_state=0)]
)
def test_probabilities_of_an_estimator_need_no_declaration(tmp_path, model, zipmap):
    model.fit(X, Y)
    found = open_onnx(saved(model, tmp_path, zipmap), None, None, 3, None).answers(X)
    assert isinstance(found, Probabilities)
    np.testing.assert_allclose(table_of(found), model.predict_proba(X), atol=1e-5)


def test_names_of_classes_are_matched(tmp_path):
    model = LogisticRegression().fit(X, NAMES[Y])
    found = open_onnx(saved(model, tmp_path, zipmap=True), None, None, 3, ("none", "grave", "mild")).answers(X)
    np.testing.assert_allclose(table_of(found), model.predict_proba(X)[:, [2, 0, 1]], atol=1e-5)


@pytest.mark.parametrize("labels", [Y, NAMES[Y]])
def test_declared_labels_are_read_from_the_output_of_labels(tmp_path, labels):
    model = LogisticRegression().fit(X, labels)
    classes = None if labels is Y else ("none", "grave", "mild")
    found = open_onnx(saved(model, tmp_path), AnswerFormat(PredictedLabels), None, 3, classes).answers(X)
    assert isinstance(found, PredictedLabels)
    codes = model.predict(X) if classes is None else [classes.index(name) for name in model.predict(X)]
    np.testing.assert_array_equal(table_of(found), codes)


def test_a_table_gives_each_input_its_column(tmp_path):
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    table = pd.DataFrame({"a": X[:, 0], "c": np.array(["x", "y", "z"])[Y]})
    columns = ColumnTransformer([("c", OneHotEncoder(), ["c"]), ("a", StandardScaler(), ["a"])])
    model = make_pipeline(columns, LogisticRegression()).fit(table, Y)
    inputs = [("a", FloatTensorType([None, 1])), ("c", StringTensorType([None, 1]))]
    target = open_onnx(saved(model, tmp_path, inputs=inputs), None, None, 3, None)
    np.testing.assert_allclose(table_of(target.answers(table)), model.predict_proba(table), atol=1e-5)
    assert target.answers(table[:0]).table.shape == (0, 3)
    with pytest.raises(InputError, match="found an array; give a DataFrame"):
        target.answers(X)


@pytest.mark.parametrize(("n_records", "n_asked"), [("n", 4096), (7, 7), (1, 1)])
def test_a_graph_of_a_fixed_number_of_records_is_asked_for_so_many(tmp_path, n_records, n_asked):
    path = graph_of(tmp_path / "m.onnx", {"y": "Identity"}, n_records=n_records)
    target = open_onnx(path, AnswerFormat(Logits), None, 3, None)
    assert getattr(target, "most", None) == n_asked
    found = target.answers(X)
    assert isinstance(found, Logits)
    np.testing.assert_array_equal(table_of(found), X)
    assert target.answers(X[:0]).table.shape == (0, 3)


def test_what_the_numbers_are_is_never_guessed(tmp_path):
    with pytest.raises(InputError, match=r"what the output y of m.onnx is.*declare the answers as \"logits\" or"):
        open_onnx(graph_of(tmp_path / "m.onnx", {"y": "Identity"}), None, None, 3, None)


def test_many_records_are_asked_in_blocks(tmp_path):
    target = open_onnx(graph_of(tmp_path / "m.onnx", {"y": "Identity"}), AnswerFormat(Logits), None, 3, None)
    many = np.random.default_rng(0).normal(size=(10_000, 3)).astype(np.float32)
    np.testing.assert_array_equal(table_of(target.answers(many)), many)


@pytest.mark.parametrize(
    ("answers", "output", "operator"),
    [
        (None, None, "Softmax"),
        (AnswerFormat(Probabilities), None, "Softmax"),
        (AnswerFormat(Logits), None, "Identity"),
        (AnswerFormat(Logits), "logits", "Identity"),
    ],
)
def test_the_output_is_chosen_by_what_is_declared(tmp_path, answers, output, operator):
    path = graph_of(tmp_path / "m.onnx", {"logits": "Identity", "probabilities": "Softmax"})
    found = table_of(open_onnx(path, answers, output, 3, None).answers(X))
    softmax = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    np.testing.assert_allclose(found, X if operator == "Identity" else softmax, atol=1e-6)


def test_several_outputs_are_named(tmp_path):
    path = graph_of(tmp_path / "m.onnx", {"a": "Identity", "b": "Identity"})
    with pytest.raises(InputError, match=r"one output with a number per class in m.onnx, found a \(.*\), b \(.*name"):
        open_onnx(path, AnswerFormat(Logits), None, 3, None)
    with pytest.raises(InputError, match=r"one output called c in m.onnx, found a "):
        open_onnx(path, AnswerFormat(Logits), "c", 3, None)
    with pytest.raises(InputError, match=r"one output with a label per record in m.onnx, found a "):
        open_onnx(path, AnswerFormat(PredictedLabels), None, 3, None)


def test_answers_are_checked(tmp_path):
    path = graph_of(tmp_path / "m.onnx", {"probabilities": "Identity", "logits": "Softmax"})
    with pytest.raises(TargetError, match="Expected probabilities of at least 0"):
        open_onnx(path, None, None, 3, None).answers(X)
    with pytest.raises(TargetError, match="Expected logits, found probabilities"):
        open_onnx(path, AnswerFormat(Logits), None, 3, None).answers(X)
    with pytest.raises(TargetError, match=r"found \(60, 3\); give the model as many outputs"):
        open_onnx(path, None, None, 4, None).answers(X)


def test_records_of_another_shape_are_refused(tmp_path):
    path = graph_of(tmp_path / "m.onnx", {"probabilities": "Softmax"})
    with pytest.raises(TargetError, match=r"of shape \(3\) for the graph's input x, found \(2,\)"):
        open_onnx(path, None, None, 3, None).answers(X[:, :2])


def test_a_graph_that_fails_is_said_in_one_line(tmp_path):
    from onnx import helper

    nodes = [
        helper.make_node("Constant", [], ["s"], value_ints=[7, 3]),
        helper.make_node("Reshape", ["x", "s"], ["probabilities"]),
    ]
    path = graph_of(tmp_path / "m.onnx", {"probabilities": ""}, nodes=nodes)
    with pytest.raises(TargetError, match="Expected the model to answer, found that it failed: ") as caught:
        open_onnx(path, None, None, 3, None).answers(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"garbage", b"\x80\x04K\x01.", bytes(100)])
def test_what_is_no_graph_is_refused(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"Expected an ONNX graph in m.onnx, found a damaged or foreign") as caught:
        open_onnx(tmp_path / "m.onnx", None, None, 3, None)
    assert "\n" not in str(caught.value)


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = saved(RandomForestClassifier(5, random_state=0).fit(X, Y), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_onnx(path, None, None, 3, None)


def test_a_planted_pickle_does_not_run(tmp_path):
    path = planted_pickle(tmp_path / "m.onnx", tmp_path / "ran")
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_onnx(path, None, None, 3, None)
    assert not (tmp_path / "ran").exists()


def test_an_operator_of_another_library_is_refused(tmp_path):
    from onnx import helper

    nodes = [helper.make_node("Mine", ["x"], ["probabilities"], domain="org.example")]
    path = graph_of(tmp_path / "m.onnx", {"probabilities": ""}, nodes=nodes)
    with pytest.raises(InputError, match=r"found a damaged or foreign file.*org.example"):
        open_onnx(path, None, None, 3, None)


@pytest.mark.parametrize("location", ["../secret.bin", "weights.bin"])
def test_weights_beside_the_file_are_read_and_those_outside_its_folder_are_not(tmp_path, location):
    from onnx import TensorProto, helper

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / location).write_bytes(np.ones(3, dtype=np.float32).tobytes())
    bias = TensorProto(name="b", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "12"}.items():
        bias.external_data.add(key=key, value=value)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    found = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph([helper.make_node("Add", ["x", "b"], ["logits"])], "g", [given], [found], [bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    if location == "weights.bin":
        answers = open_onnx(folder / "m.onnx", AnswerFormat(Logits), None, 3, None).answers(X)
        np.testing.assert_allclose(table_of(answers), X + 1, atol=1e-6)
        return
    with pytest.raises(InputError, match="found a damaged or foreign file"):
        open_onnx(folder / "m.onnx", AnswerFormat(Logits), None, 3, None)


def test_an_input_that_no_records_could_be_is_refused(tmp_path):
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [])
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [given], [found])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedModelError, match=r"records first, found tensor\(float\) of shape \[\] as x"):
        open_onnx(tmp_path / "m.onnx", AnswerFormat(Logits), "y", 3, None)


# ----------------------------------------------------------------------- columns without names, and predicted labels


def in_another_order(tmp_path):
    """scikit-learn sorts text, a reader of files numbers."""
    model = LogisticRegression().fit(X, np.array(["10", "9", "8"])[Y])
    assert model.classes_.tolist() == ["10", "8", "9"]
    return model, saved(model, tmp_path)


def test_columns_are_matched_by_the_names_in_the_graph(tmp_path):
    model, path = in_another_order(tmp_path)
    target = open_onnx(path, None, None, 3, ("8", "9", "10"))
    np.testing.assert_allclose(table_of(target.answers(X)), model.predict_proba(X)[:, [1, 2, 0]], atol=1e-6)
    assert target.names_classes  # type: ignore[attr-defined]


def test_columns_in_another_order_than_the_classes_are_noticed(tmp_path, monkeypatch):
    """Without names in the graph nothing but its labels would tell."""
    model, path = in_another_order(tmp_path)
    monkeypatch.setattr(onnx_file, "_columns_in", lambda *given: None)
    with pytest.raises(
        TargetError, match=r"the graph predicts (8|9|10) where column \d of them is the largest; declare"
    ):
        open_onnx(path, None, None, 3, ("8", "9", "10")).answers(X)
    declared = open_onnx(path, AnswerFormat(columns=("10", "8", "9")), None, 3, ("8", "9", "10"))
    np.testing.assert_allclose(table_of(declared.answers(X)), model.predict_proba(X)[:, [1, 2, 0]], atol=1e-6)
    same = open_onnx(path, None, None, 3, ("10", "8", "9"))
    np.testing.assert_allclose(table_of(same.answers(X)), model.predict_proba(X), atol=1e-6)


def test_classes_that_the_records_do_not_have_are_refused(tmp_path):
    path = saved(LogisticRegression().fit(X, NAMES[Y]), tmp_path)
    with pytest.raises(TargetError, match="predicted labels among the classes a, b, c, found grave, mild, none"):
        open_onnx(path, None, None, 3, ("a", "b", "c")).answers(X)


@pytest.mark.parametrize(("labels", "n_classes"), [(Y, 3), ((Y > 0).astype(int), 2), (Y > 0, 2)])
def test_codes_and_single_records_are_let_through(tmp_path, labels, n_classes):
    model = LogisticRegression().fit(X, labels)
    target = open_onnx(saved(model, tmp_path), None, None, n_classes, ("a", "b", "c")[:n_classes])
    assert target.answers(X[:1]).whole().shape == (1, n_classes)
    np.testing.assert_allclose(table_of(target.answers(X)), model.predict_proba(X), atol=1e-6)


def test_labels_that_are_codes_of_classes_called_otherwise_are_let_through(tmp_path):
    """Boosters want classes from 0 on, whatever the records call theirs."""
    model = LogisticRegression().fit(X, Y)
    target = open_onnx(saved(model, tmp_path), None, None, 3, ("1", "2", "3"))
    np.testing.assert_allclose(table_of(target.answers(X)), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("moved", [0.0, 1.0, 9.0])
def test_labels_by_another_rule_than_the_largest_number_are_let_through(tmp_path, moved):
    from onnx import TensorProto, helper

    bias = helper.make_tensor("bias", TensorProto.FLOAT, [3], [0.0, moved, 0.0])
    nodes = [
        helper.make_node("Softmax", ["x"], ["probabilities"]),
        helper.make_node("Constant", [], ["bias"], value=bias),
        helper.make_node("Add", ["x", "bias"], ["moved"]),
        helper.make_node("ArgMax", ["moved"], ["label"], axis=1, keepdims=0),
    ]
    axes: dict[str, list[str | int | None]] = {"x": ["n", 3], "probabilities": ["n", 3], "label": ["n"]}
    ends = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "label" else TensorProto.FLOAT, shape)
        for name, shape in axes.items()
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    found = table_of(open_onnx(tmp_path / "m.onnx", None, None, 3, None).answers(X))
    np.testing.assert_array_equal(found.argmax(axis=1), X.argmax(axis=1))

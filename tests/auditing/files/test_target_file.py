"""Which model an audit file names, how it may be asked, and of which records."""

import tomllib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vestige import Predictions, Records
from vestige.auditing.files.audit_file import AuditFile, audit_file_of, read_audit_file
from vestige.core.errors import InputError, TargetError
from vestige.core.outputs import Logits, PredictedLabels, Probabilities
from vestige.core.targets import Access
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.model_file import ModelFile
from vestige.targets.http.endpoint import Endpoint, Limits
from vestige.targets.opening import DeclaredModel, open_target

MODELS = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from vestige import Records

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])
fitted = LogisticRegression().fit(X, [0, 1, 0, 1])
number = 5
members = Records(X, np.array([0, 1, 0, 1]))


def make():
    return fitted


def nothing():
    return None


def leaves():
    raise SystemExit(0)

def broken():
    raise ValueError("no such checkpoint")


def make_function():
    return scores


def scores(inputs):
    return np.column_stack([inputs[:, 0] - 9, inputs[:, 1] + 9])


def labels(inputs):
    return (inputs[:, 0] > 1).astype(int)


def nonmembers():
    return Records(X + 1, np.array([0, 1, 0, 1]))
"""
X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])
URL = "http://127.0.0.1:8080/v2/models/m"
DATA = {"members": "in.csv", "nonmembers": "out.csv"}


NETWORK = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1)).eval()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_models.py").write_text(MODELS)
    return tmp_path


def file_of(folder, model="model.onnx", data=None, **tables) -> AuditFile:
    """An audit file; what is not the name of a table is an entry of [target]."""
    names = ("inputs", "endpoint", "recipe", "options", "policy", "paths")
    said = {name: tables.pop(name) for name in names if name in tables}
    said |= {"target": {"model": model, **tables}, "data": DATA | (data or {})}
    return audit_file_of(said, folder, "audit.toml")


def refused(call, *essentials: str) -> str:
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    missing = [e for e in ("Expected", "found", *essentials) if e not in message]
    assert not missing, f"{missing} not in: {message}"
    return message


# --------------------------------------------------------------------------------- objects of Python


def test_a_fitted_model_is_taken_as_it_is(folder):
    model = file_of(folder, "my_models:fitted").model()
    assert type(model).__name__ == "LogisticRegression"
    np.testing.assert_allclose(model.predict_proba(X), open_target(model, 2).answers(X).whole())


def test_a_function_without_arguments_makes_the_model(folder):
    assert type(file_of(folder, "my_models:make").model()).__name__ == "LogisticRegression"


def test_a_module_may_be_named_as_a_file(folder):
    (folder / "clinic").mkdir()
    (folder / "clinic" / "other_models.py").write_text(MODELS)
    assert type(file_of(folder, "clinic/other_models.py:make").model()).__name__ == "LogisticRegression"


@pytest.mark.parametrize(
    ("name", "answers", "kind"),
    [("scores", "logits", Logits), ("labels", "labels", PredictedLabels), ("make_function", "logits", Logits)],
)
def test_a_function_of_inputs_answers_as_declared(folder, name, answers, kind):
    door = file_of(folder, f"my_models:{name}", answers=answers).model()
    assert isinstance(door, DeclaredModel)
    found = open_target(door, 2).answers(X)
    assert type(found) is kind
    expected = (X[:, 0] > 1) if kind is PredictedLabels else np.column_stack([X[:, 0] - 9, X[:, 1] + 9])
    np.testing.assert_array_equal(found.whole(), expected)


def test_a_function_without_a_declaration_is_left_alone(folder):
    function = file_of(folder, "my_models:scores").model()
    assert function.__name__ == "scores"


def test_a_network_answers_as_declared(folder):
    """Declared, it may end in a softmax; undeclared it gives logits."""
    (folder / "my_nets.py").write_text(NETWORK)
    found = open_target(file_of(folder, "my_nets:network", answers="probabilities").model(), 2).answers(X)
    assert isinstance(found, Probabilities)
    turned = file_of(folder, "my_nets:network", classes=["sick", "well"]).model()
    found_turned = open_target(turned, 2, ["well", "sick"]).answers(X)
    np.testing.assert_array_equal(found_turned.whole()[:, ::-1], found.whole())
    with pytest.raises(TargetError, match="declare the answers as probabilities"):
        open_target(file_of(folder, "my_nets:network").model(), 2).answers(X)


def test_classes_say_which_column_is_which(folder):
    door = file_of(folder, "my_models:scores", answers="logits", classes=["sick", "well"]).model()
    found = open_target(door, 2, ["well", "sick"]).answers(X).whole()
    np.testing.assert_array_equal(found[:, ::-1], np.column_stack([X[:, 0] - 9, X[:, 1] + 9]))


@pytest.mark.parametrize(
    ("name", "entries", "essentials"),
    [
        ("number", {}, ["a model or a function", "int"]),
        ("broken", {}, ["my_models:broken()", "ValueError: no such checkpoint"]),
        ("leaves", {}, ["my_models:leaves()", "SystemExit: 0"]),
        ("nothing", {"answers": "logits"}, ["my_models:nothing()", "NoneType"]),
        ("misspelt", {}, ["misspelt in my_models", "spelling"]),
        ("fitted", {"answers": "logits"}, ["leave them out"]),
        ("make", {"classes": [0, 1]}, ["leave them out"]),
        ("fitted", {"factory": "my_models:make"}, ["factory", "object of Python", "leave it out"]),
        ("fitted", {"output": "probabilities"}, ["output", "leave it out"]),
        ("fitted", {"endpoint": {}}, ["URL", "my_models:fitted", "leave out the table"]),
    ],
)
def test_what_is_no_model_or_would_do_nothing_is_refused(folder, name, entries, essentials):
    refused(lambda: file_of(folder, f"my_models:{name}", **entries).model(), *essentials)


def test_a_module_that_is_not_there_is_named(folder):
    refused(lambda: file_of(folder, "no_such_module:model").model(), "a module no_such_module")


# --------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", ["onnx", "pt2", "skops", "json", "ubj", "txt", "joblib", "pkl", "pickle", "bin"])
def test_a_file_of_any_suffix_is_a_door_that_is_not_opened_yet(folder, suffix):
    door = file_of(folder, f"models/m.{suffix}").model()
    assert door == ModelFile(folder / "models" / f"m.{suffix}")


def test_a_file_gets_what_is_said_of_it(folder):
    said = {"answers": "logits", "classes": ["a", "b"], "output": "scores", "factory": "my_models:make"}
    door = file_of(folder, "m.onnx", **said).model(trust_pickle=True)
    assert door.answers == AnswerFormat(Logits, ("a", "b"))
    assert (door.output, door.trust_pickle, door.factory.__name__) == ("scores", True, "make")


def test_classes_alone_are_those_of_probabilities(folder):
    assert file_of(folder, "m.ubj", classes=["a", "b"]).model().answers == AnswerFormat(Probabilities, ("a", "b"))


def test_a_file_with_a_colon_in_its_name_is_a_file(folder):
    (folder / "a:b.onnx").touch()
    assert file_of(folder, "a:b.onnx").model() == ModelFile(folder / "a:b.onnx")


def test_a_path_from_the_root_is_one(folder, tmp_path):
    assert file_of(folder, str(tmp_path / "m.onnx")).model().path == tmp_path / "m.onnx"


def test_an_endpoint_beside_a_file_is_refused(folder):
    refused(lambda: file_of(folder, "m.onnx", endpoint={"batch": 8}).model(), "URL", "m.onnx", "leave out the table")


# -------------------------------------------------------------------------------------- predictions


def table(folder, **columns):
    p = np.array([0.1, 0.9, 0.4, 0.6])
    columns = {"id": list("abcd"), "label": [0, 1, 0, 1], "member": [1, 1, 0, 0], **columns}
    pd.DataFrame(columns | {"prob_0": 1 - p, "prob_1": p}).to_csv(folder / "answers.csv", index=False)


def test_a_table_is_predictions(folder):
    table(folder)
    found = file_of(folder, "answers.csv").model()
    assert isinstance(found, Predictions)
    assert found.ids.tolist() == list("abcd")
    assert found.member.tolist() == [True, True, False, False]


def test_a_table_needs_the_label_and_the_id_of_the_records_alone(folder):
    table(folder, outcome=[0, 1, 0, 1], row=list("wxyz"))
    data = {"label": "outcome", "id": "row", "subject": "patient", "groups": ["ward"]}
    assert file_of(folder, "answers.csv", data=data).model().ids.tolist() == list("wxyz")


@pytest.mark.parametrize(
    ("tables", "essential"),
    [
        ({"budget": 5}, "budget"),
        ({"price": 0.5}, "price"),
        ({"answers": "logits"}, "answers"),
        ({"classes": [0, 1]}, "classes"),
        ({"factory": "a:b"}, "factory"),
        ({"output": "o"}, "output"),
        ({"inputs": {"scale": 2.0}}, "[inputs]"),
    ],
)
def test_what_does_nothing_beside_a_table_is_refused(folder, tables, essential):
    table(folder)
    refused(lambda: file_of(folder, "answers.csv", **tables).model(), essential, "a table of predictions", "leave")


def test_a_table_that_is_not_there_is_named(folder):
    refused(lambda: file_of(folder, "gone.parquet").model(), "gone.parquet", "check the path")


# ------------------------------------------------------------------------------------------ endpoints


def test_an_address_alone_is_asked_with_the_usual_limits(folder):
    assert file_of(folder, URL).model() == Endpoint(URL)


def test_an_endpoint_gets_what_is_said_of_it(folder):
    text = f'''
    [target]
    model = "{URL}"
    answers = "logits"
    classes = ["a", "b"]
    output = "scores"
    access = "label"
    budget = 900
    price = 2
    [endpoint]
    headers = {{ Authorization = "MODEL_TOKEN" }}
    timeout = "2m"
    n_tries = 3
    per_second = 5
    n_connections = 2
    batch = 8
    datatype = "FP32"
    [data]
    members = "in.npz"
    nonmembers = "out.npz"
    '''
    (folder / "audit.toml").write_text(text)
    audit_file = read_audit_file(folder / "audit.toml")
    door, querying = audit_file.model(), audit_file.querying()
    assert isinstance(door, Endpoint)
    assert (door.url, door.output, door.datatype) == (URL, "scores", "FP32")
    assert door.answers == AnswerFormat(Logits, ("a", "b"))
    assert door.limits == Limits(timeout=120.0, n_tries=3, per_second=5.0, n_connections=2, batch=8)
    assert door.headers == {"Authorization": "MODEL_TOKEN"}
    assert (querying.access, querying.budget, querying.price) == (Access.LABEL, 900, 2.0)


@pytest.mark.parametrize(
    ("entries", "essentials"),
    [
        ({"factory": "my_models:make"}, ["factory", "endpoint", "leave it out"]),
        ({"endpoint": {"timeout": "soon"}}, ["30s", "soon"]),
        ({"endpoint": {"timeout": "0s"}}, ["timeout", "0"]),
        ({"endpoint": {"n_tries": 0}}, ["n_tries", "at least 1"]),
        ({"endpoint": {"batch": -1}}, ["batch"]),
        ({"endpoint": {"per_second": 0}}, ["per_second"]),
        ({"endpoint": {"datatype": "FP31"}}, ["datatype", "FP31"]),
    ],
)
def test_an_endpoint_is_refused_what_is_none(folder, entries, essentials):
    refused(lambda: file_of(folder, URL, **entries).model(), *[e if e != "30s" else "90s" for e in essentials])


def test_a_secret_in_place_of_a_variable_is_refused_and_not_repeated(folder):
    said = refused(
        lambda: file_of(folder, URL, endpoint={"headers": {"Authorization": "Bearer s3cr3t"}}).model(), "variable"
    )
    assert "s3cr3t" not in said


@pytest.mark.parametrize("where", ["https://me:s3cr3t@host/v2/models/m", "https://host/v2/models/m?token=s3cr3t"])
@pytest.mark.parametrize("entries", [{}, {"factory": "a:b"}])
def test_a_secret_in_an_address_is_not_repeated(folder, where, entries):
    assert "s3cr3t" not in refused(lambda: file_of(folder, where, **entries).model(), "environment variables")


@pytest.mark.parametrize("where", ["HTTPS://host/v2/models/m", "ftp://host/v2/models/m", "http://host/m"])
def test_an_address_of_another_kind_is_no_module(folder, where):
    refused(lambda: file_of(folder, where).model(), "a URL such as")


# -------------------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"low": 0, "high": 255}, {"low": 0.0, "high": 255.0}),
        ({"low": [0, 1.5], "high": [9, 9]}, {"low": (0.0, 1.5), "high": (9.0, 9.0)}),
        ({"low": {"age": 0}, "high": {"age": 120.0}}, {"low": {"age": 0.0}, "high": {"age": 120.0}}),
        ({"mean": [0.5, 0.25], "scale": 2}, {"mean": (0.5, 0.25), "scale": 2.0}),
        ({"dtype": "float64"}, {"dtype": "float64"}),
        ({"categories": {"ward": ["a", "b"]}, "encoding": "codes"}, {"categories": {"ward": ("a", "b")}}),
        ({"channels_first": True}, {"channels_first": True}),
    ],
)
def test_inputs_are_as_declared(folder, said, expected):
    space = file_of(folder, inputs=said).querying().inputs
    assert {name: getattr(space, name) for name in expected} == expected
    assert not space.declares_nothing


def test_without_inputs_nothing_is_declared(folder):
    assert file_of(folder).querying().inputs.declares_nothing


@pytest.mark.parametrize(
    ("said", "essentials"),
    [
        ({"low": 1, "high": 0}, ["low", "above high"]),
        ({"scale": 0}, ["scale", "0"]),
        ({"dtype": "float33"}, ["float33"]),
        ({"low": [[0, 1], [2]]}, ["low"]),
        ({"categories": {"ward": ["a", "a"]}}, ["ward", "distinct"]),
    ],
)
def test_inputs_that_contradict_themselves_are_refused(folder, said, essentials):
    refused(lambda: file_of(folder, inputs=said).querying(), *essentials)


# ------------------------------------------------------------------------------------- unknown and wrong


@pytest.mark.parametrize(
    ("tables", "essentials"),
    [
        ({"access": "all"}, ["target.access", "'label', 'confidence' or 'gradients'"]),
        ({"answers": "margins"}, ["target.answers", "'probabilities', 'logits' or 'labels'"]),
        ({"budget": "many"}, ["a whole number as target.budget"]),
        ({"budget": True}, ["a whole number as target.budget"]),
        ({"classes": "a, b"}, ["a list as target.classes"]),
        ({"classes": ["a", 2.5]}, ["text or a whole number as target.classes.1"]),
        ({"bugdet": 5}, ["target.bugdet", "unknown", "spelling"]),
        ({"endpoint": {"retries": 5}}, ["endpoint.retries", "unknown"]),
        ({"endpoint": {"headers": {"A": 1}}}, ["text as endpoint.headers.A"]),
        ({"inputs": {"low": "zero"}}, ["a number or a list or a table as inputs.low,"]),
        ({"inputs": {"low": {"age": "zero"}}}, ["inputs.low"]),
        ({"inputs": {"encoding": "hash"}}, ["inputs.encoding", "'one_hot'"]),
        ({"inputs": {"channels_first": 1}}, ["true or false as inputs.channels_first"]),
        ({"recipe": {}}, ["recipe.train", "add it"]),
        ({"recipe": {"train": "same", "n_shadows": 2.5}}, ["recipe.n_shadows"]),
        ({"policy": {"fail_if": "auc.upper > 0.6"}}, ["a list as policy.fail_if"]),
        ({"paths": {"relative_to": "nowhere"}}, ["nowhere", "no folder"]),
        ({"data": {"labels": "y"}}, ["data.labels", "unknown"]),
    ],
)
def test_what_is_unknown_or_of_another_type_is_named(folder, tables, essentials):
    said = refused(lambda: file_of(folder, **tables), "audit.toml: ", *essentials)
    assert "dictionary" not in said


def test_a_message_shows_the_value_that_was_found_but_no_secret(folder):
    refused(lambda: file_of(folder, budget="many"), "found 'many';")
    refused(lambda: file_of(folder, budget=True), "found true;")
    refused(lambda: file_of(folder, bugdet=5), "found bugdet = 5;", "you may mean budget")
    refused(lambda: file_of(folder, data={"member": "a.csv"}), "found member = 'a.csv';", "members")
    said = refused(lambda: file_of(folder, URL, endpoint={"headers": "Bearer s3cr3t"}), "a table as endpoint.headers")
    assert "s3cr3t" not in said
    assert "31337" not in refused(
        lambda: file_of(folder, URL, endpoint={"headers": {"A": 31337}}), "endpoint.headers.A"
    )


def test_a_missing_table_is_named(folder):
    refused(lambda: audit_file_of({"data": DATA}, folder, "audit.toml"), "an entry target", "add it")
    refused(lambda: audit_file_of({"folder": "x"}, folder, "audit.toml"), "found folder")


def test_a_date_that_could_not_be_written_down_again_is_refused(folder):
    parameters = tomllib.loads("since = 2020-01-01")
    refused(lambda: file_of(folder, recipe={"train": "a:b", "parameters": parameters}), "recipe.parameters.since")


@pytest.mark.parametrize(
    ("text", "essential"),
    [("[target\n", "TOML"), ("[target]\nmodel = m.onnx\n", "quote text"), (b"\xff", "readable")],
)
def test_what_is_no_toml_is_refused(folder, text, essential):
    path = folder / "audit.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(lambda: read_audit_file(path), "audit.toml: ", essential)
    refused(lambda: read_audit_file(folder / "gone.toml"), "gone.toml: ", "check the path")
    refused(lambda: read_audit_file(folder), "readable")


@pytest.mark.parametrize(
    ("options", "essentials"),
    [
        ({"min_cells": 3}, ["min_cell", "min_cells", "spelling"]),
        ({"min_cell": "ten"}, ["a whole number as min_cell", "'ten'"]),
        ({"seed": True}, ["a whole number as seed"]),
        ({"risk_prior": "half"}, ["a number as risk_prior"]),
        ({"arithmetic": 1}, ["text as arithmetic"]),
        ({"arithmetic": "exact"}, ["stable, published"]),
        ({"risk_prior": 1}, ["between 0 and 1"]),
    ],
)
def test_options_that_are_none_are_refused(folder, options, essentials):
    refused(lambda: file_of(folder, options=options).options, *essentials)


def test_options_that_are_some_are_taken(folder):
    found = file_of(folder, options={"arithmetic": "published", "min_cell": 3, "name": "clinic"}).options
    assert (found.arithmetic, found.min_cell, found.name, found.seed) == ("published", 3, "clinic", 0)


# ------------------------------------------------------------------------------------------- records


def test_records_of_python_are_named_or_made(folder):
    members, nonmembers = file_of(
        folder, data={"members": "my_models:members", "nonmembers": "my_models:nonmembers"}
    ).records()
    assert isinstance(members, Records)
    np.testing.assert_array_equal(members.inputs, X)
    np.testing.assert_array_equal(nonmembers.inputs, X + 1)


def test_records_of_two_tables(folder):
    for name, start in (("in.csv", 0), ("out.csv", 3)):
        frame = {"row": range(start, start + 3), "age": [30, 40, 50], "ward": list("aba"), "outcome": list("yny")}
        pd.DataFrame(frame).to_csv(folder / name, index=False)
    data = {"label": "outcome", "id": "row", "groups": ["ward"], "inputs": ["age"]}
    members, nonmembers = file_of(folder, data=data).records()
    assert members.classes == ("n", "y")
    assert members.ids.tolist() + nonmembers.ids.tolist() == list(range(6))
    assert (list(members.inputs), list(members.groups)) == (["age"], ["ward"])


def test_classes_without_records_are_named(folder):
    """A model has outputs for them all the same."""
    for name, start in (("in.csv", 0), ("out.csv", 3)):
        pd.DataFrame({"id": range(start, start + 3), "age": [30, 40, 50], "label": [2, 0, 2]}).to_csv(
            folder / name, index=False
        )
    members, _ = file_of(folder).records()
    assert (members.classes, members.n_classes) == (("0", "2"), 2)
    members, nonmembers = file_of(folder, data={"classes": [0, 1, 2]}).records()
    assert members.classes == nonmembers.classes == ("0", "1", "2")
    assert members.labels.tolist() == [2, 0, 2]
    refused(lambda: file_of(folder, data={"classes": ["a", "b"]}).records(), "among the classes a, b", "found 0, 2")


def pictures(folder, name, classes) -> None:
    for i, label in enumerate(classes):
        path = folder / name / label / "x.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 3, 3), 10 * i, dtype=np.uint8)).save(path)


def test_records_of_two_folders_of_images_have_the_classes_of_both(folder):
    pictures(folder, "in", ["cat", "eel"])
    pictures(folder, "out", ["bee", "eel"])
    members, nonmembers = file_of(folder, data={"members": "in", "nonmembers": "out"}).records()
    assert members.classes == nonmembers.classes == ("bee", "cat", "eel")
    assert (members.labels.tolist(), nonmembers.labels.tolist()) == ([1, 2], [0, 2])
    assert members.ids.tolist() + nonmembers.ids.tolist() == [
        "in/cat/x.png",
        "in/eel/x.png",
        "out/bee/x.png",
        "out/eel/x.png",
    ]
    assert members.inputs.shape == (2, 2, 3, 3)


@pytest.mark.parametrize("idle", [{"subject": "p"}, {"groups": ["ward"]}, {"label": "outcome"}, {"inputs": ["age"]}])
def test_columns_of_what_has_none_are_refused(folder, idle):
    pictures(folder, "in", ["cat", "eel"])
    pictures(folder, "out", ["cat", "eel"])
    (name,) = idle
    two_folders = {"members": "in", "nonmembers": "out"}
    refused(lambda: file_of(folder, data=two_folders | idle).records(), f"no {name}", "folders of images", "leave")
    objects = {"members": "my_models:members", "nonmembers": "my_models:nonmembers"}
    refused(lambda: file_of(folder, data=objects | idle).records(), f"no {name}", "records of Python", "leave it out")


@pytest.mark.parametrize(
    ("members", "nonmembers", "essentials"),
    [
        ("there.csv", "gone.csv", ["found no file gone.csv"]),
        ("gone.csv", "there.csv", ["found no file gone.csv"]),
        ("there.csv", "my_models:members", ["of one kind", "there.csv"]),
        ("images", "there.csv", ["of one kind", "images", "there.csv"]),
        ("there.csv", "images", ["of one kind", "images", "there.csv"]),
        ("images", "gone", ["of one kind", "images", "gone"]),
        ("images", "images", ["images", "the same"]),
        ("there.csv", "there.csv", ["there.csv", "the same"]),
        ("my_models:members", "my_models:number", ["my_models:number", "int"]),
        ("my_models:members", "my_models:make", ["Records from my_models:make", "LogisticRegression"]),
        ("my_models:members", "my_models:broken", ["my_models:broken", "no such checkpoint"]),
    ],
)
def test_records_that_are_none_are_named(folder, members, nonmembers, essentials):
    pd.DataFrame({"age": [1, 2], "label": [0, 1]}).to_csv(folder / "there.csv", index=False)
    pictures(folder, "images", ["cat", "eel"])
    refused(lambda: file_of(folder, data={"members": members, "nonmembers": nonmembers}).records(), *essentials)


# --------------------------------------------------------------------------------- what is written down


@pytest.mark.parametrize("with_template", [False, True])
def test_what_is_written_down_has_every_default_and_can_be_read_again(folder, tmp_path, with_template):
    recipe = {"train": "same", "n_shadows": 8, "within": "20m"}
    template = {"send": {"instances": "$inputs", "options": [{"top": 3}]}, "read": "predictions"}
    said = {"headers": {"Authorization": "MODEL_TOKEN"}} | (template if with_template else {})
    first = file_of(folder, URL, endpoint=said, recipe=recipe)
    tables = first.as_tables(tmp_path / "runs" / "one", ["auc.upper > 0.9"])
    assert tables["target"] == {"model": URL, "access": "confidence"}
    usual = {"timeout": "30s", "n_tries": 6, "n_connections": 4, "batch": 32}
    assert tables["endpoint"] == usual | said
    assert tables["inputs"] == {"categories": {}, "encoding": "as_is", "channels_first": False}
    assert (tables["recipe"]["n_shadows"], tables["recipe"]["within"]) == (8, "20m")
    assert tables["paths"] == {"relative_to": "../.."}
    (tmp_path / "runs" / "one").mkdir(parents=True)
    again = audit_file_of(tables, tmp_path / "runs" / "one", "audit.toml")
    assert again.folder == first.folder
    assert again.model() == first.model()
    assert again.policy.fail_if == ["auc.upper > 0.9"]


def test_an_address_without_limits_is_written_down_with_the_usual_ones(folder, tmp_path):
    assert file_of(folder, URL).as_tables(tmp_path / "run", [])["endpoint"]["n_tries"] == 6
    assert "endpoint" not in file_of(folder, "m.onnx").as_tables(tmp_path / "run", [])

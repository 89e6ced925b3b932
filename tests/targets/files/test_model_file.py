"""One door to a model in a file, whatever the format; what is no model is refused before anything of it runs."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from tests.targets.model_files import (
    IMAGES,
    X,
    Y,
    convolution,
    export_onnx,
    export_program,
    perceptron,
    planted_checkpoint,
    planted_pickle,
    table_of,
)

from vestige.core.errors import InputError, UnsupportedModelError, VestigeError
from vestige.core.extras import installing
from vestige.core.outputs import Logits, Probabilities
from vestige.core.targets import ModelSource
from vestige.targets.answer_format import AnswerFormat
from vestige.targets.files.model_file import ModelFile
from vestige.targets.opening import open_target

TORCH = (".pt2", ".safetensors", ".pt", ".pth")
KNOWN = (".onnx", *TORCH, ".skops", ".json", ".ubj", ".txt", ".joblib", ".pkl", ".pickle")
LOGITS = AnswerFormat(Logits)


def saved_estimator(path):
    import skops.io

    model = LogisticRegression().fit(X, Y)
    skops.io.dump(model, path)
    return model


def test_it_is_a_door_that_open_target_goes_through(tmp_path):
    model = saved_estimator(tmp_path / "m.skops")
    door = ModelFile(tmp_path / "m.skops")
    assert isinstance(door, ModelSource)
    target = open_target(door, 3)
    np.testing.assert_array_equal(table_of(target.answers(X)), model.predict_proba(X))


def test_it_does_not_change(tmp_path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelFile("m.onnx").path = "other"  # type: ignore[misc]


def test_a_suffix_may_be_in_capitals_and_a_path_text(tmp_path):
    saved_estimator(tmp_path / "m.SKOPS")
    assert ModelFile(str(tmp_path / "m.SKOPS")).open_model(3).n_classes == 3


@pytest.mark.parametrize(("make", "inputs"), [(perceptron, X), (convolution, IMAGES)])
def test_the_same_module_gives_the_same_logits_through_every_format(tmp_path, make, inputs):
    pytest.importorskip("onnxruntime")
    expected = make()(torch.from_numpy(inputs)).detach().numpy()
    torch.save(make().state_dict(), tmp_path / "m.pt")
    save_file(make().state_dict(), tmp_path / "m.safetensors")
    doors = [
        ModelFile(tmp_path / "m.pt", factory=make),
        ModelFile(tmp_path / "m.safetensors", factory=make),
        ModelFile(export_program(make(), tmp_path / "m.pt2", inputs), trust_pickle=True),
        ModelFile(export_onnx(make(), tmp_path / "m.onnx", inputs), LOGITS),
    ]
    for door in doors:
        found = door.open_model(3).answers(inputs)
        assert isinstance(found, Logits)
        np.testing.assert_allclose(table_of(found), expected, atol=1e-5)


def test_boosters(tmp_path):
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    x = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    x.save_model(tmp_path / "x.json")
    light = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=2).fit(X, Y)
    light.booster_.save_model(tmp_path / "l.txt")
    for name, expected in (("x.json", x.predict_proba(X)), ("l.txt", light.booster_.predict(X))):
        found = ModelFile(tmp_path / name).open_model(3).answers(X)
        assert isinstance(found, Probabilities)
        np.testing.assert_allclose(table_of(found), np.asarray(expected), atol=1e-6)


def test_a_pickle_needs_trust(tmp_path):
    import joblib

    model = LogisticRegression().fit(X, Y)
    joblib.dump(model, tmp_path / "m.joblib")
    with pytest.raises(UnsupportedModelError, match=r"trust_pickle=True\) if you made it yourself"):
        ModelFile(tmp_path / "m.joblib").open_model(3)
    target = ModelFile(tmp_path / "m.joblib", trust_pickle=True).open_model(3)
    np.testing.assert_array_equal(table_of(target.answers(X)), model.predict_proba(X))


def test_an_exported_program_needs_trust(tmp_path):
    path = planted_pickle(tmp_path / "m.pt2", tmp_path / "ran")
    with pytest.raises(
        UnsupportedModelError, match=r"an exported program can run .*\.onnx, or pass --trust-pickle"
    ) as no:
        ModelFile(path).open_model(3)
    assert "\n" not in str(no.value)
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------------------------ what is no file


def test_what_is_no_file_is_said_with_the_suffixes_that_are_known(tmp_path):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "m.h5").write_bytes(b"x")
    (tmp_path / "saved.pt2").mkdir()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    for name, said in (
        ("none.onnx", r"found no file .*none.onnx \(No such file or directory\)"),
        ("empty.onnx", "found the empty file empty.onnx; export the model again"),
        ("m.h5", "found m.h5; models of Keras and TensorFlow are not read: export it as ONNX .*module:name"),
        ("saved", "found saved, a SavedModel folder; models of Keras"),
        ("m.rds", "found m.rds; R's models are not read: write the predictions as a table"),
        ("m.cbm", "found m.cbm; export the model to one of these, or give a function .*module:name"),
        ("m.parquet", "found m.parquet; a table of predictions is given as FILE, without --model"),
        ("clinic", "found clinic; an object of Python is named module:name, such as clinic:model"),
        ("saved.pt2", "found the folder saved.pt2; name a file in it"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            ModelFile(tmp_path / name).open_model(3)
        assert all(suffix in str(caught.value) for suffix in KNOWN)


@pytest.mark.parametrize("suffix", KNOWN)
@pytest.mark.parametrize("content", [b"garbage", b"\x80\x04garbage", b"PK\x03\x04" + bytes(60), bytes(200), b"{}"])
def test_garbage_of_every_format_is_an_error_of_one_line(tmp_path, suffix, content):
    path = tmp_path / f"m{suffix}"
    path.write_bytes(content)
    factory = perceptron if suffix in (".pt", ".pth", ".safetensors") else None
    with pytest.raises(VestigeError, match=f"Expected .*m{suffix}") as caught:
        ModelFile(path, factory=factory, trust_pickle=True).open_model(3)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("suffix", KNOWN)
@pytest.mark.parametrize("plant", [planted_pickle, planted_checkpoint])
def test_a_planted_pickle_runs_under_no_name(tmp_path, suffix, plant):
    path = plant(tmp_path / f"m{suffix}", tmp_path / "ran")
    factory = perceptron if suffix in (".pt", ".pth", ".safetensors") else None
    with pytest.raises(VestigeError, match=r"Expected .*"):
        ModelFile(path, factory=factory).open_model(3)
    assert not (tmp_path / "ran").exists()


# --------------------------------------------------------------------------- options of other formats


def test_options_of_another_format_are_refused(tmp_path):
    saved_estimator(tmp_path / "m.skops")
    with pytest.raises(InputError, match=r"a factory for .safetensors, .pt, .pth alone, found one beside m.skops"):
        ModelFile(tmp_path / "m.skops", factory=perceptron).open_model(3)
    with pytest.raises(InputError, match=r"an output for .onnx alone, found one beside m.skops"):
        ModelFile(tmp_path / "m.skops", output="y").open_model(3)


@pytest.mark.parametrize(
    ("suffix", "package", "extra"),
    [
        (".onnx", "onnxruntime", "onnx"),
        (".json", "xgboost", "boosting"),
        (".txt", "lightgbm", "boosting"),
        (".skops", "skops", "skops"),
        (".pt2", "torch", "torch"),
        (".pt", "torch", "torch"),
        (".safetensors", "safetensors", "torch"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, suffix, package, extra, monkeypatch):
    path = tmp_path / f"m{suffix}"
    path.write_text("tree\nend of trees\n")
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.io", None)
    factory = perceptron if suffix in (".pt", ".safetensors") else None
    with pytest.raises(UnsupportedModelError, match=rf"the package {package} .*{re.escape(installing(extra))}"):
        ModelFile(path, factory=factory).open_model(3)


def test_no_framework_is_imported_before_it_is_needed():
    code = (
        "import sys; from vestige.targets.files.model_file import ModelFile; ModelFile('m.onnx')\n"
        "print([name for name in ('torch', 'onnxruntime', 'xgboost', 'lightgbm', 'joblib', 'skops') "
        "if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

"""Estimators come back from their files bit by bit; files that were tampered with are refused and run nothing."""

import io
import json
import warnings
import zipfile
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tests.training import estimators
from tests.training.estimators import (
    CODES,
    ESTIMATORS,
    NUMBERS,
    UserClassifier,
    UserScaler,
    double,
    fit_user_pipeline,
    never,
    one_thread,
)

from vestige.core.errors import ArtefactError, UnsupportedModelError
from vestige.core.recipe import Model
from vestige.training.sklearn_recipe import SklearnRecipe, dump, load

_one_thread = pytest.fixture(autouse=True)(one_thread)
PLAIN = (LogisticRegression(),)


def trained(estimator: Any) -> Model:
    return Model(clone(estimator).fit(NUMBERS, CODES), 3, seed=7)


# -------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", ESTIMATORS)
def test_probabilities_are_the_same_bit_by_bit(name):
    make, records = ESTIMATORS[name]
    recipe = SklearnRecipe(make())
    model = recipe.fit(records, seed=4)
    files = recipe.dump(model)
    assert sorted(files) == ["estimator.skops", "model.json"]
    again = recipe.load(files)
    assert (again.n_classes, again.seed, again.epoch) == (3, 4, 0)
    np.testing.assert_array_equal(
        again.classifier.predict_proba(records.inputs), model.classifier.predict_proba(records.inputs)
    )


def test_no_file_is_a_pickle():
    files = dump(trained(RandomForestClassifier(3)), PLAIN)
    assert json.loads(files["model.json"]) == {"n_classes": 3, "seed": 7}
    with zipfile.ZipFile(io.BytesIO(files["estimator.skops"])) as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} == {"json", "npy"}
        assert all(archive.read(name)[:6] == b"\x93NUMPY" for name in archive.namelist() if name.endswith("npy"))


# ------------------------------------------------------------------------------ the user's own parts


def user_pipeline() -> Any:
    return make_pipeline(UserScaler(), FunctionTransformer(double), UserClassifier())


@pytest.mark.parametrize(
    "known",
    [
        (user_pipeline(),),
        (make_pipeline(make_pipeline(StandardScaler(), user_pipeline())),),
        (fit_user_pipeline,),
    ],
)
def test_classes_and_functions_of_the_recipe_are_admitted_however_deep(known):
    model = trained(user_pipeline())
    again = load(dump(model, known), known)
    np.testing.assert_array_equal(again.classifier.predict_proba(NUMBERS), model.classifier.predict_proba(NUMBERS))


def test_classes_of_the_user_are_admitted_by_the_recipe_alone():
    model = trained(user_pipeline())
    files = dump(model, (user_pipeline(),))
    with pytest.raises(ArtefactError, match=r"found tests.training.estimators.Helper.*nothing was loaded. Remove the"):
        load(files, PLAIN)
    with pytest.raises(UnsupportedModelError, match=r"Pipeline to be made of known parts, found tests\.training"):
        dump(model, PLAIN)


def test_a_function_is_admitted_only_if_the_recipe_names_it():
    """The user's package is known by a class, which is no reason to call its functions."""
    model = trained(make_pipeline(UserScaler(), FunctionTransformer(never), GaussianNB()))
    with pytest.raises(UnsupportedModelError, match=r"found tests\.training\.estimators\.never"):
        dump(model, (make_pipeline(UserScaler(), GaussianNB()),))
    files = dump(model, (model.classifier,))
    with pytest.raises(ArtefactError, match=r"found tests\.training\.estimators\.never"):
        load(files, (user_pipeline(),))


def test_a_lambda_is_not_kept():
    model = trained(make_pipeline(FunctionTransformer(lambda inputs: inputs), GaussianNB()))
    with pytest.raises(UnsupportedModelError, match=r"found tests.training.test_estimator_files.<lambda>"):
        dump(model, PLAIN)


class WithGenerator(GaussianNB):  # type: ignore[misc]
    def fit(self, X, y):
        self.endless_ = (x for x in X)
        return super().fit(X, y)


def test_what_skops_cannot_hold_is_said():
    model = trained(WithGenerator())
    with pytest.raises(UnsupportedModelError, match="without a pickle, found WithGenerator: ") as caught:
        dump(model, (model.classifier,))
    assert "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------- tampered with


def schema_of(files: dict[str, bytes]) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(files["estimator.skops"])) as archive:
        found: dict[str, Any] = json.loads(archive.read("schema.json"))
        return found


def with_schema(files: dict[str, bytes], schema: dict[str, Any]) -> dict[str, bytes]:
    """The same files with another schema, everything else in its place."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["estimator.skops"])) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            archive.writestr(name, json.dumps(schema) if name == "schema.json" else old.read(name))
    return {**files, "estimator.skops": new.getvalue()}


def set_everywhere(node: Any, key: str, value: Any) -> bool:
    """Set the value of a key of the estimator's state wherever it is; whether it was anywhere."""
    if isinstance(node, list):
        return sum(set_everywhere(entry, key, value) for entry in node) > 0
    if not isinstance(node, dict):
        return False
    deeper = sum(set_everywhere(entry, key, value) for name, entry in node.items() if name != key)
    if key not in node:
        return deeper > 0
    node[key] = value
    return True


def function(module: str, name: str) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": "FunctionNode", "__id__": 424242}


def a_type(module: str, name: str) -> dict[str, Any]:
    return {**function(module, name), "__loader__": "TypeNode"}


def made_by_dump(value: Any) -> dict[str, Any]:
    """The schema of a plain value."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(value))) as archive:
        schema = json.loads(archive.read("schema.json"))
    found = {key: entry for key, entry in schema.items() if key not in ("protocol", "_skops_version")}
    return {key: entry for key, entry in found.items() if key != "__id__"}


def called(module: str, name: str, *arguments: Any) -> dict[str, Any]:
    """A partial that would call a function with these."""
    return {
        "__class__": "partial",
        "__module__": "functools",
        "__loader__": "PartialNode",
        "content": {
            "func": function(module, name),
            "args": made_by_dump(tuple(arguments)),
            "kwds": made_by_dump({}),
            "namespace": made_by_dump({}),
        },
    }


def reduced(module: str, name: str, *arguments: Any) -> dict[str, Any]:
    """An object that would be made by calling its class with these while the file is loaded."""
    return {
        "__class__": name,
        "__module__": module,
        "__loader__": "ConstructorFromReduceNode",
        "content": made_by_dump(tuple(arguments)),
    }


def method(module: str, name: str, what: str) -> dict[str, Any]:
    """A bound method of an object."""
    owner = {"__class__": name, "__module__": module, "__loader__": "ObjectNode", "__id__": 434343}
    content = {"func": what, "obj": owner}
    return {"__class__": name, "__module__": module, "__loader__": "MethodNode", "content": content}


def evil(here: str) -> dict[str, dict[str, Any]]:
    """What a file could be made to call, each would leave the file `here`."""
    code = f"open({here!r}, 'w').write('x')"
    return {
        "os.system": function("os", "system"),
        "posix.system": function("posix", "system"),
        "builtins.eval": function("builtins", "eval"),
        "builtins.exec": function("builtins", "exec"),
        "subprocess.Popen": a_type("subprocess", "Popen"),
        "subprocess.check_call": function("subprocess", "check_call"),
        "partial of os.system": called("os", "system", f"touch {here}"),
        "partial of eval": called("builtins", "eval", code),
        "partial of numpy's exec": called("numpy.testing._private.utils", "runstring", code),
        "partial of pandas' pickle": called("pandas.io.pickle", "read_pickle", here),
        "partial of a user's function": called("tests.training.estimators", "never", here),
        "Popen made": reduced("subprocess", "Popen", ["touch", here]),
        "a file written by numpy": reduced("numpy", "memmap", here, "uint8", "w+", 0, 8),
        "a file written by pandas": reduced("pandas", "HDFStore", here),
        "a file written by scipy": reduced("scipy.io", "netcdf_file", here, "w"),
        "a module in a package": function("sklearn.utils", "os"),
        "a class of another package in a package": reduced("sklearn.datasets._base", "Path", here),
        "sklearn's function": called("sklearn.datasets._base", "load_files", here),
        "a method": method("sklearn.naive_bayes", "GaussianNB", "fit"),
        "a nameless module": function("", "system"),
        "a part of a name": function("os.path", "os.system"),
    }


@pytest.mark.parametrize("name", evil("x"))
@pytest.mark.parametrize("known", [PLAIN, (UserScaler(),)], ids=["plain", "user"])
def test_a_file_that_names_what_nobody_asked_for_is_refused_and_nothing_runs(tmp_path, name, known):
    here = tmp_path / "ran"
    files = dump(trained(make_pipeline(FunctionTransformer(np.tanh), LogisticRegression())), PLAIN)
    schema = schema_of(files)
    assert set_everywhere(schema, "func", evil(str(here))[name])
    with pytest.raises(ArtefactError, match=r"emove the entry, it is trained again") as caught:
        load(with_schema(files, schema), known)
    assert "\n" not in str(caught.value)
    assert not here.exists()


@pytest.mark.parametrize("name", ["Popen made", "a file written by numpy"])
def test_the_trial_is_a_real_one(tmp_path, name):
    """Such a file does run where it is trusted: what is refused above would have worked."""
    here = tmp_path / "ran"
    files = dump(trained(make_pipeline(FunctionTransformer(np.tanh), LogisticRegression())), PLAIN)
    schema = schema_of(files)
    set_everywhere(schema, "func", evil(str(here))[name])
    stored = with_schema(files, schema)["estimator.skops"]
    made = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))[0].func
    if name == "Popen made":
        made.wait()
    assert here.exists()


def test_a_type_in_the_place_of_an_estimator_is_refused(tmp_path):
    files = dump(trained(LogisticRegression()), PLAIN)
    schema = schema_of(files)
    schema["__module__"], schema["__class__"] = "subprocess", "Popen"
    with pytest.raises(ArtefactError, match=r"found subprocess.Popen in the stored file; nothing was loaded"):
        load(with_schema(files, schema), PLAIN)


def test_a_module_that_does_something_when_imported_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "nasty.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    files = dump(trained(make_pipeline(FunctionTransformer(np.tanh), LogisticRegression())), PLAIN)
    schema = schema_of(files)
    set_everywhere(schema, "func", a_type("nasty", "Thing"))
    with pytest.raises(ArtefactError, match=r"found nasty.Thing"):
        load(with_schema(files, schema), PLAIN)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_is_refused(share):
    files = dump(trained(RandomForestClassifier(3)), PLAIN)
    content = files["estimator.skops"]
    with pytest.raises(ArtefactError, match=r"found a damaged file .*; remove the entry, it is trained again"):
        load({**files, "estimator.skops": content[: int(share * len(content))]}, PLAIN)


@pytest.mark.parametrize(
    "changed",
    [
        {"model.json": b""},
        {"model.json": b"{"},
        {"model.json": b"[]"},
        {"model.json": b"{}"},
        {"model.json": b'{"n_classes": 3}'},
        {"model.json": b'{"n_classes": "many", "seed": 0}'},
        {"model.json": b'{"n_classes": null, "seed": 0}'},
        {"model.json": None},
        {"estimator.skops": None},
        {"estimator.skops": b"PK\x05\x06" + bytes(18)},  # an empty archive
    ],
)
def test_files_that_are_none_are_refused(changed):
    files = {**dump(trained(LogisticRegression()), PLAIN), **changed}
    with pytest.raises(ArtefactError, match="found a damaged file"):
        load({name: content for name, content in files.items() if content is not None}, PLAIN)


def test_a_pickle_in_the_place_of_the_archive_is_refused():
    import pickle

    class Evil:
        def __reduce__(self):
            return (estimators.never, (1,))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = {**dump(trained(LogisticRegression()), PLAIN), "estimator.skops": pickle.dumps(Evil())}
        with pytest.raises(ArtefactError, match=r"found a damaged file \(BadZipFile\)"):
            load(files, PLAIN)

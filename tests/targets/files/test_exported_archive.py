"""An archive of a program that would run code is refused, by what it holds, and runs nothing."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.targets.model_files import Planted, export_program, perceptron, planted_pickle

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.targets.files.exported_archive import harmless_program

Edit = Callable[[bytes], bytes]
MODEL = "models/model.json"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return export_program(perceptron(), tmp_path_factory.mktemp("program") / "m.pt2")


def edited(program: Path, path: Path, edits: dict[str, Edit]) -> Path:
    """The archive with other entries, or more of them."""
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(path, "w") as new:
        names = [name.partition("/")[2] for name in old.namelist()]
        for name in names:
            content = old.read(f"m/{name}")
            new.writestr(f"m/{name}", edits[name](content) if name in edits else content)
        for name in set(edits) - set(names):
            new.writestr(f"m/{name}", edits[name](b""))
    return path


def in_json(change: Callable[[Any], None]) -> Edit:
    def edit(content: bytes) -> bytes:
        found = json.loads(content)
        change(found)
        return json.dumps(found).encode()

    return edit


def pickled(here: Path) -> Edit:
    buffer = io.BytesIO()
    torch.save(Planted(here), buffer)
    return lambda content: buffer.getvalue()


def code(here: Path) -> str:
    return f"__import__('os').mkdir({str(here)!r})"


def as_size(here: Path) -> dict[str, Edit]:
    def change(model):
        for value in model["graph_module"]["graph"]["tensor_values"].values():
            for size in value["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = code(here)

    return {MODEL: in_json(change)}


def as_guard(here: Path) -> dict[str, Edit]:
    return {MODEL: in_json(lambda model: model.update(guards_code=[f"[L['input'], {code(here)}]"]))}


def as_name(here: Path) -> dict[str, Edit]:
    return {MODEL: lambda content: content.replace(b'"input"', json.dumps(f"input={code(here)}").encode())}


def as_operator(name: str) -> dict[str, Edit]:
    return {MODEL: in_json(lambda model: model["graph_module"]["graph"]["nodes"][0].update(target=name))}


def as_container(here: Path) -> dict[str, Edit]:
    tree = json.dumps([1, {"type": "collections.defaultdict", "context": "null", "children_spec": []}])

    def change(model):
        model["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = tree

    return {MODEL: in_json(change)}


def as_weight(here: Path) -> dict[str, Edit]:
    def change(config):
        config["config"]["0.weight"]["use_pickle"] = True

    return {"data/weights/model_weights_config.json": in_json(change), "data/weights/weight_0": pickled(here)}


def as_object(here: Path, use_pickle: bool = True) -> dict[str, Edit]:
    def change(config):
        payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": use_pickle, "tensor_meta": None}
        config["config"]["x"] = payload

    stored = pickle.dumps(Planted(here))
    return {
        "data/constants/model_constants_config.json": in_json(change),
        "data/constants/opaque_obj_0": lambda content: stored,
    }


def as_inputs(here: Path) -> dict[str, Edit]:
    return {"data/sample_inputs/model.pt": pickled(here)}


def as_old_weights(here: Path) -> dict[str, Edit]:
    return {"data/weights/model.pt": pickled(here)}


def as_library(here: Path) -> dict[str, Edit]:
    return {"data/aotinductor/model/wrapper.so": lambda content: b"\x7fELF"}


REFUSED = {
    "size": (as_size, "found the size"),
    "name": (as_name, "found the name"),
    "operator": (lambda here: as_operator("torch.os.mkdir"), "found the operator torch.os.mkdir"),
    "file": (
        lambda here: as_operator("torch.ops.aten.from_file.default"),
        "found the operator torch.ops.aten.from_file",
    ),
    "container": (as_container, "in a collections.defaultdict"),
    "weight": (as_weight, "found a pickle as weight_0"),
    "object": (as_object, "found a pickle as opaque_obj_0"),
    "other object": (lambda here: as_object(here, False), "found an object as opaque_obj_0"),
    "inputs": (as_inputs, "found a pickle as data/sample_inputs"),
    "old weights": (as_old_weights, "found the entry data/weights/model.pt"),
    "library": (as_library, r"found the entry data/aotinductor/model/wrapper\.so"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_run_code_is_named_and_does_not_run(program, tmp_path, name):
    edits, said = REFUSED[name]
    with pytest.raises(UnsupportedModelError, match=said) as caught:
        harmless_program(edited(program, tmp_path / "m.pt2", edits(tmp_path / "ran")))
    assert "nothing was loaded" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_guards_are_left_out(program, tmp_path):
    path = edited(program, tmp_path / "m.pt2", as_guard(tmp_path / "ran"))
    torch.export.load(harmless_program(path)).module()(torch.ones(2, 3))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("plant", [as_size, as_guard, as_weight, as_object, as_inputs])
def test_the_trial_is_a_real_one(program, tmp_path, plant):
    """Opened without a look at it, such an archive does run its code."""
    path = edited(program, tmp_path / "m.pt2", plant(tmp_path / "ran"))
    with suppress(Exception):  # it may fail after it has run
        torch.export.load(path).module()(torch.ones(2, 3))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_an_archive_that_was_cut_is_refused(program, tmp_path, share):
    content = program.read_bytes()
    (tmp_path / "m.pt2").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"found a(n archive without| damaged file)"):
        harmless_program(tmp_path / "m.pt2")


def test_a_pickle_under_this_name_is_named(tmp_path):
    path = planted_pickle(tmp_path / "m.pt2", tmp_path / "ran")
    with pytest.raises(InputError, match=r"found a pickle under this name; nothing was loaded"):
        harmless_program(path)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_under_this_name_is_no_program(tmp_path):
    torch.save(perceptron().state_dict(), tmp_path / "m.pt2")
    with pytest.raises(InputError, match=r"found an archive without models/model.json; export it again"):
        harmless_program(tmp_path / "m.pt2")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_graph_is_refused(program, tmp_path, content):
    with pytest.raises(InputError, match="found a damaged entry"):
        harmless_program(edited(program, tmp_path / "m.pt2", {MODEL: lambda old: content}))

"""What a user's function is as text, seen from other processes, and how a function is found by its name."""

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vestige.core.errors import InputError
from vestige.training.executors import in_process
from vestige.training.identity import identity_of, is_reusable, named_function, named_object, plain

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
import functools

WIDTH = 8

def helper():
    return WIDTH

def fit(inputs, labels, *, seed=0, depth=2):
    return helper()

def outer(width):
    def inner():
        return width
    return inner

def renamed(width):
    def inner():
        return width
    inner.__qualname__ = inner.__name__ = "fit"
    return inner

def doubled(function):
    @functools.wraps(function)
    def wrapped(*arguments, **options):
        return 2 * function(*arguments, **options)
    return wrapped

@doubled
def decorated():
    return 1

class Maker:
    def __init__(self, width):
        self.width = width

    def __call__(self):
        return self.width

    def make(self):
        return self.width

    @classmethod
    def usual(cls):
        return cls(8)

    @staticmethod
    def static():
        return 8

class Slotted:
    __slots__ = ("width",)

    def __init__(self, width):
        self.width = width

    def __call__(self):
        return self.width

class Numbers(list):
    def __call__(self):
        return self

lambda_ = lambda: 0
"""

SCRIPT = """
import importlib, json, sys
sys.path[:0] = [sys.argv[1]]
from vestige.training.identity import identity_of
import training_of_mine as mine, functools
found = {"fit": mine.fit, "partial": functools.partial(mine.fit, depth=3), "maker": mine.Maker(4),
         "method": mine.Maker(4).make, "class": mine.Maker}
print(json.dumps({name: identity_of(value) for name, value in found.items()}))
"""


def in_another_process(folder, script=SCRIPT):
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "random"},
    )
    return json.loads(done.stdout)


def in_folder(folder, text=MODULE, name="training_of_mine.py"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.fixture(autouse=True)
def _the_path_stays():
    path = list(sys.path)
    yield
    assert sys.path == path


@pytest.fixture
def mine(tmp_path):
    return named_object("training_of_mine:fit", in_folder(tmp_path / "mine")) and sys.modules["training_of_mine"]


# ------------------------------------------------------------------------------- other processes


def test_two_processes_see_the_same_text_wherever_the_module_lies(tmp_path):
    a = in_another_process(in_folder(tmp_path / "here"))
    b = in_another_process(in_folder(tmp_path / "some" / "where else"))
    assert a == b
    assert all(is_reusable(identity) for identity in a.values())
    assert len({json.dumps(identity, sort_keys=True) for identity in a.values()}) == len(a)
    assert str(tmp_path) not in json.dumps(a)


def test_one_character_of_a_neighbour_is_another_text(tmp_path):
    a = in_another_process(in_folder(tmp_path / "a"))
    b = in_another_process(in_folder(tmp_path / "b", MODULE.replace("WIDTH = 8", "WIDTH = 9")))
    assert all(a[name] != b[name] for name in a)
    assert {name: {**a[name], "source": ""} for name in a} == {name: {**b[name], "source": ""} for name in b}


def test_a_function_of_a_script_is_told_by_the_script_s_text(tmp_path):
    text = "import json\nfrom vestige.training.identity import identity_of\ndef fit(): return 1\n"
    text += 'if __name__ == "__main__":\n    print(json.dumps(identity_of(fit)))\n'

    def run(folder, text):
        in_folder(folder, text, "script.py")
        done = subprocess.run(
            [sys.executable, str(folder / "script.py")],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        return json.loads(done.stdout)

    a, b = run(tmp_path / "a", text), run(tmp_path / "b", text)
    assert a == b
    assert a["name"] == "__main__:fit"
    assert a["reusable"] is True
    assert run(tmp_path / "c", text.replace("return 1", "return 2"))["source"] != a["source"]


def test_a_function_typed_in_is_not_reusable():
    script = (
        "import json\nfrom vestige.training.identity import identity_of\ndef fit(): return 1\n"
        "print(json.dumps(identity_of(fit)))"
    )
    found = in_another_process(".", script)
    assert found == {"name": "__main__:fit", "source": "", "reusable": False}


def test_a_module_without_a_file_is_not_reusable():
    """Such as one that was made of text, or shipped by value."""
    module = type(sys)("made_of_text")
    exec("def fit():\n    return 1\n", vars(module))
    sys.modules["made_of_text"] = module
    try:
        assert identity_of(module.fit)["reusable"] is False
    finally:
        del sys.modules["made_of_text"]


# ---------------------------------------------------------------------------------- kinds of code


def test_a_function_of_a_file(mine):
    found = identity_of(mine.fit)
    assert found["name"] == "training_of_mine:fit"
    assert len(found["source"]) == 64
    assert found["reusable"] is True


@pytest.mark.parametrize("name", ["lambda_", "outer", "renamed"])
def test_what_may_hold_values_that_no_text_shows(mine, name):
    function = mine.lambda_ if name == "lambda_" else getattr(mine, name)(3)
    assert identity_of(function)["reusable"] is False
    assert not is_reusable(identity_of(functools.partial(mine.fit, function)))
    assert not is_reusable(identity_of(mine.Maker(function)))
    assert identity_of(lambda: 0)["reusable"] is False


def test_what_its_name_does_not_find_any_more(mine):
    fit = mine.fit
    mine.fit = lambda: 0
    assert identity_of(fit)["reusable"] is False


def test_a_decorated_function_is_found_by_its_name(mine):
    assert identity_of(mine.decorated)["reusable"] is True
    assert identity_of(mine.decorated.__wrapped__)["reusable"] is False


def test_arguments_of_a_partial(mine):
    def identity(*arguments, **options):
        return identity_of(functools.partial(mine.fit, *arguments, **options))

    assert identity(depth=2) == identity(depth=2)
    different = [
        identity(), identity(depth=2), identity(depth=3), identity(depth=2.5), identity(depth="2"), identity(2),
        identity(depth=None), identity(depth=True), identity(depth=[2]), identity(depth={"a": 2}),
        identity(depth=mine.helper), identity(depth=math.nan), identity(depth=math.inf), identity(seed=2),
        identity_of(mine.fit), identity(depth=mine.Maker(2)), identity(depth=mine.Maker(3)),
    ]  # fmt: skip
    texts = [json.dumps(found, allow_nan=False, sort_keys=True) for found in different]
    assert len(set(texts)) == len(texts)
    assert all(map(is_reusable, different))
    assert identity(depth=np.float64(2.5)) == identity(depth=2.5)
    assert identity(depth=(1, 2)) == identity(depth=[1, 2])
    for opaque in (
        object(),
        np.arange(3),
        {1, 2},
        torch.ones(2),
        Path("x"),
        b"x",
        lambda: 0,
        [lambda: 0],
        {"a": set()},
    ):
        assert not is_reusable(identity(depth=opaque))
        assert identity(depth=opaque)["reusable"] is False


def test_instances_are_told_by_what_they_hold(mine):
    for kind in (mine.Maker, mine.Slotted):
        assert identity_of(kind(4)) == identity_of(kind(4))
        assert identity_of(kind(4)) != identity_of(kind(5))
        assert identity_of(kind(4))["state"] == {"width": 4}
        assert identity_of(kind(4))["reusable"] is True
        assert identity_of(kind(object()))["reusable"] is False
        assert identity_of(kind([4, {"a": object()}]))["reusable"] is False
    assert identity_of(mine.Numbers([4]))["reusable"] is False  # holds more than its attributes


def test_methods_are_told_by_what_their_object_holds(mine):
    assert identity_of(mine.Maker(4).make) == identity_of(mine.Maker(4).make)
    assert identity_of(mine.Maker(4).make) != identity_of(mine.Maker(5).make)
    assert identity_of(mine.Maker(4).make) != identity_of(mine.Maker(4))
    assert identity_of(mine.Maker(4).make)["reusable"] is True
    assert identity_of(mine.Maker(object()).make)["reusable"] is False
    assert identity_of(mine.Maker.usual)["reusable"] is True
    assert identity_of(mine.Maker.usual) != identity_of(mine.Maker)
    assert identity_of(mine.Maker.static)["reusable"] is True
    assert identity_of(mine.Maker.static)["name"] == "training_of_mine:Maker.static"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (len, "builtins:len"),
        (math.cos, "math:cos"),
        (json.dumps, "json:dumps"),
        (np.tanh, "numpy:tanh"),
        (torch.nn.Linear, "torch.nn.modules.linear:Linear"),
        (torch.nn.functional.cross_entropy, "torch.nn.functional:cross_entropy"),
        (torch.nn.functional.gelu, "torch._C._nn:gelu"),
        (torch.optim.SGD, "torch.optim.sgd:SGD"),
        (named_function, "vestige.training.identity:named_function"),
        (in_process.attempt, "vestige.training.executors.in_process:attempt"),
    ],
)
def test_the_name_is_enough_of_what_is_installed(function, name):
    assert identity_of(function) == {"name": name, "reusable": True}


@pytest.mark.parametrize("function", [" ".join, np.random.default_rng(3).normal, [].append, {"a": 1}.get])
def test_methods_of_compiled_objects_hide_what_they_hold(function):
    assert identity_of(function)["reusable"] is False


# -------------------------------------------------------------------------------------- plain values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        ("x", "x"),
        (2.5, 2.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (torch.tensor(2.0), 2.0),
        (torch.tensor(math.nan), "nan"),
        ((1, [2, None]), [1, [2, None]]),
        ({1: (2,)}, {"1": [2]}),
        (object(), {"opaque": "object", "reusable": False}),
        (torch.float64, {"opaque": "dtype", "reusable": False}),
    ],
)
def test_values_as_json_holds_them(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found, allow_nan=False)


# ------------------------------------------------------------------------------------- by a name


def refused(call, *essentials):
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert not [e for e in essentials if e not in message], message


@pytest.mark.parametrize("name", ["training_of_mine:fit", "training_of_mine.py:fit", "./training_of_mine.py:fit"])
def test_a_function_of_a_module_in_a_folder(tmp_path, name):
    folder = in_folder(tmp_path / "mine")
    assert named_function(name, folder)(None, None) == 8
    assert named_function(name, folder) is named_function("training_of_mine:fit", folder)


def test_a_function_of_a_file_elsewhere(tmp_path):
    folder = in_folder(tmp_path / "mine")
    (tmp_path / "other").mkdir()
    assert named_function(f"{folder}/training_of_mine.py:fit")(None, None) == 8
    assert named_function("../mine/training_of_mine.py:helper", tmp_path / "other")() == 8


def test_a_function_in_a_package_and_in_a_class(tmp_path):
    folder = in_folder(tmp_path / "mine" / "clinic", name="training.py").parent
    (folder / "clinic" / "__init__.py").write_text("")
    (folder / "clinic" / "near.py").write_text("from . import training\nfit = training.fit\n")
    for name in ("clinic.training:fit", "clinic/training.py:fit", "clinic.near:fit", "clinic/near.py:fit"):
        assert named_function(name, folder).__module__ == "clinic.training"
    assert named_function("clinic.training:Maker.usual", folder)().width == 8
    assert named_object("clinic.training:WIDTH", folder) == 8
    assert identity_of(named_function("clinic.near:fit", folder))["reusable"] is True


def test_a_function_of_what_is_installed(tmp_path):
    assert named_function("math:cos") is math.cos
    assert named_function("torch.nn:Linear", tmp_path) is torch.nn.Linear


def test_the_folder_is_where_one_works_if_none_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(in_folder(tmp_path / "mine"))
    assert named_function("training_of_mine:helper")() == 8


def test_a_module_of_the_same_name_in_another_folder_is_another_one(tmp_path):
    first = named_function("training_of_mine:helper", in_folder(tmp_path / "a"))
    known = identity_of(first)
    text = MODULE.replace("WIDTH = 8", "WIDTH = 9")
    second = named_function("training_of_mine:helper", in_folder(tmp_path / "b", text))
    assert (first(), second()) == (8, 9)
    assert identity_of(second)["reusable"] is True
    assert identity_of(second)["source"] != known["source"]
    assert identity_of(first)["reusable"] is False  # its name leads to the other one now
    again = named_function("training_of_mine:helper", tmp_path / "a")
    assert again() == 8
    assert identity_of(again) == known


def test_a_package_of_the_same_name_in_another_folder_is_another_one(tmp_path):
    for name, width in (("a", 8), ("b", 9)):
        in_folder(tmp_path / name / "clinic", "", "__init__.py")
        in_folder(tmp_path / name / "clinic", f"WIDTH = {width}\n", "sizes.py")
        in_folder(tmp_path / name / "clinic", "from clinic.sizes import WIDTH\ndef fit(): return WIDTH\n", "fitting.py")
    assert named_function("clinic.fitting:fit", tmp_path / "a")() == 8
    assert named_function("clinic.fitting:fit", tmp_path / "b")() == 9


def test_a_file_named_as_an_installed_module_is_refused(tmp_path):
    folder = in_folder(tmp_path / "mine", name="json.py")
    refused(lambda: named_function("json:fit", folder), "another name than json, which is that of an installed one")
    assert sys.modules["json"] is json


def test_a_file_that_was_just_written_is_found(tmp_path):
    """Python remembers what a folder holds, for as long as the clock of the disk does not tell."""
    folder = in_folder(tmp_path / "mine")
    named_function("training_of_mine:fit", folder)
    for i in range(5):
        (folder / f"later_{i}.py").write_text("def fit(): return 1\n")
        assert named_function(f"later_{i}:fit", folder)() == 1


def test_the_path_is_put_back(tmp_path):
    before = list(sys.path)
    named_function("training_of_mine:fit", in_folder(tmp_path / "mine"))
    refused(lambda: named_function("absent_module:fit", tmp_path))
    assert sys.path == before


@pytest.mark.parametrize("name", ["fit", "training:", ":fit", ""])
def test_names_that_are_none(name):
    refused(lambda: named_function(name), "Expected module:function, such as clinic.training:fit, found", repr(name))


@pytest.mark.parametrize(
    ("text", "name", "essentials"),
    [
        (None, "absent_module:fit", ("Expected a module absent_module, found none", "check the name")),
        (None, "absent_package.training:fit", ("a module absent_package.training, found none",)),
        (MODULE, "mine:fitt", ("Expected fitt in mine, found nothing of that name; check the spelling",)),
        (MODULE, "mine:Maker.absent", ("Expected Maker.absent in mine, found nothing",)),
        (MODULE, "mine:WIDTH", ("Expected a function as mine:WIDTH, found int; name a function",)),
        (MODULE, "mine.inner:fit", ("Expected a module mine.inner, found none",)),
        ("import absent_thing\n", "mine:fit", ("to import mine, found it to need absent_thing; install it",)),
        ("import mine.inner\n", "mine:fit", ("found it to need mine.inner; install it",)),
        ("1 / 0\n", "mine:fit", ("to import mine, found that it raises ZeroDivisionError: division by zero; mend",)),
        ("raise ValueError('two\\nlines')\n", "mine:fit", ("ValueError: two lines",)),
        ("def fit(:\n", "mine:fit", ("SyntaxError",)),
        ("import sys\nsys.exit(3)\n", "mine:fit", ("SystemExit: 3", '__name__ == "__main__"')),
        ("from math import absent\n", "mine:fit", ("ImportError: cannot import name 'absent'",)),
    ],
)
def test_what_cannot_be_found(tmp_path, text, name, essentials):
    if text is not None:
        in_folder(tmp_path, text, "mine.py")
    refused(lambda: named_function(name, tmp_path), *essentials)


def test_a_module_that_changes_the_path_itself(tmp_path):
    before = list(sys.path)
    in_folder(tmp_path, f"import sys\nsys.path.remove({str(tmp_path)!r})\ndef fit(): return 1\n", "mine.py")
    assert named_function("mine:fit", tmp_path)() == 1
    assert sys.path == before

"""The archive of an exported program, looked at before torch opens it, which would run code that is hidden in one.

torch unpickles some of its entries, loads compiled libraries from others, evaluates the expressions of its sizes, and
writes the names in its graph and its guards into Python code. So this copies what a program needs: entries that are
known, expressions and names of which no code can be made, and neither guards nor notes of the exporter.
"""

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vestige.core.errors import InputError, UnsupportedModelError
from vestige.core.messages import brief

_MODEL = "models/model.json"
_PLAIN = re.compile(r"archive_format|archive_version|byteorder|\.data/[\w.]+|data/(weights|constants)/\w+")
_CONFIG = re.compile(r"data/(weights|constants)/model_\w+_config\.json")
_SAMPLE = "data/sample_inputs/model.pt"
_LEFT_OUT = ("extra/",)
_NAME = re.compile(r"[\w.:+-]*")
_OF_PYTHON = (  # what sizes are worked out with
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|pow|abs|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|getitem|"
    r"lshift|rshift)|math\.(ceil|floor|trunc|sqrt|exp|log|log2|pow|sin|cos|tan|tanh)"
)
_OPERATOR = re.compile(rf"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|{_OF_PYTHON}")
_TOUCHES_FILES = re.compile(r"torch\.ops\.aten\.(from_file|to_file|save|load)\b")
_FREE_TEXT = frozenset({"as_string", "as_strings"})  # arguments of operators, which are quoted
_EXPRESSIONS = frozenset({"expr_str"})
_TREES = frozenset({"in_spec", "out_spec"})
_CONTAINERS = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict"})
_IN_EXPRESSIONS = (ast.Expression, ast.Call, ast.Name, ast.Constant, ast.keyword, ast.UnaryOp, ast.BinOp, ast.Load)
_FUNCTIONS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|ModularIndexing|Where|"
    "CeilToInt|FloorToInt|TruncToInt|RoundToInt|ToFloat|TruncToFloat|PowByNatural|FloatPow|FloatTrueDiv|IntTrueDiv|"
    "Identity|Equality|Unequality|Eq|Ne|GreaterThan|LessThan|StrictGreaterThan|StrictLessThan|Ge|Le|Gt|Lt|And|Or|Not|"
    "floor|ceiling|true|false|oo|int_oo"
)


def harmless_program(path: Path) -> io.BytesIO:
    """Return an exported program as torch may load it: nothing in it can run but operators of torch.

    Args:
        path: A `.pt2` archive.

    Raises:
        InputError: It is no such archive, or a damaged one.
        UnsupportedModelError: It holds what could run code, or what is not known not to.
    """
    entries = _entries(path)
    if "archive_format" not in entries or _MODEL not in entries:
        raise InputError(
            f"Expected a program saved by torch.export.save in {path.name}, found an archive without {_MODEL}; export "
            "it again with torch 2.8 or newer."
        )
    cleaned = {name: _cleaned(path, name, content) for name, content in entries.items()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in cleaned.items():
            new.writestr(f"model/{name}", content)
    archive.seek(0)
    return archive


def _entries(path: Path) -> dict[str, bytes]:
    """The entries without the folder that holds all of them."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                inner = name.partition("/")[2]
                if not inner.startswith(_LEFT_OUT):
                    found[inner] = archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        with path.open("rb") as file:
            pickled = file.read(1) == b"\x80"
        what = "a pickle under this name" if pickled else f"a damaged file ({brief(str(error), 80)})"
        raise InputError(
            f"Expected a program saved by torch.export.save in {path.name}, found {what}; nothing was loaded."
        ) from None
    return found


def _cleaned(path: Path, name: str, content: bytes) -> bytes:
    if name == _MODEL:
        return _cleaned_model(path, content)
    if _CONFIG.fullmatch(name):
        _check_payloads(path, content)
    elif name == _SAMPLE:
        _check_tensors(path, name, content)
    elif not _PLAIN.fullmatch(name):
        raise _refused(path, f"the entry {brief(name)}")
    return content


def _cleaned_model(path: Path, content: bytes) -> bytes:
    model = _json(path, content)
    model["guards_code"] = []
    for _, value in _everything(model):
        if isinstance(value, dict) and "target" in value and "inputs" in value:
            value["metadata"] = {}
            _check_operator(path, value["target"])
    for key, value in _everything(model):
        if isinstance(value, dict):
            for name in value:
                _check_name(path, name)
        if isinstance(value, str):
            _check_text(path, key, value)
    return json.dumps(model).encode()


def _json(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"Expected the graph of a program in {path.name}, found a damaged entry; export it again.")
    return found


def _everything(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value however deep, with the key that it, or the list it is in, belongs to."""
    pending = [(key, value)]
    while pending:
        key, value = pending.pop()
        yield key, value
        if isinstance(value, dict):
            pending.extend(value.items())
        elif isinstance(value, list):
            pending.extend((key, entry) for entry in value)


def _check_text(path: Path, key: str, text: str) -> None:
    if key in _FREE_TEXT:
        return
    if key in _EXPRESSIONS:
        _check_expression(path, text)
    elif key in _TREES:
        _check_tree(path, text)
    else:
        _check_name(path, text)


def _check_name(path: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _refused(path, f"the name {brief(name)!r}")


def _check_operator(path: Path, target: Any) -> None:
    if not isinstance(target, str) or not _OPERATOR.fullmatch(target) or _TOUCHES_FILES.match(target):
        raise _refused(path, f"the operator {brief(str(target))}")


def _check_expression(path: Path, text: str) -> None:
    """Sizes are evaluated as Python: let through are calls of known functions with numbers and names of symbols."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(path, f"the size {brief(text)!r}") from None
    for node in nodes:
        known = isinstance(node, (*_IN_EXPRESSIONS, ast.operator, ast.unaryop))
        if isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and _FUNCTIONS.fullmatch(node.func.id) is not None
        elif isinstance(node, ast.Name):
            known = (_FUNCTIONS.fullmatch(node.id) or re.fullmatch(r"[su]\d+", node.id)) is not None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            known = re.fullmatch(r"[\w.]*", node.value) is not None
        if not known:
            raise _refused(path, f"the size {brief(text)!r}")


def _check_tree(path: Path, text: str) -> None:
    """How inputs and outputs are nested: other containers than Python's own import modules."""
    if not text:
        return
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused(path, "inputs or outputs of an unknown structure") from None
    for key, value in _everything(tree):
        if key == "type" and value not in _CONTAINERS:
            raise _refused(path, f"inputs or outputs in a {brief(str(value))}")
        if isinstance(value, str) and key == "context":
            for _, name in _everything(_json_or_none(value)):
                if isinstance(name, dict) or (isinstance(name, str) and not _NAME.fullmatch(name)):
                    raise _refused(path, f"the name {brief(str(name))!r}")


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}  # refused like a mapping


def _check_payloads(path: Path, content: bytes) -> None:
    """Weights and constants are plain numbers: whatever is marked as a pickle, or is another object, is refused."""
    for _, value in _everything(_json(path, content)):
        if isinstance(value, dict) and "path_name" in value:
            if value.get("use_pickle"):
                raise _refused(path, f"a pickle as {brief(str(value['path_name']))}")
            if not re.fullmatch(r"(weight|tensor)_\w+", str(value["path_name"])):
                raise _refused(path, f"an object as {brief(str(value['path_name']))}")


def _check_tensors(path: Path, name: str, content: bytes) -> None:
    """More than tensors in this entry would be unpickled without a check."""
    try:
        torch.serialization.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:
        raise _refused(path, f"a pickle as {name}") from None


def _refused(path: Path, what: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"Expected tensors and torch's own operators in {path.name}, found {what}, which could run code when it is "
        "loaded; nothing was loaded. Use another format, such as .onnx."
    )

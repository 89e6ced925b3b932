"""What a user's function is, as text: two processes that find the same text would train the same models."""

import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError


def identity_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what decides a function's behaviour, as text and numbers, and whether another process can rely on it.

    Of an installed package the name is enough. Of a user's own code it is the name and the source text of the whole
    module, because a function calls its neighbours. A lambda, a function made inside another one and anything
    without a source file may hold values that no text shows: their identity is not `reusable`.

    Args:
        function: A function, a class, an instance with `__call__`, or a `functools.partial` of one.

    Example:
        >>> identity_of(len)["name"], identity_of(lambda: 0)["reusable"]
        ('builtins:len', False)
    """
    if isinstance(function, functools.partial):
        inner = identity_of(function.func)
        arguments = {str(i): plain(value) for i, value in enumerate(function.args)}
        arguments |= {name: plain(value) for name, value in function.keywords.items()}
        plain_arguments = all(_is_plain(value) for value in arguments.values())
        return {**inner, "arguments": arguments, "reusable": inner["reusable"] and plain_arguments}
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module is None or name is None:
        kind = type(function)
        state = {k: plain(v) for k, v in sorted(vars(function).items())} if hasattr(function, "__dict__") else {}
        inner = identity_of(kind)
        return {**inner, "state": state, "reusable": inner["reusable"] and all(map(_is_plain, state.values()))}
    identity: dict[str, Any] = {"name": f"{module}:{name}", "reusable": "<" not in name}
    if not _is_installed(module):
        text = _source_of(module)
        identity |= {"source": "" if text is None else hashlib.sha256(text.encode()).hexdigest()}
        identity["reusable"] = identity["reusable"] and text is not None
    return identity


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: text, numbers, lists and mappings as they are, functions by identity."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    if callable(value):
        return identity_of(value)
    return {"opaque": type(value).__qualname__, "reusable": False}


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return value.get("reusable", True) is True and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, list) else True


def is_reusable(identity: Mapping[str, Any]) -> bool:
    """Whether every part of an identity is one that another process can rely on."""
    return _is_plain(identity)


def _is_installed(module: str) -> bool:
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    if file is None:
        return module in sys.builtin_module_names or (found is not None and module != "__main__")
    if module.partition(".")[0] == "vestige":
        return True  # what Vestige's own code does is stated by the version of its training semantics
    paths = sysconfig.get_paths()
    return any(Path(file).is_relative_to(paths[key]) for key in ("stdlib", "platstdlib", "purelib", "platlib"))


def _source_of(module: str) -> str | None:
    try:
        return inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        return None


def named_function(name: str, folder: Path | None = None) -> Callable[..., Any]:
    """Return the function that `module:function` names.

    Args:
        name: A module that can be imported, or a Python file, and what it holds.
        folder: Where a module is looked for first, such as the folder of the file that names it.

    Raises:
        InputError: There is no such module or function, or the module raises.
    """
    module_name, separator, function_name = name.partition(":")
    if not (separator and module_name and function_name):
        raise InputError(f"Expected module:function, such as clinic.training:fit, found {name!r}.")
    import importlib

    module_name = module_name.removesuffix(".py").replace("/", ".")
    where = str(folder or Path.cwd())
    sys.path.insert(0, where)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or module_name.split(".")[0] != error.name.split(".")[0]:
            raise InputError(
                f"Expected to import {module_name}, found that it needs {error.name}; install it."
            ) from None
        raise InputError(
            f"Expected a module {module_name}, found none on the path or in the folder of the plan; check the name."
        ) from None
    except Exception as error:
        raise InputError(f"Expected to import {module_name}, found {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(where)
    found: Any = module
    for part in function_name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise InputError(f"Expected a function {function_name} in {module_name}, found none; check the name.")
    return found  # type: ignore[no-any-return]

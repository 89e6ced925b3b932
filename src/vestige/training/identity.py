"""The identity of a user's function as text: processes with the same text train the same models."""

import functools
import hashlib
import importlib
import inspect
import math
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vestige.core.errors import InputError
from vestige.core.messages import brief

_OF_A_CLASS_STATEMENT = 1 << 9  # CPython's flag of types that are not compiled into it


def identity_of(function: Any) -> dict[str, Any]:
    """Return what decides a function's behaviour, as text and numbers, and whether another process can rely on it.

    Of an installed package the name is enough. Of a user's own code it is the name and the source text of the whole
    module, because a function calls its neighbours. A lambda, a function made inside another one and anything
    without a source file may hold values that no text shows, and what is not found again by its name may be
    anything: their identity is not `reusable`. Other files that the module imports are not looked into.

    Args:
        function: A function, a method, a class, an instance of one, or a `functools.partial`.

    Example:
        >>> identity_of(len)["name"], identity_of(lambda: 0)["reusable"]
        ('builtins:len', False)
    """
    if isinstance(function, functools.partial):
        inner = identity_of(function.func)
        arguments = {str(i): plain(value) for i, value in enumerate(function.args)}
        arguments |= {name: plain(value) for name, value in function.keywords.items()}
        return {
            **inner,
            "arguments": arguments,
            "reusable": inner["reusable"] and is_reusable(list(arguments.values())),
        }
    owner = getattr(function, "__self__", None)
    if owner is not None and not inspect.ismodule(owner):
        inner = identity_of(owner) if isinstance(owner, type) else _of_instance(owner)
        return {**inner, "method": function.__name__}
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module is None or name is None:
        return _of_instance(function)
    identity: dict[str, Any] = {"name": f"{module}:{name}", "reusable": "<" not in name}
    if not _is_installed(module):
        text = _source_of(module)
        identity |= {"source": "" if text is None else hashlib.sha256(text.encode()).hexdigest()}
        identity["reusable"] = text is not None and _found(sys.modules[module], name) is function
    return identity


def _of_instance(value: Any) -> dict[str, Any]:
    """The identity of an object: its class and its attributes, if they are its whole state."""
    kind = type(value)
    slots = {name for c in kind.__mro__ for name in _names(vars(c).get("__slots__", ())) if hasattr(value, name)}
    held = {name: getattr(value, name) for name in slots} | getattr(value, "__dict__", {})
    state = {name: plain(held[name]) for name in sorted(held) if name not in ("__dict__", "__weakref__")}
    inner = identity_of(kind)
    shows_all = all(c.__flags__ & _OF_A_CLASS_STATEMENT for c in kind.__mro__[:-1])
    return {**inner, "state": state, "reusable": inner["reusable"] and shows_all and is_reusable(state)}


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: text, numbers, lists and mappings as they are, functions by identity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such numbers, and NaN is not equal to itself
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return plain(value.item())
    if callable(value):
        return identity_of(value)
    return {"opaque": type(value).__qualname__, "reusable": False}


def is_reusable(identity: Any) -> bool:
    """Whether every part of an identity is one that another process can rely on."""
    if isinstance(identity, Mapping):
        return identity.get("reusable", True) is True and all(map(is_reusable, identity.values()))
    return all(map(is_reusable, identity)) if isinstance(identity, list) else True


def _is_installed(module: str) -> bool:
    top = module.partition(".")[0]
    if top == "vestige":
        return True  # what Vestige's own code does is stated by the version of its training semantics
    file = _file_of(module) or _file_of(top)  # a part that is compiled into its package has no file
    if file is None:
        return top in sys.builtin_module_names or top in sys.stdlib_module_names
    paths = sysconfig.get_paths()
    return any(Path(file).is_relative_to(paths[key]) for key in ("stdlib", "platstdlib", "purelib", "platlib"))


def _file_of(module: str) -> str | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return file if isinstance(file, str) and Path(file).is_absolute() else None  # torch.ops says "_ops.py"


def _source_of(module: str) -> str | None:
    try:
        return inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        return None


def named_function(name: str, folder: Path | None = None) -> Callable[..., Any]:
    """Return the function that `module:function` names.

    Raises:
        InputError: As `named_object`, or what it names is no function.
    """
    found = named_object(name, folder)
    if not callable(found):
        raise InputError(f"Expected a function as {name}, found {type(found).__name__}; name a function.")
    return found  # type: ignore[no-any-return]


def named_object(name: str, folder: Path | None = None) -> Any:
    """Return what `module:name` names.

    Args:
        name: A module that can be imported, or a Python file, and what it holds.
        folder: Where a module is looked for first, such as the folder of the file that names it.

    Raises:
        InputError: There is no such module or name, or the module raises.
    """
    module_name, separator, inside = name.partition(":")
    if not (separator and module_name and inside):
        raise InputError(f"Expected module:function, such as clinic.training:fit, found {name!r}.")
    module = _imported(*_module_and_folder(module_name, folder or Path.cwd()))
    found = _found(module, inside)
    if found is None:
        raise InputError(f"Expected {inside} in {module_name}, found nothing of that name; check the spelling.")
    return found


def _found(module: Any, inside: str) -> Any:
    """What a module has under a dotted name; None if nothing."""
    return functools.reduce(lambda found, part: getattr(found, part, None), inside.split("."), module)


def _module_and_folder(name: str, folder: Path) -> tuple[str, Path]:
    """A module's name and where to look for it, also of a file: inside the folder it may belong to a package."""
    if "/" not in name and not name.endswith(".py"):
        return name, folder
    path = Path(name.removesuffix(".py"))
    if path.is_absolute() or ".." in path.parts:
        return path.name, (folder / path.parent).resolve()
    return ".".join(path.parts), folder


def _imported(name: str, folder: Path) -> Any:
    _make_way(name, folder)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()  # the file may be newer than what Python knows of the folder
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise InputError(f"Expected to import {name}, found it to need {error.name}; install it.") from None
        raise InputError(
            f"Expected a module {name}, found none on the path or in the folder of the plan; check the name."
        ) from None
    except (Exception, SystemExit) as error:
        found = f"{type(error).__name__}: {brief(str(error), 200)}"
        raise InputError(
            f"Expected to import {name}, found that it raises {found}; mend the module, or keep what only a script "
            'should do under if __name__ == "__main__".'
        ) from error
    finally:
        if str(folder) in sys.path:  # a module may have changed the path itself
            sys.path.remove(str(folder))


def _make_way(name: str, folder: Path) -> None:
    """Forget a module of this name from another folder, which would be taken for the one that is meant.

    Raises:
        InputError: It is an installed one, which others rely on.
    """
    inside = folder.joinpath(*name.split("."))
    meant = [path for path in (inside / "__init__.py", inside.with_name(f"{inside.name}.py")) if path.is_file()]
    loaded = _file_of(name)
    if not meant or loaded is None or Path(loaded).resolve() == meant[0].resolve():
        return
    if _is_installed(name):
        raise InputError(
            f"Expected a module of another name than {name}, which is that of an installed one; rename the file."
        )
    top = name.partition(".")[0]
    for known in [m for m in sys.modules if m == top or m.startswith(f"{top}.")]:
        del sys.modules[known]

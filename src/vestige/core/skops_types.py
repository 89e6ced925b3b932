"""Which types and functions a skops file may name: those that a known package defines, and what the caller knows."""

import functools
import importlib
import inspect
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

PACKAGES = ("sklearn", "xgboost", "lightgbm", "catboost", "imblearn")
"""Whose classes are admitted. numpy, scipy and pandas have some that write files when they are made."""
_NAMES = frozenset(
    {
        "collections.OrderedDict",
        "collections.defaultdict",
        "functools.partial",  # what it calls is named apart, and judged apart
        "numpy.dtype",
        "sklearn.utils.validation.check_array",  # boosting of histograms holds it
    }
)


def foreign_types(types: Iterable[str], known: Iterable[Any] = ()) -> list[str]:
    """Return those of the types and functions in a file that are not admitted.

    Admitted are classes of well-known packages and of the packages of the known estimators, and of functions only the
    known ones, because a stored estimator calls its functions. What a class holds is not looked into.

    Args:
        types: Their names, as skops gives them.
        known: Estimators whose parts are admitted, or functions, whose module is known then.
    """
    names, packages, modules = set(_NAMES), set(PACKAGES), set()
    for thing in known:
        if not hasattr(thing, "get_params"):
            module = str(getattr(_unwrapped(thing), "__module__", None))
            modules.add(module)
            packages.add(_package(module))
        for part in _parts(thing):
            if hasattr(part, "get_params") and not isinstance(part, type):
                packages.add(_package(type(part).__module__))
            elif callable(part):
                names.add(f"{getattr(part, '__module__', None)}.{getattr(part, '__qualname__', None)}")
    packages -= sys.stdlib_module_names
    return [name for name in types if name not in names and not _is_admitted(name, packages, modules)]


def _parts(thing: Any) -> Iterator[Any]:
    """An estimator or function and everything among its parameters, however deep in lists and mappings."""
    thing = _unwrapped(thing)
    yield thing
    if hasattr(thing, "get_params") and not isinstance(thing, type):
        values = thing.get_params(deep=False).values()
    elif isinstance(thing, Mapping):
        values = thing.values()
    else:
        values = thing if isinstance(thing, list | tuple) else ()
    for value in values:
        yield from _parts(value)


def _unwrapped(thing: Any) -> Any:
    return _unwrapped(thing.func) if isinstance(thing, functools.partial) else thing


def _package(module: str) -> str:
    return module.partition(".")[0]


def _is_admitted(name: str, packages: Collection[str], modules: Collection[str]) -> bool:
    """Whether a name is a class that one of the packages defines, a function of a known module, or a kind of number."""
    module, _, last = name.rpartition(".")
    if module == "numpy":
        named = getattr(np, last, None)
        return isinstance(named, type) and issubclass(named, np.generic)
    if _package(module) not in packages or "__main__" in module.split("."):  # to import that is to run a program
        return False
    try:
        named = getattr(importlib.import_module(module), last)
    except Exception:  # a user's own module may raise anything
        return False
    if isinstance(named, type):
        return _package(named.__module__) in packages
    return inspect.isfunction(named) and module in modules and named.__module__ == module

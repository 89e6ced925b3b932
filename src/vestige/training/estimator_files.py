"""A scikit-learn estimator as files: skops, which holds no code. Nothing is pickled."""

import functools
import importlib
import inspect
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from vestige.core.errors import ArtefactError, UnsupportedModelError
from vestige.core.messages import brief, few
from vestige.core.recipe import Model

_FILE, _DESCRIPTION = "estimator.skops", "model.json"
_PACKAGES = ("sklearn", "xgboost", "lightgbm", "catboost", "imblearn")
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


def dump(model: Model, known: Iterable[Any]) -> dict[str, bytes]:
    """Return the files of a model.

    Args:
        model: Its classifier follows scikit-learn's conventions.
        known: As of `load`.

    Raises:
        UnsupportedModelError: skops is not installed, or cannot hold this kind of estimator, or `load` would refuse it.
    """
    try:
        import skops.io
    except ImportError:
        raise UnsupportedModelError(
            "Expected the package skops for models that are kept, found none; pip install 'vestige[estimators]'."
        ) from None
    try:
        stored = skops.io.dumps(model.classifier)
        foreign = _foreign(skops.io.get_untrusted_types(data=stored), known)
    except Exception as error:
        raise UnsupportedModelError(
            f"Expected a model that can be stored without a pickle, found {type(model.classifier).__name__}: "
            f"{brief(str(error), 200)}"
        ) from error
    if foreign:
        raise UnsupportedModelError(
            f"Expected {type(model.classifier).__name__} to be made of known parts, found {few(foreign, 3)}, which "
            "would not be loaded again."
        )
    description = {"n_classes": model.n_classes, "seed": model.seed}
    return {_DESCRIPTION: json.dumps(description).encode(), _FILE: stored}


def load(files: Mapping[str, bytes], known: Iterable[Any]) -> Model:
    """Return the model of these files.

    Admitted are classes of well-known packages and of the packages of the known estimators, and of functions only the
    known ones, because a stored estimator calls its functions. What a class holds is not looked into.

    Args:
        files: As `dump` gave them.
        known: The recipe's own estimator, or the function that made the model, whose module is known then.

    Raises:
        ArtefactError: The files are damaged, or hold what nobody asked for.
    """
    import skops.io

    try:
        described = json.loads(files[_DESCRIPTION])
        n_classes, seed = int(described["n_classes"]), int(described["seed"])
        types = skops.io.get_untrusted_types(data=files[_FILE])
        foreign = _foreign(types, known)
        estimator = None if foreign else skops.io.loads(files[_FILE], trusted=types)
    except Exception as error:
        raise ArtefactError(
            f"Expected a stored estimator, found a damaged file ({type(error).__name__}); remove the entry, it is "
            "trained again."
        ) from None
    if foreign:
        raise ArtefactError(
            f"Expected an estimator made of {few(_PACKAGES)} and of the recipe's own parts, found {few(foreign, 3)} in "
            "the stored file; nothing was loaded. Remove the entry, it is trained again."
        )
    return Model(estimator, n_classes, seed)


def _foreign(types: Iterable[str], known: Iterable[Any]) -> list[str]:
    """Those of the types and functions in a file that are not admitted."""
    names, packages, modules = set(_NAMES), set(_PACKAGES), set()
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
    if _package(module) not in {*packages, "numpy"}:
        return False
    try:
        found = getattr(importlib.import_module(module), last)
    except Exception:  # a user's own module may raise anything
        return False
    if isinstance(found, type):
        return issubclass(found, np.generic) or _package(found.__module__) in packages
    return inspect.isfunction(found) and module in modules and found.__module__ == module

"""A scikit-learn estimator as files: skops, which holds no code. Nothing is pickled."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vestige.core.errors import ArtefactError, UnsupportedModelError
from vestige.core.messages import few
from vestige.core.recipe import Model

_FILE, _DESCRIPTION = "estimator.skops", "model.json"
_TRUSTED = ("sklearn", "numpy", "scipy", "pandas", "xgboost", "lightgbm", "catboost", "imblearn")
_TRUSTED_NAMES = ("functools.partial",)  # what it calls is named apart, and judged apart


def dump(model: Model) -> dict[str, bytes]:
    """Return the files of a model.

    Raises:
        UnsupportedModelError: skops cannot hold this kind of estimator.
    """
    import skops.io

    try:
        stored = skops.io.dumps(model.classifier)
    except Exception as error:
        raise UnsupportedModelError(
            f"Expected a model that can be stored without a pickle, found {type(model.classifier).__name__}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    description = {"n_classes": model.n_classes, "seed": model.seed}
    return {_DESCRIPTION: json.dumps(description).encode(), _FILE: stored}


def load(files: Mapping[str, bytes], known: Iterable[Any]) -> Model:
    """Return the model of these files.

    Args:
        files: As `dump` gave them.
        known: Objects whose packages are trusted besides the well-known ones, such as the recipe's own estimator.

    Raises:
        ArtefactError: The files are damaged, or hold types that nobody asked for.
    """
    import skops.io

    roots = {*_TRUSTED, *(root for thing in known for root in _roots(thing))}
    try:
        described = json.loads(files[_DESCRIPTION])
        types = skops.io.get_untrusted_types(data=files[_FILE])
        foreign = [name for name in types if name.partition(".")[0] not in roots and name not in _TRUSTED_NAMES]
        if foreign:
            raise ArtefactError(
                f"Expected an estimator of {few(sorted(roots))}, found {few(foreign, 3)} in the stored file; nothing "
                "was loaded. Remove the entry, it is trained again."
            )
        return Model(skops.io.loads(files[_FILE], trusted=types), described["n_classes"], described["seed"])
    except ArtefactError:
        raise
    except Exception as error:
        raise ArtefactError(
            f"Expected a stored estimator, found a damaged file ({type(error).__name__}); remove the entry, it is "
            "trained again."
        ) from None


def _roots(thing: Any) -> set[str]:
    """The packages of an estimator and of everything among its parameters."""
    found = {type(thing).__module__.partition(".")[0]}
    for value in getattr(thing, "get_params", dict)().values():
        module = getattr(value, "__module__", None) or type(value).__module__
        found.add(str(module).partition(".")[0])
    return found - {"builtins", "os", "posix", "nt", "subprocess", "sys", "importlib", "shutil"}

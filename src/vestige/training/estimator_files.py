"""A scikit-learn estimator as files: skops, which holds no code. Nothing is pickled."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vestige.core.errors import ArtefactError, UnsupportedModelError
from vestige.core.messages import brief, few
from vestige.core.recipe import Model
from vestige.core.skops_types import PACKAGES, foreign_types

_FILE, _DESCRIPTION = "estimator.skops", "model.json"


def dump(model: Model, known: Iterable[Any]) -> dict[str, bytes]:
    """Return the files of a model.

    Args:
        model: Its classifier follows scikit-learn's conventions.
        known: As of `load`.

    Raises:
        UnsupportedModelError: skops cannot hold this kind of estimator, or `load` would refuse it.
    """
    import skops.io

    try:
        stored = skops.io.dumps(model.classifier)
        foreign = foreign_types(skops.io.get_untrusted_types(data=stored), known)
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
        ArtefactError: The files are damaged, or hold other types.
    """
    import skops.io

    try:
        described = json.loads(files[_DESCRIPTION])
        n_classes, seed = int(described["n_classes"]), int(described["seed"])
        types = skops.io.get_untrusted_types(data=files[_FILE])
        foreign = foreign_types(types, known)
        estimator = None if foreign else skops.io.loads(files[_FILE], trusted=types)
    except Exception as error:
        raise ArtefactError(
            f"Expected a stored estimator, found a damaged file ({type(error).__name__}); remove the entry, it is "
            "trained again."
        ) from None
    if foreign:
        raise ArtefactError(
            f"Expected an estimator made of {few(PACKAGES)} and of the recipe's own parts, found {few(foreign, 3)} in "
            "the stored file; nothing was loaded. Remove the entry, it is trained again."
        )
    return Model(estimator, n_classes, seed)

"""`SklearnRecipe`: any scikit-learn estimator or Pipeline, and whatever follows its conventions, trained anew."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from vestige.core.errors import ArtefactError, InputError, TrainingError, UnsupportedModelError
from vestige.core.estimators import refuse_unsupported
from vestige.core.labels import codes_of_classes
from vestige.core.messages import brief, few
from vestige.core.recipe import Model
from vestige.core.records import Records
from vestige.core.seeds import stream
from vestige.core.skops_types import PACKAGES, foreign_types
from vestige.core.sparse import plain as plain_rows
from vestige.training.identity import identity_of, plain

_FILE, _DESCRIPTION = "estimator.skops", "model.json"


@dataclass(frozen=True)
class SklearnRecipe:
    """Clone an estimator with its parameters and fit the clone: the estimator itself is never changed.

    Three parameters are treated specially, in the estimator and in all estimators inside it: `random_state` becomes the
    model's seed, because models that differ in their records alone would understate the randomness of training;
    `warm_start` is switched off, because a clone has no earlier fit; early stopping stays, on records that the
    estimator sets apart from those it is given. `handled` says so in words.

    The clone is fitted on class codes, in the order of the records' classes. What an estimator holds by class,
    `class_weight` and prior probabilities, is translated from the classes that it was fitted on or that it names.

    What was given to the estimator's `fit` besides inputs and labels, such as sample weights or records to stop by,
    leaves no trace in it and cannot be repeated: write a function that trains, for `FunctionRecipe`.

    Attributes:
        estimator: Fitted or not; a classifier with `predict_proba`, such as a Pipeline, a forest, boosting, or with
            `decision_function` alone, whose margins are read as logits.
        version: Whatever else decides the result and is to make it another recipe.

    Raises:
        InputError: It is no estimator, answers with neither probabilities nor margins, or stops by records that only
            `fit` was given.
        UnsupportedModelError: It is a regressor, or answers with several labels per record.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> model = SklearnRecipe(LogisticRegression()).fit(Records(np.eye(2), [0, 1]), seed=0)
        >>> model.classifier.predict_proba(np.eye(2)).shape
        (2, 2)
    """

    estimator: Any
    _: KW_ONLY
    version: str = ""

    def __post_init__(self) -> None:
        missing = [name for name in ("fit", "get_params") if not hasattr(self.estimator, name)]
        if missing or isinstance(self.estimator, type):
            found = self.estimator.__name__ if isinstance(self.estimator, type) else type(self.estimator).__name__
            raise InputError(
                f"Expected a scikit-learn estimator with its parameters, found {found}; give an instance with fit and "
                "get_params, or a function that trains one."
            )
        refuse_unsupported(self.estimator)
        if not any(hasattr(self.estimator, method) for method in ("predict_proba", "decision_function")):
            raise InputError(
                f"Expected an estimator with predict_proba or decision_function, found {type(self.estimator).__name__} "
                "without; switch its probabilities on, or wrap it in sklearn.calibration.CalibratedClassifierCV."
            )
        for name, value in self.estimator.get_params(deep=True).items():
            if _last(name) in _STOPPED_FROM_OUTSIDE and value:
                raise InputError(
                    f"Expected training that needs inputs and labels alone, found {name} = {value}, which stops by "
                    "records given to fit; set it to None and the number of rounds to that of the audited model, or "
                    "write a function that trains."
                )

    def fit(self, records: Records, *, seed: int, **options: Any) -> Model:
        """Train one clone; see `vestige.core.recipe.Recipe.fit`. It has no warm start, epochs or device."""
        refuse_options("a scikit-learn estimator", options)
        from sklearn.base import clone

        estimator = clone(self.estimator)
        by_class = _by_class(self.estimator, records.n_classes, records.classes)
        estimator.set_params(**_own(estimator, seed), **by_class)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of convergence: the user has seen it for the audited model
            try:
                estimator.fit(plain_rows(records.inputs), records.labels)
            except Exception as error:
                what = f"{type(error).__name__}: {brief(str(error), 300)}"
                raise TrainingError(
                    f"Expected {type(estimator).__name__} to fit {records.n_records:,} records, found {what}"
                ) from error
        return Model(estimator, records.n_classes, seed=seed)

    def handled(self) -> tuple[str, ...]:
        """Return in words which parameters are changed, or kept although they matter."""
        parameters = self.estimator.get_params(deep=True)
        found = {
            "each model's own seed instead of the fixed one": [
                name for name, value in parameters.items() if _last(name) in _SEEDS and value is not None
            ],
            "switched off, each model begins anew": [
                name for name, value in parameters.items() if _last(name) == "warm_start" and value
            ],
            "no probabilities, its margins are read as logits": (
                [] if hasattr(self.estimator, "predict_proba") else [type(self.estimator).__name__]
            ),
            "kept; records set apart for it count as members": [
                name for name, value in parameters.items() if _stops_early(name, value, parameters)
            ],
        }
        return tuple(f"{', '.join(names)}: {how}" for how, names in found.items() if names)

    def identity(self) -> Mapping[str, Any]:
        """Return everything that decides the model; see `vestige.core.recipe.Recipe.identity`."""
        return {"recipe": "sklearn", "estimator": _plain(self.estimator), "version": self.version}

    def dump(self, model: Model) -> Mapping[str, bytes]:
        """Return the estimator as a skops file."""
        return dump(model, (self.estimator,))

    def load(self, files: Mapping[str, bytes]) -> Model:
        """Return the model that `dump` gave these files for."""
        return load(files, (self.estimator,))


def refuse_options(what: str, options: Mapping[str, Any]) -> None:
    """Refuse options that a recipe cannot use: a user would think that they had an effect.

    Raises:
        InputError: One was given.
    """
    for name, value in options.items():
        if value is not None and (name, value) not in (("device", "cpu"), ("checkpoints", ()), ("checkpoints", [])):
            raise InputError(f"Expected no {name} with {what}, which cannot use it; train with a torch recipe.")


_SEEDS = ("random_state", "random_seed", "seed")
_IRRELEVANT = (*_SEEDS, "warm_start", "n_jobs", "verbose")
_PRIORS = ("priors", "class_prior")
_STOPPED_FROM_OUTSIDE = ("early_stopping_rounds", "early_stopping_round")


def _own(estimator: Any, seed: int) -> dict[str, Any]:
    """Parameters that each model has for itself: seeds, drawn in the order of the names, and no warm start."""
    generator = stream(seed, "sklearn random_state")
    return {
        name: int(generator.integers(2**31 - 1)) if _last(name) in _SEEDS else False
        for name in sorted(estimator.get_params(deep=True))
        if _last(name) in (*_SEEDS, "warm_start")
    }


def _by_class(estimator: Any, n_classes: int, names: Sequence[str] | None) -> dict[str, Any]:
    """Parameters that are held by class, for an estimator that is fitted on codes."""
    parameters = estimator.get_params(deep=True)
    fitted = np.asarray(getattr(estimator, "classes_", ())).tolist()
    translated: dict[str, Any] = {}
    for name, value in parameters.items():
        if _last(name) == "class_weight" and isinstance(value, Mapping):
            known = [*value, *fitted]
            codes = codes_of_classes(known, f"the keys of {name}", n_classes, names)
            translated[name] = dict(zip(codes, value.values(), strict=False))
        elif _last(name) in _PRIORS and value is not None and names is not None:
            codes = codes_of_classes(fitted or sorted(names), f"the classes of {name}", n_classes, names)
            translated[name] = np.asarray(value)[np.argsort(codes)] if len(codes) == len(value) else value
    return translated


def _stops_early(name: str, value: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter switches early stopping on; where there is a switch, the patience beside it is none."""
    has_switch = f"{name.removesuffix(_last(name))}early_stopping" in parameters
    names = ("early_stopping",) if has_switch else ("n_iter_no_change",)
    return _last(name) in names and value is not None and value is not False


def _last(name: str) -> str:
    return name.rpartition("__")[2]


def _plain(value: Any) -> Any:
    """A parameter as text and numbers, estimators with their own parameters."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        own = {name: _plain(v) for name, v in sorted(value.get_params(deep=False).items()) if name not in _IRRELEVANT}
        return {**identity_of(type(value)), "parameters": own}
    if hasattr(value, "split") and hasattr(value, "get_n_splits"):
        return identity_of(value)
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, slice):
        return ["slice", value.start, value.stop, value.step]
    if isinstance(value, np.ndarray):
        return [str(value.dtype), _plain(value.tolist())]
    if isinstance(value, np.dtype):
        return str(value)
    return plain(value)


# ------------------------------------------------------------------------------- files of an estimator


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
    return Model(estimator, n_classes, seed=seed)

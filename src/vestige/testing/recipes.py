"""The laws of defences that train: recipes, each law a check that says by name what is broken."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import cloudpickle
import numpy as np

from vestige.core.messages import brief
from vestige.core.recipe import Model, Recipe
from vestige.core.records import Records
from vestige.testing.laws import BrokenLawError

_N, _WIDTH, _N_CLASSES = 90, 6, 3
_LAWS = ("fits", "answers", "equal seeds", "other seeds", "records unchanged", "identity", "settings", "sent")


@dataclass(frozen=True, kw_only=True)
class RecipeReport:
    """What was seen of a recipe that keeps every law.

    Attributes:
        defence: Name of its class.
        laws: The laws that it was held to.
        n_settings: Numbers in it that were changed, each in turn, to see whether its identity tells.
        notes: What is lawful, and worth knowing.
    """

    defence: str
    laws: tuple[str, ...]
    n_settings: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """All of it, a line each."""
        seen = f"its identity tells {self.n_settings} other settings apart"
        return "\n".join((f"{self.defence} keeps the laws: {', '.join(self.laws)}", seen, *self.notes))


def check_recipe(recipe: Recipe, records: Records | None = None, *, seed: int = 0) -> RecipeReport:
    """Hold a recipe, such as a defence that trains, to the laws that every one of ours keeps.

    - `fits`: it trains a model on records;
    - `answers`: the model gives a finite number per class for each record;
    - `equal seeds`: the same records and seed give the same answers;
    - `other seeds`: another seed gives a network another beginning, and so other answers;
    - `records unchanged`: inputs and labels stay as they were, for the other models;
    - `identity`: it is JSON, and the same each time, or a bank would take one model for another;
    - `settings`: with one of its numbers changed it has another identity;
    - `sent`: it can be sent to other processes, which train some of the models.

    Args:
        recipe: The recipe; three models are trained.
        records: To train on; 90 planted ones of 6 numbers and 3 classes if omitted.
        seed: Of these records, and of training.

    Returns:
        What was seen.

    Raises:
        BrokenLawError: It breaks a law; the message says which, and what was seen.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from vestige import SklearnRecipe
        >>> check_recipe(SklearnRecipe(DecisionTreeClassifier(max_depth=2))).defence
        'SklearnRecipe'
    """
    name, records = type(recipe).__name__, records or _planted(seed)
    said = _identity(recipe, name)
    before = records.inputs.copy(), records.labels.copy()
    models = [_fitted(recipe, name, records, seed + more) for more in (0, 0, 1)]
    kept = all(np.array_equal(now, then) for now, then in zip((records.inputs, records.labels), before, strict=True))
    _hold(kept, "records unchanged", name, "it writes into the records; work on a copy.")
    first, again, other = (_answers(model, records, name) for model in models)
    _hold(np.array_equal(first, again), "equal seeds", name, "one seed gave two models; draw everything from the seed.")
    same = np.array_equal(first, other)
    is_network = hasattr(models[0].classifier, "parameters")
    _hold(not (same and is_network), "other seeds", name, "two seeds gave one network; draw its weights from the seed.")
    _hold(_identity(recipe, name) == said, "identity", name, "it is another one each time, or after training.")
    others = list(_others(recipe))
    told = [one for one in others if _identity(one, name) == said]
    _hold(not told, "settings", name, f"{brief(repr(told[:1]), 200)} has the same identity; put every setting into it.")
    try:
        cloudpickle.dumps(recipe)
    except Exception as error:
        raise BrokenLawError("sent", name, f"it fails with {type(error).__name__}: {brief(str(error), 200)}") from error
    notes = ("training does not depend on the seed: all that differs between models is their records",) * same
    return RecipeReport(defence=name, laws=_LAWS, n_settings=len(others), notes=notes)


def _planted(seed: int) -> Records:
    rng = np.random.default_rng(seed)
    labels = np.arange(_N) % _N_CLASSES
    inputs = rng.normal(size=(_N, _WIDTH)) + np.eye(_N_CLASSES, _WIDTH)[labels]
    return Records(inputs.astype(np.float32), labels)


def _fitted(recipe: Recipe, name: str, records: Records, seed: int) -> Model:
    try:
        model = recipe.fit(records, seed=seed)
    except Exception as error:
        said = f"it fails with {type(error).__name__}: {brief(str(error), 200)}"
        raise BrokenLawError("fits", name, said) from error
    _hold(isinstance(model, Model), "fits", name, f"it gives {type(model).__name__}, no vestige.core.recipe.Model.")
    return model


def _answers(model: Model, records: Records, name: str) -> np.ndarray:
    """What a model answers about records, a number per class."""
    classifier, inputs = model.classifier, records.inputs
    try:
        if hasattr(classifier, "predict_proba"):
            found = classifier.predict_proba(inputs)
        elif hasattr(classifier, "parameters"):  # a torch module; who made it has imported torch
            found = classifier(sys.modules["torch"].from_numpy(inputs)).detach().cpu().numpy()
        else:
            found = classifier(inputs)
            found = found.whole() if hasattr(found, "whole") else found
    except Exception as error:
        said = f"the model fails with {type(error).__name__}: {brief(str(error), 200)}"
        raise BrokenLawError("answers", name, said) from error
    table = np.asarray(found, dtype=np.float64)
    wanted = (records.n_records, records.n_classes)
    _hold(table.shape == wanted, "answers", name, f"the model gives an array of shape {table.shape} for {wanted}.")
    _hold(bool(np.isfinite(table).all()), "answers", name, "the model gives numbers that are not finite.")
    return table


def _identity(recipe: Recipe, name: str) -> str:
    try:
        return json.dumps(dict(recipe.identity()), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise BrokenLawError("identity", name, f"it cannot be written as JSON: {brief(str(error), 200)}") from None


def _others(value: Any) -> Iterator[Any]:
    """Return a value with one of the numbers in it changed, each in turn, where it can be made so."""
    if isinstance(value, bool | Records):
        return
    if isinstance(value, int | float):
        yield value + 1 if isinstance(value, int) else value / 2 if value else 0.5
    elif isinstance(value, Mapping):
        yield from ({**value, key: other} for key, inside in value.items() for other in _others(inside))
    elif isinstance(value, tuple) and type(value) is tuple:
        yield from (
            (*value[:at], other, *value[at + 1 :]) for at, inside in enumerate(value) for other in _others(inside)
        )
    elif is_dataclass(value) and not isinstance(value, type):
        for entry in (entry for entry in fields(value) if entry.init):
            for other in _others(getattr(value, entry.name)):
                made = None
                with suppress(Exception):  # it is out of range
                    made = replace(value, **{entry.name: other})
                yield from () if made is None else (made,)


def _hold(is_kept: bool, law: str, name: str, message: str) -> None:
    if not is_kept:
        raise BrokenLawError(law, name, message)

"""Columns of a table as a booster was trained on them.

XGBoost and LightGBM take numbers for categories and the codes of categories for numbers without a word, and LightGBM
takes columns by their position: scores would be wrong, and look like scores.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vestige.core.errors import TargetError, refuse_if
from vestige.core.messages import brief, few

_NAMELESS = re.compile(r"Column_\d+")  # what LightGBM calls the columns of an array


@dataclass(frozen=True)
class FeatureColumns:
    """The features that a booster was trained on.

    Attributes:
        names: Their names; None if it was trained on an array.
        are_categories: Of each feature, whether it was trained on categories with names; None if that is not known.
    """

    names: tuple[str, ...] | None
    are_categories: tuple[bool | None, ...]

    def fitted(self, inputs: Any) -> Any:
        """Return a table with its columns in the order of the features; an array as it is.

        Raises:
            TargetError: A column is missing or one too many, or holds numbers for categories or the reverse.
        """
        if not hasattr(inputs, "columns"):
            return inputs
        table = inputs if self.names is None else self._ordered(inputs, self.names)
        for name, dtype, wanted in zip(table.columns, table.dtypes, self.are_categories, strict=False):
            if wanted is not None and wanted != (dtype == "category"):
                expected, found = ("categories", str(dtype)) if wanted else ("numbers", "categories or text")
                raise TargetError(
                    f"Expected {expected} in column {brief(str(name))}, which the model was trained on, found {found}; "
                    "give the records as the model was trained on them (Parquet keeps categories)."
                )
        return table

    def _ordered(self, table: Any, names: tuple[str, ...]) -> Any:
        places = {_spelled(name): place for place, name in enumerate(table.columns)}
        missing, known = [name for name in names if _spelled(name) not in places], set(map(_spelled, names))
        added = [str(name) for name in table.columns if _spelled(name) not in known]
        refuse_if(
            (
                missing,
                f"Expected a column for each feature of the model, found none for {few(missing, 5)}; name the columns "
                "as the model was trained on them.",
            ),
            (
                len(table.columns) > len(names),
                f"Expected the {len(names):,} features that the model was trained on, found {few(added, 5)} beside "
                "them; name an id as data.id, a person as data.subject or the inputs as data.inputs, or leave these "
                "columns out.",
            ),
            kind=TargetError,
        )
        order = [places[_spelled(name)] for name in names]
        return table if order == sorted(order) else table.iloc[:, order]


def columns_of_estimator(estimator: Any) -> FeatureColumns | None:
    """Return the columns of a fitted wrapper of XGBoost or LightGBM, or of one that gets the records of another.

    That is the best of a search, what is calibrated, votes or ends a Pipeline that changes nothing. None of others.
    """
    if callable(getattr(estimator, "get_booster", None)):
        return columns_of_xgboost(estimator.get_booster())
    booster = getattr(estimator, "booster_", None)
    if hasattr(booster, "model_to_string"):
        return columns_of_lightgbm(booster)
    return next((found for part in _given_the_same(estimator) if (found := columns_of_estimator(part))), None)


def _given_the_same(estimator: Any) -> Iterator[Any]:
    """Estimators behind one that hands its records on as they are."""
    if hasattr(estimator, "best_estimator_"):
        yield estimator.best_estimator_
    for fold in getattr(estimator, "calibrated_classifiers_", ()):
        yield fold.estimator
    parts = getattr(estimator, "estimators_", ())
    yield from parts if isinstance(parts, list) and hasattr(estimator, "named_estimators_") else ()
    known = getattr(estimator, "steps", None)  # of others it may be a number, such as how often they stepped
    steps = [step for _, step in known] if isinstance(known, list) and hasattr(estimator, "named_steps") else []
    if steps and all(step in (None, "passthrough") for step in steps[:-1]):
        yield steps[-1]


def in_order_of(estimator: Any, inputs: Any) -> Any:
    """Return a table with its columns in the order that a fitted estimator knows; anything else as it is.

    Some take columns by position, such as LightGBM within an ensemble, others refuse another order: names say enough.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or not hasattr(inputs, "columns"):
        return inputs
    given = sorted(map(_spelled, inputs.columns))
    is_the_same = sorted(map(_spelled, names)) == given and len(set(given)) == len(given)
    return FeatureColumns(tuple(names), ()).fitted(inputs) if is_the_same else inputs


def columns_of_xgboost(booster: Any) -> FeatureColumns:
    """Return the columns of a Booster of XGBoost; categories without names were trained on as codes."""
    kinds = booster.feature_types or ["q"] * booster.num_features()
    named = [False] * len(kinds)
    if "c" in kinds:
        named = [names is not None for _, names in booster.get_categories(export_to_arrow=True).to_arrow()]
    are_categories = [
        (True if has_names else None) if k == "c" else False for k, has_names in zip(kinds, named, strict=True)
    ]
    return FeatureColumns(
        None if booster.feature_names is None else tuple(booster.feature_names), tuple(are_categories)
    )


def columns_of_lightgbm(booster: Any) -> FeatureColumns:
    """Return the columns of a Booster of LightGBM, which keeps a range of numbers and a list of categories.

    It says how many columns had categories with names: if others were codes, or all equal, it is not known which.
    """
    names = tuple(booster.feature_name())
    lines = dict(line.partition("=")[::2] for line in booster.model_to_string(num_iteration=1).splitlines())
    have_ranges = [told.startswith("[") for told in lines.get("feature_infos", "").split()]
    others = {0: False, have_ranges.count(False): True}.get(len(booster.pandas_categorical or ()))
    are_categories = tuple(False if is_number else others for is_number in have_ranges)
    is_nameless = all(_NAMELESS.fullmatch(name) for name in names)
    return FeatureColumns(None if is_nameless else names, are_categories)


def _spelled(name: Any) -> str:
    """LightGBM writes an underscore for a space."""
    return str(name).replace(" ", "_")
